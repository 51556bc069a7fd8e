/* SPDX-License-Identifier: MIT
 *
 * A disk writes into memory that nobody has wired, while there is not enough memory for all:
 * O_DIRECT reads by read(2), readv(2) and io_uring, with buffers that are registered and with
 * others, and the opposite direction. Every byte must be there. The pager sees the kernel's pins
 * (pmap/pins.h).
 *
 * usage: e_pins read|uring|fixed|held-read|held-readv|held-uring|write|file|passing|no-memory|
 *               unknown [page size]
 */
#include "harness.h"

#include <fcntl.h>
#include <liburing.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/uio.h>

#include "slow_file.h"

#define BLOCK  65536u
#define ROUNDS 2u

struct scene {
	atomic_bool leave; /* the presser is to end */
	char path[200];
	size_t bytes; /* of the file, and of the buffer */
};

static const char *size_of_pages;

/* What byte `at` of the file is in a round; no page is as another, and none is zeroes. */
static uint64_t
word_at(unsigned round, size_t at)
{
	return mix64((uint64_t)round << 40 | at) | 1;
}

static void
content_make(uint64_t *words, unsigned round, size_t from, size_t bytes)
{
	for (size_t i = 0; i < bytes / sizeof(*words); i++)
		words[i] = word_at(round, from + i * sizeof(*words));
}

/* Names the first difference, and says how many pages have one. */
static void
content_check(struct live *d, const uint64_t *words, unsigned round, size_t bytes)
{
	size_t bad = 0, first = 0, page = 4096;

	for (size_t at = 0; at < bytes; at += page) {
		for (size_t i = 0; i < page; i += sizeof(*words)) {
			if (words[(at + i) / sizeof(*words)] == word_at(round, at + i))
				continue;
			first = bad++ ? first : at + i;
			break;
		}
	}
	if (bad)
		FAIL("round %u: %zu pages of %zu are wrong, from byte %zu on; %lld were found "
		     "pinned",
		    round, bad, bytes / page, first, (long long)live_stat(d, "pinned"));
}

static int
file_open(const struct scene *s)
{
	int fd = open(s->path, O_RDWR | O_CREAT | O_DIRECT | O_CLOEXEC, 0600);

	if (fd < 0 && errno == EINVAL) {
		printf("skipped: no O_DIRECT in %s\n", s->path);
		_exit(77);
	}
	REQUIRE(fd >= 0, "%s: %s", s->path, strerror(errno));
	return fd;
}

static void
file_write(const struct scene *s, int fd, unsigned round)
{
	void *block = aligned_alloc(4096, BLOCK);

	REQUIRE(block != NULL);
	for (size_t at = 0; at < s->bytes; at += BLOCK) {
		content_make(block, round, at, BLOCK);
		EQ(pwrite(fd, block, BLOCK, (off_t)at), BLOCK);
	}
	free(block);
}

/* Another client, whose pages come all the time. */
static void
press(struct live *d, void *argument)
{
	struct scene *s = argument;
	struct pager *p = client_connect(d);
	size_t bytes = 2 * d->memory_bytes;
	unsigned char *base = client_allocate(p, bytes);

	while (!atomic_load(&s->leave))
		for (size_t at = 0; at < bytes && !atomic_load(&s->leave); at += d->page_bytes)
			*(volatile uint64_t *)(void *)(base + at) += 1;
	OK(pager_disconnect(p));
}

/* --- by which way the bytes come --- */

typedef void transfer(struct scene *s, int fd, unsigned char *base);

static void
by_read(struct scene *s, int fd, unsigned char *base)
{
	size_t have = 0;

	while (have < s->bytes) {
		ssize_t n = pread(fd, base + have, s->bytes - have, (off_t)have);

		REQUIRE(n > 0, "pread: %zd %s", n, strerror(errno));
		have += (size_t)n;
	}
}

static void
ring_end(struct io_uring *ring, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		struct io_uring_cqe *done;

		EQ(io_uring_wait_cqe(ring, &done), 0);
		REQUIRE(done->res == (int)BLOCK, "a read of the ring: %d", done->res);
		io_uring_cqe_seen(ring, done);
	}
}

/* => false: not here */
static bool
ring_begin(struct io_uring *ring, unsigned entries)
{
	int error = io_uring_queue_init(entries, ring, 0);

	if (error == -EPERM || error == -ENOSYS) {
		printf("skipped: no io_uring\n");
		_exit(77);
	}
	return error == 0;
}

/* All at a time. */
static void
by_uring(struct scene *s, int fd, unsigned char *base)
{
	unsigned count = (unsigned)(s->bytes / BLOCK);
	struct io_uring ring;

	REQUIRE(ring_begin(&ring, count));
	for (unsigned i = 0; i < count; i++)
		io_uring_prep_read(io_uring_get_sqe(&ring), fd, base + (size_t)i * BLOCK, BLOCK,
		    (uint64_t)i * BLOCK);
	EQ(io_uring_submit(&ring), count);
	ring_end(&ring, count);
	io_uring_queue_exit(&ring);
}

