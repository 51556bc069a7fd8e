/* SPDX-License-Identifier: MIT
 *
 * Page lists of programs: what they hold, who waits for it, what becomes of it, and what is
 * refused.
 *
 * usage: e_upl all [page size]
 */
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>

#include "bus.h"
#include "harness.h"

#define COPYOUT  PAGER_UPL_COPYOUT_FROM
#define INTERNAL PAGER_UPL_SET_INTERNAL

static struct pager_upl_info
info_of(struct pager_upl *u)
{
	struct pager_upl_info info;

	OK(pager_upl_info(u, &info));
	return info;
}

#define SEEN_BUS 256 /* the touch was refused */
struct toucher {
	pthread_t thread;
	volatile unsigned char *byte;
	atomic_int seen; /* -1: it still waits */
};

static void *
toucher_main(void *argument)
{
	struct toucher *t = argument;
	int seen = SEEN_BUS;

	if (sigsetjmp(bus_jump, 1) == 0) {
		bus_expected = 1;
		seen = *t->byte;
		bus_expected = 0;
	}
	atomic_store(&t->seen, seen);
	return NULL;
}

static void
toucher_start(struct toucher *t, volatile unsigned char *byte)
{
	t->byte = byte;
	atomic_store(&t->seen, -1);
	REQUIRE(pthread_create(&t->thread, NULL, toucher_main, t) == 0);
}

static int
toucher_end(struct toucher *t)
{
	pthread_join(t->thread, NULL);
	return atomic_load(&t->seen);
}

/* A thread that touches a page of a list waits until it is handed back, and sees all of it then. */
static void
fills_wait(struct live *d, struct pager *p)
{
	const size_t page = d->page_bytes;
	unsigned char *base = client_allocate(p, 8 * page);
	int64_t waits = live_stat(d, "busy_waits");
	struct pager_upl_info info;
	struct toucher t[2];
	struct pager_upl *u;
	int empty = -1;

	base[3 * page] = 33;
	live_rest(d);
	OK(pager_upl_create(p, base, 8 * page, PAGER_UPL_RET_ONLY_ABSENT | INTERNAL, &u));
	info = info_of(u);
	REQUIRE(info.addr == base);
	EQ(info.size_bytes, 8 * page);
	EQ(info.page_count, 8);
	EQ(info.pages_held, 7);
	EQ(info.pages[0], PAGER_UPL_PAGE_HELD | PAGER_UPL_PAGE_ABSENT);
	EQ(info.pages[3], PAGER_UPL_PAGE_PRESENT | PAGER_UPL_PAGE_DIRTY);
	WAIT_UNTIL(d, live_stat(d, "listed") == 7);
	EQ(base[3 * page], 33);
	toucher_start(&t[0], base + page);
	toucher_start(&t[1], base + 2 * page);
	WAIT_UNTIL(d, live_stat(d, "busy_waits") >= waits + 2);
	OK(pager_upl_write(u, page, "\1", 1));
	OK(pager_upl_write(u, 2 * page, "\2", 1));
	EQ(pager_upl_write(u, 3 * page - 1, "xx", 2), -EINVAL);
	EQ(pager_upl_write(u, 8 * page - 1, "xx", 2), -EINVAL);
	live_check(d);
	EQ(atomic_load(&t[0].seen), -1);
	EQ(atomic_load(&t[1].seen), -1);
	/* Beyond its end: nothing has changed. */
	EQ(pager_upl_commit_range(u, page, 8 * page, 0, NULL), -EINVAL);
	EQ(info_of(u).pages_held, 7);
	OK(pager_upl_commit_range(u, page, page, PAGER_UPL_COMMIT_NOTIFY_EMPTY, &empty));
	EQ(empty, 0);
	EQ(toucher_end(&t[0]), 1);
	/* An aborted page has no trace of what was written. */
	OK(pager_upl_abort_range(u, 2 * page, page, 0, NULL));
	EQ(toucher_end(&t[1]), 0);
	EQ(info_of(u).pages[1], PAGER_UPL_PAGE_ABSENT);
	EQ(pager_upl_read(u, page, &empty, 1), -EINVAL);
	OK(pager_upl_abort(u, PAGER_UPL_ABORT_FREE_ON_EMPTY, &empty));
	EQ(empty, 1);
	EQ(base[0], 0);
	OK(pager_deallocate(p, base, 8 * page));
	WAIT_UNTIL(d, live_stat(d, "listed") == 0);
}

