/* SPDX-License-Identifier: MIT
 *
 * Pages in and out of segments that stay in core: content, figures, memory, refusal.
 */
#include "ct.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "failpt.h"

static const size_t sizes[] = { 4096, 16384, 65536 };
#define FOR_SIZES for (size_t z = 0; z < 3; z++)

static void
bad_configurations(void **state)
{
	struct ct t;
	struct compressor *c;
	(void)state;

	ct_create(&t, 4096, 4 << 20, 1);
	struct compressor_config bad = t.config;
	bad.page_bytes = 8192;
	assert_int_equal(compressor_create(&bad, &c), -EINVAL);
	bad = t.config;
	bad.workers = 0;
	assert_int_equal(compressor_create(&bad, &c), -EINVAL);
	bad = t.config;
	bad.arena_bytes = 65536;
	assert_int_equal(compressor_create(&bad, &c), -EINVAL);
	bad = t.config;
	bad.segment_bytes = 48 << 10;
	assert_int_equal(compressor_create(&bad, &c), -EINVAL);
	compressor_destroy(NULL);
	ct_destroy(&t);
}

static void
what_goes_in_comes_out(void **state)
{
	(void)state;
	FOR_SIZES
	{
		enum { N = 400 };
		struct ct t;
		struct cref cref[N];
		uint64_t single = 0, raw = 0, bytes = 0;

		ct_create(&t, sizes[z], 64 << 20, 1);
		for (uint64_t i = 0; i < N; i++) {
			struct ct_id id = { 7 + z, i, i * i };

			cref[i] = ct_store(&t, id);
			single += compressor_is_single_value(cref[i]);
			raw += ct_kind_of(id) == CT_RANDOM;
			bytes += t.stored_bytes;
			assert_int_equal(
			    compressor_is_single_value(cref[i]), ct_kind_of(id) >= CT_SINGLE);
			assert_false(compressor_is_away(t.c, cref[i]));
		}
		ct_check(&t);
		struct compressor_stats s = ct_stats(&t);
		assert_true(single > 0 && raw > 0);
		assert_int_equal(s.pages, N);
		assert_int_equal(s.pages_single_value, single);
		assert_int_equal(s.pages_raw, raw);
		assert_int_equal(s.bytes_live, bytes);
		assert_int_equal(s.compressions, N);
		assert_true(s.bytes_populated >= bytes);

		for (uint64_t i = N; i-- > 0;)
			ct_load(&t, cref[i], (struct ct_id){ 7 + z, i, i * i });
		assert_int_equal(ct_stats(&t).decompressions, N);
		assert_int_equal(ct_stats(&t).checksum_errors, 0);

		/* Half of the pages are freed: the others keep their content. */
		for (uint64_t i = 0; i < N; i += 2)
			compressor_free(t.c, cref[i]);
		ct_check(&t);
		for (uint64_t i = 1; i < N; i += 2)
			ct_load(&t, cref[i], (struct ct_id){ 7 + z, i, i * i });
		for (uint64_t i = 1; i < N; i += 2)
			compressor_free(t.c, cref[i]);
		ct_check(&t);
		s = ct_stats(&t);
		assert_int_equal(s.pages, 0);
		assert_int_equal(s.pages_single_value, 0);
		assert_int_equal(s.pages_raw, 0);
		assert_int_equal(s.bytes_live, 0);
		/* Full segments went with their last page; the one being filled is left. */
		assert_int_equal(s.segments_core, 1);
		assert_true(s.bytes_populated <= (sizes[z] == 65536 ? 1u << 20 : 256u << 10));
		ct_destroy(&t);
	}
}

static void
slots_are_bounded(void **state)
{
	struct ct t;
	char *page = calloc(1, 4096);
	struct cref cref[1500];
	uint32_t bytes;
	(void)state;

	/* 40-odd bytes each: a segment ends with its slots, not its bytes. */
	ct_create(&t, 4096, 8 << 20, 1);
	for (uint64_t i = 0; i < 1500; i++) {
		memcpy(page + 1000, &i, sizeof(i));
		page[0] = 1;
		assert_int_equal(
		    compressor_store(t.c, 0, page, ct_owner(1, i), 1, &cref[i], &bytes), 0);
		assert_true(bytes < 128);
	}
	assert_int_equal(ct_stats(&t).segments_core, 2);
	ct_check(&t);
	for (uint64_t i = 0; i < 1500; i++) {
		char out[4096];

		memcpy(page + 1000, &i, sizeof(i));
		assert_int_equal(compressor_load(t.c, cref[i], out), 0);
		assert_memory_equal(out, page, 4096);
		compressor_free(t.c, cref[i]);
	}
	ct_check(&t);
	free(page);
	ct_destroy(&t);
}

