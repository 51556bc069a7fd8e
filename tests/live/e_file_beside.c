/* SPDX-License-Identifier: MIT
 *
 * A mapped file that others use with plain system calls beside it: write(2), truncation and
 * growth.
 *
 * usage: e_file_beside written|trap-7-truncated|lengths [page=SIZE] [memory=SIZE] [ratio=N] [ops=N]
 */
#include "file_touch.h"

enum { CLIENTS = 3 };

struct role {
	struct file_scene *scene;
	unsigned number;
	atomic_uint *round; /* of the outsider */
};

static bool
page_is_current(struct file_view *v, uint32_t page, uint32_t low)
{
	uint64_t *copy = malloc(v->s->page_bytes);
	bool current = true;
	uint32_t written;

	REQUIRE(copy != NULL);
	for (uint32_t i = 0; i < v->s->page_bytes / sizeof(*copy); i++)
		copy[i] = ((volatile uint64_t *)(uintptr_t)view_page(v, page))[i];
	/* Whatever has been copied is no newer than this and the write under way. */
	written = atomic_load(&v->s->pages[page].written);
	file_words_verify(copy, page, v->s->page_bytes, low, written + 1,
	    "in a mapping, while others write(2) it");
	for (uint32_t i = 0; i < v->s->page_bytes / sizeof(*copy); i++)
		current &= copy[i] == file_word(page, i, written);
	free(copy);
	return current;
}

/* --- written: clients store in even pages, an outsider writes odd ones with write(2) --- */

static void
written_client(struct live *d, void *argument)
{
	struct role *role = argument;
	struct file_scene *s = role->scene;
	struct file_view v;

	file_view_open(d, s, PROT_READ | PROT_WRITE, &v);
	v.never_wires = true;
	while (!atomic_load(&s->stop)) {
		uint32_t page = (uint32_t)rng_below(&v.rng, s->count) & ~1u;

		file_page_lock(&v, page);
		if (rng_below(&v.rng, 2))
			file_page_write(&v, page);
		file_page_unlock(&v, page);
		if (page + 1 < s->count)
			(void)page_is_current(&v, page + 1, 0);
		if (rng_below(&v.rng, 40) == 0)
			file_advice(&v);
		atomic_fetch_add(&s->turns[role->number], 1);
	}
	/* What was clean in memory has been dropped. */
	for (uint32_t page = 1; page < s->count; page += 2)
		WAIT_UNTIL(d, page_is_current(&v, page, 0));
	OK(file_sync(&v, 0, s->count, PAGER_MSYNC_SYNC));
	stage_meet(d, &s->stage[role->number], 1);
	file_view_close(&v);
}

static void
written(void)
{
	struct role roles[CLIENTS];
	struct live d = { 0 };
	uint64_t rng = live_seed;
	struct file_scene *s;
	pid_t pids[CLIENTS];
	int fd;

	daemon_start(&d);
	s = file_scene_make(&d, (uint32_t)(options.ratio * d.memory_bytes / d.page_bytes));
	for (unsigned i = 0; i < CLIENTS; i++) {
		roles[i] = (struct role){ .scene = s, .number = i };
		pids[i] = client_start(&d, written_client, &roles[i]);
	}
	fd = file_open(s, O_RDWR);
	for (uint64_t n = 0; n < live_scaled(options.ops); n++) {
		uint32_t page = (uint32_t)rng_below(&rng, s->count) | 1;

		if (page >= s->count)
			continue;
		file_plain_write(s, fd, page);
		/* Nobody stores there, so what was written stays. */
		atomic_store(&s->pages[page].synced, atomic_load(&s->pages[page].written));
		file_read_verify(s, fd, (uint32_t)rng_below(&rng, s->count));
		if (n % 64 == 0)
			live_tick(&d);
	}
	for (unsigned i = 0; i < CLIENTS; i++)
		WAIT_UNTIL(&d, atomic_load(&s->turns[i]) >= live_scaled(options.ops) / 4);
	atomic_store(&s->stop, true);
	for (unsigned i = 0; i < CLIENTS; i++)
		stage_wait(&d, &s->stage[i], 1);
	REQUIRE(file_read_is_current(s, fd));
	live_check(&d);
	for (unsigned i = 0; i < CLIENTS; i++) {
		stage_allow(&s->stage[i], 1);
		client_join(&d, pids[i], true);
	}
	REQUIRE(file_read_is_current(s, fd));
	close(fd);
	live_stop(&d);
}

/* --- truncated: all who map it get SIGBUS beyond the end (trap 7), and zeroes when it has grown
 * again; nothing of what was stored there comes back --- */

/* The file ends in the midst of this page, after this many bytes of it. */
static uint32_t
cut_page(const struct file_scene *s)
{
	return s->count / 2;
}

