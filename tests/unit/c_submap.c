/* SPDX-License-Identifier: MIT
 *
 * Submaps' regions: adding, removing, protecting, clipping and joining by tables, then at random
 * against an array that holds each page's truth. CT_SEED: of the random part.
 */
#include "c_unit.h"

#include <stdio.h>
#include <sys/mman.h>

#include "pager/pager.h"
#include "vm/submap.h"
#include "vm/vm_share.h"

#define RW ((uint32_t)(PROT_READ | PROT_WRITE))
#define R  ((uint32_t)PROT_READ)

enum { PAGES = 200 };

static struct unit u;
static struct vm_object *o;

static int
start(void **state)
{
	(void)state;
	unit_start(&u);
	assert_int_equal(vm_object_create(u.daemon, u.task, PAGES, OBJECT_SHAREABLE, &o), 0);
	assert_int_equal(submap_create(o), 0);
	return 0;
}

static uint64_t
tables_billed(void)
{
	return ledger_pages(&u.task->bill.ledger, PAGER_LEDGER_PAGE_TABLE);
}

static int
stop(void **state)
{
	(void)state;
	vm_object_put(o);
	assert_int_equal(tables_billed(), 0);
	unit_stop(&u);
	return 0;
}

/* => the page, or -errno */
static int64_t
add(uint64_t count, uint64_t align, uint32_t protection, uint32_t tag)
{
	struct submap_place place = { .count = count, .align = align };
	uint64_t first = 0;
	int error = submap_add(o, &place, protection, tag, &first);

	return error ? error : (int64_t)first;
}

static int
add_at(uint64_t first, uint64_t count, uint32_t protection, uint32_t tag)
{
	struct submap_place place = { .is_fixed = true, .first = first, .count = count };
	uint64_t at = UINT64_MAX;
	int error = submap_add(o, &place, protection, tag, &at);

	if (!error)
		assert_int_equal(at, first);
	return error;
}

/* And no page table has to follow. => 0 or -errno */
static int
protect(uint64_t first, uint64_t end, uint32_t protection, bool is_maximum)
{
	int error = submap_protect(o, first, end, protection, is_maximum);

	if (error)
		return error;
	/* Until then everything may be in page tables. */
	assert_int_equal(submap_rights(o, first), RW);
	submap_protected(o);
	if (!is_maximum)
		assert_int_equal(submap_rights(o, first), protection);
	return 0;
}

/* "start-end:protection/maximum" of each region, or "start-end:x" of one that is leaving. */
static void
expect(const char *want)
{
	static const char *const rights[] = { "0", "r", "?", "w" };
	struct submap *s = o->submap;
	char text[1024] = "";

	lock_acquire(&s->lock);
	for (uint32_t i = 0; i < s->count; i++) {
		const struct submap_region *region = &s->regions[i];
		size_t used = strlen(text);

		snprintf(text + used, sizeof(text) - used, "%s%llu-%llu:%s%s%s", i ? " " : "",
		    (unsigned long long)region->start, (unsigned long long)region->end,
		    region->is_leaving ? "x" : rights[region->protection],
		    region->is_leaving ? "" : "/",
		    region->is_leaving ? "" : rights[region->max_protection]);
	}
	lock_release(&s->lock);
	assert_string_equal(text, want);
}

static void
joined(void **state)
{
	(void)state;
	assert_int_equal(add_at(10, 10, RW, 0), 0);
	assert_int_equal(add_at(30, 10, RW, 0), 0);
	expect("10-20:w/w 30-40:w/w");
	assert_int_equal(add_at(20, 10, RW, 0), 0);
	expect("10-40:w/w");
	/* Another tag, another protection: regions of their own. */
	assert_int_equal(add_at(40, 1, RW, 9), 0);
	assert_int_equal(add_at(9, 1, R, 0), 0);
	expect("9-10:r/w 10-40:w/w 40-41:w/w");
	assert_int_equal(protect(15, 20, R, false), 0);
	expect("9-10:r/w 10-15:w/w 15-20:r/w 20-40:w/w 40-41:w/w");
	assert_int_equal(protect(9, 20, RW, false), 0);
	expect("9-40:w/w 40-41:w/w");
}

