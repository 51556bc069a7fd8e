/* SPDX-License-Identifier: MIT
 *
 * A fatal limit on the footprint, by every door. Who has all of it goes on, whatever it touches
 * that others pay for, or that is not counted; who wants more is ended, and has not had more.
 *
 * usage: e_limit_doors full_shared|full_volatile|full_resident|touch|kernel|upl|wire|copy|source|
 *                      wired_source|reused|nonvolatile|device|owner
 */
#include "harness.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "children.h"
#include "purgeable.h"
#include "share.h"

static const uint64_t LIMIT = 4 * MIB, SHARED = 24 * MIB;

struct both {
	_Atomic bool is_ready, over;
	int sockets[2];
};
static struct both *both;

static void
limit_self(struct live *d, const char *kind)
{
	char pid[16], text[1024];

	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	REQUIRE(
	    live_pagerctl(d, text, sizeof(text), "limit", pid, "4M", kind, NULL) == 0, "%s", text);
}

static void
touch(struct live *d, unsigned char *base, uint64_t bytes, uint64_t seed)
{
	for (uint64_t at = 0; at < bytes; at += d->page_bytes)
		*(volatile uint64_t *)(void *)(base + at) = mix64(seed + at);
}

static void
verify(struct live *d, const unsigned char *base, uint64_t bytes, uint64_t seed)
{
	for (uint64_t at = 0; at < bytes; at += d->page_bytes)
		EQ(*(const volatile uint64_t *)(const void *)(base + at), mix64(seed + at));
}

static struct pager_statistics
statistics(struct pager *p)
{
	struct pager_statistics s;

	OK(pager_statistics(p, &s));
	return s;
}

/* All of the limit, in memory that it pays for. */
static unsigned char *
full(struct live *d, struct pager *p, const char *kind)
{
	unsigned char *base = client_allocate(p, LIMIT);

	limit_self(d, kind);
	touch(d, base, LIMIT, 1);
	EQ(statistics(p).phys_footprint, LIMIT);
	return base;
}

/* --- those that have no more --- */

static void
full_volatile_run(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);
	unsigned char *object = make(p, 2 * MIB, 0), *base;

	(void)argument;
	EQ(set(p, object, VOLATILE), NONVOLATILE);
	base = full(d, p, "footprint-fatal");
	touch(d, object, 2 * MIB, 2);
	EQ(statistics(p).phys_footprint, LIMIT);
	/* Whoever is to be ended is, after the answer to this. */
	limit_self(d, "footprint-fatal");
	verify(d, base, LIMIT, 1);
	verify(d, object, 2 * MIB, 2);
	OK(pager_disconnect(p));
}

static void
full_volatile(void)
{
	struct live d;

	live_start(&d, "64M", "--no-swap", NULL);
	client_join(&d, client_start(&d, full_volatile_run, NULL), false);
	EQ(live_stat(&d, "jetsam_kills"), 0);
	live_stop(&d);
}

/* argument: whether it has a limit itself */
static void
owner_run(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);
	void *base;
	int fd;

	OK(pager_allocate(p, SHARED, PAGER_ALLOC_SHAREABLE, &base));
	OK(pager_make_entry(p, base, SHARED, PROT_READ | PROT_WRITE, 0, &fd));
	if (argument)
		limit_self(d, "footprint-fatal");
	name_send(both->sockets[0], fd);
	both->is_ready = true;
	while (!both->over)
		usleep(1000);
	OK(pager_disconnect(p));
}

/* argument: the kind of its own limit, or none */
static void
sharer_run(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);
	int fd = name_receive(both->sockets[1]);
	unsigned char *own = NULL;
	void *base;

	OK(pager_map_entry(p, fd, 0, SHARED, PROT_READ | PROT_WRITE, 0, &base));
	if (argument)
		own = full(d, p, argument);
	touch(d, base, SHARED, 2);
	if (own) {
		struct pager_statistics s = statistics(p);

		EQ(s.phys_footprint, LIMIT);
		EQ(s.internal, LIMIT);
		limit_self(d, argument);
		verify(d, own, LIMIT, 1);
	}
	while (!own && !both->over)
		usleep(1000);
	verify(d, base, SHARED, 2);
	OK(pager_disconnect(p));
	/* It would come to pay for what the other leaves. */
	both->over = true;
}