/* Content is read out, and the pages are free; and back in. */
static void
content_goes_and_comes(struct live *d, struct pager *p)
{
	const size_t page = d->page_bytes;
	unsigned char *base = client_allocate(p, 4 * page), byte = 0;
	struct pager_upl *u;
	unsigned disposition;
	uint64_t at, size;
	int fd, empty;

	for (unsigned i = 0; i < 4; i++)
		base[i * page + 7] = (unsigned char)(i + 1);
	/* A fault that is answered late would bring its page in again. */
	live_rest(d);
	OK(pager_upl_create(p, base, 4 * page, COPYOUT | INTERNAL, &u));
	EQ(info_of(u).pages_held, 4);
	EQ(pager_upl_write(u, 0, "x", 1), -EINVAL);
	for (unsigned i = 0; i < 4; i++) {
		OK(pager_upl_read(u, i * page + 7, &byte, 1));
		EQ(byte, i + 1);
	}
	OK(pager_upl_piece(u, page + 7, &fd, &at, &size));
	EQ(size, 3 * page - 7);
	REQUIRE(pread(fd, &byte, 1, (off_t)at) == 1 && byte == 2);
	OK(pager_upl_abort_range(u, 0, page, 0, NULL));
	OK(pager_upl_commit(u, PAGER_UPL_COMMIT_FREE_ON_EMPTY, &empty));
	EQ(base[7], 1);
	OK(pager_page_query(p, base + page, &disposition));
	EQ(disposition, 0);
	EQ(base[page + 7], 0);
	/* What is only cleaned stays. */
	OK(pager_upl_create(p, base, page, COPYOUT | PAGER_UPL_CLEAN_IN_PLACE, &u));
	REQUIRE(info_of(u).pages == NULL);
	OK(pager_upl_commit(u, PAGER_UPL_COMMIT_CLEAR_DIRTY, NULL));
	OK(pager_upl_destroy(u));
	EQ(base[7], 1);
	/* All pages, with what they have; the old content is what is read. */
	OK(pager_upl_create(p, base, 4 * page, INTERNAL, &u));
	EQ(info_of(u).pages_held, 4);
	OK(pager_upl_read(u, 7, &byte, 1));
	EQ(byte, 1);
	OK(pager_upl_write(u, 7, "\21", 1));
	OK(pager_upl_write(u, 3 * page + 7, "\24", 1));
	OK(pager_upl_commit(u, 0, NULL));
	OK(pager_upl_destroy(u));
	EQ(base[7], 021);
	EQ(base[3 * page + 7], 024);
	/* Away, and filled: what is aborted comes back from its copy, what is dumped does not. */
	live_rest(d);
	OK(pager_behavior(p, base, 4 * page, PAGER_BEHAVIOR_PAGEOUT));
	OK(pager_upl_create(p, base, 4 * page, INTERNAL, &u));
	EQ(info_of(u).pages[0], PAGER_UPL_PAGE_HELD | PAGER_UPL_PAGE_PAGED_OUT);
	OK(pager_upl_read(u, 7, &byte, 1));
	EQ(byte, 021);
	OK(pager_upl_write(u, 7, "\77", 1));
	OK(pager_upl_abort_range(u, 0, page, 0, NULL));
	OK(pager_upl_abort_range(u, 3 * page, page, PAGER_UPL_ABORT_DUMP_PAGES, NULL));
	OK(pager_upl_destroy(u));
	EQ(base[7], 021);
	EQ(base[3 * page + 7], 0);
	OK(pager_deallocate(p, base, 4 * page));
}

/* Absent pages that are aborted in each way: one for which a thread waits, and one for which nobody
 * does. */
