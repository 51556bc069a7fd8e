/* SPDX-License-Identifier: MIT
 *
 * Room for pages that leave memory. Swap whose every write fails: the writer's passes end, pages
 * that fit in memory stay right, first touches are refused, the log says it once, and all goes on
 * when writes succeed again. A swap file system with less room than one file, with or without
 * fallocate(2), is used as far as it goes; a directory that vanished is made again. Memory of which
 * most is wired, or cannot leave: nothing is refused while swap has room. And the messages for
 * --swap-* options that cannot work.
 *
 * usage: f_space failing [NAME=VALUE ...] | small | sparse | vanished | wired memory wired-percent
 * [NAME=VALUE or page size] | starved | options
 */
#include "harness.h"

#include <fcntl.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#include "book.h"
#include "bus.h"
#include "stage.h"

struct shared {
	struct stage stage;
	atomic_uint filled; /* pages that have content */
};
static struct shared *shared;

/* The client goes on from a stage, and has got to the next. */
static void
go_on(struct live *d, unsigned from)
{
	stage_allow(&shared->stage, from);
	stage_wait(d, &shared->stage, from + 1);
}

/* Noise in pages from `from` on, until one is refused or all have some. => the page that was
 * refused */
static uint32_t
fill(struct book *b, uint32_t from)
{
	uint32_t i;

	for (i = from; i < b->count && touch(b, i, true) && write_noise(b, i); i++)
		;
	return i;
}

static void
verify_all(struct book *b, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		REQUIRE(verify(b, i), "page %u, which has content, was refused", i);
}

/* --- writes that fail until the test says otherwise --- */

static void
sufferer(struct live *d, void *argument)
{
	enum { WISHES = 8 };
	struct pager *p = client_connect(d);
	uint32_t count = (uint32_t)(6 * d->memory_bytes / d->page_bytes), filled;
	struct book b;

	(void)argument;
	expect_bus();
	book_open(&b, client_allocate(p, count * d->page_bytes), d->page_bytes, count, 1);
	filled = fill(&b, 0);
	REQUIRE(filled < count, "nothing was refused");
	for (uint32_t i = 1; i < WISHES; i++)
		(void)touch(&b, filled + i, true);
	for (unsigned pass = 0; pass < 3; pass++)
		verify_all(&b, filled);
	atomic_store(&shared->filled, filled);
	stage_meet(d, &shared->stage, 1);
	/* The refused page can be touched now, and there is room for the rest. */
	for (uint32_t i = 0; i < WISHES; i++)
		WAIT_UNTIL(d, touch(&b, filled + i, false));
	for (uint32_t i = 0; i < WISHES; i++)
		REQUIRE(write_noise(&b, filled + i), "page %u is refused although swap works again",
		    filled + i);
	EQ(fill(&b, filled + WISHES), count);
	verify_all(&b, count);
	stage_meet(d, &shared->stage, 2);
	OK(pager_disconnect(p));
}

static uint64_t
seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec;
}

static void
test_failing(struct live *d, const char *param)
{
	static const char *const points[] = { "SWAP_WRITE_ENOSPC:0:0", "SWAP_WRITE_EIO:0:0" };
	enum { DEPTH = 8, ROUND = 3 * DEPTH };

	/* compressor_percent as it is by default: swap is needed only at the end. */
	live_start(d, "8M", "--param", "swap_file_bytes=1M", "--param", param, NULL);
	for (unsigned i = 0; i < 2; i++) {
		uint64_t begin = seconds(), rounds;
		int64_t errors = live_stat(d, "swap_errors"), swapouts = live_stat(d, "swapouts");
		unsigned lines = live_log_count(d, "cannot be written");
		pid_t pid;

		live_debug_fail(d, points[i]);
		stage_reset(&shared->stage);
		pid = client_start(d, sufferer, NULL);
		stage_wait(d, &shared->stage, 1);
		WAIT_UNTIL(d, live_stat(d, "swap_full") == 1);
		/* The two existing files fail, and a new one; then the writer tries nothing for
		 * 5 s. */
		rounds = 1 + (seconds() - begin) / 5 + 1;
		errors = live_stat(d, "swap_errors") - errors;
		printf("%s: %lld failed writes in %llu rounds, %u pages of %llu\n", points[i],
		    (long long)errors, (unsigned long long)rounds, atomic_load(&shared->filled),
		    (unsigned long long)(d->memory_bytes / d->page_bytes));
		REQUIRE(errors > 0 && errors <= (int64_t)(rounds * ROUND));
		EQ(live_stat(d, "swapouts"), swapouts);
		REQUIRE(live_stat(d, "refused_zero_fills") > 0);
		/* Only in the first round: in the second the writer may still be waiting from
		 * the first. */
		REQUIRE(live_log_count(d, "cannot be written") <= lines + 1 &&
			live_log_count(d, "cannot be written") > 0);
		live_check(d);
		live_debug_fail(d, NULL);
		go_on(d, 1);
		REQUIRE(live_stat(d, "swapouts") > swapouts);
		live_check(d);
		stage_allow(&shared->stage, 2);
		client_join(d, pid, true);
		EQ(live_stat(d, "pages_lost"), 0);
	}
}

