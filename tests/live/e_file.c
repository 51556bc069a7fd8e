/* SPDX-License-Identifier: MIT
 *
 * Files that are mapped through the daemon.
 *
 * usage: e_file NAME [PAGE SIZE]
 */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "harness.h"

#define RW (PROT_READ | PROT_WRITE)

static char directory[128];
static const char *page_size = "4K";

/* The word at a place of version `version` of the file. */
static uint64_t
word_of(uint64_t place, uint64_t version)
{
	return mix64(place * 1000003 + version);
}

/* A file of that many bytes in version 0, open for both. */
static int
file_make(const char *name, uint64_t bytes)
{
	static uint64_t words[8192];
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	REQUIRE(fd >= 0, "%s", strerror(errno));
	for (uint64_t at = 0; at < bytes; at += sizeof(words)) {
		size_t part = bytes - at < sizeof(words) ? bytes - at : sizeof(words);

		for (size_t i = 0; i < sizeof(words) / 8; i++)
			words[i] = word_of(at / 8 + i, 0);
		REQUIRE(pwrite(fd, words, part, (off_t)at) == (ssize_t)part);
	}
	return fd;
}

static void
begin(struct live *d, const char *memory)
{
	/* So many pages are the least. */
	if (strcmp(page_size, "64K") == 0)
		memory = "32M";
	live_start(d, memory, "--no-swap", "--page-size", page_size, NULL);
	live_directory_make(directory, sizeof(directory));
}

static void
words_verify(const uint64_t *words, uint64_t first, uint64_t count, uint64_t version)
{
	for (uint64_t i = 0; i < count; i++)
		REQUIRE(words[i] == word_of(first + i, version), "word %llu",
		    (unsigned long long)(first + i));
}

/* The whole file by read(2). */
static void
file_verify(int fd, uint64_t bytes, uint64_t version)
{
	static uint64_t words[8192];

	for (uint64_t at = 0; at < bytes; at += sizeof(words)) {
		size_t part = bytes - at < sizeof(words) ? bytes - at : sizeof(words);

		REQUIRE(pread(fd, words, part, (off_t)at) == (ssize_t)part);
		words_verify(words, at / 8, part / 8, version);
	}
}

/* --- two clients, one memory --- */

struct pair {
	atomic_uint stage; /* what has been reached */
	int fd;
	uint64_t bytes;
};

static void
pair_reach(struct pair *p, unsigned stage)
{
	atomic_store(&p->stage, stage);
}

static void
pair_await(struct live *d, struct pair *p, unsigned stage)
{
	WAIT_UNTIL(d, atomic_load(&p->stage) >= stage);
}

static void
pair_writer(struct live *d, void *argument)
{
	struct pair *p = argument;
	struct pager *pager = client_connect(d);
	void *base;

	OK(pager_map_file(pager, p->fd, 0, p->bytes, RW, PAGER_MAP_SHARED, &base));
	words_verify(base, 0, p->bytes / 8, 0);
	for (uint64_t i = 0; i < p->bytes / 8; i++)
		((uint64_t *)base)[i] = word_of(i, 1);
	OK(pager_msync(pager, base, p->bytes, PAGER_MSYNC_SYNC));
	pair_reach(p, 1);
	pair_await(d, p, 2);
	words_verify(base, 0, p->bytes / 8, 2);
	pager_disconnect(pager);
}

static void
pair_reader(struct live *d, void *argument)
{
	struct pair *p = argument;
	struct pager *pager = client_connect(d);
	void *base;

	OK(pager_map_file(pager, p->fd, 0, p->bytes, RW, PAGER_MAP_SHARED, &base));
	pair_await(d, p, 1);
	words_verify(base, 0, p->bytes / 8, 1);
	file_verify(p->fd, p->bytes, 1);
	for (uint64_t i = 0; i < p->bytes / 8; i++)
		((uint64_t *)base)[i] = word_of(i, 2);
	pair_reach(p, 2);
	/* Giving the range back writes it. */
	OK(pager_deallocate(pager, base, p->bytes));
	file_verify(p->fd, p->bytes, 2);
	pager_disconnect(pager);
}

/* The file is three times as large as the memory. */
static void
test_two(void)
{
	struct live d = { 0 };
	struct pair *p = shared_alloc(sizeof(*p));
	pid_t clients[2];

	begin(&d, "8M");
	p->bytes = 3 * d.memory_bytes;
	p->fd = file_make("two", p->bytes);
	clients[0] = client_start(&d, pair_writer, p);
	clients[1] = client_start(&d, pair_reader, p);
	client_join(&d, clients[0], true);
	client_join(&d, clients[1], true);
	file_verify(p->fd, p->bytes, 2);
	WAIT_UNTIL(&d, live_stat(&d, "files") == 0);
	live_check(&d);
	live_stop(&d);
}