static void
aborts(struct live *d, struct pager *p)
{
	static const unsigned ways[] = { 0, PAGER_UPL_ABORT_RESTART, PAGER_UPL_ABORT_UNAVAILABLE,
		PAGER_UPL_ABORT_ERROR, PAGER_UPL_ABORT_DUMP_PAGES, PAGER_UPL_ABORT_REFERENCE,
		PAGER_UPL_ABORT_ERROR | PAGER_UPL_ABORT_RESTART };
	const size_t page = d->page_bytes;

	for (unsigned i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		unsigned char *base = client_allocate(p, 2 * page);
		int64_t waits = live_stat(d, "busy_waits");
		struct toucher t;
		struct pager_upl *u;

		OK(pager_upl_create(p, base, 2 * page, PAGER_UPL_RET_ONLY_ABSENT | INTERNAL, &u));
		EQ(info_of(u).pages_held, 2);
		toucher_start(&t, base);
		WAIT_UNTIL(d, live_stat(d, "busy_waits") > waits);
		OK(pager_upl_write(u, 0, "\7", 1));
		OK(pager_upl_write(u, page, "\7", 1));
		OK(pager_upl_abort(u, ways[i], NULL));
		EQ(toucher_end(&t), ways[i] & PAGER_UPL_ABORT_ERROR ? SEEN_BUS : 0);
		EQ(base[page], 0);
		OK(pager_upl_destroy(u));
		OK(pager_behavior(p, base, 2 * page, PAGER_BEHAVIOR_FREE));
		EQ(base[0], 0);
		OK(pager_deallocate(p, base, 2 * page));
	}
}

/* What becomes of pages that are committed in each way. */
static void
commits(struct live *d, struct pager *p)
{
	static const unsigned ways[] = { 0, PAGER_UPL_COMMIT_SET_DIRTY,
		PAGER_UPL_COMMIT_CLEAR_DIRTY, PAGER_UPL_COMMIT_INACTIVATE,
		PAGER_UPL_COMMIT_SPECULATE, PAGER_UPL_COMMIT_FREE_ABSENT,
		PAGER_UPL_COMMIT_CLEAR_PRECIOUS };
	const size_t page = d->page_bytes;

	for (unsigned i = 0; i < 2 * sizeof(ways) / sizeof(ways[0]); i++) {
		unsigned char *base = client_allocate(p, 3 * page);
		unsigned how = ways[i / 2];
		struct pager_upl *u;

		/* Absent; there; paged out. */
		OK(pager_behavior(p, base, 3 * page, PAGER_BEHAVIOR_RANDOM));
		base[page] = base[2 * page] = 1;
		OK(pager_behavior(p, base + 2 * page, page, PAGER_BEHAVIOR_PAGEOUT));
		OK(pager_upl_create(
		    p, base, 3 * page, (i % 2 ? PAGER_UPL_PRECIOUS : 0) | INTERNAL, &u));
		EQ(info_of(u).pages_held, 3);
		for (unsigned n = 0; n < 3; n++)
			OK(pager_upl_write(u, n * page, "\5", 1));
		OK(pager_upl_commit(u, how, NULL));
		OK(pager_upl_destroy(u));
		EQ(base[0], how & PAGER_UPL_COMMIT_FREE_ABSENT ? 0 : 5);
		EQ(base[page], 5);
		EQ(base[2 * page], 5);
		/* And what has been written is not lost with the page. */
		OK(pager_behavior(p, base, 3 * page, PAGER_BEHAVIOR_PAGEOUT));
		EQ(base[page], 5);
		EQ(base[2 * page], 5);
		OK(pager_deallocate(p, base, 3 * page));
	}
	live_check(d);
}

