/* SPDX-License-Identifier: MIT
 *
 * Client maps: clipping, merging and covering by tables, then at random against an array that holds
 * each page's truth.
 */
#include "c_unit.h"
#include "vm/vm_map.h"

#include <stdio.h>
#include <sys/mman.h>

#include "pager/pager.h"

#define PAGE 4096ull

static struct vm_mapping mappings[3];
static struct vm_object anonymous;

static void
mappings_reset(void)
{
	for (size_t i = 0; i < ARRAY_LEN(mappings); i++) {
		mappings[i].magic = VM_MAPPING_MAGIC;
		mappings[i].object = &anonymous;
		store_relaxed(&mappings[i].references, 1u << 20);
	}
}

static struct vm_entry
entry(uint64_t first, uint64_t pages, unsigned object, uint64_t offset, uint32_t behavior)
{
	return (struct vm_entry){ .start = UNIT_BASE + first * PAGE,
		.end = UNIT_BASE + (first + pages) * PAGE,
		.mapping = &mappings[object],
		.offset = offset * PAGE,
		.behavior = behavior };
}

static void
insert(struct vm_map *m, struct vm_entry e)
{
	assert_int_equal(vm_map_reserve(m), 0);
	vm_mapping_get(e.mapping);
	vm_map_insert(m, &e);
}

static void
drain(struct vm_map *m)
{
	while (m->count > 0)
		vm_mapping_put_not_last(vm_map_remove_at(m, m->count - 1).mapping);
	lock_release(&m->lock);
	vm_map_fini(m);
	for (size_t i = 0; i < ARRAY_LEN(mappings); i++)
		assert_int_equal(load_relaxed(&mappings[i].references), 1u << 20);
}

/* "first+pages" of each entry, in order. */
static void
expect(struct vm_map *m, const char *want)
{
	char text[512] = "";

	for (uint32_t i = 0; i < m->count; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "%s%llu+%llu",
		    i ? " " : "", (unsigned long long)((m->entries[i].start - UNIT_BASE) / PAGE),
		    (unsigned long long)((m->entries[i].end - m->entries[i].start) / PAGE));
	assert_string_equal(text, want);
}

static void
test_merge(void **state)
{
	static const struct {
		struct {
			uint64_t first, pages;
			unsigned object;
			uint64_t offset;
			uint32_t behavior;
		} a, b, c;
		const char *want;
	} rows[] = {
		{ { 0, 4, 0, 0, 0 }, { 4, 4, 0, 4, 0 }, { 8, 4, 0, 8, 0 }, "0+12" },
		{ { 0, 4, 0, 0, 0 }, { 8, 4, 0, 8, 0 }, { 4, 4, 0, 4, 0 },
		    "0+12" }, /* the one between joins both */
		{ { 0, 4, 0, 0, 0 }, { 4, 4, 0, 5, 0 }, { 8, 4, 0, 8, 0 },
		    "0+4 4+4 8+4" }, /* offsets do not continue */
		{ { 0, 4, 0, 0, 0 }, { 4, 4, 1, 4, 0 }, { 8, 4, 0, 8, 0 },
		    "0+4 4+4 8+4" }, /* another object */
		{ { 0, 4, 0, 0, 0 }, { 4, 4, 0, 4, 1 }, { 8, 4, 0, 8, 1 },
		    "0+4 4+8" }, /* another behaviour */
		{ { 0, 4, 0, 0, 0 }, { 5, 4, 0, 5, 0 }, { 10, 4, 0, 10, 0 },
		    "0+4 5+4 10+4" }, /* gaps */
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct vm_map m;

		mappings_reset();
		vm_map_init(&m);
		lock_acquire(&m.lock);
#define INSERT(x)                                                                                  \
	insert(&m, entry(rows[i].x.first, rows[i].x.pages, rows[i].x.object, rows[i].x.offset,     \
		       rows[i].x.behavior))
		INSERT(a);
		INSERT(b);
		INSERT(c);
		expect(&m, rows[i].want);
		assert_int_equal(m.virtual_bytes, 12 * PAGE);
		drain(&m);
	}
}

