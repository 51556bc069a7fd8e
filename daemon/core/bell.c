/* SPDX-License-Identifier: MIT
 *
 * Bells. Runs on: any thread. Allocates only at start; never blocks.
 */
#include "core/bell.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "check.h"

int
bells_create(struct bells *bells, unsigned count, unsigned common)
{
	CHECK(common > 0 && common <= count);
	bells->bells = calloc(count, sizeof(*bells->bells));
	if (!bells->bells)
		return -ENOMEM;
	bells->common = common;
	for (; bells->count < count; bells->count++) {
		int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

		if (fd < 0)
			return -errno;
		bells->bells[bells->count].fd = fd;
	}
	return 0;
}

void
bells_destroy(struct bells *bells)
{
	CHECK(bells->bells != NULL);
	for (unsigned i = 0; i < bells->count; i++)
		close(bells->bells[i].fd);
	free(bells->bells);
}

void
bell_ring(struct bell *bell)
{
	uint64_t one = 1;

	INVARIANT(bell->fd >= 0);
	if (!exchange_acq_rel(&bell->rung, true) && write(bell->fd, &one, sizeof(one)) < 0)
		panic("a bell cannot be rung: %d", errno);
}

void
bell_answer(struct bell *bell)
{
	uint64_t ignored;

	CHECK(bell->fd >= 0);
	if (read(bell->fd, &ignored, sizeof(ignored)) < 0 && errno != EAGAIN)
		panic("a bell's descriptor failed: %d", errno);
	/* Not a store: the owner must see at least what preceded a ring that found the flag set. */
	exchange_acq_rel(&bell->rung, false);
}

static bool
is_behind(const struct bell *bell)
{
	const atomic_bool *flag = load_relaxed(&((struct bell *)(uintptr_t)bell)->is_behind);

	return flag && load_relaxed((atomic_bool *)(uintptr_t)flag);
}

void
bells_ring_one(struct bells *bells)
{
	unsigned next = fetch_add_relaxed(&bells->next, 1) % bells->common;

	CHECK(bells->common > 0);
	bell_ring(&bells->bells[next]);
	/* It may wait behind what its CPU does, for a tick; another may not. */
	for (unsigned i = 0; is_behind(&bells->bells[next]) && i < bells->common; i++)
		bell_ring(&bells->bells[i]);
}

void
bells_ring_all(struct bells *bells)
{
	INVARIANT(bells->count > 0);
	for (unsigned i = 0; i < bells->count; i++)
		bell_ring(&bells->bells[i]);
}
