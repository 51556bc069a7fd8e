/* SPDX-License-Identifier: MIT
 *
 * Purgeable memory: what each call does and refuses; one state for all who map an object; what
 * children get.
 *
 * usage: e_purgeable states|shared [4K|16K|64K]
 */
#include "purgeable.h"

#include <sys/mman.h>
#include <sys/wait.h>

static const char *page_size = "4K";

static void
start(struct live *d, const char *memory)
{
	live_start(
	    d, memory, "--page-size", page_size, "--param", "swap_file_bytes=33554432", NULL);
}

static uint64_t
footprint(struct pager *p)
{
	struct pager_statistics s;

	OK(pager_statistics(p, &s));
	return s.phys_footprint;
}

static int
refused(struct pager *p, void *base, int state)
{
	return pager_purgeable_control(p, base, PAGER_PURGEABLE_SET_STATE, &state);
}

static void
purge(struct live *d, const char *whom, const char *expected)
{
	char text[512];

	REQUIRE(live_pagerctl(d, text, sizeof(text), "purge", whom, NULL) == 0 &&
		    strstr(text, expected),
	    "%s", text);
}

/* --- what each call does --- */

/* What pagerctl map says of the region at the address, of this process. */
static void
shown(struct live *d, const unsigned char *base, const char *state)
{
	char pid[16], text[16384], address[48], expected[48];
	const char *at;

	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	snprintf(
	    address, sizeof(address), "\"address\": %llu,", (unsigned long long)(uintptr_t)base);
	snprintf(expected, sizeof(expected), "\"purgeable\": \"%s\"", state);
	REQUIRE(live_pagerctl(d, text, sizeof(text), "map", pid, "--json", NULL) == 0, "%s", text);
	at = strstr(text, address);
	REQUIRE(at && (at = strstr(at, "\"purgeable\":")) != NULL &&
		    strncmp(at, expected, strlen(expected)) == 0,
	    "%s%s is not in %s", address, expected, text);
}

/* As pagerctl map shows them. */
static void
shown_states(struct live *d, struct pager *p)
{
	const uint64_t size = 2 * d->page_bytes;
	unsigned char *base = make(p, size, 0), *plain = client_allocate(p, size);

	shown(d, plain, "none");
	shown(d, base, "nonvolatile");
	EQ(set(p, base, VOLATILE), NONVOLATILE);
	shown(d, base, "volatile");
	EQ(set(p, base, EMPTY), VOLATILE);
	shown(d, base, "empty");
	OK(pager_deallocate(p, base, size));
	OK(pager_deallocate(p, plain, size));
}

static void
errors(struct live *d, struct pager *p)
{
	unsigned char *base = make(p, 4 * d->page_bytes, 0),
		      *plain = client_allocate(p, d->page_bytes);
	int state = 0;

	EQ(pager_purgeable_control(p, plain, PAGER_PURGEABLE_GET_STATE, &state), -EINVAL);
	EQ(pager_purgeable_control(p, plain, PAGER_PURGEABLE_SET_STATE, &state), -EINVAL);
	EQ(pager_purgeable_control(p, NULL, PAGER_PURGEABLE_GET_STATE, &state), -EINVAL);
	EQ(pager_purgeable_control(p, base, (enum pager_purgeable_control)3, &state), -EINVAL);
	EQ(pager_purgeable_control(p, base, PAGER_PURGEABLE_GET_STATE, NULL), -EINVAL);
	EQ(refused(p, base, 3), -EINVAL);
	EQ(refused(p, base, VOLATILE | 0x10), -EINVAL);
	EQ(refused(p, base, VOLATILE | 0x800), -EINVAL);
	EQ(refused(p, base, -1), -EINVAL);
	EQ(get(p, base), NONVOLATILE);
	OK(pager_protect(p, base, 4 * d->page_bytes, PROT_READ));
	EQ(refused(p, base, VOLATILE), -EACCES);
	EQ(get(p, base + 3 * d->page_bytes), NONVOLATILE);
	OK(pager_deallocate(p, plain, d->page_bytes));
	OK(pager_deallocate(p, base, 4 * d->page_bytes));
	shown_states(d, p);
}