/* --- unasked: what is dirty goes out by itself, and stays mapped and in memory --- */

static void
unasked(struct live *d, void *argument)
{
	struct pair *p = argument;
	struct pager *pager = client_connect(d);
	volatile uint64_t *base;
	uint64_t word;
	void *at;

	OK(pager_map_file(pager, p->fd, 0, p->bytes, RW, PAGER_MAP_SHARED, &at));
	base = at;
	for (unsigned version = 1; version < 3; version++) {
		for (uint64_t i = 0; i < p->bytes / 8; i++)
			base[i] = word_of(i, version);
		/* The last word of each page, which is stored last. */
		for (uint64_t i = d->page_bytes / 8 - 1; i < p->bytes / 8; i += d->page_bytes / 8)
			WAIT_UNTIL(
			    d, pread(p->fd, &word, sizeof(word), (off_t)(i * 8)) == sizeof(word) &&
				   word == word_of(i, version));
		file_verify(p->fd, p->bytes, version);
		words_verify(at, 0, p->bytes / 8, version);
	}
	live_rest(d);
	EQ(live_stat(d, "file_reads"), p->bytes / d->page_bytes);
	pager_disconnect(pager);
}

static void
test_unasked(void)
{
	struct live d = { 0 };
	struct pair *p = shared_alloc(sizeof(*p));

	begin(&d, "16M");
	p->bytes = 1u << 20;
	p->fd = file_make("unasked", p->bytes);
	client_join(&d, client_start(&d, unasked, p), false);
	WAIT_UNTIL(&d, live_stat(&d, "files") == 0);
	live_check(&d);
	live_stop(&d);
}

/* --- killed --- */

static void
killed(struct live *d, void *argument)
{
	struct pair *p = argument;
	struct pager *pager = client_connect(d);
	void *base;

	OK(pager_map_file(pager, p->fd, 0, p->bytes, RW, PAGER_MAP_SHARED, &base));
	for (uint64_t i = 0; i < p->bytes / 8; i++)
		((uint64_t *)base)[i] = word_of(i, 1);
	pair_reach(p, 1);
	for (;;)
		pause();
}

/* What a client has written is written to the file, also when it is killed. */
static void
test_killed(void)
{
	struct live d = { 0 };
	struct pair *p = shared_alloc(sizeof(*p));
	pid_t client;

	begin(&d, "16M");
	p->bytes = 4u << 20;
	p->fd = file_make("killed", p->bytes);
	client = client_start(&d, killed, p);
	pair_await(&d, p, 1);
	/* The gauge is renewed now and then, and may still be from before the mapping. */
	WAIT_UNTIL(&d, live_stat(&d, "files") == 1);
	client_kill(client);
	WAIT_UNTIL(&d, live_stat(&d, "files") == 0);
	file_verify(p->fd, p->bytes, 1);
	live_check(&d);
	live_stop(&d);
}

/* --- the end of the file --- */

static sigjmp_buf after_bus;

static void
on_bus(int number)
{
	siglongjmp(after_bus, number);
}

/* => whether reading the byte gets SIGBUS */
static bool
is_bus(const volatile unsigned char *byte)
{
	if (sigsetjmp(after_bus, 1) != 0)
		return true;
	(void)*byte;
	return false;
}

/* The same for any part of a page: one that was refused may come back part by part. */
static bool
is_bus_within(const unsigned char *page, uint64_t bytes)
{
	for (uint64_t at = 0; at < bytes; at += 4096)
		if (is_bus(page + at))
			return true;
	return false;
}

static void
ends(struct live *d, void *argument)
{
	struct pair *p = argument;
	struct pager *pager = client_connect(d);
	uint64_t page = d->page_bytes, tail = 100;
	struct stat st;
	unsigned char *base;
	void *at;

	signal(SIGBUS, on_bus);
	OK(pager_map_file(pager, p->fd, 0, p->bytes + 4 * page, RW, PAGER_MAP_SHARED, &at));
	base = at;
	REQUIRE(ftruncate(p->fd, (off_t)(p->bytes + tail)) == 0);
	/* The tail reads as zeroes, and what is written behind the end goes nowhere. */
	for (uint64_t i = 0; i < page; i++)
		REQUIRE(base[p->bytes + i] == 0);
	memset(base + p->bytes, 7, page);
	REQUIRE(is_bus(base + p->bytes + page));
	OK(pager_msync(pager, base, p->bytes + page, PAGER_MSYNC_SYNC));
	REQUIRE(fstat(p->fd, &st) == 0);
	EQ(st.st_size, p->bytes + tail);
	/* The file grows: what was behind its end is there before long. */
	REQUIRE(pwrite(p->fd, "grown", 5, (off_t)(p->bytes + 2 * page)) == 5);
	WAIT_UNTIL(d, !is_bus_within(base + p->bytes + 2 * page, page));
	REQUIRE(memcmp(base + p->bytes + 2 * page, "grown", 5) == 0);
	/* The page in between is a hole, and one that was behind the end. */
	WAIT_UNTIL(d, !is_bus_within(base + p->bytes + page, page));
	for (uint64_t i = 0; i < page; i++)
		REQUIRE(base[p->bytes + page + i] == 0);
	pager_disconnect(pager);
}

