/* SPDX-License-Identifier: MIT
 *
 * A limit is for a process with all its sessions, present and later; a session's name stands for
 * its process.
 *
 * usage: e_limits process|later|wired|ahead|named
 */
#include "harness.h"

#include <sys/wait.h>

#define MIB (1ull << 20)

enum { SESSIONS = 3 };
static const uint64_t LIMIT = 4 * MIB, SIZE = 24 * MIB;

/* pagerctl with some words about this process, or another client. => its exit status */
static int
control(struct live *d, char *text, size_t text_size, const char *verb, const char *client,
    const char *more)
{
	return live_pagerctl(d, text, text_size, verb, client, more, NULL);
}

static void
limit_self(struct live *d, const char *size)
{
	char pid[16], text[1024];

	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	REQUIRE(control(d, text, sizeof(text), "limit", pid, size) == 0, "%s", text);
}

static void
fill(struct live *d, unsigned char *base, uint64_t size, uint64_t seed)
{
	for (uint64_t i = 0; i < size / d->page_bytes; i++)
		*(volatile uint64_t *)(void *)(base + i * d->page_bytes) = mix64(seed + i);
}

static void
verify(struct live *d, unsigned char *base, uint64_t size, uint64_t seed)
{
	for (uint64_t i = 0; i < size / d->page_bytes; i++)
		EQ(*(volatile uint64_t *)(void *)(base + i * d->page_bytes), mix64(seed + i));
}

/* --- process: together they never have more --- */

static void
several(struct live *d, void *argument)
{
	struct pager *p[SESSIONS];
	unsigned char *base[SESSIONS];

	(void)argument;
	for (unsigned i = 0; i < SESSIONS; i++) {
		p[i] = client_connect(d);
		base[i] = client_allocate(p[i], SIZE);
		if (i == 1)
			limit_self(d, "4M");
	}
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 0; i < SESSIONS; i++) {
			fill(d, base[i], SIZE, i + round);
			/* Each session in turn has all pages and must give them to the next. */
			REQUIRE((uint64_t)live_stat(d, "internal") * d->page_bytes <= LIMIT,
			    "%lld pages", (long long)live_stat(d, "internal"));
		}
		for (unsigned i = 0; i < SESSIONS; i++)
			verify(d, base[i], SIZE, i + round);
		live_check(d);
	}
	for (unsigned i = 0; i < SESSIONS; i++) {
		struct pager_statistics statistics;

		OK(pager_statistics(p[i], &statistics));
		EQ(statistics.limit, LIMIT);
	}
	limit_self(d, "none");
	fill(d, base[0], SIZE, 7);
	REQUIRE((uint64_t)live_stat(d, "internal") * d->page_bytes > LIMIT, "it was lifted");
	for (unsigned i = 0; i < SESSIONS; i++)
		OK(pager_disconnect(p[i]));
}

/* --- later: for sessions to come, and not for other processes --- */

static uint64_t
limit_of_new_session(struct live *d)
{
	struct pager *p = client_connect(d);
	struct pager_statistics statistics;

	OK(pager_statistics(p, &statistics));
	OK(pager_disconnect(p));
	return statistics.limit;
}

static void
other_process(struct live *d, void *argument)
{
	(void)argument;
	EQ(limit_of_new_session(d), 0);
}

static void
later(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);
	pid_t child;
	int status;

	(void)argument;
	limit_self(d, "4M");
	OK(pager_disconnect(p));
	WAIT_UNTIL(d, live_stat(d, "sessions") == 0);
	for (unsigned round = 0; round < 5; round++)
		EQ(limit_of_new_session(d), LIMIT);
	child = fork();
	if (child == 0) {
		other_process(d, NULL);
		_exit(0);
	}
	REQUIRE(
	    waitpid(child, &status, 0) == child && status == 0, "the child ends with %d", status);
	WAIT_UNTIL(d, live_stat(d, "sessions") == 0);
	limit_self(d, "none");
	EQ(limit_of_new_session(d), 0);
}

/* --- wired: half of the limit, of all sessions together --- */

static void
wired(struct live *d, void *argument)
{
	struct pager *p[2];
	unsigned char *base[2];

	(void)argument;
	for (unsigned i = 0; i < 2; i++) {
		p[i] = client_connect(d);
		base[i] = client_allocate(p[i], SIZE);
	}
	limit_self(d, "4M");
	OK(pager_wire(p[0], base[0], 1 * MIB));
	EQ(pager_wire(p[1], base[1], 2 * MIB), -EAGAIN);
	OK(pager_wire(p[1], base[1], 1 * MIB));
	/* Pages that are wired already are not counted twice. */
	OK(pager_wire(p[1], base[1], 1 * MIB));
	EQ(pager_wire(p[0], base[0], 1 * MIB + d->page_bytes), -EAGAIN);
	OK(pager_deallocate(p[1], base[1], SIZE));
	OK(pager_wire(p[0], base[0] + MIB, 1 * MIB));
	live_check(d);
	OK(pager_disconnect(p[0]));
	OK(pager_disconnect(p[1]));
}

/* --- ahead: pages that WILLNEED has brought in make way for those that are touched --- */