static void
held_memory(struct live *d, struct pager *p)
{
	const uint64_t size = 4 * d->page_bytes;
	unsigned char *base = make(p, size, 0), *copy = client_allocate(p, size);
	struct pager_upl *u;

	fill(d, base, 4, 1, 1);
	OK(pager_wire(p, base + d->page_bytes, d->page_bytes));
	EQ(refused(p, base, VOLATILE), -EBUSY);
	EQ(refused(p, base, EMPTY), -EBUSY);
	EQ(set(p, base, NONVOLATILE), NONVOLATILE);
	OK(pager_unwire(p, base + d->page_bytes, d->page_bytes));
	OK(pager_upl_create(p, base, size, PAGER_UPL_COPYOUT_FROM, &u));
	EQ(refused(p, base, VOLATILE), -EBUSY);
	OK(pager_upl_destroy(u));
	EQ(set(p, base, VOLATILE), NONVOLATILE);
	EQ(pager_wire(p, base, size), -EBUSY);
	EQ(pager_upl_create(p, base, size, PAGER_UPL_COPYOUT_FROM, &u), -EBUSY);
	/* It is copied by content, as it is now. */
	OK(pager_copy(p, base, size, copy));
	expect(d, copy, 4, 1, 1);
	EQ(set(p, base, EMPTY), VOLATILE);
	EQ(pager_wire(p, base, size), -EBUSY);
	expect(d, copy, 4, 1, 1);
	expect(d, base, 4, 1, 0);
	EQ(set(p, base, NONVOLATILE), EMPTY);
	OK(pager_wire(p, base, size));
	OK(pager_unwire(p, base, size));
	OK(pager_deallocate(p, base, size));
	OK(pager_deallocate(p, copy, size));
}

static void
freeze(struct live *d, const char *pid)
{
	char text[1024];

	REQUIRE(live_pagerctl(d, text, sizeof(text), "freeze", pid, NULL) == 0, "%s", text);
}

static void
states_run(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);
	const uint64_t pages = 40, size = pages * d->page_bytes;
	unsigned char *base = make(p, size, 0), *other = make(p, size, 0);
	char pid[16];

	(void)argument;
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	EQ(get(p, base), NONVOLATILE);
	fill(d, base, pages, 1, 1);
	/* Intact, as often as one likes, and also where it had been stored before. What is volatile
	 * is not in the footprint. */
	EQ(footprint(p), size);
	EQ(set(p, base, VOLATILE | PAGER_PURGEABLE_GROUP(3)), NONVOLATILE);
	EQ(footprint(p), 0);
	EQ(get(p, base + size - 1), VOLATILE | PAGER_PURGEABLE_GROUP(3));
	EQ(set(p, base, VOLATILE | PAGER_PURGEABLE_LIFO), VOLATILE);
	expect(d, base, pages, 1, 1);
	EQ(set(p, base, NONVOLATILE), VOLATILE);
	OK(pager_behavior(p, base, size, PAGER_BEHAVIOR_PAGEOUT));
	EQ(footprint(p), size);
	EQ(set(p, base, VOLATILE), NONVOLATILE);
	EQ(footprint(p), 0);
	EQ(set(p, base, NONVOLATILE), VOLATILE);
	EQ(footprint(p), size);
	expect(d, base, pages, 1, 1);
	/* Nothing is stored of it while it is volatile. */
	EQ(set(p, base, VOLATILE), NONVOLATILE);
	fill(d, base, pages, 1, 2);
	live_rest(d);
	int64_t stored = live_stat(d, "compressions");
	OK(pager_behavior(p, base, size, PAGER_BEHAVIOR_PAGEOUT));
	live_rest(d);
	EQ(live_stat(d, "compressions"), stored);
	expect(d, base, pages, 1, 2);
	/* Purged: zeroes, frames are free at once, and the owner is told. */
	fill(d, other, pages, 2, 1);
	EQ(set(p, other, VOLATILE), NONVOLATILE);
	live_rest(d);
	int64_t purged = live_stat(d, "purged"), held = live_stat(d, "internal");
	purge(d, pid, "2 objects");
	live_rest(d);
	EQ(live_stat(d, "purged"), purged + 2 * (int64_t)pages);
	EQ(live_stat(d, "internal"), held - 2 * (int64_t)pages);
	live_check(d);
	EQ(get(p, base), EMPTY);
	expect(d, base, pages, 1, 0);
	/* It stays empty, and what is put into it goes again. */
	EQ(set(p, base, VOLATILE), EMPTY);
	fill(d, base, pages, 1, 3);
	expect(d, base, pages, 1, 3);
	purge(d, "all", "1 objects");
	EQ(set(p, base, NONVOLATILE), EMPTY);
	expect(d, base, pages, 1, 0);
	EQ(set(p, other, NONVOLATILE), EMPTY);
	expect(d, other, pages, 2, 0);
	/* By the owner. */
	fill(d, base, pages, 1, 4);
	EQ(set(p, base, EMPTY), NONVOLATILE);
	expect(d, base, pages, 1, 0);
	EQ(set(p, base, NONVOLATILE), EMPTY);
	fill(d, base, pages, 1, 5);
	fill(d, other, pages, 2, 5);
	EQ(set(p, base, VOLATILE), NONVOLATILE);
	OK(pager_purgeable_control(p, NULL, PAGER_PURGEABLE_PURGE_ALL, NULL));
	EQ(set(p, base, NONVOLATILE), EMPTY);
	EQ(set(p, other, NONVOLATILE), NONVOLATILE);
	expect(d, base, pages, 1, 0);
	expect(d, other, pages, 2, 5);
	errors(d, p);
	held_memory(d, p);
	live_check(d);
	OK(pager_deallocate(p, base, size / 2));
	EQ(set(p, base + size / 2, VOLATILE), NONVOLATILE);
	/* Freezing throws it away. */
	EQ(set(p, other, VOLATILE), NONVOLATILE);
	freeze(d, pid);
	WAIT_UNTIL(d, get(p, other) == EMPTY);
	OK(pager_disconnect(p));
}