static void
places(void **state)
{
	(void)state;
	assert_int_equal(add(3, 1, RW, 0), 0);
	assert_int_equal(add(8, 8, R, 0), 8);
	assert_int_equal(add(5, 1, RW, 1), 3);
	assert_int_equal(add(1, 64, RW, 0), 64);
	assert_int_equal(add(PAGES, 1, RW, 0), -ENOMEM);
	assert_int_equal(add(PAGES - 65, 1, RW, 2), 65);
	assert_int_equal(add(49, 1, RW, 0), -ENOMEM);
	assert_int_equal(add(48, 1, RW, 0), 16);
	assert_int_equal(add(1, 1, RW, 0), -ENOMEM);
	/* What lies beyond is no place, and taken is taken. */
	assert_int_equal(add_at(PAGES, 1, RW, 0), -EINVAL);
	assert_int_equal(add_at(PAGES - 1, 2, RW, 0), -EINVAL);
	assert_int_equal(add_at(UINT64_MAX, 1, RW, 0), -EINVAL);
	assert_int_equal(add_at(1, UINT64_MAX, RW, 0), -EINVAL);
	assert_int_equal(add_at(PAGES - 1, 1, RW, 0), -EEXIST);
}

/* A removed range is a hole at once, and nobody's until its pages have left. */
static void
leaving(void **state)
{
	struct submap_region region;

	(void)state;
	assert_int_equal(add_at(0, 50, RW, 0), 0);
	assert_int_equal(protect(20, 30, R, false), 0);
	assert_int_equal(submap_remove(o, 10, 40), 0);
	expect("0-10:w/w 10-40:x 40-50:w/w");
	lock_acquire(&o->submap->lock);
	assert_true(submap_find_locked(o->submap, 9, &region));
	assert_false(submap_find_locked(o->submap, 10, &region));
	assert_false(submap_find_locked(o->submap, 39, &region));
	assert_true(submap_find_locked(o->submap, 40, &region));
	lock_release(&o->submap->lock);
	assert_true(submap_region_at(o, 10, &region));
	assert_int_equal(region.start, 40);
	assert_int_equal(add_at(20, 1, RW, 0), -EEXIST);
	assert_int_equal(submap_remove(o, 5, 15), -EINVAL);
	assert_int_equal(protect(39, 41, R, false), -EINVAL);
	assert_int_equal(submap_allows(o, 0, 50, R), -EFAULT);
	/* Another's beside it stays another's. */
	assert_int_equal(submap_remove(o, 40, 45), 0);
	expect("0-10:w/w 10-40:x 40-45:x 45-50:w/w");
	assert_int_equal(add(6, 1, RW, 0), 50);
	submap_left(o, 10, 25);
	expect("0-10:w/w 25-40:x 40-45:x 45-56:w/w");
	assert_int_equal(add_at(20, 6, RW, 0), -EEXIST);
	assert_int_equal(add(15, 1, RW, 0), 10);
	submap_left(o, 40, 45);
	submap_left(o, 25, 40);
	expect("0-25:w/w 45-56:w/w");
}

/* A maximum is only lowered, and no right comes back that it lacks. */
static void
maximum(void **state)
{
	(void)state;
	assert_int_equal(add_at(0, 30, RW, 0), 0);
	assert_int_equal(protect(10, 20, R, true), 0);
	expect("0-10:w/w 10-20:r/r 20-30:w/w");
	assert_int_equal(protect(0, 30, RW, false), -EACCES);
	assert_int_equal(protect(0, 30, RW, true), -EACCES);
	assert_int_equal(protect(0, 30, 0, false), 0);
	expect("0-10:0/w 10-20:0/r 20-30:0/w");
	assert_int_equal(submap_allows(o, 0, 30, 0), 0);
	assert_int_equal(submap_allows(o, 0, 30, R), -EACCES);
	assert_int_equal(protect(0, 30, R, true), 0);
	expect("0-30:0/r");
	assert_int_equal(protect(0, 31, R, false), -EINVAL);
	assert_int_equal(protect(5, 30, R, false), 0);
	expect("0-5:0/r 5-30:r/r");
}

/* As many as a client may have, and a change that would make more changes nothing. */
static void
limit(void **state)
{
	(void)state;
	store_relaxed(&u.daemon->params.max_client_regions, 3);
	assert_int_equal(add_at(0, 30, RW, 0), 0);
	assert_int_equal(protect(10, 20, R, false), 0);
	assert_int_equal(add_at(40, 1, RW, 0), -ENOMEM);
	assert_int_equal(protect(11, 12, RW, false), -ENOMEM);
	assert_int_equal(submap_remove(o, 11, 12), -ENOMEM);
	expect("0-10:w/w 10-20:r/w 20-30:w/w");
	assert_int_equal(protect(10, 20, RW, false), 0);
	expect("0-30:w/w");
}

