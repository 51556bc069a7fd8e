/* SPDX-License-Identifier: MIT
 *
 * The codecs: pages come back as they went in, a result that does not fit is reported, garbage is
 * refused without a write beyond the buffer.
 */
#include "chash.h"
#include "codec.h"
#include "ct.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static const size_t sizes[] = { 4096, 16384, 65536 };

static void
single_values(void **state)
{
	static const uint32_t words[] = { 0, 1, 0xffffffff, 0x01010101, 0x01020304, 0x80000000 };
	char *page = aligned_alloc(4096, CT_PAGE_MAX), *out = aligned_alloc(4096, CT_PAGE_MAX);
	(void)state;

	for (int z = 0; z < 3; z++) {
		for (size_t w = 0; w < sizeof(words) / sizeof(words[0]); w++) {
			uint32_t word = ~words[w];

			for (size_t i = 0; i < sizes[z]; i += 4)
				memcpy(page + i, &words[w], 4);
			assert_true(codec_is_single_value(page, sizes[z], &word));
			assert_int_equal(word, words[w]);
			codec_fill(out, sizes[z], word);
			assert_memory_equal(out, page, sizes[z]);
			/* One bit elsewhere anywhere, and it is none. */
			for (size_t i = 0; i < sizes[z]; i += sizes[z] / 512 + (i % 7)) {
				page[i] ^= 0x10;
				assert_false(codec_is_single_value(page, sizes[z], &word));
				page[i] ^= 0x10;
			}
			page[sizes[z] - 1] ^= 1;
			assert_false(codec_is_single_value(page, sizes[z], &word));
		}
		/* Repeats 8 bytes, not 4. */
		for (size_t i = 0; i < sizes[z]; i += 8)
			memcpy(page + i, "abcdabce", 8);
		uint32_t word;
		assert_false(codec_is_single_value(page, sizes[z], &word));
	}
	free(page);
	free(out);
}

static void
adversarial(char *page, size_t bytes, int which, uint64_t seed)
{
	memset(page, 0, bytes);
	switch (which) {
	case 0: /* ends in the one byte that differs */
		page[bytes - 1] = 1;
		break;
	case 1: /* short matches at the largest distance */
		for (size_t i = 0; i < bytes; i++)
			page[i] = (char)ct_random(&seed);
		for (size_t i = 0; i < 32; i++)
			page[bytes - 64 + i] = page[i];
		break;
	case 2: /* compresses to around the limit for raw storage */
		for (size_t i = 0; i < bytes * 7 / 8 - 40; i++)
			page[i] = (char)ct_random(&seed);
		break;
	case 3: /* overlapping matches of every short distance */
		for (size_t i = 0; i < bytes; i++)
			page[i] = (char)(i % (1 + i / 256));
		break;
	default: /* long literals between long matches */
		for (size_t i = 0; i < bytes; i++)
			page[i] = (i / 300) % 2 ? 'x' : (char)ct_random(&seed);
	}
}

static void
round_trip(const struct codec *codec, const char *page, size_t bytes, size_t max)
{
	void *packer = codec->packer_create ? codec->packer_create(bytes) : NULL;
	void *expander = codec->expander_create ? codec->expander_create() : NULL;
	/* Exact allocations: the sanitizers see a byte too far. */
	char *packed = malloc(max), *out = malloc(bytes);
	size_t n = codec->compress(packer, page, bytes, packed, max, 1);

	if (n > 0) {
		char *exact = malloc(n);

		assert_true(n <= max);
		memcpy(exact, packed, n);
		assert_int_equal(codec->expand(expander, exact, n, out, bytes), 0);
		assert_memory_equal(out, page, bytes);
		assert_int_equal(codec->expand(expander, exact, n - 1, out, bytes), -EIO);
		assert_int_equal(codec->expand(expander, exact, n, out, bytes - 1), -EIO);
		free(exact);
	}
	free(packed);
	free(out);
	if (packer)
		codec->packer_destroy(packer);
	if (expander)
		codec->expander_destroy(expander);
}

static void
round_trips(void **state)
{
	uint64_t seed = ct_seed("round_trips");
	char *page = aligned_alloc(4096, CT_PAGE_MAX);
	(void)state;

	for (int z = 0; z < 3; z++) {
		for (int kind = 0; kind < CT_KINDS; kind++)
			for (uint64_t i = 0; i < 20; i++) {
				ct_page_of_kind(page, sizes[z], (struct ct_id){ seed, i, z },
				    (enum ct_kind)kind);
				round_trip(&codec_lz4, page, sizes[z], sizes[z]);
				round_trip(&codec_zstd, page, sizes[z], sizes[z]);
				round_trip(&codec_lz4, page, sizes[z], sizes[z] / 2);
				round_trip(&codec_zstd, page, sizes[z], sizes[z] / 2);
				round_trip(&codec_raw, page, sizes[z], sizes[z]);
			}
		for (int which = 0; which < 5; which++) {
			adversarial(page, sizes[z], which, seed);
			for (size_t max = 16; max <= sizes[z]; max += max / 3 + 1) {
				round_trip(&codec_lz4, page, sizes[z], max);
				round_trip(&codec_zstd, page, sizes[z], max);
			}
			round_trip(&codec_lz4, page, sizes[z], sizes[z] - sizes[z] / 8);
			round_trip(&codec_zstd, page, sizes[z], sizes[z] - sizes[z] / 8);
		}
	}
	free(page);
}

static void
garbage_is_refused_or_harmless(void **state)
{
	uint64_t seed = ct_seed("garbage");
	char *out = malloc(4096);
	void *expander = codec_zstd.expander_create();
	(void)state;

	for (int i = 0; i < 3000; i++) {
		size_t n = 1 + ct_random(&seed) % 300;
		char *bytes = malloc(n);

		for (size_t j = 0; j < n; j++)
			bytes[j] = (char)ct_random(&seed);
		int error = codec_lz4.expand(NULL, bytes, n, out, 4096);
		assert_true(error == 0 || error == -EIO);
		error = codec_zstd.expand(expander, bytes, n, out, 4096);
		assert_true(error == 0 || error == -EIO);
		free(bytes);
	}
	free(out);
	codec_zstd.expander_destroy(expander);
	assert_null(codec_find(CODEC_COUNT));
	assert_null(codec_find(7));
	assert_ptr_equal(codec_find(CODEC_LZ4), &codec_lz4);
}

static void
one_hash_whatever_the_processor(void **state)
{
	uint64_t seed = ct_seed("hash");
	char *bytes = malloc(70000);
	(void)state;

	for (size_t i = 0; i < 70000; i++)
		bytes[i] = (char)ct_random(&seed);
	for (size_t n = 0; n < 70000; n += 1 + n / 50)
		assert_int_equal(chash_choose()(bytes, n), chash_portable(bytes, n));
	/* XXH3's value for no bytes: data on disk outlives a build. */
	assert_int_equal(chash_portable(bytes, 0), UINT64_C(0x2d06800538d394c2));
	free(bytes);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_hash_whatever_the_processor),
		cmocka_unit_test(single_values),
		cmocka_unit_test(round_trips),
		cmocka_unit_test(garbage_is_refused_or_harmless),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