static void
states(void)
{
	struct live d;

	start(&d, "32M");
	client_join(&d, client_start(&d, states_run, NULL), false);
	live_stop(&d);
}

/* --- one state for all who map it; children --- */

struct shared {
	_Atomic unsigned stage;
	int fd;
};
static struct shared *shared;

enum { SHARED_PAGES = 24 };

static void
sharer_run(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);
	const uint64_t size = SHARED_PAGES * d->page_bytes;
	void *writable, *locked;
	int state = VOLATILE;

	(void)argument;
	OK(pager_map_entry(p, shared->fd, 0, size, PROT_READ | PROT_WRITE, 0, &writable));
	OK(pager_map_entry(p, shared->fd, 0, size, PROT_READ, 0, &locked));
	expect(d, writable, SHARED_PAGES, 7, 1);
	EQ(get(p, writable), VOLATILE);
	EQ(get(p, locked), VOLATILE);
	EQ(pager_purgeable_control(p, locked, PAGER_PURGEABLE_SET_STATE, &state), -EACCES);
	EQ(set(p, writable, EMPTY), VOLATILE);
	expect(d, locked, SHARED_PAGES, 7, 0);
	expect(d, writable, SHARED_PAGES, 7, 0);
	fill(d, writable, SHARED_PAGES, 7, 2);
	EQ(set(p, writable, NONVOLATILE), EMPTY);
	/* Who has wired it keeps it from all others. */
	OK(pager_wire(p, writable, size));
	shared->stage = 1;
	while (shared->stage == 1)
		usleep(1000);
	/* Killed, with a wire and a mapping. */
	kill(getpid(), SIGKILL);
}

/* What a child of fork(2) gets. */
static void
children(struct live *d, struct pager *p)
{
	const uint64_t size = 8 * d->page_bytes;
	unsigned char *kept = make(p, size, 0), *volatile_one = make(p, size, 0);
	int status;
	pid_t pid;

	fill(d, kept, 8, 1, 1);
	fill(d, volatile_one, 8, 2, 1);
	EQ(set(p, volatile_one, VOLATILE), NONVOLATILE);
	pid = fork();
	REQUIRE(pid >= 0);
	if (pid == 0) {
		int state;

		/* The content, in ordinary memory; of what may go at any moment nothing. */
		expect(d, kept, 8, 1, 1);
		expect(d, volatile_one, 8, 2, 0);
		if (pager_purgeable_control(p, kept, PAGER_PURGEABLE_GET_STATE, &state) != -EINVAL)
			_exit(3);
		kept[0] = 1;
		_exit(0);
	}
	client_forget(pid);
	REQUIRE(waitpid(pid, &status, 0) == pid && status == 0, "status %d", status);
	expect(d, kept, 8, 1, 1);
	EQ(set(p, volatile_one, NONVOLATILE), VOLATILE);
	expect(d, volatile_one, 8, 2, 1);
}

static void
maker_run(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);
	const uint64_t size = SHARED_PAGES * d->page_bytes;
	unsigned char *base = make(p, size, PAGER_ALLOC_SHAREABLE);
	pid_t pid;

	(void)argument;
	fill(d, base, SHARED_PAGES, 7, 1);
	EQ(set(p, base, VOLATILE), NONVOLATILE);
	OK(pager_make_entry(p, base, size, PROT_READ | PROT_WRITE, 0, &shared->fd));
	pid = client_start(d, sharer_run, NULL);
	client_forget(pid);
	WAIT_UNTIL(d, shared->stage == 1);
	expect(d, base, SHARED_PAGES, 7, 2);
	EQ(get(p, base), NONVOLATILE);
	EQ(refused(p, base, VOLATILE), -EBUSY);
	shared->stage = 2;
	REQUIRE(waitpid(pid, NULL, 0) == pid);
	WAIT_UNTIL(d, live_stat(d, "sessions") == 1);
	live_rest(d);
	live_check(d);
	expect(d, base, SHARED_PAGES, 7, 2);
	EQ(set(p, base, VOLATILE), NONVOLATILE);
	purge(d, "all", "1 objects");
	EQ(set(p, base, NONVOLATILE), EMPTY);
	children(d, p);
	OK(pager_disconnect(p));
}

static void
one_state(void)
{
	struct live d;

	shared = shared_alloc(sizeof(*shared));
	start(&d, "32M");
	client_join(&d, client_start(&d, maker_run, NULL), false);
	live_stop(&d);
}

int
main(int argc, char **argv)
{
	static const struct live_test tests[] = { { "states", states }, { "shared", one_state } };

	live_init(argc, argv);
	if (argc > 2)
		page_size = argv[2];
	return LIVE_RUN(argc, argv, tests);
}