static void
test_ends(void)
{
	struct live d = { 0 };
	struct pair *p = shared_alloc(sizeof(*p));

	begin(&d, "16M");
	p->bytes = 1u << 20;
	p->fd = file_make("ends", p->bytes);
	client_join(&d, client_start(&d, ends, p), false);
	WAIT_UNTIL(&d, live_stat(&d, "files") == 0);
	WAIT_UNTIL(&d, live_stat(&d, "file_ends") > 0);
	live_check(&d);
	live_stop(&d);
}

/* --- rights --- */

static void
rights(struct live *d, void *argument)
{
	struct pair *p = argument;
	struct pager *pager = client_connect(d);
	uint64_t page = d->page_bytes;
	char path[64];
	void *base;
	int fd;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", p->fd);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	REQUIRE(fd >= 0);
	EQ(pager_map_file(pager, fd, 0, page, RW, PAGER_MAP_SHARED, &base), -EACCES);
	OK(pager_map_file(pager, fd, page, 2 * page, PROT_READ, PAGER_MAP_SHARED, &base));
	close(fd);
	words_verify(base, page / 8, 2 * page / 8, 0);
	OK(pager_msync(pager, base, page, PAGER_MSYNC_SYNC));
	OK(pager_deallocate(pager, base, page));
	words_verify((uint64_t *)base + page / 8, 2 * page / 8, page / 8, 0);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	EQ(pager_map_file(pager, fd, 0, page, PROT_READ, PAGER_MAP_SHARED, &base), -EACCES);
	close(fd);
	fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	EQ(pager_map_file(pager, fd, 0, page, RW, PAGER_MAP_SHARED, &base), -ENODEV);
	close(fd);
	fd = open(path, O_RDWR | O_APPEND | O_CLOEXEC);
	OK(pager_map_file(pager, fd, 0, page, RW, PAGER_MAP_SHARED, &base));
	*(uint64_t *)base = 42;
	OK(pager_msync(pager, base, page, PAGER_MSYNC_SYNC));
	REQUIRE(pread(fd, path, 8, 0) == 8);
	REQUIRE(*(uint64_t *)path == 42);
	EQ(lseek(fd, 0, SEEK_END), p->bytes);
	EQ(pager_map_file(pager, fd, 0, page, RW, PAGER_MAP_SHARED | PAGER_MAP_PRIVATE, &base),
	    -EINVAL);
	EQ(pager_map_file(pager, fd, 0, page, RW, 0, &base), -EINVAL);
	EQ(pager_map_file(pager, fd, 1, page, RW, PAGER_MAP_SHARED, &base), -EINVAL);
	EQ(pager_map_file(pager, 999, 0, page, RW, PAGER_MAP_SHARED, &base), -EBADF);
	pager_disconnect(pager);
}

static void
test_rights(void)
{
	struct live d = { 0 };
	struct pair *p = shared_alloc(sizeof(*p));

	begin(&d, "16M");
	p->bytes = 1u << 20;
	p->fd = file_make("rights", p->bytes);
	client_join(&d, client_start(&d, rights, p), false);
	WAIT_UNTIL(&d, live_stat(&d, "files") == 0);
	live_check(&d);
	live_stop(&d);
}

/* --- the disk --- */

