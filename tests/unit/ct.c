/* SPDX-License-Identifier: MIT */
#include "ct.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define TAG UINT64_C(0x7061676574616721)

uint64_t
ct_random(uint64_t *state)
{
	uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static uint64_t
id_seed(struct ct_id id)
{
	uint64_t s = id.object * 0x10001 + 1;

	s = ct_random(&s) ^ id.page;
	s = ct_random(&s) ^ id.generation;
	return ct_random(&s);
}

enum ct_kind
ct_kind_of(struct ct_id id)
{
	unsigned r = (unsigned)(id_seed(id) % 100);

	return r < 45   ? CT_TEXT
	       : r < 75 ? CT_BINARY
	       : r < 88 ? CT_RANDOM
	       : r < 96 ? CT_SINGLE
			: CT_ZERO;
}

static void
fill_text(char *p, size_t bytes, uint64_t seed)
{
	static const char *const words[] = { "page ", "object ", "segment ", "the ", "of ", "slot ",
		"handle ", "memory\n", "swap ", "reader ", "0x", "compaction " };
	size_t n = 0;

	while (n < bytes) {
		uint64_t r = ct_random(&seed);
		const char *w = words[r % (sizeof(words) / sizeof(words[0]))];
		char number[16];

		if (r % 5 == 0) {
			snprintf(number, sizeof(number), "%u ", (unsigned)(r >> 40));
			w = number;
		}
		for (; *w && n < bytes; w++)
			p[n++] = *w;
	}
}

static void
fill_binary(char *p, size_t bytes, uint64_t seed)
{
	unsigned density = 2 + (unsigned)(ct_random(&seed) % 30);

	memset(p, 0, bytes);
	for (size_t i = 0; i < bytes; i += 8) {
		uint64_t r = ct_random(&seed);

		if (r % density == 0)
			memcpy(p + i, &r, 8);
		else
			memcpy(p + i, &(uint64_t){ (r >> 60) * 0x100 }, 8);
	}
}

void
ct_page_of_kind(void *page, size_t bytes, struct ct_id id, enum ct_kind kind)
{
	uint64_t seed = id_seed(id);
	const uint64_t tag[4] = { TAG, id.object, id.page, id.generation };

	switch (kind) {
	case CT_TEXT:
		fill_text(page, bytes, seed);
		break;
	case CT_BINARY:
		fill_binary(page, bytes, seed);
		break;
	case CT_RANDOM:
		for (size_t i = 0; i < bytes; i += 8)
			memcpy((char *)page + i, &(uint64_t){ ct_random(&seed) }, 8);
		break;
	case CT_SINGLE:
		for (size_t i = 0; i < bytes; i += 4)
			memcpy((char *)page + i, &(uint32_t){ (uint32_t)seed | 1 }, 4);
		return;
	default:
		memset(page, 0, bytes);
		return;
	}
	memcpy(page, tag, sizeof(tag));
}

void
ct_page(void *page, size_t bytes, struct ct_id id)
{
	ct_page_of_kind(page, bytes, id, ct_kind_of(id));
}

void
ct_check_page_of_kind(const void *page, size_t bytes, struct ct_id id, enum ct_kind kind)
{
	static __thread char expected[CT_PAGE_MAX] __attribute__((aligned(64)));
	uint64_t tag[4];
	size_t at = 0;

	ct_page_of_kind(expected, bytes, id, kind);
	if (memcmp(page, expected, bytes) == 0)
		return;
	memcpy(tag, page, sizeof(tag));
	while (((const char *)page)[at] == expected[at])
		at++;
	/* Not fail_msg: this also runs on threads that cmocka does not know. */
	fprintf(stderr,
	    "wrong page: expected object %llu page %llu generation %llu, differs at %zu; ",
	    (unsigned long long)id.object, (unsigned long long)id.page,
	    (unsigned long long)id.generation, at);
	if (tag[0] == TAG)
		fprintf(stderr, "found object %llu page %llu generation %llu\n",
		    (unsigned long long)tag[1], (unsigned long long)tag[2],
		    (unsigned long long)tag[3]);
	else
		fprintf(stderr, "found %016llx...\n", (unsigned long long)tag[0]);
	abort();
}

void
ct_check_page(const void *page, size_t bytes, struct ct_id id)
{
	ct_check_page_of_kind(page, bytes, id, ct_kind_of(id));
}

static int
take(void *ctx, size_t bytes)
{
	struct ct *t = ctx;

	if (bytes == 0 || bytes % 4096 != 0)
		abort();
	if (fetch_add_relaxed(&t->held, (long long)bytes) + (long long)bytes >
	    load_relaxed(&t->limit)) {
		fetch_sub_relaxed(&t->held, (long long)bytes);
		fetch_add_relaxed(&t->refused, 1);
		return -ENOMEM;
	}
	return 0;
}

static void
give(void *ctx, size_t bytes)
{
	struct ct *t = ctx;

	if (bytes == 0 || bytes % 4096 != 0 ||
	    fetch_sub_relaxed(&t->held, (long long)bytes) < (long long)bytes)
		abort();
}

static bool
relocate(void *ctx, struct cowner owner, struct cref from, struct cref to)
{
	struct ct *t = ctx;

	return t->relocate != NULL && t->relocate(t, owner, from, to);
}

void
ct_configure(struct ct *t, size_t page_bytes, size_t arena_bytes, unsigned workers)
{
	memset(t, 0, sizeof(*t));
	store_relaxed(&t->limit, (long long)1 << 60);
	t->ops = (struct compressor_ops){ take, give, relocate };
	t->config = (struct compressor_config){
		.page_bytes = page_bytes,
		.arena_bytes = arena_bytes,
		.workers = workers,
		.ops = &t->ops,
		.ctx = t,
	};
}

void
ct_create(struct ct *t, size_t page_bytes, size_t arena_bytes, unsigned workers)
{
	ct_configure(t, page_bytes, arena_bytes, workers);
	assert_int_equal(compressor_create(&t->config, &t->c), 0);
}

void
ct_destroy(struct ct *t)
{
	compressor_destroy(t->c);
	t->c = NULL;
	if (t->user != NULL)
		munmap(t->user, t->config.arena_bytes);
	t->user = NULL;
	assert_int_equal(load_relaxed(&t->held), 0);
}

struct compressor_stats
ct_stats(struct ct *t)
{
	struct compressor_stats s;

	compressor_stats(t->c, &s);
	return s;
}

void
ct_check(struct ct *t)
{
	char msg[256] = "";
	struct stat st;

	if (!compressor_is_valid(t->c, msg, sizeof(msg)))
		fail_msg("compressor is not valid: %s", msg);
	assert_int_equal(fstat(compressor_arena_fd(t->c), &st), 0);
	assert_int_equal(st.st_blocks * 512, load_relaxed(&t->held));
	assert_int_equal(ct_stats(t).bytes_populated, load_relaxed(&t->held));
}

struct cref
ct_store_kind(struct ct *t, struct ct_id id, enum ct_kind kind)
{
	static char page[CT_PAGE_MAX] __attribute__((aligned(4096)));
	struct cref cref = CREF_NONE;
	uint32_t bytes = 0;

	ct_page_of_kind(page, t->config.page_bytes, id, kind);
	assert_int_equal(
	    compressor_store(t->c, 0, page, ct_owner(id.object, id.page), 1, &cref, &bytes), 0);
	assert_true(cref.v != 0 && cref.v < UINT64_C(1) << 60);
	t->stored_bytes = bytes;
	return cref;
}

struct cref
ct_store(struct ct *t, struct ct_id id)
{
	return ct_store_kind(t, id, ct_kind_of(id));
}

void
ct_load(struct ct *t, struct cref cref, struct ct_id id)
{
	ct_load_kind(t, cref, id, ct_kind_of(id));
}

void
ct_load_kind(struct ct *t, struct cref cref, struct ct_id id, enum ct_kind kind)
{
	static _Thread_local char page[CT_PAGE_MAX] __attribute__((aligned(4096)));

	memset(page, 0xa5, sizeof(page));
	assert_int_equal(compressor_load(t->c, cref, page), 0);
	ct_check_page_of_kind(page, t->config.page_bytes, id, kind);
	if (t->config.page_bytes < sizeof(page))
		assert_int_equal((unsigned char)page[t->config.page_bytes], 0xa5);
}

unsigned char *
ct_find(struct ct *t, struct ct_id id)
{
	const struct cowner owner = ct_owner(id.object, id.page);
	int fd = compressor_arena_fd(t->c);
	off_t size = t->config.arena_bytes, data = 0, hole;
	unsigned char *arena = t->user;

	if (arena == NULL) {
		arena = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		assert_true(arena != MAP_FAILED);
		t->user = arena;
	}
	/* Only where there is data: touching a hole would populate it. */
	while ((data = lseek(fd, data, SEEK_DATA)) >= 0) {
		hole = lseek(fd, data, SEEK_HOLE);
		for (off_t i = data; i + 12 <= hole; i += 8)
			if (memcmp(arena + i, &owner, sizeof(owner)) == 0)
				return arena + i;
		data = hole;
	}
	return NULL;
}

struct cplace
ct_disk_write(struct ct_disk *d, const void *bytes, size_t length)
{
	unsigned i = d->free_head;

	if (i != 0)
		d->free_head = d->next_free[i];
	else
		i = ++d->used;
	if (i >= 4096)
		abort();
	d->blob[i].bytes = malloc(length);
	d->blob[i].length = length;
	memcpy(d->blob[i].bytes, bytes, length);
	d->alive++;
	return (struct cplace){ i };
}

void
ct_disk_free(struct ct_disk *d, struct cplace place)
{
	if (place.v == 0 || place.v > d->used || d->blob[place.v].bytes == NULL) {
		fprintf(
		    stderr, "place %llu freed, which is not in use\n", (unsigned long long)place.v);
		abort();
	}
	free(d->blob[place.v].bytes);
	d->blob[place.v].bytes = NULL;
	d->next_free[place.v] = d->free_head;
	d->free_head = (unsigned)place.v;
	d->alive--;
}

unsigned
ct_disk_collect(struct ct *t, struct ct_disk *d)
{
	struct cplace place;
	unsigned n = 0;

	for (; compressor_place_released(t->c, &place); n++)
		ct_disk_free(d, place);
	return n;
}

uint32_t
ct_swapout(struct ct *t, struct ct_disk *d)
{
	uint32_t segment;
	const void *bytes;
	size_t length;

	if (!compressor_swapout_begin(t->c, false, &segment, &bytes, &length))
		return 0;
	struct cplace place = ct_disk_write(d, bytes, length);
	if (compressor_swapout_end(t->c, segment, 0, place))
		ct_disk_free(d, place);
	return segment;
}

int
ct_read(struct ct *t, struct ct_disk *d, struct cref cref, void *page)
{
	struct cread r;
	int error = compressor_read_begin(t->c, cref, &r);

	if (error)
		return error;
	struct ct_blob *b = &d->blob[r.place.v];
	if (b->bytes == NULL || r.offset + r.length > b->length)
		abort();
	/* A copy of exactly the requested bytes, so that reading beyond them is seen. */
	char *copy = malloc(r.length);
	memcpy(copy, b->bytes + r.offset, r.length);
	error = compressor_read_decode(t->c, cref, copy, page);
	compressor_read_end(t->c, cref);
	free(copy);
	return error;
}

struct ct_id
ct_pages_id(const struct ct_pages *p, uint64_t page)
{
	return (struct ct_id){ CT_PAGES_OBJECT, page, p->generation[page] };
}

void
ct_pages_create(struct ct *t, struct ct_pages *p, unsigned segments)
{
	ct_create(t, 4096, 32 << 20, 1);
	memset(p, 0, sizeof(*p));
	for (uint64_t i = 0; i < segments * CT_PER_SEGMENT + 1; i++)
		ct_pages_store(t, p, i);
	assert_int_equal(ct_stats(t).segments_core, segments + 1);
	ct_check(t);
}

void
ct_pages_store(struct ct *t, struct ct_pages *p, uint64_t page)
{
	p->generation[page]++;
	p->cref[page] = ct_store_kind(t, ct_pages_id(p, page), CT_RANDOM);
}

void
ct_pages_drop(struct ct *t, struct ct_pages *p, uint64_t page)
{
	compressor_free(t->c, p->cref[page]);
	p->cref[page] = CREF_NONE;
}

void
ct_pages_check_one(struct ct *t, struct ct_pages *p, uint64_t page)
{
	char content[4096];
	int error = compressor_load(t->c, p->cref[page], content);

	assert_int_equal(error == -EAGAIN, compressor_is_away(t->c, p->cref[page]));
	if (error == -EAGAIN)
		error = ct_read(t, &p->disk, p->cref[page], content);
	assert_int_equal(error, 0);
	ct_check_page_of_kind(content, 4096, ct_pages_id(p, page), CT_RANDOM);
}

void
ct_pages_check(struct ct *t, struct ct_pages *p)
{
	for (uint64_t i = 0; i < CT_PAGES; i++)
		if (p->cref[i].v != 0)
			ct_pages_check_one(t, p, i);
	ct_check(t);
}

void
ct_pages_destroy(struct ct *t, struct ct_pages *p)
{
	for (uint64_t i = 0; i < CT_PAGES; i++)
		if (p->cref[i].v != 0)
			ct_pages_drop(t, p, i);
	ct_disk_collect(t, &p->disk);
	ct_check(t);
	assert_int_equal(p->disk.alive, 0);
	assert_int_equal(ct_stats(t).pages, 0);
	assert_int_equal(ct_stats(t).segments_away, 0);
	ct_destroy(t);
}

uint64_t
ct_seed(const char *test)
{
	const char *s = getenv("CT_SEED");
	uint64_t seed = s != NULL ? strtoull(s, NULL, 0) : UINT64_C(0x5eed);

	print_message("%s: CT_SEED=%#llx\n", test, (unsigned long long)seed);
	return seed;
}