/* --- a swap file system with less room than one file --- */

enum { DISK_MIB = 24 };

/* Fills memory and disk and replaces half of it, twice: places given back on the disk are used
 * again. */
static void
exchanger(struct live *d, void *argument)
{
	uint32_t disk = (uint32_t)(((uint64_t)DISK_MIB << 20) / d->page_bytes),
		 memory = (uint32_t)(d->memory_bytes / d->page_bytes);
	struct pager *p = client_connect(d);
	uint32_t count = 2 * (disk + memory), filled;
	struct book b;

	(void)argument;
	expect_bus();
	book_open(&b, client_allocate(p, count * d->page_bytes), d->page_bytes, count, 1);
	filled = fill(&b, 0);
	printf(
	    "%u pages, where the disk has room for %u and memory for %u\n", filled, disk, memory);
	REQUIRE(filled > memory / 2 + disk / 2, "%u pages, and then no more", filled);
	REQUIRE(filled < disk + memory, "more than there is room for");
	verify_all(&b, filled);
	for (unsigned round = 0; round < 2; round++) {
		book_discard(p, &b, 0, filled / 2);
		for (uint32_t i = 0; i < filled / 3; i++)
			WAIT_UNTIL(d, touch(&b, i, true));
		for (uint32_t i = 0; i < filled / 3; i++)
			REQUIRE(write_noise(&b, i), "page %u: there is room", i);
		verify_all(&b, filled);
	}
	OK(pager_disconnect(p));
}

static void
test_disk(struct live *d, bool sparse)
{
	char disk[] = "/tmp/pagerd-disk.XXXXXX", options[32];

	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
		printf("skipped: no mount namespace of its own: %s\n", strerror(errno));
		exit(77);
	}
	REQUIRE(mkdtemp(disk), "%s", strerror(errno));
	snprintf(options, sizeof(options), "size=%dM,mode=0700", DISK_MIB);
	if (mount("pagerd-test", disk, "tmpfs", 0, options) < 0) {
		printf("skipped: tmpfs cannot be mounted: %s\n", strerror(errno));
		rmdir(disk);
		exit(77);
	}
	/* swap_file_bytes as it is by default. */
	live_start(d, "8M", "--swap-dir", disk, sparse ? "--fail" : NULL,
	    "SWAP_ALLOCATE_EOPNOTSUPP:0:0", NULL);
	client_join(d, client_start(d, exchanger, NULL), true);
	printf("%lld swapouts, %lld errors, %lld files\n", (long long)live_stat(d, "swapouts"),
	    (long long)live_stat(d, "swap_errors"), (long long)live_stat(d, "swap_files"));
	REQUIRE(live_stat(d, "swapouts") > 0);
	if (!sparse)
		EQ(live_stat(d, "swap_errors"), 0);
	REQUIRE(live_log_count(d, "cannot be written") + live_log_count(d, "no swap file") <= 2);
	EQ(live_stat(d, "pages_lost"), 0);
	live_stop(d);
	umount2(disk, MNT_DETACH);
	rmdir(disk);
}

/* --- a swap directory that vanishes --- */

static void
grower(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);
	uint32_t count = (uint32_t)(6 * d->memory_bytes / d->page_bytes);
	struct book b;

	(void)argument;
	expect_bus();
	book_open(&b, client_allocate(p, count * d->page_bytes), d->page_bytes, count, 1);
	for (uint32_t i = 0; i < count; i++) {
		if (i == count / 3)
			stage_meet(d, &shared->stage, 1);
		book_write(&b, i, KIND_NOISE);
	}
	verify_all(&b, count);
	OK(pager_disconnect(p));
}

static void
test_vanished(struct live *d)
{
	char command[300], path[200];
	struct stat st;
	int64_t files;
	pid_t pid;

	live_start(d, "8M", "--param", "swap_file_bytes=8M", NULL);
	pid = client_start(d, grower, NULL);
	WAIT_UNTIL(d, atomic_load(&shared->stage.reached) == 1 && live_stat(d, "swap_files") > 0);
	files = live_stat(d, "swap_files");
	snprintf(path, sizeof(path), "%s/swap", d->directory);
	snprintf(command, sizeof(command), "rm -r '%s'", path);
	REQUIRE(system(command) == 0);
	stage_allow(&shared->stage, 1);
	client_join(d, pid, true);
	REQUIRE(live_stat(d, "swap_files") > files || live_stat(d, "swap_files") > 1);
	REQUIRE(stat(path, &st) == 0 && S_ISDIR(st.st_mode), "the directory was not made again");
	EQ(live_stat(d, "refused_zero_fills") + live_stat(d, "pages_lost"), 0);
}