/* Whoever pays for the object pays for the list, too. */
static void
billed(void **state)
{
	struct task *other = unit_task_of(u.daemon, getuid() + 1);
	struct vm_mapping *mapping;
	uint64_t bytes;

	(void)state;
	assert_int_equal(tables_billed(), 0);
	for (uint64_t i = 0; i < PAGES; i += 2)
		assert_int_equal(add_at(i, 1, RW, 0), 0);
	bytes = tables_billed();
	assert_int_equal(bytes, o->submap->room * sizeof(struct submap_region));
	assert_int_equal(vm_mapping_create(o, other, UNIT_BASE, 0, PAGES, &mapping), 0);
	vm_object_owner_settle(o);
	assert_int_equal(tables_billed(), 0);
	assert_int_equal(ledger_pages(&other->bill.ledger, PAGER_LEDGER_PAGE_TABLE), bytes);
	vm_mapping_put(mapping);
	vm_object_put(o);
	assert_int_equal(ledger_pages(&other->bill.ledger, PAGER_LEDGER_PAGE_TABLE), 0);
	task_put(other);
	/* For stop(). */
	assert_int_equal(vm_object_create(u.daemon, u.task, PAGES, OBJECT_SHAREABLE, &o), 0);
	assert_int_equal(submap_create(o), 0);
}

/* --- at random, against an array --- */

struct truth {
	unsigned leaving; /* number of the removal that it is part of; 0: of none */
	bool is_region;
	uint32_t protection, maximum, tag;
};

struct model {
	struct truth pages[PAGES];
	struct {
		uint64_t at, end;
	} removals[PAGES + 1]; /* by number - 1; at == end: free */
};

static bool
model_covers(const struct model *m, uint64_t first, uint64_t end)
{
	for (; first < end; first++)
		if (!m->pages[first].is_region)
			return false;
	return true;
}

static bool
model_is_free(const struct model *m, uint64_t first, uint64_t end)
{
	for (; first < end; first++)
		if (m->pages[first].is_region || m->pages[first].leaving)
			return false;
	return true;
}

static bool
same_region(const struct truth *a, const struct truth *b)
{
	return a->is_region && b->is_region && a->protection == b->protection &&
	       a->maximum == b->maximum && a->tag == b->tag;
}

/* The list says what the array says, in as few regions as can be. */
static void
model_compare(const struct model *m)
{
	struct submap *s = o->submap;
	struct submap_region region;
	uint64_t at = 0;

	lock_acquire(&s->lock);
	for (uint32_t i = 0; i < s->count; i++) {
		const struct submap_region *r = &s->regions[i];

		assert_true(at <= r->start && r->start < r->end && r->end <= PAGES);
		assert_true(model_is_free(m, at, r->start));
		for (uint64_t p = r->start; p < r->end; p++) {
			const struct truth *t = &m->pages[p];

			assert_int_equal(r->is_leaving, t->leaving != 0);
			assert_int_equal(submap_find_locked(s, p, &region), t->is_region);
			if (!t->is_region)
				continue;
			assert_true(r->protection == t->protection &&
				    r->max_protection == t->maximum && r->tag == t->tag);
			assert_int_equal(region.start, r->start);
		}
		if (r->start > 0)
			assert_false(same_region(&m->pages[r->start - 1], &m->pages[r->start]));
		at = r->end;
	}
	assert_true(model_is_free(m, at, PAGES));
	assert_true(s->count <= s->room);
	lock_release(&s->lock);
}

static uint64_t
random_next(uint64_t *seed)
{
	uint64_t x = *seed += 0x9e3779b97f4a7c15ull;

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
	return x ^ (x >> 31);
}

static void
turn_add(struct model *m, uint64_t *seed)
{
	uint64_t first = random_next(seed) % PAGES, count = 1 + random_next(seed) % 20;
	uint64_t align = 1ull << random_next(seed) % 4, want = UINT64_MAX;
	uint32_t protection = (uint32_t[]){ 0, R, RW }[random_next(seed) % 3];
	uint32_t tag = (uint32_t)(random_next(seed) % 2);

	if (random_next(seed) % 2) {
		int error = add_at(first, count, protection, tag);

		if (first + count > PAGES)
			assert_int_equal(error, -EINVAL);
		else if (model_is_free(m, first, first + count))
			want = first;
		assert_int_equal(error == 0, want != UINT64_MAX);
	} else {
		int64_t at = add(count, align, protection, tag);

		for (uint64_t p = 0; p + count <= PAGES && want == UINT64_MAX; p += align)
			if (model_is_free(m, p, p + count))
				want = p;
		assert_int_equal(at, want == UINT64_MAX ? -ENOMEM : (int64_t)want);
	}
	for (uint64_t p = want; want != UINT64_MAX && p < want + count; p++)
		m->pages[p] = (struct truth){
			.is_region = true, .protection = protection, .maximum = RW, .tag = tag
		};
}

