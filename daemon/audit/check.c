/* SPDX-License-Identifier: MIT
 *
 * Walks every invariant while the daemon works: queue gauges against frames, ledgers against
 * gauges, slots against frames, memory really held (st_blocks) against the budget, compressor, swap
 * and policy. Each group is checked under the locks that make it agree. Runs on: jobs.
 */
#include "audit/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "daemon.h"
#include "threads.h"
#include "pageq/page_policy.h"
#include "pageq/pageq.h"
#include "vm/vm_object.h"

struct report {
	char *text;
	size_t size, used;
	unsigned failures, checks;
};

static void PRINTF_LIKE(3, 4) verify(struct report *r, bool holds, const char *fmt, ...)
{
	va_list args;

	r->checks++;
	if (holds)
		return;
	r->failures++;
	if (r->used + 2 >= r->size)
		return;
	va_start(args, fmt);
	r->used += (size_t)vsnprintf(r->text + r->used, r->size - r->used - 1, fmt, args);
	va_end(args);
	if (r->used > r->size - 2)
		r->used = r->size - 2;
	r->text[r->used++] = '\n';
	r->text[r->used] = '\0';
}

static long long
level(struct daemon *d, enum stat_index index)
{
	return load_relaxed(&d->stats.levels[index]);
}

static bool
state_is_policys(enum page_state state)
{
	return state == PAGE_ACTIVE || state == PAGE_INACTIVE || state == PAGE_LAUNDRY ||
	       state == PAGE_CLEANING;
}

static void
check_policy(struct report *r, const struct page_policy *policy, int pid)
{
	const char *wrong = policy->ops->check(policy->memory);
	struct pol_stats stats = { 0 };

	verify(r, wrong == NULL, "policy %s of process %d (0: the daemon's): %s", policy->text, pid,
	    wrong);
	verify(r, policy->resident == policy->counted,
	    "policy %s of process %d: told of %u resident pages of %u", policy->text, pid,
	    policy->resident, policy->counted);
	policy->ops->stats(policy->memory, &stats);
	/* One from outside need not count. */
	verify(r, stats.resident == 0 || stats.resident == policy->resident,
	    "policy %s of process %d: counts %llu resident pages of %u", policy->text, pid,
	    (unsigned long long)stats.resident, policy->resident);
}

/* The daemon's policy and those of clients: each page on the queues is known to the one of its
 * owner. => T and Q held */
static void
check_policies_locked(struct daemon *d, struct report *r)
{
	struct pageq *q = &d->pageq;
	unsigned own = 0;

	q->policy->counted = 0;
	for (uint32_t i = 0; i < d->tasks.room; i++)
		if (q->task_policies[i])
			q->task_policies[i]->counted = 0;
	for (uint32_t f = 0; f < d->frames.count; f++) {
		const struct vm_page *p = &d->frames.pages[f];
		const struct vm_object *o;
		struct page_policy *own_policy;

		if (!state_is_policys(page_word_state(load_relaxed(&p->word))))
			continue;
		o = d->objects.objects[p->object];
		own_policy = pageq_own_policy(d, o->task);
		(own_policy ? own_policy : q->policy)->counted++;
	}
	check_policy(r, q->policy, 0);
	for (uint32_t i = 0; i < d->tasks.room; i++) {
		const struct task *task = d->tasks.tasks[i];

		if (!q->task_policies[i])
			continue;
		own++;
		check_policy(r, q->task_policies[i], task ? (int)task->pid : -1);
		verify(r, task != NULL, "the policy %s belongs to no client",
		    q->task_policies[i]->text);
	}
	verify(r, own == q->own_policies,
	    "%u clients have a policy of their own, the count says %u", own, q->own_policies);
}

