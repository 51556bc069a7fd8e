/* SPDX-License-Identifier: MIT
 *
 * What pages and slots are kept in: compressor, swap and the slots' arena, their own invariants and
 * the memory that they hold (st_blocks). Runs on: jobs.
 */
#include "audit/audit_priv.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "audit/look.h"
#include "threads.h"
#include "vm/task.h"

/* Counts everything that moves pages into, out of or within the compressor. */
static uint64_t
storage_activity(struct daemon *d)
{
	static const enum stat_index rows[] = { STAT_COMPRESSIONS, STAT_DECOMPRESSIONS,
		STAT_SWAPINS, STAT_PREFETCHES, STAT_FORESEEN, STAT_SWAPOUTS, STAT_PAGEOUTS,
		STAT_DISCARDS, STAT_COMPACTIONS, STAT_WP_FAULTS, STAT_SOFT_FAULTS };
	uint64_t sum = 0;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		sum += stats_counter(&d->stats, rows[i]);
	return sum;
}

/* The compressor's equations hold at rest only, since pages are moved in steps. A difference seen
 * once may be a page on its way. It is an error if it is seen twice in the same words, nothing was
 * counted in between, and all other threads slept all the while: on a busy machine a thread may
 * wait for a processor in the middle of a step. A thread that sleeps in the middle of a step (for
 * a lock, or a disk) is given some time to end it. */
static bool
compressor_is_sound(struct daemon *d, char *message, size_t message_size)
{
	struct look look = { 0 };
	uint64_t activity = storage_activity(d), asleep;
	char before[256] = "";

	locks_assert_none();
	while (look_again(&look)) {
		asleep = threads_asleep(getpid(), gettid());
		if (compressor_is_valid(d->compressor, message, message_size))
			return true;
		if (strcmp(message, before) == 0 && storage_activity(d) == activity &&
		    look.pause_ns >= LOOK_PAUSE_MAX_NS && asleep != 0 &&
		    threads_asleep(getpid(), gettid()) == asleep)
			return false;
		snprintf(before, sizeof(before), "%s", message);
		activity = storage_activity(d);
	}
	return true;
}

void
check_storage(struct daemon *d, struct report *r)
{
	char message[256] = "";
	struct look look = { 0 };
	long long held, frames;

	locks_assert_none();
	verify(r, compressor_is_sound(d, message, sizeof(message)), "compressor: %s", message);
	if (d->swap)
		verify(r, swap_is_valid(d->swap, message, sizeof(message)), "swap: %s", message);
	do {
		pageq_lock(d);
		held = held_bytes(compressor_arena_fd(d->compressor));
		frames = stats_level(d, STAT_FRAMES_COMPRESSOR) * (long long)d->page_bytes;
		pageq_unlock(d);
	} while (held > frames && look_again(&look));
	verify(r, held <= frames, "the compressor holds %lld bytes, its frames are %lld", held,
	    frames);
}

/* Memory of the slots against what clients are billed for. */
static bool
tables_are_sound(struct daemon *d, char *message, size_t message_size)
{
	unsigned long long used = share_used(&d->shares, SHARE_TABLES), billed = 0;
	/* An arena that is kept has a header. */
	unsigned long long held =
	    (unsigned long long)held_bytes(d->slots.fd) - (d->keeper ? d->hw_bytes : 0);

	CHECK(message_size > 0);
	lock_acquire(&d->tasks.lock);
	for (uint32_t i = 0; i < d->tasks.room; i++)
		if (d->tasks.tasks[i])
			billed +=
			    ledger_pages(&d->tasks.tasks[i]->bill.ledger, PAGER_LEDGER_PAGE_TABLE);
	lock_release(&d->tasks.lock);
	snprintf(message, message_size,
	    "slots hold %llu bytes, clients are billed %llu, their users have %llu of %llu", held,
	    billed, used, (unsigned long long)share_total(d, SHARE_TABLES));
	return billed == used &&
	       held / (SLOTS_PER_BLOCK * sizeof(uint64_t)) <= load_relaxed(&d->slots.populated);
}

/* The bill is written in steps, and no lock covers them all: a difference at every look is an
 * error. */
void
check_tables(struct daemon *d, struct report *r)
{
	struct look look = { 0 };
	char message[256];
	bool sound;

	locks_assert_none();
	do
		sound = tables_are_sound(d, message, sizeof(message));
	while (!sound && look_again(&look));
	verify(r, sound, "tables: %s", message);
}