/* What would wait for the client's own list is refused. */
static void
others_are_refused(struct live *d, struct pager *p)
{
	const size_t page = d->page_bytes;
	unsigned char *base = client_allocate(p, 8 * page);
	struct pager_upl *u, *v;

	base[0] = 1;
	OK(pager_upl_create(p, base + 2 * page, 2 * page, 0, &u));
	EQ(pager_deallocate(p, base, 8 * page), -EBUSY);
	EQ(pager_deallocate(p, base + 3 * page, page), -EBUSY);
	EQ(pager_wire(p, base + page, 2 * page), -EBUSY);
	EQ(pager_unwire(p, base + page, 2 * page), -EBUSY);
	EQ(pager_behavior(p, base, 8 * page, PAGER_BEHAVIOR_FREE), -EBUSY);
	EQ(pager_behavior(p, base, 8 * page, PAGER_BEHAVIOR_PAGEOUT), -EBUSY);
	OK(pager_behavior(p, base, 8 * page, PAGER_BEHAVIOR_DONTNEED));
	OK(pager_behavior(p, base, 8 * page, PAGER_BEHAVIOR_WILLNEED));
	EQ(pager_upl_create(p, base + 3 * page, 4 * page, 0, &v), -EBUSY);
	OK(pager_upl_create(p, base + 3 * page, 4 * page, PAGER_UPL_NOBLOCK | INTERNAL, &v));
	EQ(info_of(v).pages_held, 3);
	EQ(info_of(v).pages[0], PAGER_UPL_PAGE_BUSY);
	OK(pager_upl_destroy(v));
	OK(pager_deallocate(p, base + 6 * page, 2 * page));
	OK(pager_upl_destroy(u));
	EQ(base[0], 1);
	OK(pager_deallocate(p, base, 6 * page));
}

static void
kinds(struct live *d, struct pager *p)
{
	const size_t page = d->page_bytes;
	unsigned char *base = client_allocate(p, 8 * page);
	int64_t wired = live_stat(d, "wired"); /* a device's memory */
	struct pager_upl *u = NULL;
	void *shared;

	EQ(pager_upl_create(p, base, page, 512, &u), -EINVAL);
	EQ(pager_upl_create(p, base, page, COPYOUT | PAGER_UPL_RET_ONLY_ABSENT, &u), -EINVAL);
	EQ(pager_upl_create(p, base, page, PAGER_UPL_CLEAN_IN_PLACE, &u), -EINVAL);
	EQ(pager_upl_create(p, base, 0, 0, &u), -EINVAL);
	EQ(pager_upl_create(p, base + 1, page, 0, &u), -EINVAL);
	EQ(pager_upl_create(p, (void *)(uintptr_t)page, page, 0, &u), -EINVAL);
	REQUIRE(u == NULL);
	OK(pager_protect(p, base + 6 * page, page, PROT_READ));
	EQ(pager_upl_create(p, base + 6 * page, page, 0, &u), -EACCES);
	OK(pager_upl_create(p, base, 8 * page, PAGER_UPL_QUERY_OBJECT_TYPE, &u));
	/* To the end of the region. */
	EQ(info_of(u).size_bytes, 6 * page);
	EQ(info_of(u).page_count, 0);
	EQ(info_of(u).object_type, 0);
	EQ(pager_upl_commit(u, 0, NULL), -EINVAL);
	OK(pager_upl_destroy(u));
	OK(pager_allocate(p, 2 * page, PAGER_ALLOC_SHAREABLE, &shared));
	EQ(pager_upl_create(p, shared, page, 0, &u), -ENOTSUP);
	OK(pager_upl_create(p, shared, 8 * page, PAGER_UPL_QUERY_OBJECT_TYPE, &u));
	EQ(info_of(u).object_type, PAGER_UPL_SHARED | PAGER_UPL_PHYS_CONTIG);
	EQ(info_of(u).size_bytes, 2 * page);
	OK(pager_upl_destroy(u));
	OK(pager_deallocate(p, shared, 2 * page));
	/* Wired pages are held without being taken away. */
	OK(pager_wire(p, base, page));
	base[0] = 9;
	OK(pager_upl_create(p, base, page, INTERNAL, &u));
	EQ(info_of(u).pages_held, 1);
	REQUIRE(info_of(u).pages[0] & PAGER_UPL_PAGE_WIRED);
	EQ(base[0], 9);
	EQ(pager_unwire(p, base, page), -EBUSY);
	OK(pager_upl_destroy(u));
	OK(pager_upl_create(p, base, page, COPYOUT | INTERNAL, &u));
	EQ(info_of(u).pages_held, 0);
	OK(pager_upl_destroy(u));
	OK(pager_unwire(p, base, page));
	OK(pager_upl_create(p, base, 2 * page, COPYOUT | PAGER_UPL_SET_IO_WIRE, &u));
	EQ(info_of(u).pages_held, 2);
	EQ(base[0], 9);
	EQ(live_stat(d, "wired"), wired + 2);
	OK(pager_upl_commit(u, 0, NULL));
	OK(pager_upl_destroy(u));
	EQ(live_stat(d, "wired"), wired);
	EQ(base[0], 9);
	/* The share of wired memory bounds them. */
	OK(pager_deallocate(p, base, 8 * page));
	base = client_allocate(p, d->memory_bytes);
	EQ(pager_upl_create(p, base, d->memory_bytes, 0, &u), -EAGAIN);
	OK(pager_deallocate(p, base, d->memory_bytes));
}

