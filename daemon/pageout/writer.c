/* SPDX-License-Identifier: MIT
 *
 * What the writer's parts share. Runs on: the writer's thread, which may wait in calls of a file
 * system. It allocates nothing but the tables of a new swap file.
 */
#include "pageout/writer.h"

#include "alloc.h"
#include "daemon.h"
#include "failpt.h"
#include "memorystatus/frame_wait.h"
#include "pagers/swapspace.h"

/* The compressor's credit beyond this many bytes becomes free frames. */
#define CREDIT_KEPT (64u << 10)

void
writer_made_room(struct daemon *d, bool made)
{
	uint32_t freed;

	locks_assert_none();
	pageq_lock(d);
	freed = frames_reclaim_credit_locked(d, CREDIT_KEPT);
	if (made || freed)
		cond_broadcast(&d->pageq.calls.room_wanted);
	pageq_unlock(d);
	if (freed)
		frame_wait_freed(d);
}

void
writer_release_places(struct daemon *d)
{
	struct cplace place;

	while (compressor_place_released(d->compressor, &place)) {
		CHECK(d->swap != NULL && place.v != 0);
		failpt_die(FAIL_DIE_SWAP_COLLECTED);
		swap_release(d->swap, (struct swap_slot){ place.v });
	}
}

/* The tables of a new file are allocated. Without memory for them no file is made, and stored pages
 * stay in the compressor. */
static enum swap_balance
balance_step(struct daemon *d, unsigned *ret_draining, struct swap_fault *ret_fault)
{
	enum swap_balance outcome;

	locks_assert_none();
	alloc_allow();
	outcome = swap_balance(d->swap, ret_draining, ret_fault);
	alloc_forbid();
	return outcome;
}

int
writer_balance(struct writer *w)
{
	struct daemon *d = w->daemon;
	struct swap_fault fault = { 0 };
	unsigned draining = 0;

	CHECK(d->swap != NULL);
	for (;;) {
		switch (balance_step(d, &draining, &fault)) {
		case SWAP_BALANCE_CREATED:
		case SWAP_BALANCE_DELETED:
			continue;
		case SWAP_BALANCE_DRAIN:
			return (int)draining;
		case SWAP_BALANCE_FAILED:
			/* Not told of while there are free places. */
			if (!swap_has_free(d->swap))
				swapspace_failed(d, SWAP_FAILED_CREATE, &fault);
			return -1;
		case SWAP_BALANCE_IDLE:
			return -1;
		}
	}
}

bool
writer_reserve(struct writer *w, struct swap_slot *ret)
{
	struct daemon *d = w->daemon;

	CHECK(d->swap != NULL);
	if (swap_reserve(d->swap, ret) == 0)
		return true;
	writer_balance(w);
	return swap_reserve(d->swap, ret) == 0;
}
