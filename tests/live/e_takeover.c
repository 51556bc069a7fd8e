/* SPDX-License-Identifier: MIT
 *
 * Under --keeper the worker is killed, at any moment and between any two steps: its clients' memory
 * has all its content, their calls are answered once, and the books of the next worker are whole.
 *
 * usage: e_takeover points|parts|kills|orphan|refused [page size [kills]]
 *        e_takeover swap-points|swap-adopt|swap-kills|sealed-kills|sync-kills|device-kills|
 *                   nbd-kills [page size [kills]]
 *
 * The second line's are with swap, most of what is stored in it; sealed: encrypted; sync: without
 * io_uring; device: a loop device has a part of it; nbd:
 * an NBD server. A thousand kills: `e_takeover swap-kills 4K
 * 1000`.
 */
#include "harness.h"

#include <poll.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>

#include "../loop.h"
#include "../nbdkit.h"
#include "rounds.h"

enum { RANGE = 48 };

static const char *page_size = "4K";
static unsigned kills_count = 8;
static bool with_swap;
static const char *sealed = "no", *force_sync = "swap_force_sync=0";
static char device[256]; /* path or URI; "": none */
static char beside_device[160];
static const char *device_option = "--swap-device";

/* Little, but enough for the daemon. */
static const char *
memory(void)
{
	return strcmp(page_size, "4K") == 0 ? "4M" : strcmp(page_size, "16K") == 0 ? "8M" : "32M";
}

/* Pages that come and go: allocated, written, verified and given back in one turn. */
static void
range_lives(struct pager *p, size_t page_bytes, uint32_t object, uint64_t *rng)
{
	uint32_t count = 1 + (uint32_t)rng_below(rng, RANGE);
	struct book b;

	book_open(&b, client_allocate(p, count * page_bytes), page_bytes, count, object);
	book_write_all(&b, &mixture_usual, rng);
	OK(pager_behavior(p, b.base, count * page_bytes, PAGER_BEHAVIOR_PAGEOUT));
	book_verify_all(&b);
	OK(pager_deallocate(p, b.base, count * page_bytes));
	book_close(&b);
}

static void
turn(struct pager *p, struct book *b, uint32_t object, uint64_t *rng)
{
	uint32_t page = (uint32_t)rng_below(rng, b->count), kind = (uint32_t)rng_below(rng, 100);
	uint32_t count = (uint32_t)rng_below(rng, 16) + 1;

	/* So much goes that files of swap are emptied. */
	if (with_swap && kind >= 90 && kind < 94 && count <= 2) {
		page = count % 2 ? 0 : page;
		count = b->count;
	}
	if (count > b->count - page)
		count = b->count - page;
	if (kind < 60) {
		book_verify(b, page);
		book_write(b, page, mixture_draw(&mixture_usual, rng));
	} else if (kind < 90) {
		book_verify(b, page);
	} else if (kind < 94) {
		book_discard(p, b, page, count);
	} else if (kind < 98) {
		OK(pager_behavior(p, b->base + page * b->page_bytes, count * b->page_bytes,
		    PAGER_BEHAVIOR_PAGEOUT));
	} else {
		range_lives(p, b->page_bytes, object + 100, rng);
	}
}

static void
client(struct live *d, void *argument)
{
	rounds_run(d, argument, turn);
}

struct scene {
	struct live d;
	struct rounds rounds;
	uint64_t takeovers;
};