static void
an_empty_segment_is_filled_again(void **state)
{
	struct ct t;
	(void)state;

	ct_create(&t, 4096, 8 << 20, 1);
	for (uint64_t i = 0; i < 5000; i++) {
		struct ct_id id = { 3, i, 1 };
		struct cref cref = ct_store_kind(&t, id, CT_TEXT);

		compressor_free(t.c, cref);
	}
	assert_int_equal(ct_stats(&t).segments_core, 1);
	assert_true(ct_stats(&t).bytes_populated <= 65536);
	ct_check(&t);
	ct_destroy(&t);
}

/* With any budget a refusal changes nothing, and stored pages stay. */
static void
refusals_leave_all_intact(void **state)
{
	(void)state;
	FOR_SIZES
	{
		char *page = aligned_alloc(4096, CT_PAGE_MAX);

		for (long long limit = 0; limit < 700 << 10; limit += 36 << 10) {
			enum { N = 600 };
			struct ct t;
			struct cref cref[N];
			uint64_t n = 0, refused = 0;

			ct_create(&t, sizes[z], 64 << 20, 1);
			store_relaxed(&t.limit, limit);
			for (uint64_t i = 0; i < N; i++) {
				struct cref was = { 12345 };
				uint32_t bytes = 777;
				struct compressor_stats before = ct_stats(&t);
				int error;

				ct_page(page, sizes[z], (struct ct_id){ 5, i, 9 });
				error =
				    compressor_store(t.c, 0, page, ct_owner(5, i), 1, &was, &bytes);
				cref[i] = CREF_NONE;
				if (error == 0) {
					cref[i] = was;
					n++;
					continue;
				}
				assert_int_equal(error, -ENOSPC);
				assert_int_equal(was.v, 12345);
				assert_int_equal(bytes, 777);
				assert_int_equal(ct_stats(&t).pages, before.pages);
				assert_int_equal(ct_stats(&t).bytes_live, before.bytes_live);
				if (++refused >= 30)
					for (; ++i < N;)
						cref[i] = CREF_NONE;
			}
			ct_check(&t);
			assert_true(load_relaxed(&t.held) <= limit);
			assert_true(refused > 0 || sizes[z] == 4096);
			assert_int_equal(ct_stats(&t).pages, n);
			for (uint64_t i = 0; i < N; i++) {
				if (cref[i].v == 0)
					continue;
				ct_load(&t, cref[i], (struct ct_id){ 5, i, 9 });
				compressor_free(t.c, cref[i]);
			}
			ct_check(&t);
			ct_destroy(&t);
		}
		free(page);
	}
}

static void
chunks_and_rows_run_out(void **state)
{
	struct ct t;
	char *page = aligned_alloc(4096, 4096);
	struct cref cref[200], none;
	uint32_t bytes;
	uint64_t n;
	(void)state;

	for (int rows = 0; rows < 2; rows++) {
		/* The last chunk is compaction's. */
		ct_create(&t, 4096, rows ? 64 << 20 : 768 << 10, 1);
		if (rows) {
			ct_destroy(&t);
			t.config.max_segments = 2;
			assert_int_equal(compressor_create(&t.config, &t.c), 0);
		}
		/* Two segments of 63 raw pages, and no third. */
		for (n = 0; n < 200; n++) {
			ct_page_of_kind(page, 4096, (struct ct_id){ 1, n, 0 }, CT_RANDOM);
			if (compressor_store(t.c, 0, page, ct_owner(1, n), 1, &cref[n], &bytes) !=
			    0)
				break;
		}
		assert_int_equal(n, 126);
		assert_int_equal(
		    compressor_store(t.c, 0, page, ct_owner(1, n), 1, &none, &bytes), -ENOSPC);
		ct_check(&t);
		/* One segment's pages freed: 63 fit again. */
		for (uint64_t i = 0; i < 63; i++)
			compressor_free(t.c, cref[i]);
		for (uint64_t i = 0; i < 63; i++)
			cref[i] = ct_store_kind(&t, (struct ct_id){ 1, i, 0 }, CT_RANDOM);
		assert_int_equal(
		    compressor_store(t.c, 0, page, ct_owner(1, n), 1, &none, &bytes), -ENOSPC);
		ct_check(&t);
		for (uint64_t i = 0; i < n; i++) {
			assert_int_equal(compressor_load(t.c, cref[i], page), 0);
			ct_check_page_of_kind(page, 4096, (struct ct_id){ 1, i, 0 }, CT_RANDOM);
		}
		ct_destroy(&t);
	}
	free(page);
}