/* --- a client that reads --- */

struct reading {
	struct scene *scene;
	transfer *transfer;
};

static void
reader(struct live *d, void *argument)
{
	struct reading *r = argument;
	struct pager *p = client_connect(d);
	unsigned char *base = client_allocate(p, r->scene->bytes);
	int fd = file_open(r->scene);

	memset(base, 1, r->scene->bytes);
	for (unsigned round = 0; round < ROUNDS; round++) {
		file_write(r->scene, fd, round);
		r->transfer(r->scene, fd, base);
		content_check(d, (uint64_t *)(void *)base, round, r->scene->bytes);
	}
	close(fd);
	OK(pager_disconnect(p));
}

/* The buffer is registered once, and used while others' pages leave. */
static void
fixed(struct live *d, void *argument)
{
	struct scene *s = argument;
	struct pager *p = client_connect(d);
	unsigned char *base = client_allocate(p, s->bytes);
	unsigned count = (unsigned)(s->bytes / BLOCK);
	struct iovec part = { base, s->bytes };
	struct io_uring ring;
	int fd = file_open(s);

	REQUIRE(ring_begin(&ring, count));
	memset(base, 1, s->bytes);
	OK(pager_behavior(p, base, s->bytes, PAGER_BEHAVIOR_PAGEOUT));
	EQ(io_uring_register_buffers(&ring, &part, 1), 0);
	for (unsigned round = 0; round < ROUNDS; round++) {
		int64_t pageouts = live_stat(d, "pageouts"), pinned = live_stat(d, "pinned");

		WAIT_UNTIL(d,
		    live_stat(d, "pageouts") > pageouts + 2 * (int64_t)(s->bytes / d->page_bytes));
		/* By its owner's wish it does not leave either. */
		OK(pager_behavior(p, base, s->bytes, PAGER_BEHAVIOR_PAGEOUT));
		WAIT_UNTIL(d, live_stat(d, "pinned") > pinned);
		file_write(s, fd, round);
		for (unsigned i = 0; i < count; i++)
			io_uring_prep_read_fixed(io_uring_get_sqe(&ring), fd,
			    base + (size_t)i * BLOCK, BLOCK, (uint64_t)i * BLOCK, 0);
		EQ(io_uring_submit(&ring), count);
		ring_end(&ring, count);
		content_check(d, (uint64_t *)(void *)base, round, s->bytes);
	}
	EQ(io_uring_unregister_buffers(&ring), 0);
	io_uring_queue_exit(&ring);
	/* It can leave again, with what the disk wrote. */
	WAIT_UNTIL(d, pager_behavior(p, base, s->bytes, PAGER_BEHAVIOR_PAGEOUT) == 0 &&
			  live_stat(d, "evictions") >= (int64_t)(2 * s->bytes / d->page_bytes));
	content_check(d, (uint64_t *)(void *)base, ROUNDS - 1, s->bytes);
	close(fd);
	atomic_store(&s->leave, true);
	OK(pager_disconnect(p));
}

/* What the disk reads from memory that leaves meanwhile. */
static void
writer(struct live *d, void *argument)
{
	struct scene *s = argument;
	struct pager *p = client_connect(d);
	unsigned char *base = client_allocate(p, s->bytes);
	uint64_t *copy = aligned_alloc(4096, s->bytes);
	int fd = file_open(s);

	REQUIRE(copy != NULL);
	for (unsigned round = 0; round < ROUNDS; round++) {
		content_make((uint64_t *)(void *)base, round, 0, s->bytes);
		EQ(pwrite(fd, base, s->bytes, 0), s->bytes);
		EQ(pread(fd, copy, s->bytes, 0), s->bytes);
		content_check(d, copy, round, s->bytes);
	}
	free(copy);
	close(fd);
	OK(pager_disconnect(p));
}

/* The buffer is a file of its own, which the cleaner writes while the disk fills it. */
static void
mapped(struct live *d, void *argument)
{
	struct scene *s = argument;
	struct pager *p = client_connect(d);
	int fd = file_open(s), to;
	char path[210];
	void *memory;

	snprintf(path, sizeof(path), "%s.to", s->path);
	to = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	REQUIRE(to >= 0 && ftruncate(to, (off_t)s->bytes) == 0);
	OK(pager_map_file(p, to, 0, s->bytes, PROT_READ | PROT_WRITE, PAGER_MAP_SHARED, &memory));
	for (unsigned round = 0; round < ROUNDS; round++) {
		file_write(s, fd, round);
		by_read(s, fd, memory);
		content_check(d, memory, round, s->bytes);
		OK(pager_msync(p, memory, s->bytes, PAGER_MSYNC_SYNC));
	}
	close(to);
	close(fd);
	OK(pager_disconnect(p));
}

