/* SPDX-License-Identifier: MIT
 *
 * A limit is for a process with all its sessions, present and later; a session's name stands for
 * its process.
 *
 * usage: e_limits process|later|wired|ahead|named|greedy|forked|copied|unkillable
 */
#include "harness.h"

#include <sys/wait.h>

#include "children.h"

#define MIB (1ull << 20)

enum { SESSIONS = 3 };
static const uint64_t LIMIT = 4 * MIB;
/* More than the limit, however little is to be done. */
#define SIZE (MIB * (5 + live_scaled(4)))

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

static bool
all_is_away(struct pager *p, unsigned char *base)
{
	struct pager_statistics statistics;

	OK(pager_behavior(p, base, SIZE, PAGER_BEHAVIOR_PAGEOUT));
	OK(pager_statistics(p, &statistics));
	return statistics.internal == 0;
}

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
	/* A fault that is answered late brings its page in again; one that the kernel has in hand
	 * looks pinned, and stays. */
	live_rest(d);
	WAIT_UNTIL(d, all_is_away(p, base));
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
	live_rest(d);
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

/* --- one at its limit, and one that has what it needs --- */

struct two {
	_Atomic bool quiet_is_ready, greedy_may_go, over;
	_Atomic uint64_t stored; /* of the quiet one, pages that have left */
};
static struct two *two;

/* Half of the page does not compress. */
static void
half_write(struct live *d, unsigned char *base, uint64_t pages, uint64_t seed)
{
	for (uint64_t i = 0; i < pages; i++) {
		uint64_t *page = (void *)(base + i * d->page_bytes);

		for (uint64_t at = 0; at < d->page_bytes / 16; at++)
			page[at] = mix64(seed + i * d->page_bytes + at);
	}
}

static void
half_verify(struct live *d, const unsigned char *base, uint64_t pages, uint64_t seed)
{
	for (uint64_t i = 0; i < pages; i++) {
		const uint64_t *page = (const void *)(base + i * d->page_bytes);

		for (uint64_t at = 0; at < d->page_bytes / 16; at++)
			if (page[at] != mix64(seed + i * d->page_bytes + at))
				FAIL("page %llu is wrong", (unsigned long long)i);
	}
}

/* Touches nothing while the other one works. */
static void
quiet_run(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);
	unsigned char *base = client_allocate(p, 4 * MIB);
	struct pager_statistics statistics;

	(void)argument;
	half_write(d, base, 4 * MIB / d->page_bytes, 1);
	two->quiet_is_ready = true;
	while (!two->over)
		usleep(1000);
	OK(pager_statistics(p, &statistics));
	two->stored = statistics.internal_compressed / d->page_bytes;
	half_verify(d, base, 4 * MIB / d->page_bytes, 1);
	OK(pager_disconnect(p));
}

static void
greedy_run(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);
	unsigned char *base = client_allocate(p, 48 * MIB);

	(void)argument;
	while (!two->greedy_may_go)
		usleep(1000);
	half_write(d, base, 48 * MIB / d->page_bytes, 2);
	half_verify(d, base, 48 * MIB / d->page_bytes, 2);
	OK(pager_disconnect(p));
}

/* A client at its limit that wants three times as much as memory holds pays with its own pages:
 * they go to swap, and hardly any of the other one's leave memory. */
static void
greedy(void)
{
	pid_t quiet, other;
	struct live d;

	two = shared_alloc(sizeof(*two));
	live_start(&d, "16M", "--param", "swap_file_bytes=16777216", NULL);
	quiet = client_start(&d, quiet_run, NULL);
	other = client_start(&d, greedy_run, NULL);
	WAIT_UNTIL(&d, two->quiet_is_ready);
	WAIT_UNTIL(&d, live_stat(&d, "sessions") == 2);
	live_limit(&d, other, 4 * MIB);
	two->greedy_may_go = true;
	client_join(&d, other, true);
	live_check(&d);
	two->over = true;
	client_join(&d, quiet, false);
	REQUIRE(two->stored <= 4 * MIB / d.page_bytes / 16, "%llu pages of the quiet one have left",
	    (unsigned long long)two->stored);
	live_stop(&d);
}

/* --- a child has its parent's limits and band --- */

struct family {
	_Atomic unsigned stage;
	_Atomic bool go, over;
	_Atomic int status;
};
static struct family *family;

static void
parent_run(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);
	unsigned char *base = client_allocate(p, 16 * MIB);
	bool forks = argument != NULL;
	pid_t child = -1;

	fill(d, base, MIB, 1);
	family->stage = 1;
	while (!family->go)
		usleep(1000);
	if (forks)
		child = fork_sure();
	if (child <= 0 || !forks)
		fill(d, base, 16 * MIB, 2);
	if (child == 0 || !forks)
		_exit(1); /* it had more than its limit */
	REQUIRE(waitpid(child, (int *)&family->status, 0) == child);
	family->stage = 2;
	while (!family->over)
		usleep(1000);
	verify(d, base, MIB, 1);
	fill(d, base, 2 * MIB, 3);
	verify(d, base, 2 * MIB, 3);
	OK(pager_disconnect(p));
}