static void
daemon_begin(struct live *d)
{
	both = shared_alloc(sizeof(*both));
	REQUIRE(socketpair(AF_UNIX, SOCK_STREAM, 0, both->sockets) == 0);
	live_start(d, "64M", "--no-swap", NULL);
}

/* What others pay for. */
static void
shared_of(const char *kind)
{
	struct live d;
	pid_t one, two;

	daemon_begin(&d);
	one = client_start(&d, owner_run, NULL);
	two = client_start(&d, sharer_run, (void *)(uintptr_t)kind);
	client_join(&d, two, false);
	client_join(&d, one, false);
	EQ(live_stat(&d, "jetsam_kills"), 0);
	/* It has waited for none of its own pages to leave. */
	EQ(live_stat(&d, "limit_parks"), 0);
	live_stop(&d);
}

static void
full_shared(void)
{
	shared_of("footprint-fatal");
}

static void
full_resident(void)
{
	shared_of("resident-fatal");
}

/* --- those that want more --- */

static void
touch_run(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);

	(void)argument;
	limit_self(d, "footprint-fatal");
	touch(d, client_allocate(p, 8 * MIB), 8 * MIB, 1);
}

static void
kernel_run(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);
	unsigned char *base = client_allocate(p, 8 * MIB);
	int fd = open("/dev/zero", O_RDONLY);

	(void)argument;
	limit_self(d, "footprint-fatal");
	for (unsigned i = 0; i < 8; i++)
		EQ(read(fd, base + i * MIB, MIB), MIB);
}

/* It gets what there is room for, and asks for more. */
static void
upl_run(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);
	unsigned char *base = client_allocate(p, 8 * MIB);
	struct pager_upl *upl;

	(void)argument;
	limit_self(d, "footprint-fatal");
	OK(pager_upl_create(p, base, 8 * MIB, 0, &upl));
	(void)pager_upl_create(p, base + 5 * MIB, 2 * MIB, 0, &upl);
}

static void
wire_run(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);

	(void)argument;
	limit_self(d, "footprint-fatal");
	(void)pager_wire(p, client_allocate(p, 8 * MIB), 8 * MIB);
}

static unsigned char *
copied(struct live *d, struct pager *p, unsigned char **ret_copy)
{
	unsigned char *base = client_allocate(p, 3 * MIB);

	*ret_copy = client_allocate(p, 3 * MIB);
	touch(d, base, 3 * MIB, 1);
	OK(pager_copy(p, base, 3 * MIB, *ret_copy));
	limit_self(d, "footprint-fatal");
	return base;
}

static void
copy_run(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);
	unsigned char *copy;

	(void)argument;
	(void)copied(d, p, &copy);
	touch(d, copy, 3 * MIB, 2);
}

/* What is written keeps its old content for the copy, which the writer pays for. */
static void
source_run(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);
	unsigned char *copy;

	(void)argument;
	touch(d, copied(d, p, &copy), 3 * MIB, 2);
}

static void
wired_source_run(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);
	unsigned char *copy;

	(void)argument;
	(void)pager_wire(p, copied(d, p, &copy), 3 * MIB);
}

static void
reused_run(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);
	unsigned char *base = client_allocate(p, 3 * MIB);

	(void)argument;
	touch(d, base, 3 * MIB, 1);
	OK(pager_behavior(p, base, 3 * MIB, PAGER_BEHAVIOR_REUSABLE));
	limit_self(d, "footprint-fatal");
	touch(d, client_allocate(p, 3 * MIB), 3 * MIB, 2);
	touch(d, base, 3 * MIB, 3);
}