/* Files of few segments, so that they come and go: sixteen (4K, the smallest file), else four. */
static void
daemon_begin(struct live *d, const char *fail)
{
	bool is_small = strcmp(page_size, "4K") == 0, is_large = strcmp(page_size, "64K") == 0;
	const char *file = is_large ? "swap_file_bytes=4194304" : "swap_file_bytes=1048576";
	const char *low = is_small ? "swap_low_slots=6" : "swap_low_slots=2";
	const char *high = is_small ? "swap_high_slots=8" : "swap_high_slots=4";

	if (with_swap)
		live_start(d, memory(), "--keeper", "--page-size", page_size, "--swap-encrypt",
		    sealed, "--param", "compressor_percent=5", "--param", file, "--param", low,
		    "--param", high, "--param", force_sync,
		    device[0] ? device_option
		    : fail    ? "--fail"
			      : NULL,
		    device[0] ? device : fail, device[0] ? "--swap-dir" : NULL, beside_device,
		    NULL);
	else
		live_start(d, memory(), "--keeper", "--no-swap", "--page-size", page_size,
		    fail ? "--fail" : NULL, fail, NULL);
}

/* fail: armed in each worker from its beginning; NULL: nothing */
static void
scene_begin(struct scene *s, const char *fail)
{
	daemon_begin(&s->d, fail);
	s->takeovers = 0;
	rounds_start(&s->rounds, &s->d, client);
}

static void
scene_taken_over(struct scene *s)
{
	live_taken_over(&s->d);
	s->takeovers++;
	/* A process that a service manager (supervisor.c) has started counts itself, once it has
	 * begun. */
	if (getenv("SUPERVISED") && live_stat(&s->d, "takeovers") < (int64_t)s->takeovers)
		s->takeovers = (uint64_t)live_stat(&s->d, "takeovers");
	EQ(live_stat(&s->d, "takeovers"), s->takeovers);
	EQ(live_stat(&s->d, "pages_lost"), 0);
}

static void
scene_end(struct scene *s)
{
	rounds_end(&s->rounds, &s->d);
	REQUIRE(live_log_count(&s->d, "is not there") == 0);
	REQUIRE(live_log_count(&s->d, "does not agree") == 0);
	live_stop(&s->d);
}

/* names: of points, each of which is hit once. */
static void
points_of(const char *const *names, size_t count)
{
	uint64_t rng = mix64(live_seed);
	struct scene s;

	if (!FAIL_POINTS)
		exit(77);
	scene_begin(&s, NULL);
	rounds_go_on(&s.rounds, &s.d, 300);
	for (size_t i = 0; i < count; i++) {
		char spec[80];

		/* The answer to this request passes one of them; what happens to files of swap is
		 * rare. */
		snprintf(spec, sizeof(spec), "%s:%u", names[i],
		    with_swap ? 0 : 1 + (unsigned)rng_below(&rng, 4));
		live_debug_fail(&s.d, spec);
		scene_taken_over(&s);
		rounds_go_on(&s.rounds, &s.d, 20);
		live_check(&s.d);
	}
	scene_end(&s);
}

/* Between each two steps of which the second may be missing. */
static void
points(void)
{
	static const char *const names[] = { "DIE_FILL_BEGUN", "DIE_FILL_PLACED",
		"DIE_WRITE_BOOKED", "DIE_STORED", "DIE_COPY_NAMED", "DIE_PUNCHED", "DIE_PUBLISHED",
		"DIE_DISCARD_PUNCHED", "DIE_ENTRY_MADE", "DIE_ENTRY_GONE", "DIE_ANSWER",
		"DIE_ANSWERED", "DIE_VACANT_FILL", "DIE_SEGMENT_OPEN" };

	points_of(names, sizeof(names) / sizeof(names[0]));
}

/* Between each two steps of segments, places and files of swap. */
static void
swap_points(void)
{
	static const char *const names[] = { "DIE_SWAP_FILE_MADE", "DIE_SWAP_FILE_KEPT",
		"DIE_SWAP_RESERVED", "DIE_SWAP_BEGUN", "DIE_SWAP_WRITTEN", "DIE_SWAP_COMMITTED",
		"DIE_SWAP_PLACED", "DIE_SWAP_DEPARTING", "DIE_SWAP_DEPARTED", "DIE_SWAP_EMPTY",
		"DIE_SWAP_COLLECTED", "DIE_SWAP_FREED", "DIE_SWAP_MOVED", "DIE_SWAP_PLACING",
		"DIE_SWAP_FILE_GONE" };

	with_swap = true;
	points_of(names, sizeof(names) / sizeof(names[0]));
}