enum { CUT_BYTES = 1000 };

static void
beyond_is_refused(struct live *d, struct file_view *v)
{
	unsigned char byte;

	for (uint32_t page = cut_page(v->s) + 1; page < v->s->count; page++)
		WAIT_UNTIL(d, !byte_read(v, page * v->s->page_bytes, &byte));
}

static void
before_is_as_stored(struct file_view *v)
{
	uint32_t cut = cut_page(v->s), generation = atomic_load(&v->s->pages[cut].written);

	for (uint32_t page = 0; page < cut; page++) {
		file_page_lock(v, page);
		file_page_unlock(v, page);
	}
	file_words_verify(view_page(v, cut), cut, CUT_BYTES, generation, generation,
	    "before the end of the file");
}

static void
truncated_client(struct live *d, void *argument)
{
	struct role *role = argument;
	struct file_scene *s = role->scene;
	struct stage *stage = &s->stage[role->number];
	uint64_t cut = cut_page(s) * s->page_bytes + CUT_BYTES;
	struct file_view v;

	expect_bus();
	file_view_open(d, s, PROT_READ | PROT_WRITE, &v);
	file_verify_all(&v);
	/* Some of them are dirty when the file is cut. */
	for (uint32_t page = role->number; page < s->count; page += 2 * CLIENTS) {
		file_page_lock(&v, page);
		file_page_write(&v, page);
		file_page_unlock(&v, page);
	}
	stage_meet(d, stage, 1);
	beyond_is_refused(d, &v);
	before_is_as_stored(&v);
	OK(file_sync(&v, 0, cut_page(s), PAGER_MSYNC_SYNC));
	stage_meet(d, stage, 2);
	/* The file is long again: what was beyond its end reads as zeroes, in the page of the end
	 * as well. */
	WAIT_UNTIL(d, range_is_zero(&v, cut, s->count * s->page_bytes));
	before_is_as_stored(&v);
	stage_meet(d, stage, 3);
	for (uint32_t page = cut_page(s) + 1 + role->number; page < s->count; page += CLIENTS) {
		uint32_t generation = atomic_load(&s->pages[page].written) + 1;

		file_page_store(view_page(&v, page), page, s->page_bytes, generation);
		atomic_store(&s->pages[page].written, generation);
	}
	OK(file_sync(&v, 0, s->count, PAGER_MSYNC_SYNC));
	stage_meet(d, stage, 4);
	for (uint32_t page = cut_page(s) + 1; page < s->count; page++) {
		file_page_lock(&v, page);
		file_page_unlock(&v, page);
	}
	file_view_close(&v);
}

static void
stages_pass(struct live *d, struct file_scene *s, unsigned at)
{
	for (unsigned i = 0; i < CLIENTS; i++)
		stage_allow(&s->stage[i], at);
	for (unsigned i = 0; i < CLIENTS; i++)
		stage_wait(d, &s->stage[i], at + 1);
}

/* From there on read(2) gives zeroes up to the end. */
static void
rest_of_file_is_zero(struct file_scene *s, int fd, uint64_t from)
{
	uint64_t end = s->count * s->page_bytes;
	char *copy = malloc(end - from);

	REQUIRE(pread(fd, copy, end - from, (off_t)from) == (ssize_t)(end - from));
	for (uint64_t i = 0; i < end - from; i++)
		REQUIRE(copy[i] == 0, "byte %llu is %d", (unsigned long long)(from + i), copy[i]);
	free(copy);
}

static void
truncated(void)
{
	struct role roles[CLIENTS];
	struct live d = { 0 };
	struct file_scene *s;
	pid_t pids[CLIENTS];
	uint64_t cut;
	int fd;

	daemon_start(&d);
	s = file_scene_make(&d, (uint32_t)(d.memory_bytes / d.page_bytes / 4));
	cut = cut_page(s) * s->page_bytes + CUT_BYTES;
	for (unsigned i = 0; i < CLIENTS; i++) {
		roles[i] = (struct role){ .scene = s, .number = i };
		pids[i] = client_start(&d, truncated_client, &roles[i]);
	}
	for (unsigned i = 0; i < CLIENTS; i++)
		stage_wait(&d, &s->stage[i], 1);
	fd = file_open(s, O_RDWR);
	REQUIRE(ftruncate(fd, (off_t)cut) == 0);
	stages_pass(&d, s, 1);
	/* No write has made it longer. */
	EQ(file_size(fd), cut);
	REQUIRE(ftruncate(fd, (off_t)(s->count * s->page_bytes)) == 0);
	stages_pass(&d, s, 2);
	rest_of_file_is_zero(s, fd, cut);
	stages_pass(&d, s, 3);
	EQ(file_size(fd), s->count * s->page_bytes);
	for (uint32_t page = 0; page < s->count; page++)
		if (page != cut_page(s)) {
			uint32_t written = atomic_load(&s->pages[page].written);

			atomic_store(&s->pages[page].synced, written);
			file_read_verify(s, fd, page);
		}
	live_check(&d);
	for (unsigned i = 0; i < CLIENTS; i++) {
		stage_allow(&s->stage[i], 4);
		client_join(&d, pids[i], true);
	}
	close(fd);
	live_stop(&d);
}