static void
check_frames(struct daemon *d, struct report *r)
{
	static const struct {
		uint32_t state;
		enum stat_index gauge;
	} gauges[] = {
#define STAT_FRAMES_NONE                                STAT_COUNT
#define PAGE_STATE(NAME, letter, resident, queue, text) { PAGE_##NAME, STAT_FRAMES_##queue },
#include "tbl/page_state.h"
		{ FRAME_FREE, STAT_FRAMES_FREE },
		{ FRAME_COMPRESSOR, STAT_FRAMES_COMPRESSOR },
	};
	long long counts[STAT_COUNT + 1] = { 0 }, sum = 0, pages = 0;
	uint32_t free_listed = 0;

	lock_acquire(&d->tasks.lock);
	lock_acquire(&d->pageq.lock);
	for (uint32_t f = 0; f < d->frames.count; f++) {
		enum page_state state = page_word_state(load_relaxed(&d->frames.pages[f].word));

		for (size_t i = 0; i < ARRAY_LEN(gauges); i++)
			if (gauges[i].state == state)
				counts[gauges[i].gauge]++;
		if (page_state_is_resident(state))
			pages++;
	}
	for (uint32_t f = d->frames.free_head; f != FRAME_NONE && free_listed <= d->frames.count;
	     f = d->frames.pages[f].next)
		free_listed++;
	for (int i = STAT_FRAMES_FREE; i <= STAT_FRAMES_COMPRESSOR; i++) {
		sum += level(d, (enum stat_index)i);
		verify(r, counts[i] == level(d, (enum stat_index)i),
		    "queue gauge %d says %lld, frames say %lld", i, level(d, (enum stat_index)i),
		    counts[i]);
	}
	verify(r, sum == level(d, STAT_FRAMES_TOTAL), "queues sum to %lld of %lld frames", sum,
	    level(d, STAT_FRAMES_TOTAL));
	verify(r, free_listed == load_relaxed(&d->frames.free_count),
	    "the free list has %u frames, its count says %u", free_listed,
	    load_relaxed(&d->frames.free_count));
	verify(r, pages == level(d, STAT_PAGES_INTERNAL),
	    "%lld resident pages, the gauge says %lld", pages, level(d, STAT_PAGES_INTERNAL));
	check_policies_locked(d, r);
	lock_release(&d->pageq.lock);
	lock_release(&d->tasks.lock);
}

static long long
processes_resident(struct daemon *d)
{
	long long sum = 0;

	lock_acquire(&d->processes.lock);
	for (const struct process *process = d->processes.list; process; process = process->next)
		sum += load_relaxed(&((struct process *)(uintptr_t)process)->resident);
	lock_release(&d->processes.lock);
	return sum;
}

/* Sums of ledgers equal the gauges: sessions cannot appear in between with pages, since both locks
 * are held. */
static void
check_ledgers(struct daemon *d, struct report *r)
{
	long long internal = 0, compressed = 0, wired = 0;

	lock_acquire(&d->tasks.lock);
	lock_acquire(&d->pageq.lock);
	for (uint32_t i = 0; i < d->tasks.room; i++) {
		struct task *task = d->tasks.tasks[i];
		long long in, out;

		if (!task)
			continue;
		in = (long long)ledger_pages(&task->bill.ledger, PAGER_LEDGER_INTERNAL);
		out = (long long)ledger_pages(&task->bill.ledger, PAGER_LEDGER_INTERNAL_COMPRESSED);
		internal += in;
		compressed += out;
		wired += (long long)ledger_pages(&task->bill.ledger, PAGER_LEDGER_WIRED_MEM);
		verify(r,
		    in + out ==
			(long long)ledger_pages(&task->bill.ledger, PAGER_LEDGER_PHYS_FOOTPRINT),
		    "process %d: footprint is not internal + internal_compressed", (int)task->pid);
	}
	verify(r, internal == level(d, STAT_PAGES_INTERNAL),
	    "clients are billed %lld resident pages, the gauge says %lld", internal,
	    level(d, STAT_PAGES_INTERNAL));
	verify(r, internal == processes_resident(d),
	    "processes have %lld resident pages, clients are billed %lld", processes_resident(d),
	    internal);
	verify(r, compressed == level(d, STAT_PAGES_COMPRESSED),
	    "clients are billed %lld compressed pages, the gauge says %lld", compressed,
	    level(d, STAT_PAGES_COMPRESSED));
	verify(r, wired == level(d, STAT_FRAMES_WIRED),
	    "clients are billed %lld wired pages, the gauge says %lld", wired,
	    level(d, STAT_FRAMES_WIRED));
	lock_release(&d->pageq.lock);
	lock_release(&d->tasks.lock);
}

