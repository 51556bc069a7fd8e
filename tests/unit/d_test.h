/* SPDX-License-Identifier: MIT
 *
 * Shared by the tests of libpager: cmocka with its prerequisites, a connection to a fake daemon,
 * waiting.
 */
#ifndef D_TEST_H
#define D_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>
#include <cmocka.h>

#include "fake_daemon.h"
#include "pager/pager.h"

/* There is no limit of time in here: a test that waits in vain is ended by the test runner. */
#define WAIT_UNTIL(condition)                                                                      \
	do {                                                                                       \
		while (!(condition))                                                               \
			usleep(500);                                                               \
	} while (0)

struct d_fixture {
	struct fake *fake;
	struct pager *pager;
	atomic_uint died; /* events so far */
};

static inline void
d_event(void *context, enum pager_event event, uint64_t value)
{
	struct d_fixture *d = context;

	if (event == PAGER_EVENT_DAEMON_DIED)
		atomic_fetch_add(&d->died, 1);
}

static inline int
d_setup(void **state)
{
	struct d_fixture *d = calloc(1, sizeof(*d));
	struct pager_options options = {
		.size = sizeof(options), .event = d_event, .event_context = d
	};

	*state = d;
	d->fake = fake_start();
	if (!d->fake)
		exit(77); /* no userfaultfd here: skipped */
	return pager_connect(fake_socket(d->fake), &options, &d->pager);
}

static inline int
d_teardown(void **state)
{
	struct d_fixture *d = *state;
	int r = d->pager ? pager_disconnect(d->pager) : 0;

	fake_stop(d->fake);
	free(d);
	return r;
}

#endif