/* There is no frame for the first page: the call waits as a touch would. */
static void
frames_are_waited_for(struct live *d, struct pager *p)
{
	const size_t page = d->page_bytes;
	unsigned char *base = client_allocate(p, 4 * page);
	struct pager_upl *u;

	live_debug_fail(d, "FRAME_TAKE:0:1");
	OK(pager_upl_create(p, base, 4 * page, PAGER_UPL_NOBLOCK, &u));
	EQ(info_of(u).page_count, 4);
	EQ(info_of(u).pages_held, 3);
	OK(pager_upl_destroy(u));
	live_debug_fail(d, "FRAME_TAKE:0:2");
	OK(pager_upl_create(p, base, 4 * page, 0, &u));
	EQ(live_fail_count(d, "FRAME_TAKE"), 3);
	EQ(info_of(u).pages_held, 4);
	OK(pager_upl_destroy(u));
	/* And where there is none for another one it covers less. */
	live_debug_fail(d, "FRAME_TAKE:2:1");
	OK(pager_upl_create(p, base, 4 * page, 0, &u));
	EQ(info_of(u).size_bytes, 2 * page);
	OK(pager_upl_destroy(u));
	live_debug_fail(d, NULL);
	OK(pager_deallocate(p, base, 4 * page));
}

/* Memory of a device is no list, and what is billed for it stays the same. */
static void
devices(struct live *d, struct pager *p)
{
	const size_t page = d->page_bytes;
	struct pager_statistics before, after;
	struct pager_upl *u;
	void *base;

	OK(pager_map_device(p, "upl", 0, 4 * page, PROT_READ | PROT_WRITE, 0, &base));
	OK(pager_statistics(p, &before));
	EQ(before.iokit_mapped, 4 * page);
	OK(pager_upl_create(p, base, 8 * page, PAGER_UPL_QUERY_OBJECT_TYPE, &u));
	EQ(info_of(u).object_type, PAGER_UPL_DEV_MEMORY | PAGER_UPL_PHYS_CONTIG | PAGER_UPL_SHARED);
	EQ(info_of(u).size_bytes, 4 * page);
	OK(pager_upl_destroy(u));
	EQ(pager_upl_create(p, base, page, 0, &u), -ENOTSUP);
	EQ(pager_upl_create(p, base, page, COPYOUT, &u), -ENOTSUP);
	EQ(pager_upl_create(p, base, page, PAGER_UPL_SET_IO_WIRE, &u), -ENOTSUP);
	OK(pager_statistics(p, &after));
	EQ(after.phys_footprint, before.phys_footprint);
	OK(pager_deallocate(p, base, 4 * page));
}

static void
all(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);

	(void)argument;
	expect_bus();
	fills_wait(d, p);
	aborts(d, p);
	commits(d, p);
	content_goes_and_comes(d, p);
	others_are_refused(d, p);
	kinds(d, p);
	frames_are_waited_for(d, p);
	devices(d, p);
	WAIT_UNTIL(d, live_stat(d, "listed") == 0);
	OK(pager_disconnect(p));
}

static const char *page_size = "4K";

static void
start(struct live *d)
{
	live_start(d, strcmp(page_size, "64K") == 0 ? "32M" : "16M", "--page-size", page_size,
	    "--param", "swap_file_bytes=33554432", "--device", "upl=256K,mode=0666", NULL);
}

static void
run_all(void)
{
	struct live d;

	start(&d);
	client_join(&d, client_start(&d, all, NULL), false);
	live_stop(&d);
}

int
main(int argc, char **argv)
{
	static const struct live_test tests[] = {
		{ "all", run_all },
	};

	live_init(argc, argv);
	if (argc > 2)
		page_size = argv[2];
	return LIVE_RUN(argc, argv, tests);
}