struct object_pages {
	long long settled, moving, stored;
};

static void
check_slot(
    struct daemon *d, struct report *r, struct vm_object *o, uint64_t i, struct object_pages *pages)
{
	uint64_t slot = load_relaxed(vm_object_slot(o, i));
	struct vm_page *p;
	enum page_state state;
	uint32_t word;

	switch (slot_kind(slot)) {
	case SLOT_STORED:
		verify(r, slot_cref(slot).v != 0, "object %llu page %llu: stored without a copy",
		    (unsigned long long)o->id, (unsigned long long)i);
		pages->stored++;
		return;
	case SLOT_RESIDENT:
		break;
	default:
		return;
	}
	p = &d->frames.pages[slot_frame(slot)];
	word = load_relaxed(&p->word);
	state = page_word_state(word);
	verify(r, p->object == o->index && p->index == i && page_state_is_resident(state),
	    "object %llu page %llu: its frame says object %u page %u, %s",
	    (unsigned long long)o->id, (unsigned long long)i, p->object, p->index,
	    page_state_name(state));
	if (word & PAGE_BUSY) {
		pages->moving++;
		return;
	}
	pages->settled++;
	verify(r, (word & PAGE_DIRTY) != 0 || p->cref != 0,
	    "object %llu page %llu: clean without a copy", (unsigned long long)o->id,
	    (unsigned long long)i);
	verify(r, !(word & PAGE_DIRTY) || p->cref == 0, "object %llu page %llu: dirty with a copy",
	    (unsigned long long)o->id, (unsigned long long)i);
	verify(r, state != PAGE_WIRED || (word & PAGE_DIRTY),
	    "object %llu page %llu: wired and not dirty", (unsigned long long)o->id,
	    (unsigned long long)i);
}

/* Blocks of the memfd against the pages it must and may hold. */
static void
check_object(struct daemon *d, struct report *r, struct vm_object *o)
{
	struct object_pages pages = { 0 };
	long long live = 0, counted = 0, held;
	struct stat st;

	lock_acquire(&o->lock);
	lock_acquire(&d->pageq.lock);
	for (uint64_t i = 0; i < o->page_count;) {
		i = vm_object_next_live(o, i, o->page_count);
		if (i >= o->page_count)
			break;
		counted += slot_kind(load_relaxed(vm_object_slot(o, i))) != SLOT_ABSENT;
		check_slot(d, r, o, i++, &pages);
	}
	for (uint64_t block = 0; block * SLOTS_PER_BLOCK < o->page_count; block++)
		live += load_relaxed(&o->blocks[block]) & ~BLOCK_POPULATED;
	fstat(o->memfd, &st);
	lock_release(&d->pageq.lock);
	lock_release(&o->lock);
	held = (long long)st.st_blocks * 512 / (long long)d->page_bytes;
	verify(r, live == counted, "object %llu: %lld live slots, blocks say %lld",
	    (unsigned long long)o->id, counted, live);
	verify(r, held >= pages.settled, "object %llu: %lld pages in its memfd, %lld resident",
	    (unsigned long long)o->id, held, pages.settled);
	/* More than that was planted by the client behind our back. */
	verify(r, held <= pages.settled + pages.moving,
	    "object %llu: %lld pages in its memfd, %lld resident and %lld busy",
	    (unsigned long long)o->id, held, pages.settled, pages.moving);
}

/* Everything that moves pages into, out of or within the compressor. */
static uint64_t
storage_activity(struct daemon *d)
{
	static const enum stat_index rows[] = { STAT_COMPRESSIONS, STAT_DECOMPRESSIONS,
		STAT_SWAPINS, STAT_PREFETCHES, STAT_SWAPOUTS, STAT_PAGEOUTS, STAT_DISCARDS,
		STAT_COMPACTIONS, STAT_WP_FAULTS, STAT_SOFT_FAULTS };
	uint64_t sum = 0;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++)
		sum += stats_counter(&d->stats, rows[i]);
	return sum;
}

