/* SPDX-License-Identifier: MIT
 *
 * Recording blocks: events come back as they were put, full blocks say so, damage is refused.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "trace_codec.h"

static const struct trace_record samples[] = {
	{ .event = 1, .object = 1, .page = 0, .thread = 0, .kind = PAGER_TRACE_MAJOR },
	{ .event = 2,
	    .object = 1,
	    .page = 1,
	    .thread = 0,
	    .kind = PAGER_TRACE_MAJOR,
	    .written = 1 },
	{ .event = 3, .object = 1, .page = 0, .thread = 7, .kind = PAGER_TRACE_SOFT },
	{ .event = 300,
	    .object = 9,
	    .page = UINT64_MAX,
	    .thread = UINT32_MAX,
	    .kind = PAGER_TRACE_WRITE,
	    .written = 1 },
	{ .event = 301,
	    .object = UINT64_MAX,
	    .page = 1,
	    .thread = UINT32_MAX,
	    .kind = PAGER_TRACE_FORGET },
	{ .event = UINT64_MAX,
	    .object = 0,
	    .page = UINT64_C(1) << 63,
	    .thread = 1,
	    .kind = PAGER_TRACE_SOFT },
};
enum { SAMPLES = sizeof(samples) / sizeof(samples[0]) };

static void
expect_record(const struct trace_record *got, const struct trace_record *want)
{
	assert_int_equal(got->event, want->event);
	assert_int_equal(got->object, want->object);
	assert_int_equal(got->page, want->page);
	assert_int_equal(got->thread, want->thread);
	assert_int_equal(got->kind, want->kind);
	assert_int_equal(got->written, want->written);
}

static size_t
write_samples(uint8_t *buffer, size_t bytes)
{
	struct trace_block block;

	trace_block_begin(&block, buffer, bytes);
	for (unsigned i = 0; i < SAMPLES; i++)
		assert_int_equal(trace_block_put(&block, &samples[i]), 0);
	return trace_block_end(&block, 42);
}

static void
test_round_trip(void **state)
{
	uint8_t buffer[1024];
	size_t bytes = write_samples(buffer, sizeof(buffer));
	struct pager_trace_block header;
	struct trace_block block;
	struct trace_record record;

	memcpy(&header, buffer, sizeof(header));
	assert_int_equal(header.dropped, 42);
	assert_int_equal(header.records, SAMPLES);
	assert_int_equal(header.first_event, 1);
	assert_int_equal(trace_block_open(&block, buffer, bytes), 0);
	for (unsigned i = 0; i < SAMPLES; i++) {
		assert_int_equal(trace_block_get(&block, &record), 1);
		expect_record(&record, &samples[i]);
	}
	assert_int_equal(trace_block_get(&block, &record), 0);
}

/* The common record, the next event on a page near by: two bytes. */
static void
test_size(void **state)
{
	uint8_t buffer[4096];
	struct trace_block block;

	trace_block_begin(&block, buffer, sizeof(buffer));
	for (uint64_t i = 0; i < 1000; i++)
		assert_int_equal(trace_block_put(&block,
				     &(struct trace_record){ .event = 5 + i, .page = i / 2 }),
		    0);
	assert_int_equal(trace_block_end(&block, 0), sizeof(struct pager_trace_block) + 2000);
}

static void
test_full(void **state)
{
	enum { BYTES = sizeof(struct pager_trace_block) + PAGER_TRACE_RECORD_MAX };
	uint8_t *buffer = malloc(BYTES);
	struct trace_block block;

	trace_block_begin(&block, buffer, BYTES);
	assert_int_equal(trace_block_end(&block, 0), 0);
	assert_int_equal(trace_block_end(&block, 3), sizeof(struct pager_trace_block));
	trace_block_begin(&block, buffer, BYTES);
	assert_int_equal(trace_block_put(&block, &samples[5]), 0);
	assert_int_equal(trace_block_put(&block, &samples[5]), -ENOSPC);
	assert_int_equal(block.records, 1);
	free(buffer);
}

/* Each bit of a block changed, and each shorter length: never accepted, never read beyond the end.
 */
static void
test_damage(void **state)
{
	uint8_t buffer[1024];
	size_t bytes = write_samples(buffer, sizeof(buffer));

	for (size_t bit = 0; bit < 8 * bytes; bit++) {
		uint8_t *copy = malloc(bytes);
		struct trace_block block;
		struct trace_record record;
		int result, n = 0;

		memcpy(copy, buffer, bytes);
		copy[bit / 8] ^= (uint8_t)(1 << (bit % 8));
		result = trace_block_open(&block, copy, bytes);
		while (result == 0 && (n = trace_block_get(&block, &record)) > 0)
			;
		/* first_event and dropped are not under the checksum; all else must be refused. */
		if (result == 0 && n == 0)
			assert_in_range(bit / 8, offsetof(struct pager_trace_block, first_event),
			    sizeof(struct pager_trace_block) - 1);
		free(copy);
	}
	for (size_t length = 0; length < bytes; length++) {
		uint8_t *copy = malloc(length + 1);
		struct trace_block block;

		memcpy(copy, buffer, length);
		assert_int_equal(trace_block_open(&block, copy, length), -EINVAL);
		free(copy);
	}
}

static void
test_header(void **state)
{
	struct pager_trace_header header;

	trace_header_fill(&header, 4096, 32, 5, 77);
	assert_int_equal(trace_header_check(&header), 0);
	assert_int_equal(header.window_pages, 32);
	header.version++;
	assert_int_equal(trace_header_check(&header), -EINVAL);
	header.version--;
	header.magic[0] ^= 1;
	assert_int_equal(trace_header_check(&header), -EINVAL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_size),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_damage),
		cmocka_unit_test(test_header),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