/* Pages that look pinned at one moment only leave with all others. */
static void
passing(struct live *d, void *argument)
{
	struct scene *s = argument;
	struct pager *p = client_connect(d);
	size_t bytes = s->bytes / 4;
	unsigned char *base = client_allocate(p, bytes);
	struct pager_statistics statistics;
	int64_t pinned;

	content_make((uint64_t *)(void *)base, 0, 0, bytes);
	live_rest(d);
	pinned = live_stat(d, "pinned");
	live_debug_fail(d, "PINS_LOOK_ENOMEM:1:1");
	OK(pager_behavior(p, base, bytes, PAGER_BEHAVIOR_PAGEOUT));
	EQ(live_fail_count(d, "PINS_LOOK_ENOMEM"), 1);
	REQUIRE(live_stat(d, "pinned") > pinned);
	OK(pager_statistics(p, &statistics));
	EQ(statistics.internal, 0);
	content_check(d, (uint64_t *)(void *)base, 0, bytes);
	OK(pager_disconnect(p));
}

/* --- a disk that answers when the test lets it --- */

#define HELD_BYTES (2 * BLOCK)

enum held_way { HELD_READ, HELD_READV, HELD_URING };

struct held {
	struct slow_file *file;
	enum held_way way;
	/* The client has opened the file; the file answers no more; all of the read is under way.
	 */
	atomic_bool is_open, is_stopped, is_pinned;
	int fd;
	unsigned char *base;
};

static void *
held_read(void *argument)
{
	struct held *h = argument;
	struct iovec parts[2] = { { h->base, BLOCK }, { h->base + BLOCK, BLOCK } };

	if (h->way == HELD_READ)
		EQ(pread(h->fd, h->base, HELD_BYTES, 0), HELD_BYTES);
	else
		EQ(preadv(h->fd, parts, 2, 0), HELD_BYTES);
	return NULL;
}

/* The pages are to leave until a round finds all of them pinned, so all of the read is under way.
 */
static void
held_press(struct live *d, struct pager *p, const struct held *h)
{
	int64_t pages = (int64_t)(HELD_BYTES / d->page_bytes), before;

	do {
		live_tick(d);
		before = live_stat(d, "pinned");
		OK(pager_behavior(p, h->base, HELD_BYTES, PAGER_BEHAVIOR_PAGEOUT));
	} while (live_stat(d, "pinned") - before < pages);
}

static void
held(struct live *d, void *argument)
{
	struct held *h = argument;
	struct pager *p = client_connect(d);
	int64_t evictions;
	struct io_uring ring;
	pthread_t thread;

	h->base = client_allocate(p, HELD_BYTES);
	h->fd = open(SLOW_FILE_PATH, O_RDONLY | O_DIRECT | O_CLOEXEC);
	REQUIRE(h->fd >= 0, "%s", strerror(errno));
	memset(h->base, 1, HELD_BYTES);
	/* The ring would ask it for that. */
	EQ(poll(&(struct pollfd){ .fd = h->fd, .events = POLLIN }, 1, 0), 1);
	atomic_store(&h->is_open, true);
	WAIT_UNTIL(d, atomic_load(&h->is_stopped));
	if (h->way == HELD_URING) {
		REQUIRE(ring_begin(&ring, 2));
		for (unsigned i = 0; i < 2; i++) {
			struct io_uring_sqe *sqe = io_uring_get_sqe(&ring);

			io_uring_prep_read(
			    sqe, h->fd, h->base + i * BLOCK, BLOCK, (uint64_t)i * BLOCK);
			/* By a thread of the ring: submitting does not wait. */
			io_uring_sqe_set_flags(sqe, IOSQE_ASYNC);
		}
		EQ(io_uring_submit(&ring), 2);
	} else {
		EQ(pthread_create(&thread, NULL, held_read, h), 0);
	}
	held_press(d, p, h);
	atomic_store(&h->is_pinned, true);
	if (h->way == HELD_URING) {
		ring_end(&ring, 2);
		io_uring_queue_exit(&ring);
	} else {
		EQ(pthread_join(thread, NULL), 0);
	}
	content_check(d, (uint64_t *)(void *)h->base, 0, HELD_BYTES);
	/* It can leave again, with what the disk wrote. */
	evictions = live_stat(d, "evictions") + (int64_t)(HELD_BYTES / d->page_bytes);
	WAIT_UNTIL(d, pager_behavior(p, h->base, HELD_BYTES, PAGER_BEHAVIOR_PAGEOUT) == 0 &&
			  live_stat(d, "evictions") >= evictions);
	content_check(d, (uint64_t *)(void *)h->base, 0, HELD_BYTES);
	close(h->fd);
	OK(pager_disconnect(p));
}