#define STORAGE_TRIES        40u
#define STORAGE_PAUSE_NS     2000000
#define STORAGE_PAUSE_MAX_NS 64000000

/* The compressor's equations hold at rest only: pages are moved in steps. What is wrong once may be
 * a page on its way; wrong twice in the same words, with nothing done in between, is wrong, if all
 * other threads have slept all the while: on a busy machine one may wait for its processor in the
 * middle of a step for long. Who sleeps in the middle of one (for a lock, a disk) is given some
 * time to end it. */
static bool
compressor_is_sound(struct daemon *d, char *message, size_t message_size)
{
	struct timespec pause = { .tv_nsec = STORAGE_PAUSE_NS };
	char before[256] = "";

	for (unsigned tries = 0; tries < STORAGE_TRIES; tries++) {
		uint64_t activity = storage_activity(d), asleep;

		nanosleep(&pause, NULL);
		asleep = threads_asleep(getpid(), gettid());
		if (compressor_is_valid(d->compressor, message, message_size))
			return true;
		if (strcmp(message, before) == 0 && storage_activity(d) == activity &&
		    pause.tv_nsec >= STORAGE_PAUSE_MAX_NS && asleep != 0 &&
		    threads_asleep(getpid(), gettid()) == asleep)
			return false;
		if (pause.tv_nsec < STORAGE_PAUSE_MAX_NS)
			pause.tv_nsec *= 2;
		snprintf(before, sizeof(before), "%s", message);
	}
	return true;
}

static void
check_storage(struct daemon *d, struct report *r)
{
	char message[256] = "";
	struct stat st;
	long long held;

	verify(r, compressor_is_sound(d, message, sizeof(message)), "compressor: %s", message);
	if (d->swap)
		verify(r, swap_is_valid(d->swap, message, sizeof(message)), "swap: %s", message);
	lock_acquire(&d->pageq.lock);
	fstat(compressor_arena_fd(d->compressor), &st);
	held = level(d, STAT_FRAMES_COMPRESSOR) * (long long)d->page_bytes;
	lock_release(&d->pageq.lock);
	verify(r, (long long)st.st_blocks * 512 <= held,
	    "the compressor holds %lld bytes, its frames are %lld", (long long)st.st_blocks * 512,
	    held);
}

/* Memory of the slots against what clients are billed for. */
static bool
tables_are_sound(struct daemon *d, char *message, size_t message_size)
{
	unsigned long long used = share_used(&d->shares, SHARE_TABLES), billed = 0, held;
	struct stat st;

	fstat(d->slots.fd, &st);
	held = (unsigned long long)st.st_blocks * 512;
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

/* The bill is written in steps, and no lock covers them all: what is wrong at every look is wrong.
 */
static void
check_tables(struct daemon *d, struct report *r)
{
	struct timespec pause = { .tv_nsec = STORAGE_PAUSE_NS };
	char message[256];
	bool sound = false;

	for (unsigned tries = 0; tries < STORAGE_TRIES && !sound; tries++) {
		sound = tables_are_sound(d, message, sizeof(message));
		if (sound)
			break;
		nanosleep(&pause, NULL);
		if (pause.tv_nsec < STORAGE_PAUSE_MAX_NS)
			pause.tv_nsec *= 2;
	}
	verify(r, sound, "tables: %s", message);
}

unsigned
check_all(struct daemon *d, char *text, size_t text_size, unsigned *ret_checks)
{
	struct report r = { .text = text, .size = text_size };
	struct vm_object *o;
	uint32_t cursor = 0;

	text[0] = '\0';
	check_frames(d, &r);
	check_ledgers(d, &r);
	while ((o = vm_object_next(d, &cursor)) != NULL) {
		check_object(d, &r, o);
		vm_object_put(o);
	}
	check_tables(d, &r);
	check_storage(d, &r);
	*ret_checks = r.checks;
	return r.failures;
}