static void
nonvolatile_run(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);
	unsigned char *object = make(p, 6 * MIB, 0);

	(void)argument;
	EQ(set(p, object, VOLATILE), NONVOLATILE);
	limit_self(d, "footprint-fatal");
	touch(d, object, 6 * MIB, 1);
	EQ(statistics(p).phys_footprint, 0);
	EQ(set(p, object, NONVOLATILE), VOLATILE);
}

static void
device_run(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);
	int memfd = memfd_create("device", MFD_ALLOW_SEALING), fd;
	void *base;

	(void)argument;
	REQUIRE(ftruncate(memfd, 6 * MIB) == 0 && fcntl(memfd, F_ADD_SEALS, F_SEAL_SHRINK) == 0);
	limit_self(d, "footprint-fatal");
	OK(pager_make_device(p, memfd, 0, 6 * MIB, PAGER_CACHE_DEFAULT, &fd));
	OK(pager_map_entry(p, fd, 0, 6 * MIB, PROT_READ | PROT_WRITE, 0, &base));
}

static const struct door {
	const char *name;
	client_body *run; /* it wants more, and must not come to its end */
	const char *had;  /* when it was ended; NULL: what comes at once is known only then */
} doors[] = {
	{ "touch", touch_run, "footprint 4M\n" },
	{ "kernel", kernel_run, "footprint 4M\n" },
	{ "upl", upl_run, "footprint 4M\n" },
	{ "wire", wire_run, "footprint 4M\n" },
	{ "copy", copy_run, "footprint 4M\n" },
	{ "source", source_run, "footprint 4M\n" },
	{ "wired_source", wired_source_run, "footprint 4M\n" },
	{ "reused", reused_run, NULL },
	{ "nonvolatile", nonvolatile_run, NULL },
	{ "device", device_run, NULL },
};
static const struct door *door;

static void
door_run(struct live *d, void *argument)
{
	door->run(d, argument);
	/* With what it has, or what it has asked for, it is ended. */
	for (;;)
		pause();
}

static void
is_ended(struct live *d, pid_t pid, const char *had)
{
	char text[8192];
	int status;

	REQUIRE(waitpid(pid, &status, 0) == pid);
	REQUIRE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "status %d", status);
	EQ(live_pagerctl(d, text, sizeof(text), "events", NULL), 0);
	REQUIRE(strstr(text, "per-process-limit;"), "%s", text);
	REQUIRE(!had || strstr(text, had), "%s", text);
	EQ(live_stat(d, "jetsam_kills"), 1);
}

static void
door_test(void)
{
	struct live d;
	pid_t pid;

	live_start(&d, "64M", "--no-swap", NULL);
	pid = client_start(&d, door_run, NULL);
	client_forget(pid);
	is_ended(&d, pid, door->had);
	live_stop(&d);
}

/* Another client touches what it pays for. */
static void
owner(void)
{
	struct live d;
	pid_t one, two;

	daemon_begin(&d);
	one = client_start(&d, owner_run, "");
	client_forget(one);
	WAIT_UNTIL(&d, both->is_ready);
	two = client_start(&d, sharer_run, NULL);
	is_ended(&d, one, NULL);
	both->over = true;
	/* The content stays. */
	client_join(&d, two, false);
	live_stop(&d);
}

int
main(int argc, char **argv)
{
	static const struct live_test tests[] = { { "full_shared", full_shared },
		{ "full_volatile", full_volatile }, { "full_resident", full_resident },
		{ "owner", owner } };

	live_init(argc, argv);
	for (size_t i = 0; argc > 1 && i < sizeof(doors) / sizeof(doors[0]); i++)
		if (strcmp(argv[1], doors[i].name) == 0)
			door = &doors[i];
	if (!door)
		return LIVE_RUN(argc, argv, tests);
	door_test();
	return 0;
}