/* Two entries, equal but for one attribute, are two; when that is equal, too, they are one. */
static void
test_merge_attributes(void **state)
{
	static const struct {
		const char *what;
		size_t at;
		uint32_t value;
	} rows[] = {
#define ATTRIBUTE(field, value) { #field, offsetof(struct vm_entry, field), value }
		ATTRIBUTE(behavior, PAGER_BEHAVIOR_RANDOM),
		ATTRIBUTE(inheritance, PAGER_INHERIT_NONE),
		ATTRIBUTE(protection, PROT_READ),
		ATTRIBUTE(max_protection, PROT_READ | PROT_WRITE | PROT_EXEC),
		ATTRIBUTE(tag, 255),
		ATTRIBUTE(user_wired_count, 1),
		ATTRIBUTE(wired_count, 1),
	};
	const uint64_t from = UNIT_BASE + 2 * PAGE, to = UNIT_BASE + 5 * PAGE;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct vm_entry e = entry(0, 10, 0, 0, 0);
		struct vm_map m;

		print_message("%s\n", rows[i].what);
		e.inheritance = PAGER_INHERIT_COPY;
		e.protection = e.max_protection = PROT_READ | PROT_WRITE;
		mappings_reset();
		vm_map_init(&m);
		lock_acquire(&m.lock);
		insert(&m, e);
		assert_int_equal(vm_map_reserve(&m), 0);
		vm_map_clip(&m, from, to);
		memcpy((char *)vm_map_lookup(&m, from) + rows[i].at, &rows[i].value,
		    sizeof(rows[i].value));
		vm_map_simplify(&m, from, to);
		expect(&m, "0+2 2+3 5+5");
		/* A clip keeps it at both ends. */
		vm_map_clip(&m, from + PAGE, to - PAGE);
		expect(&m, "0+2 2+1 3+1 4+1 5+5");
		vm_map_simplify(&m, from, to);
		expect(&m, "0+2 2+3 5+5");
		memcpy((char *)vm_map_lookup(&m, from) + rows[i].at, (char *)&e + rows[i].at,
		    sizeof(rows[i].value));
		vm_map_simplify(&m, from, to);
		expect(&m, "0+10");
		drain(&m);
	}
}

/* The client's wires count as one of the entry's, from the first to the last; the daemon's own
 * keep the entry wired, too, and the bytes are counted once. */
static void
test_wire_counts(void **state)
{
	static const struct {
		int by;
		uint32_t kernel; /* of the daemon, set before */
		uint32_t user, wired;
		uint64_t bytes;
	} rows[] = {
		{ 1, 0, 1, 1, 4 },
		{ 1, 0, 2, 1, 4 },
		{ -1, 0, 1, 1, 4 },
		{ -1, 0, 0, 0, 0 },
		{ 1, 2, 1, 3, 4 },
		{ 1, 2, 2, 3, 4 },
		{ -1, 2, 1, 3, 4 },
		{ -1, 2, 0, 2, 4 },
	};
	struct vm_entry *e;
	struct vm_map m;

	(void)state;
	mappings_reset();
	vm_map_init(&m);
	lock_acquire(&m.lock);
	insert(&m, entry(0, 4, 0, 0, 0));
	e = vm_map_lookup(&m, UNIT_BASE);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (rows[i].kernel && e->wired_count == 0) {
			e->wired_count = rows[i].kernel;
			m.wired_bytes = 4 * PAGE;
			store_relaxed(&e->mapping->wired_bytes, 4 * PAGE);
		}
		vm_map_wire_user(&m, e, rows[i].by);
		assert_int_equal(e->user_wired_count, rows[i].user);
		assert_int_equal(e->wired_count, rows[i].wired);
		assert_int_equal(m.wired_bytes, rows[i].bytes * PAGE);
	}
	drain(&m);
	assert_int_equal(m.wired_bytes, 0);
}