static void
the_fail_point_refuses_once(void **state)
{
	struct ct t;
	char page[4096] = { 1, 2, 3 };
	struct cref cref;
	uint32_t bytes;
	(void)state;

	ct_create(&t, 4096, 8 << 20, 1);
	assert_int_equal(failpt_arm("COMPRESS_NO_SPACE:1:1"), 0);
	assert_int_equal(compressor_store(t.c, 0, page, ct_owner(1, 1), 1, &cref, &bytes), 0);
	assert_int_equal(compressor_store(t.c, 0, page, ct_owner(1, 2), 1, &cref, &bytes), -ENOSPC);
	assert_int_equal(compressor_store(t.c, 0, page, ct_owner(1, 2), 1, &cref, &bytes), 0);
	failpt_disarm_all();
	assert_int_equal(ct_stats(&t).pages, 2);
	ct_check(&t);
	ct_destroy(&t);
}

static void
acceleration_is_honoured(void **state)
{
	static const int ways[] = { COMPRESS_DENSE, 1, 16 };
	uint64_t live[3];
	(void)state;

	for (int way = 0; way < 3; way++) {
		struct ct t;
		char page[4096];
		struct cref cref;
		uint32_t bytes;

		ct_create(&t, 4096, 8 << 20, 1);
		for (uint64_t i = 0; i < 50; i++) {
			ct_page_of_kind(page, 4096, (struct ct_id){ 1, i, 0 }, CT_TEXT);
			assert_int_equal(compressor_store(t.c, 0, page, ct_owner(1, i), ways[way],
					     &cref, &bytes),
			    0);
			assert_int_equal(compressor_load(t.c, cref, page), 0);
			ct_check_page_of_kind(page, 4096, (struct ct_id){ 1, i, 0 }, CT_TEXT);
		}
		live[way] = ct_stats(&t).bytes_live;
		ct_destroy(&t);
	}
	assert_true(live[2] > live[1] && live[1] > live[0]);
}

/* With spares, an emptied segment's memory waits for the next one, but not against the budget. */
static void
spares_are_used_again(void **state)
{
	struct ct t;
	struct cref cref[63 * 4];
	(void)state;

	ct_create(&t, 4096, 8 << 20, 1);
	ct_destroy(&t);
	t.config.spare_bytes = 512 << 10;
	assert_int_equal(compressor_create(&t.config, &t.c), 0);
	for (uint64_t i = 0; i < 63 * 4; i++)
		cref[i] = ct_store_kind(&t, (struct ct_id){ 1, i, 0 }, CT_RANDOM);
	assert_int_equal(load_relaxed(&t.held), 1 << 20);
	for (uint64_t i = 0; i < 63 * 3; i++)
		compressor_free(t.c, cref[i]);
	/* Three emptied, two kept. */
	assert_int_equal(ct_stats(&t).segments_core, 1);
	assert_int_equal(load_relaxed(&t.held), 768 << 10);
	ct_check(&t);
	store_relaxed(&t.limit, 768 << 10);
	for (uint64_t i = 0; i < 63 * 2; i++)
		cref[i] = ct_store_kind(&t, (struct ct_id){ 1, i, 1 }, CT_RANDOM);
	assert_int_equal(load_relaxed(&t.held), 768 << 10);
	assert_int_equal(load_relaxed(&t.refused), 0);
	for (uint64_t i = 0; i < 63 * 2; i++) {
		static char page[4096];

		assert_int_equal(compressor_load(t.c, cref[i], page), 0);
		ct_check_page_of_kind(page, 4096, (struct ct_id){ 1, i, 1 }, CT_RANDOM);
		if (i >= 63)
			compressor_free(t.c, cref[i]);
	}
	ct_check(&t);
	ct_destroy(&t);
}

