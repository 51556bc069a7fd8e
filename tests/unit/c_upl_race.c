/* SPDX-License-Identifier: MIT
 *
 * Page lists beside threads that touch, evict and discard the same pages. The first and the last
 * word of a page are written one after the other by whoever has the page, and are equal for
 * everybody who has it next.
 */
#include "c_unit.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "memorystatus/frame_wait.h"
#include "pageq/page_policy.h"
#include "pagers/pager.h"
#include "pmap/uffd.h"
#include "transit/discard.h"
#include "transit/leave.h"
#include "transit/release.h"
#include "transit/run.h"
#include "upl/upl.h"

enum { PAGES = 48, ROUNDS = 2000, LISTERS = 2 };
#define LAST_WORD (4096 - sizeof(uint64_t))

/* An assertion of cmocka may fail in the test's own thread only. */
#define SAME(a, b)            CHECKF((a) == (b), "%s is not %s", #a, #b)
#define BETWEEN(a, low, high) CHECKF((a) >= (low) && (a) <= (high), "%s is out of range", #a)

static struct {
	struct unit unit;
	/* What is stored of a page: of whoever has the page, or its copy. */
	uint64_t stored[PAGES];
	atomic_uint values;
	atomic_ulong committed, aborted, evicted, discarded, met_busy;
} world;

int __wrap_uffd_protect(int uffd, uint64_t address, size_t bytes, int mode);
void __wrap_uffd_wake(int uffd, uint64_t address, size_t bytes);
void __wrap_pager_drop(const struct vm_object *o, struct cref copy);

int
__wrap_uffd_protect(int uffd, uint64_t address, size_t bytes, int mode)
{
	(void)mode;
	(void)uffd, (void)address, (void)bytes;
	return 0;
}

void
__wrap_uffd_wake(int uffd, uint64_t address, size_t bytes)
{
	(void)uffd, (void)address, (void)bytes;
}

void
__wrap_pager_drop(const struct vm_object *o, struct cref copy)
{
	(void)o;
	BETWEEN(copy.v, 1, PAGES);
}

static void
word_put(uint64_t index, uint64_t offset, uint64_t word)
{
	SAME(pwrite(world.unit.object->backing.memfd, &word, sizeof(word),
		 (off_t)(index * 4096 + offset)),
	    sizeof(word));
}

static uint64_t
word_get(uint64_t index, uint64_t offset)
{
	uint64_t word = 0;

	SAME(pread(world.unit.object->backing.memfd, &word, sizeof(word),
		 (off_t)(index * 4096 + offset)),
	    sizeof(word));
	return word;
}

/* Lets others run now and then; each time may take long on a busy machine. */
static void
yield(void)
{
	if (rand() % 32 == 0)
		sched_yield();
}

/* The calling thread has the page. */
static void
page_write(uint64_t index)
{
	uint64_t value = atomic_fetch_add(&world.values, 1) + 1;

	word_put(index, 0, value);
	yield();
	word_put(index, LAST_WORD, value);
}

static uint64_t
page_read(uint64_t index)
{
	uint64_t first = word_get(index, 0);

	SAME(word_get(index, LAST_WORD), first);
	return first;
}

static struct vm_page *
page_row(uint64_t slot)
{
	return &world.unit.daemon->frames.pages[slot_frame(slot)];
}

/* --- as a fault --- */

static void
touch_empty(uint64_t index, struct fill *fill)
{
	uint64_t value = fill_page(fill, 0)->cref ? world.stored[index] : 0;

	word_put(index, 0, value);
	word_put(index, LAST_WORD, value);
	/* The copy is kept where the page is only read. */
	fill_finish(NULL, fill, 1, PAGE_ACTIVE, rand() % 2);
}

static void
touch_resident(uint64_t index, struct vm_page *p)
{
	struct vm_object *o = world.unit.object;
	struct cref copy = { p->cref };

	(void)page_read(index);
	if (copy.v)
		SAME(page_read(index), world.stored[index]);
	if (rand() % 2) {
		p->cref = 0;
		vm_page_flags_set(p, PAGE_DIRTY);
		page_write(index);
		if (copy.v)
			pager_drop(o, copy);
	}
	pageq_lock(o->daemon);
	pageq_reactivate_locked(
	    o->daemon, o, slot_frame(load_relaxed(vm_object_slot(o, index))), 0);
	pageq_unlock(o->daemon);
	vm_object_unbusy(o, index, p);
}

static void
touch(uint64_t index)
{
	struct vm_object *o = world.unit.object;
	struct fill fill = UNIT_FILL(&world.unit);
	enum run_begun begun = RUN_BUSY;
	bool ours = false;
	uint64_t slot;

	lock_acquire(&o->lock);
	slot = load_relaxed(vm_object_slot(o, index));
	if (slot_kind(slot) == SLOT_RESIDENT)
		ours = vm_page_busy_try(page_row(slot));
	else if (slot_kind(slot) != SLOT_POISONED)
		begun = fill_begin(o->daemon, o, index, 1, 1, FRAME_FIRST, &fill);
	lock_release(&o->lock);
	if (ours)
		touch_resident(index, page_row(slot));
	else if (begun == RUN_BEGUN)
		touch_empty(index, &fill);
	else
		atomic_fetch_add(&world.met_busy, 1);
}

/* --- as a worker --- */

static void
evict(uint64_t index, struct stat_shard stats)
{
	struct vm_object *o = world.unit.object;
	struct daemon *d = o->daemon;
	struct hole hole;
	struct victim v;
	bool taken;

	pageq_lock(d);
	taken = pageq_evict_page_locked(d, o, index, false, &v) == EVICTION_TAKEN;
	pageq_unlock(d);
	if (!taken)
		return;
	if (victim_page(d, &v)->cref == 0) {
		world.stored[index] = page_read(index);
		victim_page(d, &v)->cref = index + 1;
		vm_page_flags_clear(victim_page(d, &v), PAGE_DIRTY);
	}
	if (load_acquire(&victim_page(d, &v)->word) & PAGE_WANTED)
		victim_stay(stats, &v, STAYS_WANTED);
	else
		victims_leave(stats, &hole, &v, 1);
	atomic_fetch_add(&world.evicted, 1);
}

