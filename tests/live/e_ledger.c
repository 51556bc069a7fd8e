/* SPDX-License-Identifier: MIT
 *
 * Ledgers: memory with a tag, wherever its pages are; limits on entries, of which the client is
 * told; what is written to files. Pages that come back too soon are thrashing, and pressure; a
 * client that makes pages fast is known.
 *
 * usage: e_ledger tagged|limits|thrash|creators [4K|64K]
 */
#include "harness.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <sys/mman.h>

static const char *page_size = "4K";

/* This process's ledger, as pagerctl footprint --json has it. */
static void
ledger(struct live *d, char *text, size_t text_size)
{
	char pid[16];

	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	REQUIRE(
	    live_pagerctl(d, text, text_size, "footprint", pid, "--json", NULL) == 0, "%s", text);
}

static uint64_t
entry_in(const char *text, const char *name)
{
	char key[80];
	const char *at;

	snprintf(key, sizeof(key), "\"%s\":", name);
	at = strstr(text, key);
	REQUIRE(at, "%s in %s", name, text);
	return strtoull(at + strlen(key), NULL, 10);
}

static uint64_t
entry(struct live *d, const char *name)
{
	char text[16384];

	ledger(d, text, sizeof(text));
	return entry_in(text, name);
}

static void
touch(struct live *d, unsigned char *base, uint64_t pages, uint64_t seed)
{
	for (uint64_t i = 0; i < pages; i++)
		*(volatile uint64_t *)(void *)(base + i * d->page_bytes) = mix64(seed + i);
}

static void
verify(struct live *d, const unsigned char *base, uint64_t pages, uint64_t seed)
{
	for (uint64_t i = 0; i < pages; i++)
		EQ(*(const volatile uint64_t *)(const void *)(base + i * d->page_bytes),
		    mix64(seed + i));
}

/* --- tagged --- */

static void
bill_is(struct live *d, uint64_t tagged, uint64_t tagged_stored, uint64_t uncounted)
{
	char text[16384];

	/* What has been touched is booked then. */
	live_rest(d);
	ledger(d, text, sizeof(text));
	EQ(entry_in(text, "tagged_footprint"), tagged);
	EQ(entry_in(text, "tagged_footprint_compressed"), tagged_stored);
	EQ(entry_in(text, "tagged_nofootprint"), uncounted);
	EQ(entry_in(text, "alternate_accounting"), tagged + uncounted);
	/* Of ordinary memory a neighbour may have come with a touch. */
	EQ(entry_in(text, "phys_footprint"),
	    entry_in(text, "internal") + entry_in(text, "internal_compressed") - uncounted);
}

static void
refusals(struct live *d, struct pager *p)
{
	void *at = NULL;

	EQ(pager_allocate(p, d->page_bytes, PAGER_ALLOC_NO_FOOTPRINT, &at), -EINVAL);
	EQ(pager_allocate(p, d->page_bytes, PAGER_ALLOC_TAGGED | PAGER_ALLOC_PURGEABLE, &at),
	    -EINVAL);
	EQ(pager_allocate(p, d->page_bytes, 128, &at), -EINVAL);
	REQUIRE(!at, "nothing is left");
}

static void
tagged_client(struct live *d, void *argument)
{
	const uint64_t pages = 24, size = pages * d->page_bytes, page = d->page_bytes;
	unsigned char *tagged, *uncounted, *plain, *copy;
	struct pager *p = client_connect(d);
	char pid[16], text[16384];

	(void)argument;
	refusals(d, p);
	tagged = uncounted = NULL;
	OK(pager_allocate(p, size, PAGER_ALLOC_TAGGED, (void **)&tagged));
	OK(pager_allocate(p, size,
	    PAGER_ALLOC_TAGGED | PAGER_ALLOC_NO_FOOTPRINT | PAGER_ALLOC_SHAREABLE,
	    (void **)&uncounted));
	plain = client_allocate(p, size);
	copy = client_allocate(p, size);
	bill_is(d, 0, 0, 0);
	touch(d, tagged, pages, 1);
	touch(d, uncounted, pages, 2);
	touch(d, plain, pages, 3);
	bill_is(d, size, 0, size);
	/* Stored, part of it, and back; wired. */
	OK(pager_behavior(p, tagged, 10 * page, PAGER_BEHAVIOR_PAGEOUT));
	bill_is(d, size - 10 * page, 10 * page, size);
	OK(pager_wire(p, tagged, 4 * page));
	bill_is(d, size - 6 * page, 6 * page, size);
	EQ(entry(d, "wired_mem"), 4 * page);
	/* REUSABLE is for ordinary memory: it says nothing of this. */
	OK(pager_behavior(p, uncounted, size, PAGER_BEHAVIOR_REUSABLE));
	bill_is(d, size - 6 * page, 6 * page, size);
	OK(pager_unwire(p, tagged, 4 * page));
	/* A copy of it is ordinary memory. */
	OK(pager_copy(p, tagged, size, copy));
	verify(d, copy, pages, 1);
	touch(d, copy, pages, 4);
	live_rest(d);
	EQ(entry(d, "tagged_footprint") + entry(d, "tagged_footprint_compressed"), size);
	REQUIRE(entry(d, "phys_footprint") >= 3 * size, "the copy has pages of its own");
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	REQUIRE(live_pagerctl(d, text, sizeof(text), "footprint", pid, "--explain", NULL) == 0 &&
		    strstr(text, "TAGGED") && strstr(text, "UNCOUNTED") && strstr(text, "PLAIN"),
	    "%s", text);
	verify(d, tagged, pages, 1);
	verify(d, uncounted, pages, 2);
	live_check(d);
	OK(pager_deallocate(p, tagged + 8 * page, size - 8 * page));
	OK(pager_deallocate(p, uncounted, size));
	OK(pager_deallocate(p, copy, size));
	bill_is(d, 8 * page, 0, 0);
	OK(pager_disconnect(p));
}