/* --- the tests --- */

static void
start(struct live *d, struct scene **ret, const char *fail)
{
	struct scene *s = shared_alloc(sizeof(*s));
	const char *memory = strcmp(size_of_pages, "4K") == 0 ? "16M" : "64M";

	if (fail)
		live_start(d, memory, "--page-size", size_of_pages, "--fail", fail, NULL);
	else
		live_start(d, memory, "--page-size", size_of_pages, NULL);
	if (!fail && live_stat(d, "pins_known") == 0) {
		live_stop(d);
		printf("skipped: the daemon may not look for pins here\n");
		exit(77);
	}
	snprintf(s->path, sizeof(s->path), "%s/disk", d->directory);
	s->bytes = d->memory_bytes;
	*ret = s;
}

static void
read_by(transfer *by, const char *fail)
{
	struct live d;
	struct reading *r = shared_alloc(sizeof(*r));

	start(&d, &r->scene, fail);
	r->transfer = by;
	client_join(&d, client_start(&d, reader, r), true);
	REQUIRE(live_stat(&d, "pageouts") > 0);
	EQ(live_stat(&d, "pins_broken"), 0);
	live_stop(&d);
}

static void
run_read(void)
{
	read_by(by_read, getenv("PINS_FAIL"));
}

static void
run_uring(void)
{
	read_by(by_uring, getenv("PINS_FAIL"));
}

/* The kernel cannot answer for a while: what it does not say counts as pinned. */
static void
run_no_memory(void)
{
	read_by(by_read, "PINS_LOOK_ENOMEM:3:200");
}

static void
run_fixed(void)
{
	struct scene *s;
	struct live d;
	pid_t presser;

	start(&d, &s, getenv("PINS_FAIL"));
	s->bytes /= 8;
	presser = client_start(&d, press, s);
	client_join(&d, client_start(&d, fixed, s), true);
	client_join(&d, presser, false);
	EQ(live_stat(&d, "pins_broken"), 0);
	live_stop(&d);
}

static void
run_in(client_body *body)
{
	struct scene *s;
	struct live d;

	start(&d, &s, getenv("PINS_FAIL"));
	client_join(&d, client_start(&d, body, s), true);
	live_stop(&d);
}

static void
held_by(enum held_way way)
{
	struct held *h = shared_alloc(sizeof(*h));
	struct scene *s;
	struct live d;
	pid_t client;

	namespace_begin();
	start(&d, &s, NULL);
	h->way = way;
	h->file = slow_file_start(HELD_BYTES);
	content_make((uint64_t *)(void *)h->file->bytes, 0, 0, HELD_BYTES);
	h->file->size = HELD_BYTES;
	client = client_start(&d, held, h);
	WAIT_UNTIL(&d, atomic_load(&h->is_open));
	slow_file_stop_answering(h->file);
	atomic_store(&h->is_stopped, true);
	WAIT_UNTIL(&d, atomic_load(&h->is_pinned));
	slow_file_go_on(h->file);
	client_join(&d, client, true);
	EQ(live_stat(&d, "pins_broken"), 0);
	slow_file_end(h->file);
	live_stop(&d);
}

static void
run_held_read(void)
{
	held_by(HELD_READ);
}

static void
run_held_readv(void)
{
	held_by(HELD_READV);
}

static void
run_held_uring(void)
{
	held_by(HELD_URING);
}

static void
run_write(void)
{
	run_in(writer);
}

static void
run_file(void)
{
	run_in(mapped);
}

static void
run_passing(void)
{
	run_in(passing);
}

/* A daemon that may not look says so, and serves. */
static void
run_unknown(void)
{
	struct scene *s;
	struct live d;

	start(&d, &s, "PINS_EPERM:0:1");
	EQ(live_stat(&d, "pins_known"), 0);
	client_join(&d, client_start(&d, writer, s), true);
	EQ(live_stat(&d, "pinned"), 0);
	live_stop(&d);
}

int
main(int argc, char **argv)
{
	static const struct live_test tests[] = {
		{ "read", run_read },
		{ "uring", run_uring },
		{ "fixed", run_fixed },
		{ "held-read", run_held_read },
		{ "held-readv", run_held_readv },
		{ "held-uring", run_held_uring },
		{ "write", run_write },
		{ "file", run_file },
		{ "passing", run_passing },
		{ "no-memory", run_no_memory },
		{ "unknown", run_unknown },
	};

	live_init(argc, argv);
	size_of_pages = argc > 2 ? argv[2] : "4K";
	return LIVE_RUN(argc, argv, tests);
}