/* --- most of memory is wired --- */

struct wish {
	unsigned percent;
};

/* Wires and touches as much as the daemon allows, up to this percentage of memory. */
static void
wirer(struct live *d, void *argument)
{
	struct wish *wish = argument;
	struct pager *p = client_connect(d);
	uint32_t count = (uint32_t)(d->memory_bytes / d->page_bytes),
		 wired = count * wish->percent / 100;
	struct book b;

	book_open(&b, client_allocate(p, count * d->page_bytes), d->page_bytes, count, 7);
	while (pager_wire(p, b.base, wired * d->page_bytes) != 0)
		REQUIRE(wired-- > 0);
	for (uint32_t i = 0; i < wired; i++)
		book_write(&b, i, KIND_NOISE);
	atomic_store(&shared->filled, wired);
	stage_meet(d, &shared->stage, 1);
	for (uint32_t i = 0; i < wired; i++)
		book_verify(&b, i);
	OK(pager_disconnect(p));
}

/* Touches several times the rest of memory, in order and then at random. Any SIGBUS ends the
 * client. */
static void
honest(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);
	uint32_t count = (uint32_t)(2 * d->memory_bytes / d->page_bytes);
	uint64_t rng = live_seed;
	struct book b;

	(void)argument;
	expect_bus();
	book_open(&b, client_allocate(p, count * d->page_bytes), d->page_bytes, count, 1);
	for (uint32_t i = 0; i < count; i++)
		book_write(&b, i, KIND_NOISE);
	for (uint64_t n = 0, most = live_scaled(2 * count); n < most; n++) {
		uint32_t page = (uint32_t)rng_below(&rng, count);

		book_verify(&b, page);
		if (n % 3 == 0)
			book_write(&b, page, n % 2 ? KIND_NOISE : KIND_TEXT);
	}
	book_verify_all(&b);
	OK(pager_disconnect(p));
}

static void
test_wired(struct live *d, const char *memory, const char *percent, const char *more)
{
	struct wish wish = { (unsigned)atoi(percent) };
	const char *option = more && strchr(more, '=') ? "--param" : more ? "--page-size" : NULL;
	pid_t pid;

	live_start(d, memory, "--param", "wire_percent=95", "--param", "swap_file_bytes=16M",
	    option, more, NULL);
	pid = client_start(d, wirer, &wish);
	stage_wait(d, &shared->stage, 1);
	/* A page is counted after its thread has gone on. */
	live_rest(d);
	EQ(live_stat(d, "wired"), atomic_load(&shared->filled));
	/* The free targets lie within the memory that is not wired. */
	WAIT_UNTIL(d, (uint64_t)live_stat(d, "free_target") + atomic_load(&shared->filled) <
			  d->memory_bytes / d->page_bytes);
	REQUIRE(live_stat(d, "free_min") < live_stat(d, "free_target"));
	client_join(d, client_start(d, honest, NULL), true);
	printf("%u frames wired of %llu; %lld segments written to swap\n",
	    atomic_load(&shared->filled), (unsigned long long)(d->memory_bytes / d->page_bytes),
	    (long long)live_stat(d, "swapouts"));
	EQ(live_stat(d, "refused_zero_fills") + live_stat(d, "refused_refills"), 0);
	REQUIRE(live_stat(d, "swapouts") > 0);
	live_check(d);
	stage_allow(&shared->stage, 1);
	client_join(d, pid, true);
	/* Pages that are no longer wired count again. */
	client_join(d, client_start(d, honest, NULL), true);
	EQ(live_stat(d, "refused_zero_fills") + live_stat(d, "refused_refills"), 0);
}

/* --- pages that cannot leave --- */

/* The compressor is below its share but cannot store anything more; its own content makes room.
 * No SIGBUS is expected. */
static void
starver(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);
	uint32_t memory = (uint32_t)(d->memory_bytes / d->page_bytes), count = memory * 7 / 4;
	struct book b;

	(void)argument;
	expect_bus();
	book_open(&b, client_allocate(p, count * d->page_bytes), d->page_bytes, count, 1);
	for (uint32_t i = 0; i < count; i++) {
		if (i == memory * 5 / 4)
			stage_meet(d, &shared->stage, 1);
		book_write(&b, i, KIND_NOISE);
	}
	stage_meet(d, &shared->stage, 2);
	verify_all(&b, count);
	OK(pager_disconnect(p));
}