static void
faulty(struct live *d, void *argument)
{
	struct pair *p = argument;
	struct pager *pager = client_connect(d);
	uint64_t words = p->bytes / 8;
	uint64_t *base;
	void *at;

	signal(SIGBUS, on_bus);
	OK(pager_map_file(pager, p->fd, 0, p->bytes, RW, PAGER_MAP_SHARED, &at));
	base = at;
	/* A read that fails is SIGBUS for that page, until it does not fail. */
	live_debug_fail(d, "FILE_READ_EIO:0:1");
	REQUIRE(is_bus(at));
	WAIT_UNTIL(d, !is_bus_within(at, d->page_bytes));
	live_debug_fail(d, "FILE_READ_SHORT:0:1");
	words_verify(base, 0, words, 0);
	for (uint64_t i = 0; i < words; i++)
		base[i] = word_of(i, 1);
	/* What cannot be written stays; the error is told once. All may have been written by now,
	 * but for what is stored from here on. */
	live_debug_fail(d, "FILE_WRITE_ENOSPC:0:0");
	((volatile uint64_t *)base)[0] = word_of(0, 1);
	EQ(pager_msync(pager, base, p->bytes, PAGER_MSYNC_SYNC), -ENOSPC);
	words_verify(base, 0, words, 1);
	live_debug_fail(d, NULL);
	live_debug_fail(d, "FILE_WRITE_SHORT:0:1");
	WAIT_UNTIL(d, pager_msync(pager, base, p->bytes, PAGER_MSYNC_SYNC) == 0);
	file_verify(p->fd, p->bytes, 1);
	pager_disconnect(pager);
}

static void
test_faulty(void)
{
	struct live d = { 0 };
	struct pair *p = shared_alloc(sizeof(*p));

	begin(&d, "16M");
	p->bytes = 1u << 20;
	p->fd = file_make("faulty", p->bytes);
	client_join(&d, client_start(&d, faulty, p), false);
	WAIT_UNTIL(&d, live_stat(&d, "files") == 0);
	file_verify(p->fd, p->bytes, 1);
	live_check(&d);
	live_stop(&d);
}

/* --- others --- */

static void
changed(struct live *d, void *argument)
{
	struct pair *p = argument;
	struct pager *pager = client_connect(d);
	uint64_t page = d->page_bytes, words = page / 8;
	const volatile unsigned char *end;
	volatile uint64_t *base;
	void *at;

	signal(SIGBUS, on_bus);
	OK(pager_map_file(pager, p->fd, 0, p->bytes, RW, PAGER_MAP_SHARED, &at));
	base = at;
	end = (unsigned char *)at + p->bytes - page;
	words_verify(at, 0, p->bytes / 8, 0);
	/* What the daemon writes by itself is nobody's change. */
	base[0] = word_of(0, 1);
	OK(pager_msync(pager, at, p->bytes, PAGER_MSYNC_SYNC));
	live_rest(d);
	EQ(live_stat(d, "file_changes"), 0);
	/* A dirty page wins; clean ones are read again. It cannot be written before. */
	live_debug_fail(d, "FILE_WRITE_EIO:0:0");
	base[words] = word_of(words, 1);
	pair_reach(p, 1);
	pair_await(d, p, 2);
	WAIT_UNTIL(d, base[2 * words] == 42);
	REQUIRE(live_stat(d, "file_changes") > 0);
	EQ(base[words], word_of(words, 1));
	live_debug_fail(d, NULL);
	/* The gauge is renewed now and then, and may still be from before the mapping. */
	WAIT_UNTIL(d, live_stat(d, "files") == 1);
	/* The file becomes shorter. */
	REQUIRE(!is_bus(end));
	pair_reach(p, 3);
	WAIT_UNTIL(d, is_bus(end));
	pager_disconnect(pager);
}

static void
test_changed(void)
{
	struct live d = { 0 };
	struct pair *p = shared_alloc(sizeof(*p));
	uint64_t word = 42, page;
	pid_t client;

	begin(&d, "16M");
	page = d.page_bytes;
	p->bytes = 1u << 20;
	p->fd = file_make("changed", p->bytes);
	client = client_start(&d, changed, p);
	pair_await(&d, p, 1);
	REQUIRE(pwrite(p->fd, &word, 8, (off_t)page) == 8);
	REQUIRE(pwrite(p->fd, &word, 8, (off_t)(2 * page)) == 8);
	pair_reach(p, 2);
	pair_await(&d, p, 3);
	REQUIRE(ftruncate(p->fd, (off_t)(p->bytes - 2 * page)) == 0);
	client_join(&d, client, false);
	WAIT_UNTIL(&d, live_stat(&d, "files") == 0);
	REQUIRE(pread(p->fd, &word, 8, (off_t)page) == 8);
	EQ(word, word_of(page / 8, 1));
	EQ(lseek(p->fd, 0, SEEK_END), p->bytes - 2 * page);
	live_check(&d);
	live_stop(&d);
}

int
main(int argc, char **argv)
{
	static const struct live_test tests[] = {
		{ "two", test_two },
		{ "unasked", test_unasked },
		{ "killed", test_killed },
		{ "trap-8-ends", test_ends },
		{ "rights", test_rights },
		{ "faulty", test_faulty },
		{ "changed", test_changed },
	};

	if (argc > 2)
		page_size = argv[2];
	live_init(argc, argv);
	return LIVE_RUN(argc, argv, tests);
}