/* --- the threads --- */

struct thread {
	pthread_t thread;
	void (*round)(struct thread *t);
	unsigned number;
	struct watch watch;
};

static void
touch_round(struct thread *t)
{
	(void)t;
	touch((uint64_t)rand() % PAGES);
}

static void
evict_round(struct thread *t)
{
	struct daemon *d = world.unit.daemon;

	evict((uint64_t)rand() % PAGES,
	    stats_shard(&d->stats, shard_index_worker(d, 0) * (t->number > 0)));
}

static void
discard_round(struct thread *t)
{
	uint64_t first = (uint64_t)rand() % PAGES;

	(void)t;
	atomic_fetch_add(&world.discarded,
	    vm_object_discard(world.unit.object, first, min_u64(3, PAGES - first)));
}

/* The pages that a list holds are its own. */
static void
list_use(struct upl *u)
{
	struct vm_object *o = world.unit.object;

	for (unsigned i = 0; i < u->count; i++) {
		if (!upl_holds(u, i))
			continue;
		if (!(u->flags & UPL_COPYOUT_FROM)) {
			page_write(u->first + i);
		} else {
			uint64_t value = page_read(u->first + i);

			yield();
			SAME(page_read(u->first + i), value);
			lock_acquire(&o->lock);
			SAME(load_relaxed(
				 &page_row(load_relaxed(vm_object_slot(o, u->first + i)))->word) &
				 (PAGE_BUSY | PAGE_LISTED),
			    PAGE_BUSY | PAGE_LISTED);
			lock_release(&o->lock);
		}
	}
}

static void
list_round(struct thread *t)
{
	static const unsigned kinds[] = { 0, UPL_RET_ONLY_ABSENT, UPL_COPYOUT_FROM,
		UPL_COPYOUT_FROM | UPL_CLEAN_IN_PLACE, UPL_COPYOUT_FROM | UPL_RET_ONLY_DIRTY };
	unsigned flags = kinds[(unsigned)rand() % ARRAY_LEN(kinds)];
	uint64_t first = (uint64_t)rand() % PAGES;
	struct upl *u;

	(void)t;
	flags |= rand() % 2 ? UPL_NOBLOCK : 0;
	SAME(upl_create(world.unit.object, world.unit.task, UNIT_BASE, first,
		 min_u64(1 + (uint64_t)rand() % 12, PAGES - first), flags, &u),
	    0);
	while (upl_gather(u, 5) == UPL_MORE) {}
	list_use(u);
	for (unsigned i = 0; i < u->count;) {
		unsigned n = 1 + (unsigned)rand() % 4, how = (unsigned)rand();

		n = n < u->count - i ? n : u->count - i;
		if (how % 2) {
			SAME(upl_commit(u, i, n, how / 2 & UPL_COMMIT_FLAGS), 0);
			atomic_fetch_add(&world.committed, 1);
		} else {
			/* Nothing is lost for good. */
			SAME(upl_abort(u, i, n, how / 2 & UPL_ABORT_FLAGS & ~UPL_ABORT_ERROR), 0);
			atomic_fetch_add(&world.aborted, 1);
		}
		i += n;
	}
	upl_destroy(u);
}

/* Nothing says which thread runs how often: all go on until each outcome was had. */
static bool
all_happened(void)
{
	return atomic_load(&world.committed) > 0 && atomic_load(&world.aborted) > 0 &&
	       atomic_load(&world.evicted) > 0;
}

static void *
thread_main(void *argument)
{
	struct thread *t = argument;

	watch_own = &t->watch;
	for (unsigned i = 0; i < ROUNDS || !all_happened(); i++)
		t->round(t);
	watch_own = NULL;
	return NULL;
}

static void
lists_beside_everybody(void **state)
{
	static struct thread threads[LISTERS + 4];
	struct daemon *d;
	unsigned n = 0;
	(void)state;

	unit_start(&world.unit);
	d = world.unit.daemon;
	assert_int_equal(page_policy_create(d, "mach2q", &d->pageq.policies.common), 0);
	assert_int_equal(park_create(d), 0);
	while (n < LISTERS)
		threads[n++].round = list_round;
	threads[n++].round = touch_round;
	threads[n++].round = touch_round;
	threads[n++].round = evict_round;
	threads[n++].round = discard_round;
	for (unsigned i = 0; i < n; i++) {
		threads[i].number = i;
		threads[i].watch.pulse = &d->pulse;
		assert_int_equal(
		    pthread_create(&threads[i].thread, NULL, thread_main, &threads[i]), 0);
	}
	for (unsigned i = 0; i < n; i++)
		pthread_join(threads[i].thread, NULL);
	watch_own = &threads[0].watch;
	for (uint64_t i = 0; i < PAGES; i++)
		touch(i);
	assert_true(all_happened());
	assert_int_equal(load_relaxed(&d->frames.listed), 0);
	assert_null(world.unit.object->upls);
	vm_object_discard(world.unit.object, 0, PAGES);
	assert_int_equal(unit_level(&world.unit, STAT_FRAMES_FREE), UNIT_FRAMES);
	assert_int_equal(load_relaxed(&world.unit.object->references), 2);
	watch_own = NULL;
	park_destroy(d);
	page_policy_destroy(d->pageq.policies.common);
	unit_stop(&world.unit);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(lists_beside_everybody) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
