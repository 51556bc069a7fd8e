/* SPDX-License-Identifier: MIT
 *
 * Shared by the tests of libpager: cmocka with its prerequisites, a connection to a fake daemon,
 * waiting.
 */
#ifndef D_TEST_H
#define D_TEST_H

#include <fcntl.h>
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

/* Descriptors that are open now, those of the fake daemon included. */
static inline unsigned
fds_open(void)
{
	unsigned count = 0;

	for (int fd = 0; fd < 1024; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

/* The same once the fake daemon has closed what it handed to the fixture's connection: it does so
 * after it has sent a reply, and before it answers the next request. */
static inline unsigned
fds_settled(const struct d_fixture *d)
{
	struct pager_statistics statistics;

	assert_int_equal(pager_statistics(d->pager, &statistics), 0);
	return fds_open();
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