static void
tagged_run(void)
{
	struct live d;

	live_start(&d, "32M", "--page-size", page_size, NULL);
	client_join(&d, client_start(&d, tagged_client, NULL), false);
	live_stop(&d);
}

/* --- limits --- */

struct told {
	_Atomic unsigned count, percent;
	_Atomic(const char *) entry;
};

static void
event(void *context, enum pager_event event, uint64_t value)
{
	struct told *told = context;

	if (event != PAGER_EVENT_LIMIT)
		return;
	told->percent = pager_limit_percent(value);
	told->entry = pager_limit_entry(value);
	told->count++;
}

static void
limit(struct live *d, int status, const char *expected, const char *size, const char *name,
    const char *percent, const char *seconds)
{
	char pid[16], text[2048];

	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	EQ(live_pagerctl(d, text, sizeof(text), "limit", pid, size, name, percent, seconds, NULL),
	    status);
	REQUIRE(strstr(text, expected), "%s", text);
}

static void
is_told(struct live *d, struct told *told, unsigned count, const char *name, unsigned percent)
{
	WAIT_UNTIL(d, told->count >= count);
	EQ(told->count, count);
	EQ(told->percent, percent);
	REQUIRE(told->entry && strcmp(told->entry, name) == 0, "%s",
	    told->entry ? told->entry : "no entry");
}

static void
limits_client(struct live *d, void *argument)
{
	struct told told = { 0 };
	struct pager_options options = {
		.size = sizeof(options), .event = event, .event_context = &told
	};
	const uint64_t page = d->page_bytes;
	char ten[16], text[16384], pid[16];
	unsigned char *base;
	struct pager *p;
	int fd = *(int *)argument;
	void *file = NULL;

	OK(pager_connect(d->socket, &options, &p));
	base = client_allocate(p, 32 * page);
	snprintf(ten, sizeof(ten), "%llu", (unsigned long long)(10 * page));
	limit(d, 1, "balance", ten, "phys_footprint", "80", "1");
	limit(d, 1, "nothing to tell", "none", "faults", "80", NULL);
	limit(d, 2, "percentage", ten, "faults", "101", NULL);
	limit(d, 2, "time", ten, "faults", "80", "0");
	limit(d, 1, "less than a page", "100", "phys_footprint", NULL, NULL);
	limit(d, 2, "no entry", ten, "footprints", NULL, NULL);
	limit(d, 0, "told at 80 percent (was none)", ten, "phys_footprint", "80", NULL);
	touch(d, base, 7, 1);
	EQ(told.count, 0);
	touch(d, base, 8, 1);
	is_told(d, &told, 1, "phys_footprint", 80);
	touch(d, base, 11, 1);
	is_told(d, &told, 2, "phys_footprint", 100);
	/* Nothing is refused, and it is told again when it was less. */
	touch(d, base, 32, 1);
	OK(pager_behavior(p, base, 32 * page, PAGER_BEHAVIOR_FREE));
	/* The thread has to see it: another limit, which is told at once, says that it has. */
	limit(d, 0, "zero_fills", "1", "zero_fills", NULL, NULL);
	is_told(d, &told, 3, "zero_fills", 100);
	touch(d, base, 11, 2);
	is_told(d, &told, 4, "phys_footprint", 100);
	WAIT_UNTIL(d, live_stat(d, "limit_notices") >= 4);
	EQ(live_stat(d, "limit_notices"), 4);
	/* What goes to files counts for who has stored it. */
	limit(d, 0, "each 3600.000 seconds", ten, "logical_writes", "50", "3600");
	OK(pager_map_file(p, fd, 0, 16 * page, PROT_READ | PROT_WRITE, PAGER_MAP_SHARED, &file));
	EQ(entry(d, "logical_writes"), 0);
	touch(d, file, 5, 5);
	OK(pager_msync(p, file, 16 * page, PAGER_MSYNC_SYNC));
	EQ(entry(d, "logical_writes"), 5 * page);
	is_told(d, &told, 5, "logical_writes", 50);
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	REQUIRE(live_pagerctl(d, text, sizeof(text), "footprint", pid, "--entries", NULL) == 0 &&
		    strstr(text, "told at 50 %, each 3600.000 s"),
	    "%s", text);
	OK(pager_msync(p, file, 16 * page, PAGER_MSYNC_SYNC));
	EQ(entry(d, "logical_writes"), 5 * page);
	OK(pager_deallocate(p, file, 16 * page));
	OK(pager_disconnect(p));
}