/* --- lengths: the length changes again and again while clients store --- */

/* Stores a generation; a part of it, if SIGBUS comes in the midst of it. */
static bool
store_or_bus(struct file_view *v, uint32_t page, uint32_t generation)
{
	if (sigsetjmp(bus_jump, 1) != 0)
		return false;
	bus_expected = 1;
	file_page_store(view_page(v, page), page, v->s->page_bytes, generation);
	bus_expected = 0;
	return true;
}

static void
lengths_client(struct live *d, void *argument)
{
	struct role *role = argument;
	struct file_scene *s = role->scene;
	struct file_view v;

	expect_bus();
	file_view_open(d, s, PROT_READ | PROT_WRITE, &v);
	while (!atomic_load(&s->stop)) {
		uint32_t page =
		    (uint32_t)rng_below(&v.rng, s->count / CLIENTS) * CLIENTS + role->number;
		uint32_t generation = atomic_load(&s->pages[page].written) + 1;

		if (generation < 1u << 15) {
			/* Known before it is stored, for whoever reads the file. */
			atomic_store(&s->pages[page].written, generation);
			(void)store_or_bus(&v, page, generation);
		}
		if (rng_below(&v.rng, 50) == 0)
			OK(pager_msync(v.p, v.base, s->count * s->page_bytes, PAGER_MSYNC_SYNC));
		atomic_fetch_add(&s->turns[role->number], 1);
	}
	file_view_close(&v);
}

/* Each word is zero, or of some generation of its page. */
static void
lengths_verify(struct file_scene *s, int fd)
{
	uint64_t *copy = malloc(s->page_bytes);

	for (uint32_t page = 0; page < s->count; page++) {
		REQUIRE(pread(fd, copy, s->page_bytes, (off_t)(page * s->page_bytes)) ==
			(ssize_t)s->page_bytes);
		for (uint32_t i = 0; i < s->page_bytes / sizeof(*copy); i++)
			if (copy[i] == 0)
				copy[i] = file_word(page, i, 0);
		file_words_verify(copy, page, s->page_bytes, 0,
		    atomic_load(&s->pages[page].written), "after changes of the length");
	}
	free(copy);
}

static void
lengths(void)
{
	struct role roles[CLIENTS];
	struct live d = { 0 };
	uint64_t rng = live_seed, bytes;
	struct file_scene *s;
	pid_t pids[CLIENTS];
	int fd;

	daemon_start(&d);
	s = file_scene_make(&d, (uint32_t)(2 * d.memory_bytes / d.page_bytes) / CLIENTS * CLIENTS);
	bytes = s->count * s->page_bytes;
	for (unsigned i = 0; i < CLIENTS; i++) {
		roles[i] = (struct role){ .scene = s, .number = i };
		pids[i] = client_start(&d, lengths_client, &roles[i]);
	}
	fd = file_open(s, O_RDWR);
	for (uint64_t n = 0; n < live_scaled(options.ops) / 8; n++) {
		/* On a word, so that no word is cut in two. */
		uint64_t size = (1 + rng_below(&rng, bytes / 8)) * 8;

		REQUIRE(ftruncate(fd, (off_t)size) == 0);
		for (unsigned i = 0; i < 4; i++) {
			uint64_t now = file_size(fd);

			/* A write that had begun before may end behind the new end, but not behind
			 * any that the file has had. */
			REQUIRE(now >= size && now <= bytes, "%llu, not %llu",
			    (unsigned long long)now, (unsigned long long)size);
			live_tick(&d);
		}
	}
	for (unsigned i = 0; i < CLIENTS; i++)
		WAIT_UNTIL(&d, atomic_load(&s->turns[i]) >= live_scaled(options.ops) / 8);
	REQUIRE(ftruncate(fd, (off_t)bytes) == 0);
	atomic_store(&s->stop, true);
	for (unsigned i = 0; i < CLIENTS; i++)
		client_join(&d, pids[i], true);
	lengths_verify(s, fd);
	EQ(file_size(fd), bytes);
	close(fd);
	live_stop(&d);
}

static const struct live_test tests[] = { { "written", written }, { "trap-7-truncated", truncated },
	{ "lengths", lengths } };

int
main(int argc, char **argv)
{
	share_options_parse(argc, argv);
	live_init(argc, argv);
	return LIVE_RUN(argc, argv, tests);
}
