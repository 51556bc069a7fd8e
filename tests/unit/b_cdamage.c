/* SPDX-License-Identifier: MIT
 *
 * Flipped bits, everywhere a stored page has bytes: an error or the right page, never another one.
 */
#include "ct.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define OBJECT UINT64_C(0xfeedbeef99)
#define HEADER 12

/* => 1 damage seen, 0 right page. */
static int
outcome(
    struct ct *t, struct cref cref, const unsigned char *bytes, struct ct_id id, enum ct_kind kind)
{
	static char page[CT_PAGE_MAX];
	int error;

	memset(page, 0x77, t->config.page_bytes);
	error = bytes != NULL ? compressor_read_decode(t->c, cref, bytes, page)
			      : compressor_load(t->c, cref, page);
	if (error) {
		assert_int_equal(error, -EIO);
		return 1;
	}
	ct_check_page_of_kind(page, t->config.page_bytes, id, kind);
	return 0;
}

static void
every_byte(struct ct *t, struct cref cref, struct ct_id id, enum ct_kind kind, uint64_t *seed)
{
	unsigned char *stored = ct_find(t, id);
	uint32_t bytes = t->stored_bytes, grain = (uint32_t)t->config.page_bytes / 512, seen = 0;
	bool padding = false;
	uint64_t errors = ct_stats(t).checksum_errors;

	assert_non_null(stored);
	unsigned char *copy = malloc(bytes);
	/* A big page's middle is sampled. */
	uint32_t step = bytes > 4200 ? bytes / 300 : 1;
	for (uint32_t i = 0; i < bytes; i += i < 256 || i + 256 > bytes ? 1 : step) {
		unsigned char bit = (unsigned char)(1u << ct_random(seed) % 8);

		stored[i] ^= bit;
		memcpy(copy, stored, bytes);
		int damaged = outcome(t, cref, NULL, id, kind);
		assert_int_equal(outcome(t, cref, copy, id, kind), damaged);
		/* All but the padding, less than a grain, is under the checksum. */
		padding = padding || !damaged;
		assert_int_equal(damaged, !padding);
		assert_true(damaged || i + grain > bytes);
		seen += 2 * (uint32_t)damaged;
		stored[i] ^= bit;
	}
	assert_int_equal(outcome(t, cref, NULL, id, kind), 0);
	assert_int_equal(ct_stats(t).checksum_errors - errors, seen);

	/* The header, all bits; then bursts. */
	for (int i = 0; i < HEADER * 8; i++) {
		stored[i / 8] ^= (unsigned char)(1u << i % 8);
		assert_int_equal(outcome(t, cref, NULL, id, kind), 1);
		stored[i / 8] ^= (unsigned char)(1u << i % 8);
	}
	for (int n = 0; n < 300; n++) {
		memcpy(copy, stored, bytes);
		for (uint64_t i = ct_random(seed) % 40; i-- > 0;)
			copy[ct_random(seed) % bytes] = (unsigned char)ct_random(seed);
		outcome(t, cref, copy, id, kind);
	}
	memset(copy, 0, bytes);
	assert_int_equal(outcome(t, cref, copy, id, kind), 1);
	memset(copy, 0xff, bytes);
	assert_int_equal(outcome(t, cref, copy, id, kind), 1);
	free(copy);
}

static void
flips_in_a_stored_page(void **state)
{
	static const size_t sizes[] = { 4096, 16384, 65536 };
	uint64_t seed = ct_seed("flips");
	(void)state;

	for (int z = 0; z < 3; z++) {
		struct ct t;

		ct_create(&t, sizes[z], 16 << 20, 1);
		for (int kind = CT_TEXT; kind <= CT_RANDOM; kind++) {
			struct ct_id id = { OBJECT, (uint64_t)kind, seed };
			/* Not at the beginning of the segment. */
			ct_store_kind(&t, (struct ct_id){ 1, 1, 1 }, CT_TEXT);
			struct cref cref = ct_store_kind(&t, id, (enum ct_kind)kind);

			every_byte(&t, cref, id, (enum ct_kind)kind, &seed);
		}
		ct_check(&t);
		ct_destroy(&t);
	}
}

static void
the_segment_header_is_not_trusted(void **state)
{
	struct ct t;
	struct ct_id id = { OBJECT, 1, 2 };
	uint64_t seed = ct_seed("header");
	(void)state;

	ct_create(&t, 4096, 16 << 20, 1);
	struct cref cref = ct_store_kind(&t, id, CT_TEXT);
	unsigned char *header = ct_find(&t, id) - 64, was[64];
	memcpy(was, header, 64);
	for (int i = 0; i < 64; i++)
		header[i] = (unsigned char)ct_random(&seed);
	assert_int_equal(outcome(&t, cref, NULL, id, CT_TEXT), 0);
	char msg[128];
	assert_false(compressor_is_valid(t.c, msg, sizeof(msg)));
	memcpy(header, was, 64);
	ct_check(&t);
	ct_destroy(&t);
}

static void
pages_exchanged(void **state)
{
	struct ct t;
	struct ct_id a = { OBJECT, 1, 2 }, b = { OBJECT, 2, 2 };
	unsigned char copy[8192];
	(void)state;

	/* Both raw, so both of one size: each is intact, but the other's. */
	ct_create(&t, 4096, 16 << 20, 1);
	struct cref ca = ct_store_kind(&t, a, CT_RANDOM), cb = ct_store_kind(&t, b, CT_RANDOM);
	unsigned char *pa = ct_find(&t, a), *pb = ct_find(&t, b);
	memcpy(copy, pa, 4112);
	memcpy(pa, pb, 4112);
	memcpy(pb, copy, 4112);
	assert_int_equal(outcome(&t, ca, NULL, a, CT_RANDOM), 1);
	assert_int_equal(outcome(&t, cb, NULL, b, CT_RANDOM), 1);
	/* Payloads exchanged under the right headers. */
	memcpy(copy, pa + HEADER, 4096);
	memcpy(pb + HEADER, copy, 4096);
	assert_int_equal(outcome(&t, cb, NULL, b, CT_RANDOM), 1);
	ct_destroy(&t);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(flips_in_a_stored_page),
		cmocka_unit_test(the_segment_header_is_not_trusted),
		cmocka_unit_test(pages_exchanged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