static pid_t
parent_start(struct live *d, bool forks)
{
	char text[1024], client[16];
	pid_t pid;

	family = shared_alloc(sizeof(*family));
	pid = client_start(d, parent_run, forks ? "" : NULL);
	if (!forks)
		client_forget(pid);
	WAIT_UNTIL(d, family->stage == 1);
	snprintf(client, sizeof(client), "%d", (int)pid);
	EQ(live_pagerctl(d, text, sizeof(text), "limit", client, "4M", "footprint-fatal", NULL), 0);
	EQ(live_pagerctl(d, text, sizeof(text), "limit", client, "8M", "resident-soft", NULL), 0);
	EQ(control(d, text, sizeof(text), "limit", client, "12M"), 0);
	EQ(control(d, text, sizeof(text), "priority", client, "background"), 0);
	/* All of them are shown. */
	EQ(control(d, text, sizeof(text), "limit", client, NULL), 0);
	REQUIRE(strstr(text, "band 30") && strstr(text, "footprint-fatal ") &&
		    strstr(text, "resident-soft ") && strstr(text, " 12M "),
	    "%s", text);
	REQUIRE(!strstr(text, "inactive"), "%s", text);
	family->go = true;
	return pid;
}

static void
forked(void)
{
	char text[8192];
	struct live d;
	pid_t pid;
	int status;

	live_start(&d, "32M", "--no-swap", NULL);
	pid = parent_start(&d, true);
	WAIT_UNTIL(&d, family->stage == 2);
	status = family->status;
	REQUIRE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "status %d", status);
	EQ(live_pagerctl(&d, text, sizeof(text), "events", NULL), 0);
	REQUIRE(strstr(text, "per-process-limit; band 30 (background)"), "%s", text);
	family->over = true;
	client_join(&d, pid, false);
	EQ(live_stat(&d, "jetsam_kills"), 1);
	live_stop(&d);
}

/* A copy shares what it is of, and makes the footprint larger with each page that is written. */
static void
copier_run(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);
	unsigned char *base = client_allocate(p, 3 * MIB), *copy = client_allocate(p, 3 * MIB);

	(void)argument;
	fill(d, base, 3 * MIB, 1);
	OK(pager_copy(p, base, 3 * MIB, copy));
	family->stage = 1;
	while (!family->go)
		usleep(1000);
	fill(d, copy, 3 * MIB, 2);
	_exit(1); /* it had more than its limit */
}

static void
copied(void)
{
	char text[8192], client[16];
	struct live d;
	pid_t pid;
	int status;

	family = shared_alloc(sizeof(*family));
	live_start(&d, "32M", "--no-swap", NULL);
	pid = client_start(&d, copier_run, NULL);
	client_forget(pid);
	WAIT_UNTIL(&d, family->stage == 1);
	snprintf(client, sizeof(client), "%d", (int)pid);
	EQ(live_pagerctl(&d, text, sizeof(text), "limit", client, "4M", "footprint-fatal", NULL),
	    0);
	family->go = true;
	REQUIRE(waitpid(pid, &status, 0) == pid);
	REQUIRE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "status %d", status);
	EQ(live_pagerctl(&d, text, sizeof(text), "events", NULL), 0);
	REQUIRE(strstr(text, "per-process-limit;"), "%s", text);
	EQ(live_stat(&d, "jetsam_kills"), 1);
	live_stop(&d);
}

/* A process over its fatal limit that the daemon may not kill loses its sessions. */
static void
unkillable(void)
{
	struct live d;
	pid_t pid;

	live_start(&d, "32M", "--no-swap", NULL);
	live_debug_fail(&d, "PROCESS_KILL_EPERM:0:1");
	pid = parent_start(&d, false);
	WAIT_UNTIL(&d, live_stat(&d, "jetsam_kills") == 1 && live_stat(&d, "sessions") == 0);
	EQ(live_fail_count(&d, "PROCESS_KILL_EPERM"), 1);
	REQUIRE(live_log_count(&d, "only its sessions end") == 1);
	kill(pid, SIGKILL);
	REQUIRE(waitpid(pid, NULL, 0) == pid);
	live_stop(&d);
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
	static const struct live_test whole[] = { { "greedy", greedy }, { "forked", forked },
		{ "copied", copied }, { "unkillable", unkillable } };
	struct live d;

	live_init(argc, argv);
	if (!body)
		return LIVE_RUN(argc, argv, whole);
	live_start(&d, "16M", NULL);
	client_join(&d, client_start(&d, body, NULL), false);
	live_stop(&d);
	return 0;
}