static void
limits_run(void)
{
	char directory[128], path[192];
	struct live d;
	int fd;

	live_directory_make(directory, sizeof(directory));
	snprintf(path, sizeof(path), "%s/file", directory);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	live_start(&d, "32M", "--page-size", page_size, NULL);
	REQUIRE(fd >= 0 && ftruncate(fd, (off_t)(16 * d.page_bytes)) == 0, "%s", path);
	client_join(&d, client_start(&d, limits_client, &fd), false);
	close(fd);
	live_stop(&d);
}

/* --- thrash --- */

static void
thrash_client(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);
	const uint64_t pages = (11ull << 20) / d->page_bytes;
	unsigned char *base = client_allocate(p, pages * d->page_bytes);
	atomic_int *stage = argument;

	/* What is looked at again before as much as memory holds has left: a cycle over little
	 * more than that, of pages that do not compress. */
	for (unsigned round = 1; *stage == 0; round++)
		for (uint64_t i = 0; i < pages && *stage == 0; i++) {
			uint64_t *at = (void *)(base + i * d->page_bytes);

			REQUIRE(
			    round == 1 || at[0] == mix64(i), "page %llu", (unsigned long long)i);
			for (uint64_t k = 0; round == 1 && k < d->page_bytes / 8; k++)
				at[k] = mix64(k == 0 ? i : i << 20 ^ k);
		}
	while (*stage == 1)
		usleep(1000);
	OK(pager_disconnect(p));
}

static void
thrash_run(void)
{
	atomic_int *stage = shared_alloc(sizeof(*stage));
	char text[8192];
	struct live d;
	pid_t pid;

	live_start(&d, "10M", "--page-size", page_size, "--param", "thrash_pages=1", "--param",
	    "swap_file_bytes=33554432", NULL);
	EQ(live_stat(&d, "refaults"), 0);
	pid = client_start(&d, thrash_client, stage);
	WAIT_UNTIL(&d, live_stat(&d, "thrashing") == 1);
	REQUIRE(live_stat(&d, "refaults") >= 2, "it counts them");
	WAIT_UNTIL(&d, live_pagerctl(&d, text, sizeof(text), "pressure", NULL) == 0 &&
			   strstr(text, "warning"));
	*stage = 1;
	WAIT_UNTIL(&d, live_stat(&d, "thrashing") == 0);
	*stage = 2;
	client_join(&d, pid, false);
	live_stop(&d);
}

/* --- creators --- */

static void
creators_client(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);
	const uint64_t pages = (4ull << 20) / d->page_bytes;
	unsigned char *base = client_allocate(p, pages * d->page_bytes);
	atomic_int *stage = argument;

	/* The same pages again and again, new each time. */
	while (*stage == 0) {
		touch(d, base, pages, 1);
		OK(pager_behavior(p, base, pages * d->page_bytes, PAGER_BEHAVIOR_FREE));
	}
	touch(d, base, 3, 1);
	while (*stage == 1)
		usleep(1000);
	OK(pager_disconnect(p));
}

static void
creators_run(void)
{
	atomic_int *stage = shared_alloc(sizeof(*stage));
	struct live d;
	pid_t pid;

	live_start(&d, "16M", "--page-size", page_size, "--param", "create_pages=10", NULL);
	pid = client_start(&d, creators_client, stage);
	WAIT_UNTIL(&d, live_stat(&d, "creators") == 1);
	*stage = 1;
	live_param(&d, "create_pages", "0");
	WAIT_UNTIL(&d, live_stat(&d, "creators") == 0);
	*stage = 2;
	client_join(&d, pid, false);
	live_stop(&d);
}

int
main(int argc, char **argv)
{
	static const struct live_test tests[] = {
		{ "tagged", tagged_run },
		{ "limits", limits_run },
		{ "thrash", thrash_run },
		{ "creators", creators_run },
	};

	live_init(argc, argv);
	if (argc > 2)
		page_size = argv[2];
	return LIVE_RUN(argc, argv, tests);
}