static void
ahead(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);
	unsigned char *base = client_allocate(p, SIZE);
	const uint64_t page = d->page_bytes;
	int64_t loaded;

	(void)argument;
	fill(d, base, SIZE, 3);
	limit_self(d, "4M");
	OK(pager_behavior(p, base, SIZE, PAGER_BEHAVIOR_PAGEOUT));
	loaded = live_stat(d, "prefetches");
	OK(pager_behavior(p, base, SIZE, PAGER_BEHAVIOR_WILLNEED));
	loaded = live_stat(d, "prefetches") - loaded;
	/* As many as it may have. */
	EQ((uint64_t)loaded * page, LIMIT);
	REQUIRE((uint64_t)live_stat(d, "internal") * page <= LIMIT);
	/* None of them is touched before the others. */
	for (uint64_t i = SIZE / page; i-- > 0;)
		EQ(*(volatile uint64_t *)(void *)(base + i * page), mix64(3 + i));
	REQUIRE((uint64_t)live_stat(d, "internal") * page <= LIMIT);
	live_check(d);
	OK(pager_disconnect(p));
}

/* --- named: by session --- */

/* This process's sessions, as `pagerctl clients` shows them. => how many */
static unsigned
sessions_of_self(struct live *d, char names[][24], unsigned room)
{
	char text[8192], session[24];
	unsigned count = 0;
	int pid;

	REQUIRE(live_pagerctl(d, text, sizeof(text), "clients", NULL) == 0, "%s", text);
	for (const char *line = text; line && count < room; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (sscanf(line, "%23s %d", session, &pid) == 2 && pid == (int)getpid())
			strcpy(names[count++], session);
	}
	return count;
}

static void
named(struct live *d, void *argument)
{
	struct pager *p[2] = { client_connect(d), client_connect(d) };
	char names[4][24], text[8192], pid[16], directory[192];
	unsigned char *base[2];

	(void)argument;
	for (unsigned i = 0; i < 2; i++) {
		base[i] = client_allocate(p[i], (i + 1) * MIB);
		fill(d, base[i], (i + 1) * MIB, i);
	}
	EQ(sessions_of_self(d, names, 4), 2);
	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	EQ(control(d, text, sizeof(text), "map", names[0], NULL), 0);
	REQUIRE(strstr(text, " 1 regions"), "%s", text);
	EQ(control(d, text, sizeof(text), "map", pid, NULL), 0);
	REQUIRE(strstr(text, " 2 regions") && strstr(text, "3M"), "%s", text);
	EQ(control(d, text, sizeof(text), "footprint", names[1], NULL), 0);
	REQUIRE(strstr(text, names[1]) && strstr(text, " 2M "), "%s", text);
	EQ(control(d, text, sizeof(text), "footprint", pid, NULL), 0);
	REQUIRE(strstr(text, "1 more, together") && strstr(text, " 3M "), "%s", text);
	EQ(control(d, text, sizeof(text), "limit", names[1], "8M"), 0);
	for (unsigned i = 0; i < 2; i++) {
		struct pager_statistics statistics;

		OK(pager_statistics(p[i], &statistics));
		EQ(statistics.limit, 8 * MIB);
	}
	EQ(live_pagerctl(d, text, sizeof(text), "policy", "lru", "--client", names[0], NULL), 0);
	EQ(live_pagerctl(d, text, sizeof(text), "policy", "--client", names[0], NULL), 0);
	REQUIRE(strncmp(text, "lru", 3) == 0, "%s", text);
	EQ(live_pagerctl(d, text, sizeof(text), "policy", "--client", names[1], NULL), 0);
	REQUIRE(strncmp(text, "mach2q", 6) == 0, "%s", text);
	EQ(live_pagerctl(d, text, sizeof(text), "policy", "none", "--client", pid, NULL), 0);
	/* Only the one session's touches are recorded. */
	snprintf(directory, sizeof(directory), "%s/trace", d->directory);
	EQ(live_pagerctl(
	       d, text, sizeof(text), "trace", "start", directory, "--client", names[0], NULL),
	    0);
	OK(pager_behavior(p[1], base[1], 2 * MIB, PAGER_BEHAVIOR_FREE));
	fill(d, base[1], 2 * MIB, 3);
	EQ(live_pagerctl(d, text, sizeof(text), "trace", NULL), 0);
	REQUIRE(strstr(text, "recording: 0 records"), "%s", text);
	OK(pager_behavior(p[0], base[0], 1 * MIB, PAGER_BEHAVIOR_FREE));
	fill(d, base[0], 1 * MIB, 4);
	EQ(live_pagerctl(d, text, sizeof(text), "trace", "stop", NULL), 0);
	REQUIRE(!strstr(text, " 0 records"), "%s", text);
	/* No such process, and no such session. */
	EQ(control(d, text, sizeof(text), "map", "s999999", NULL), 1);
	EQ(control(d, text, sizeof(text), "limit", "s999999", "8M"), 1);
	EQ(control(d, text, sizeof(text), "map", "sx", NULL), 2);
	EQ(control(d, text, sizeof(text), "map", "s0", NULL), 2);
	live_check(d);
	OK(pager_disconnect(p[0]));
	OK(pager_disconnect(p[1]));
}

int
main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "";
	client_body *body = strcmp(name, "process") == 0 ? several
			    : strcmp(name, "later") == 0 ? later
			    : strcmp(name, "wired") == 0 ? wired
			    : strcmp(name, "named") == 0 ? named
			    : strcmp(name, "ahead") == 0 ? ahead
							 : NULL;
	struct live d;

	live_init(argc, argv);
	if (!body)
		FAIL("no such test: \"%s\"", name);
	live_start(&d, "16M", NULL);
	client_join(&d, client_start(&d, body, NULL), false);
	live_stop(&d);
	return 0;
}