static void
turn_remove(struct model *m, uint64_t *seed)
{
	uint64_t first = random_next(seed) % PAGES, end = first + 1 + random_next(seed) % 20;
	unsigned number = 1;

	end = end > PAGES ? PAGES : end;
	if (!model_covers(m, first, end)) {
		assert_int_equal(submap_remove(o, first, end), -EINVAL);
		return;
	}
	assert_int_equal(submap_remove(o, first, end), 0);
	while (m->removals[number - 1].at < m->removals[number - 1].end)
		number++;
	m->removals[number - 1].at = first;
	m->removals[number - 1].end = end;
	for (uint64_t p = first; p < end; p++)
		m->pages[p] = (struct truth){ .leaving = number };
}

static void
turn_left(struct model *m, uint64_t *seed)
{
	unsigned number = (unsigned)(random_next(seed) % PAGES);
	uint64_t at, to;

	while (number < PAGES && m->removals[number].at >= m->removals[number].end)
		number++;
	if (number == PAGES)
		return;
	at = m->removals[number].at;
	to = at + 1 + random_next(seed) % (m->removals[number].end - at);
	submap_left(o, at, to);
	m->removals[number].at = to;
	for (uint64_t p = at; p < to; p++)
		m->pages[p] = (struct truth){ 0 };
}

static void
turn_protect(struct model *m, uint64_t *seed)
{
	uint64_t first = random_next(seed) % PAGES, end = first + 1 + random_next(seed) % 30;
	uint32_t protection = (uint32_t[]){ 0, R, RW }[random_next(seed) % 3];
	bool is_maximum = random_next(seed) % 8 == 0;
	int want = 0;

	end = end > PAGES ? PAGES : end;
	if (!model_covers(m, first, end))
		want = -EINVAL;
	for (uint64_t p = first; p < end && !want; p++)
		if (protection & ~m->pages[p].maximum)
			want = -EACCES;
	assert_int_equal(protect(first, end, protection, is_maximum), want);
	for (uint64_t p = first; p < end && !want; p++) {
		struct truth *t = &m->pages[p];

		if (is_maximum)
			t->maximum = protection;
		t->protection = is_maximum ? t->protection & protection : protection;
	}
}

static void
turn_ask(struct model *m, uint64_t *seed)
{
	uint64_t first = random_next(seed) % PAGES, end = first + 1 + random_next(seed) % 20;
	uint32_t protection = (uint32_t[]){ 0, R, RW }[random_next(seed) % 3];
	struct submap_region region;
	int want = 0;

	end = end > PAGES ? PAGES : end;
	if (!model_covers(m, first, end))
		want = -EFAULT;
	for (uint64_t p = first; p < end && !want; p++)
		if (protection & ~m->pages[p].protection)
			want = -EACCES;
	assert_int_equal(submap_allows(o, first, end, protection), want);
	while (first < PAGES && !m->pages[first].is_region)
		first++;
	assert_int_equal(submap_region_at(o, first, &region), first < PAGES);
	if (first < PAGES)
		assert_true(region.start <= first && first < region.end);
}

static void
random_turns(void **state)
{
	static void (*const turns[])(struct model * m, uint64_t * seed) = { turn_add, turn_add,
		turn_remove, turn_left, turn_left, turn_protect, turn_ask };
	static struct model m;
	const char *given = getenv("CT_SEED");
	uint64_t seed = given ? strtoull(given, NULL, 0) : 1;

	(void)state;
	print_message("CT_SEED=%llu\n", (unsigned long long)seed);
	memset(&m, 0, sizeof(m));
	for (unsigned i = 0; i < 20000; i++) {
		turns[random_next(&seed) % ARRAY_LEN(turns)](&m, &seed);
		if (i % 8 == 0)
			model_compare(&m);
	}
	model_compare(&m);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(joined, start, stop),
		cmocka_unit_test_setup_teardown(places, start, stop),
		cmocka_unit_test_setup_teardown(leaving, start, stop),
		cmocka_unit_test_setup_teardown(maximum, start, stop),
		cmocka_unit_test_setup_teardown(limit, start, stop),
		cmocka_unit_test_setup_teardown(billed, start, stop),
		cmocka_unit_test_setup_teardown(random_turns, start, stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