/* And for a while there may be more of them. */
static void
spares_are_set(void **state)
{
	struct ct t;
	struct cref cref[63 * 6];
	(void)state;

	ct_create(&t, 4096, 8 << 20, 1);
	ct_destroy(&t);
	t.config.spare_bytes = 256 << 10;
	assert_int_equal(compressor_create(&t.config, &t.c), 0);
	compressor_spare_set(t.c, 1 << 20);
	assert_int_equal(compressor_spare_bytes(t.c), 0);
	for (unsigned way = 0; way < 2; way++) {
		for (uint64_t i = 0; i < 63 * 6; i++)
			cref[i] = ct_store_kind(&t, (struct ct_id){ 1, i, way }, CT_RANDOM);
		assert_int_equal(load_relaxed(&t.held), 6 * (256 << 10));
		/* The last segment is being filled and stays. */
		for (uint64_t i = 0; i < 63 * 6; i++)
			compressor_free(t.c, cref[i]);
		assert_int_equal(load_relaxed(&t.held), 5 * (256 << 10));
		assert_int_equal(compressor_spare_bytes(t.c), 1 << 20);
		assert_int_equal(ct_stats(&t).bytes_kept, 1 << 20);
		ct_check(&t);
	}
	/* The configured value is back at once. */
	compressor_spare_set(t.c, 0);
	assert_int_equal(compressor_spare_bytes(t.c), 256 << 10);
	assert_int_equal(load_relaxed(&t.held), 2 * (256 << 10));
	ct_check(&t);
	ct_destroy(&t);
}

/* --- threads that are no workers --- */

enum { KEEPERS = 4, KEPT = 300 };

struct keeper {
	struct ct *t;
	unsigned number;
	pthread_t thread;
};

static void *
keep(void *argument)
{
	const struct keeper *k = argument;
	static _Thread_local char page[4096];
	struct cref cref[KEPT];
	uint32_t bytes;

	for (unsigned round = 0; round < 3; round++) {
		for (uint64_t i = 0; i < KEPT; i++) {
			struct ct_id id = { 1 + k->number, i, round };

			ct_page(page, sizeof(page), id);
			/* All others may be in it at this moment. */
			while (compressor_keep(k->t->c, page, ct_owner(id.object, id.page), 1,
				   &cref[i], &bytes) != 0)
				sched_yield();
		}
		for (uint64_t i = 0; i < KEPT; i++) {
			ct_load(k->t, cref[i], (struct ct_id){ 1 + k->number, i, round });
			compressor_free(k->t->c, cref[i]);
		}
	}
	return NULL;
}

static void
any_thread_keeps(void **state)
{
	struct keeper keepers[KEEPERS];
	char page[4096];
	struct cref cref[2];
	uint32_t bytes;
	struct ct t;

	(void)state;
	ct_create(&t, 4096, 16 << 20, 1);
	ct_destroy(&t);
	t.config.keeping_threads = KEEPERS;
	assert_int_equal(compressor_create(&t.config, &t.c), 0);
	/* One after the other they fill one segment. */
	for (uint64_t i = 0; i < 2; i++) {
		ct_page_of_kind(page, sizeof(page), (struct ct_id){ 9, i, 0 }, CT_RANDOM);
		assert_int_equal(
		    compressor_keep(t.c, page, ct_owner(9, i), 1, &cref[i], &bytes), 0);
		assert_int_equal(load_relaxed(&t.held), 64 << 10);
	}
	for (unsigned i = 0; i < KEEPERS; i++) {
		keepers[i] = (struct keeper){ .t = &t, .number = i };
		assert_int_equal(pthread_create(&keepers[i].thread, NULL, keep, &keepers[i]), 0);
	}
	for (unsigned i = 0; i < KEEPERS; i++)
		pthread_join(keepers[i].thread, NULL);
	for (uint64_t i = 0; i < 2; i++) {
		ct_load_kind(&t, cref[i], (struct ct_id){ 9, i, 0 }, CT_RANDOM);
		compressor_free(t.c, cref[i]);
	}
	assert_int_equal(ct_stats(&t).pages, 0);
	ct_check(&t);
	/* Without memory nothing changes. */
	store_relaxed(&t.limit, load_relaxed(&t.held));
	for (unsigned i = 0; i < 200; i++) {
		ct_page_of_kind(page, sizeof(page), (struct ct_id){ 9, i, 0 }, CT_RANDOM);
		if (compressor_keep(t.c, page, ct_owner(9, i), 1, cref, &bytes) != 0)
			break;
		assert_int_not_equal(i, 199);
	}
	ct_check(&t);
	ct_destroy(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bad_configurations),
		cmocka_unit_test(what_goes_in_comes_out),
		cmocka_unit_test(slots_are_bounded),
		cmocka_unit_test(an_empty_segment_is_filled_again),
		cmocka_unit_test(refusals_leave_all_intact),
		cmocka_unit_test(chunks_and_rows_run_out),
		cmocka_unit_test(spares_are_used_again),
		cmocka_unit_test(spares_are_set),
		cmocka_unit_test(the_fail_point_refuses_once),
		cmocka_unit_test(acceleration_is_honoured),
		cmocka_unit_test(any_thread_keeps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