/* Each successor is killed in the midst of taking swap over, until little is left to do. */
static void
swap_adopt(void)
{
	struct scene s;

	if (!FAIL_POINTS)
		exit(77);
	with_swap = true;
	scene_begin(&s, "DIE_SWAP_ADOPT:1");
	rounds_go_on(&s.rounds, &s.d, 300);
	/* There may be too little to do. */
	for (int64_t i = 0; i < 3 || live_stat(&s.d, "takeovers") == i; i++) {
		live_debug_fail(&s.d, "DIE_SWAP_BEGUN:2");
		live_taken_over(&s.d);
		EQ(live_stat(&s.d, "pages_lost"), 0);
		rounds_go_on(&s.rounds, &s.d, 20);
		live_check(&s.d);
	}
	scene_end(&s);
}

/* Pages that are larger than the hardware's come in parts. Each successor is killed where it has
 * put one missing part in place. */
static void
parts(void)
{
	uint64_t rng = mix64(live_seed);
	unsigned rounds;
	struct scene s;

	if (!FAIL_POINTS)
		exit(77);
	scene_begin(&s, "DIE_TAKEOVER_REST:1");
	rounds_go_on(&s.rounds, &s.d, 300);
	/* The keeper waits longer for each successor that dies at once. */
	rounds = s.d.page_bytes > 16384 ? 1 : 6;
	for (unsigned i = 0; i < rounds; i++) {
		char spec[80];

		snprintf(spec, sizeof(spec), "DIE_FILL_PART:%u", (unsigned)rng_below(&rng, 5));
		live_debug_fail(&s.d, spec);
		live_taken_over(&s.d);
		EQ(live_stat(&s.d, "pages_lost"), 0);
		rounds_go_on(&s.rounds, &s.d, 20);
	}
	/* Half of a page lacks, which is two parts or more. */
	REQUIRE(live_stat(&s.d, "takeovers") >= 2 * rounds);
	live_check(&s.d);
	scene_end(&s);
}

/* The keeper's child; 0: it has none now. */
static pid_t
worker_now(const struct live *d)
{
	char path[64], text[32] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", (int)d->keeper, (int)d->keeper);
	f = fopen(path, "r");
	REQUIRE(f, "%s: %s", path, strerror(errno));
	(void)!fgets(text, sizeof(text), f);
	fclose(f);
	return (pid_t)atoi(text);
}

/* The successor is killed, too, at some moment of its takeover or just behind it. */
static void
kill_again(struct scene *s, uint64_t *rng)
{
	pid_t before = s->d.pid, next;

	WAIT_UNTIL(&s->d, (next = worker_now(&s->d)) > 0 && next != before);
	nanosleep(&(struct timespec){ .tv_nsec = (long)rng_below(rng, 30000000) }, NULL);
	kill(next, SIGKILL);
	WAIT_UNTIL(&s->d, worker_now(&s->d) != next);
	s->takeovers++;
}

/* At any moment, also during a takeover. */
static void
kills(void)
{
	uint64_t rng = mix64(live_seed);
	struct scene s;

	scene_begin(&s, NULL);
	if (with_swap)
		WAIT_UNTIL(&s.d, live_stat(&s.d, "swapouts") > 0);
	for (unsigned i = 0; i < kills_count; i++) {
		rounds_go_on(&s.rounds, &s.d, rng_below(&rng, 200));
		kill(s.d.pid, SIGKILL);
		if (i % 2)
			kill_again(&s, &rng);
		scene_taken_over(&s);
		live_check(&s.d);
	}
	scene_end(&s);
}

static void
swap_kills(void)
{
	with_swap = true;
	kills();
}

static void
sealed_kills(void)
{
	sealed = "yes";
	swap_kills();
}