static void
test_clip_and_cover(void **state)
{
	static const struct {
		uint64_t first, pages;
		const char *clipped;
		bool covered;
	} rows[] = {
		{ 0, 10, "0+10 20+10", true },
		{ 2, 3, "0+2 2+3 5+5 20+10", true },
		{ 0, 1, "0+1 1+9 20+10", true },
		{ 9, 1, "0+9 9+1 20+10", true },
		{ 5, 20, "0+5 5+5 20+5 25+5", false },
		{ 10, 10, "0+10 20+10", false },
		{ 30, 5, "0+10 20+10", false },
		{ 0, 30, "0+10 20+10", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uint64_t from = UNIT_BASE + rows[i].first * PAGE, to = from + rows[i].pages * PAGE;
		struct vm_map m;

		mappings_reset();
		vm_map_init(&m);
		lock_acquire(&m.lock);
		insert(&m, entry(0, 10, 0, 0, 0));
		insert(&m, entry(20, 10, 0, 20, 0));
		assert_int_equal(vm_map_is_covered(&m, from, to), rows[i].covered);
		assert_int_equal(vm_map_reserve(&m), 0);
		vm_map_clip(&m, from, to);
		expect(&m, rows[i].clipped);
		vm_map_simplify(&m, from, to);
		expect(&m, "0+10 20+10");
		drain(&m);
	}
}

static void
test_lookup(void **state)
{
	struct vm_map m;

	(void)state;
	mappings_reset();
	vm_map_init(&m);
	lock_acquire(&m.lock);
	assert_null(vm_map_lookup(&m, UNIT_BASE));
	assert_null(vm_map_lookup_from(&m, 0));
	insert(&m, entry(10, 5, 0, 0, 0));
	insert(&m, entry(20, 5, 1, 0, 0));
	assert_null(vm_map_lookup(&m, UNIT_BASE + 10 * PAGE - 1));
	assert_ptr_equal(vm_map_lookup(&m, UNIT_BASE + 10 * PAGE)->mapping, &mappings[0]);
	assert_ptr_equal(vm_map_lookup(&m, UNIT_BASE + 15 * PAGE - 1)->mapping, &mappings[0]);
	assert_null(vm_map_lookup(&m, UNIT_BASE + 15 * PAGE));
	assert_ptr_equal(vm_map_lookup_from(&m, UNIT_BASE + 15 * PAGE)->mapping, &mappings[1]);
	assert_ptr_equal(vm_map_lookup_from(&m, 0)->mapping, &mappings[0]);
	assert_null(vm_map_lookup_from(&m, UNIT_BASE + 25 * PAGE));
	/* The hint must not outlive its entry. */
	assert_non_null(vm_map_lookup(&m, UNIT_BASE + 22 * PAGE));
	vm_mapping_put_not_last(vm_map_remove_at(&m, 1).mapping);
	assert_null(vm_map_lookup(&m, UNIT_BASE + 22 * PAGE));
	assert_non_null(vm_map_lookup(&m, UNIT_BASE + 12 * PAGE));
	vm_mapping_put_not_last(vm_map_remove_at(&m, 0).mapping);
	assert_null(vm_map_lookup(&m, UNIT_BASE + 12 * PAGE));
	drain(&m);
}

/* --- at random --- */

enum { SPAN = 200 };
static struct truth {
	bool used;
	unsigned object;
	uint64_t offset;
	uint32_t behavior, tag, wired;
} truth[SPAN];

static uint64_t
below(uint64_t *rng, uint64_t n)
{
	*rng = *rng * 6364136223846793005ull + 1442695040888963407ull;
	return (*rng >> 33) % n;
}

static void
compare(struct vm_map *m)
{
	uint64_t pages = 0;

	for (uint32_t i = 0; i < m->count; i++) {
		const struct vm_entry *e = &m->entries[i];

		assert_true(e->start < e->end && (e->start | e->end | e->offset) % PAGE == 0);
		if (i > 0) {
			const struct vm_entry *before = e - 1;

			assert_true(before->end <= e->start);
			/* Equal neighbours are one entry. */
			assert_false(before->end == e->start && before->mapping == e->mapping &&
				     before->offset + (before->end - before->start) == e->offset &&
				     before->behavior == e->behavior && before->tag == e->tag &&
				     before->user_wired_count == e->user_wired_count);
		}
		pages += (e->end - e->start) / PAGE;
	}
	assert_int_equal(m->virtual_bytes, pages * PAGE);
	for (uint64_t i = 0; i < SPAN; i++) {
		struct vm_entry *e = vm_map_lookup(m, UNIT_BASE + i * PAGE + 17);

		assert_int_equal(e != NULL, truth[i].used);
		pages -= truth[i].used;
		if (!e)
			continue;
		assert_ptr_equal(e->mapping, &mappings[truth[i].object]);
		assert_int_equal(
		    e->offset + (UNIT_BASE + i * PAGE - e->start), truth[i].offset * PAGE);
		assert_int_equal(e->behavior, truth[i].behavior);
		assert_int_equal(e->tag, truth[i].tag);
		assert_int_equal(e->user_wired_count, truth[i].wired);
		assert_int_equal(e->wired_count, truth[i].wired > 0);
	}
	assert_int_equal(pages, 0);
}

static void
random_insert(struct vm_map *m, uint64_t *rng)
{
	uint64_t first = below(rng, SPAN), pages = 1 + below(rng, 12);
	unsigned object = (unsigned)below(rng, ARRAY_LEN(mappings));
	/* Mostly at the offset that makes neighbours join. */
	uint64_t offset = below(rng, 4) ? first : below(rng, 1000);

	for (uint64_t i = first; i < first + pages; i++)
		if (i >= SPAN || truth[i].used)
			return;
	insert(m, entry(first, pages, object, offset, 0));
	for (uint64_t i = 0; i < pages; i++)
		truth[first + i] = (struct truth){ true, object, offset + i, 0, 0, 0 };
}

static void
random_change(struct vm_map *m, uint64_t *rng)
{
	uint64_t first = below(rng, SPAN), pages = 1 + below(rng, 30), covered = 1;
	uint64_t from = UNIT_BASE + first * PAGE, to;
	uint32_t behavior = (uint32_t)below(rng, 3), tag = (uint32_t)below(rng, 2);
	bool wire = below(rng, 2), remove = below(rng, 3) == 0;

	if (first + pages > SPAN)
		pages = SPAN - first;
	to = from + pages * PAGE;
	for (uint64_t i = first; i < first + pages; i++)
		covered &= truth[i].used;
	assert_int_equal(vm_map_is_covered(m, from, to), covered);
	assert_int_equal(vm_map_reserve(m), 0);
	vm_map_clip(m, from, to);
	for (uint32_t i = vm_map_index(m, from); i < m->count && m->entries[i].start < to;) {
		if (remove) {
			vm_mapping_put_not_last(vm_map_remove_at(m, i).mapping);
			continue;
		}
		m->entries[i].behavior = behavior;
		m->entries[i].tag = tag;
		for (uint32_t w = 0; w < wire; w++)
			vm_map_wire_user(m, &m->entries[i], 1);
		i++;
	}
	vm_map_simplify(m, from, to);
	for (uint64_t i = first; i < first + pages; i++) {
		if (!truth[i].used)
			continue;
		if (remove) {
			truth[i] = (struct truth){ 0 };
			continue;
		}
		truth[i].behavior = behavior;
		truth[i].tag = tag;
		truth[i].wired += wire;
	}
}

static void
test_random(void **state)
{
	const char *text = getenv("LIVE_SEED");
	uint64_t rng = text ? strtoull(text, NULL, 0) : 1;
	struct vm_map m;

	(void)state;
	mappings_reset();
	memset(truth, 0, sizeof(truth));
	vm_map_init(&m);
	lock_acquire(&m.lock);
	for (unsigned n = 0; n < 20000; n++) {
		if (below(&rng, 2))
			random_insert(&m, &rng);
		else
			random_change(&m, &rng);
		compare(&m);
	}
	drain(&m);
}

/* The count that is compared with the limit on regions before anything is changed. */
static void
test_clips(void **state)
{
	static const struct {
		uint64_t first, pages;
		unsigned clips;
	} rows[] = { { 0, 10, 0 }, { 0, 5, 1 }, { 5, 5, 1 }, { 2, 5, 2 }, { 0, 20, 0 },
		{ 5, 10, 2 }, { 5, 15, 1 } };
	struct vm_map m;

	(void)state;
	mappings_reset();
	vm_map_init(&m);
	lock_acquire(&m.lock);
	insert(&m, entry(0, 10, 0, 0, 0));
	insert(&m, entry(10, 10, 1, 0, 0));
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		uint64_t start = UNIT_BASE + rows[i].first * PAGE,
			 end = start + rows[i].pages * PAGE;
		uint32_t count = m.count;

		assert_int_equal(vm_map_clips(&m, start, end), rows[i].clips);
		assert_int_equal(vm_map_reserve(&m), 0);
		vm_map_clip(&m, start, end);
		assert_int_equal(m.count, count + rows[i].clips);
		vm_map_simplify(&m, UNIT_BASE, UNIT_BASE + 20 * PAGE);
		assert_int_equal(m.count, 2);
	}
	drain(&m);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_clips),
		cmocka_unit_test(test_merge),
		cmocka_unit_test(test_merge_attributes),
		cmocka_unit_test(test_wire_counts),
		cmocka_unit_test(test_clip_and_cover),
		cmocka_unit_test(test_lookup),
		cmocka_unit_test(test_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