static void
test_starved(struct live *d)
{
	int64_t swapouts;
	pid_t pid;

	live_start(d, "8M", "--param", "swap_file_bytes=16M", NULL);
	pid = client_start(d, starver, NULL);
	stage_wait(d, &shared->stage, 1);
	swapouts = live_stat(d, "swapouts");
	live_debug_fail(d, "COMPRESS_NO_SPACE:0:0");
	go_on(d, 1);
	REQUIRE(live_fail_count(d, "COMPRESS_NO_SPACE") > 0);
	REQUIRE(live_stat(d, "swapouts") > swapouts);
	EQ(live_stat(d, "refused_zero_fills") + live_stat(d, "refused_refills"), 0);
	live_check(d);
	live_debug_fail(d, NULL);
	stage_allow(&shared->stage, 2);
	client_join(d, pid, true);
}

/* --- options --- */

/* Runs pagerd with two arguments. => its exit status, and the text that it printed */
static int
pagerd_says(const char *option, const char *value, char *text, size_t size)
{
	char socket[200];
	int output[2], status;
	ssize_t n, have = 0;
	pid_t pid;

	snprintf(socket, sizeof(socket), "/tmp/pagerd-space.%d", (int)getpid());
	REQUIRE(pipe2(output, O_CLOEXEC) == 0);
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		dup2(output[1], STDOUT_FILENO);
		dup2(output[1], STDERR_FILENO);
		execl(getenv("PAGERD"), getenv("PAGERD"), "--socket", socket, "--memory", "4M",
		    option, value, (char *)NULL);
		_exit(127);
	}
	REQUIRE(pid > 0);
	close(output[1]);
	while ((n = read(output[0], text + have, size - 1 - (size_t)have)) > 0) {
		have += n;
		/* It must not start. */
		if (memmem(text, (size_t)have, "ready", 5))
			kill(pid, SIGTERM);
	}
	text[have] = '\0';
	close(output[0]);
	REQUIRE(
	    waitpid(pid, &status, 0) == pid && WIFEXITED(status), "%s %s: %s", option, value, text);
	return WEXITSTATUS(status);
}

static void
test_options(void)
{
	static const struct {
		const char *option, *value, *cause, *remedy;
	} rows[] = {
		{ "--swap-max", "1", "--swap-max is 1 byte", "--no-swap" },
		{ "--swap-max", "0", "--swap-max 0 leaves no room", "--no-swap" },
		{ "--swap-max", "many", "--swap-max wants a size", "64M" },
		{ "--swap-dir", "", "--swap-dir wants a directory", "--no-swap" },
		{ "--swap-dir", "/proc", "no file can be made in the swap directory /proc",
		    "another --swap-dir" },
		{ "--swap-dir", "/dev/null", "is a file, no directory", "another --swap-dir" },
		{ "--swap-dir", "/dev/null/swap",
		    "cannot make the swap directory /dev/null/swap: Not a directory",
		    "another --swap-dir" },
		{ "--swap-dir", "/tmp/no-such-directory/swap",
		    "the directory it would be in does not exist", "make that" },
		{ "--param", "swap_low_slots=65000",
		    "swap_low_slots (65000) must be at most swap_high_slots (2048)", "" },
	};
	char text[4000];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int status = pagerd_says(rows[i].option, rows[i].value, text, sizeof(text));

		printf("%s \"%s\": %s", rows[i].option, rows[i].value, text);
		REQUIRE(status == 1 || status == 2, "exit status %d", status);
		REQUIRE(strstr(text, rows[i].cause), "no \"%s\"", rows[i].cause);
		REQUIRE(strstr(text, rows[i].remedy), "no \"%s\"", rows[i].remedy);
		REQUIRE(strchr(text, '\n') == text + strlen(text) - 1, "more than one line");
	}
}

int
main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "";
	struct live d;

	live_init(argc, argv);
	shared = shared_alloc(sizeof(*shared));
	if (strcmp(name, "small") == 0 || strcmp(name, "sparse") == 0) {
		test_disk(&d, strcmp(name, "sparse") == 0);
		return 0;
	}
	if (strcmp(name, "options") == 0) {
		test_options();
		return 0;
	}
	if (strcmp(name, "failing") == 0)
		test_failing(&d, argc > 2 ? argv[2] : "swap_force_sync=0");
	else if (strcmp(name, "vanished") == 0)
		test_vanished(&d);
	else if (strcmp(name, "starved") == 0)
		test_starved(&d);
	else if (strcmp(name, "wired") == 0 && argc > 3)
		test_wired(&d, argv[2], argv[3], argc > 4 ? argv[4] : NULL);
	else
		FAIL("no such test: \"%s\"", name);
	live_stop(&d);
	return 0;
}