static void
sync_kills(void)
{
	force_sync = "swap_force_sync=1";
	swap_kills();
}

static void
device_kills(void)
{
	char directory[128], disk[160];
	int fd, loop;

	live_directory_make(directory, sizeof(directory));
	snprintf(disk, sizeof(disk), "%s/disk", directory);
	snprintf(beside_device, sizeof(beside_device), "%s/swap,priority=-7", directory);
	fd = open(disk, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	REQUIRE(fd >= 0 && ftruncate(fd, strcmp(page_size, "64K") == 0 ? 34 << 20 : 3 << 20) == 0);
	close(fd);
	loop = loop_make(disk, device);
	if (loop < 0) {
		puts("skipped: no loop device can be made here");
		exit(77);
	}
	swap_kills();
	close(loop);
}

static void
nbd_kills(void)
{
	char directory[128];
	const char *const words[] = { "memory", "64M", NULL };
	struct nbdkit server;

	if (nbdkit_is_missing()) {
		puts("skipped: nbdkit is not installed");
		exit(77);
	}
	live_directory_make(directory, sizeof(directory));
	REQUIRE(nbdkit_start(&server, directory, words) == 0, "nbdkit has ended");
	snprintf(device, sizeof(device), "%s", server.uri);
	snprintf(beside_device, sizeof(beside_device), "%s/swap,priority=-7", directory);
	device_option = "--swap-nbd";
	sealed = "yes";
	swap_kills();
	nbdkit_kill(&server);
}

/* Without the keeper there is no worker. */
static void
orphan(void)
{
	struct live d;
	struct pollfd fd;
	char byte;

	live_start(&d, memory(), "--keeper", "--no-swap", "--page-size", page_size, NULL);
	fd = (struct pollfd){ .fd = d.chan.fd, .events = POLLIN };
	kill(d.keeper, SIGKILL);
	EQ(poll(&fd, 1, -1), 1);
	EQ(recv(d.chan.fd, &byte, 1, MSG_DONTWAIT), 0);
	live_kill(&d);
}

static void
asks_for_more(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);
	struct pager_port *port;
	void *plain = client_allocate(p, 4 * d->page_bytes);
	int status;
	pid_t child;

	(void)argument;

	EQ(pager_port_create(p, "port", PAGER_PORT_SENDERS_USER, 4, &port), -EOPNOTSUPP);
	memset(plain, 1, d->page_bytes);
	/* A child has it, copied by content. */
	child = fork();
	REQUIRE(child >= 0);
	if (child == 0)
		_exit(*(volatile char *)plain);
	EQ(waitpid(child, &status, 0), child);
	REQUIRE(WIFEXITED(status) && WEXITSTATUS(status) == 1, "%#x", status);
	EQ(*(volatile char *)plain, 1);
	pager_disconnect(p);
}

/* What cannot be taken over is not begun. */
static void
refused(void)
{
	struct live d;

	live_start(&d, memory(), "--keeper", "--no-swap", "--page-size", page_size, NULL);
	client_join(&d, client_start(&d, asks_for_more, NULL), false);
	REQUIRE(live_log_count(&d, "asked for PORT_OPEN, which --keeper does not keep yet") > 0);
	live_stop(&d);
}

int
main(int argc, char **argv)
{
	static const struct live_test tests[] = { { "points", points }, { "parts", parts },
		{ "kills", kills }, { "orphan", orphan }, { "refused", refused },
		{ "swap-points", swap_points }, { "swap-adopt", swap_adopt },
		{ "swap-kills", swap_kills }, { "sealed-kills", sealed_kills },
		{ "sync-kills", sync_kills }, { "device-kills", device_kills },
		{ "nbd-kills", nbd_kills } };

	live_init(argc, argv);
	if (argc > 2)
		page_size = argv[2];
	if (argc > 3)
		kills_count = (unsigned)atoi(argv[3]);
	return LIVE_RUN(argc, argv, tests);
}
