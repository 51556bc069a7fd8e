/* SPDX-License-Identifier: MIT
 *
 * Swap on a server or a device, with a directory beside it: a server that stops delays its own
 * pages and nobody's else, one that dies and comes back loses nothing.
 *
 * usage: e_swapnet stopped|killed|device|options
 */
#include "harness.h"

#include <fcntl.h>

#include "../loop.h"
#include "../nbdkit.h"
#include "book.h"
#include "stage.h"

#define MEMORIES 2 /* each of the client's two books, as a multiple of --memory */

static struct stage *stage;
static struct nbdkit server;

/* Writes one book, and then a second one while the test holds the server; then reads both. */
static void
client(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);
	uint32_t count = (uint32_t)(MEMORIES * d->memory_bytes / d->page_bytes);
	struct book first, second;

	(void)argument;
	book_open(&first, client_allocate(p, count * d->page_bytes), d->page_bytes, count, 1);
	book_open(&second, client_allocate(p, count * d->page_bytes), d->page_bytes, count, 2);
	for (uint32_t page = 0; page < count; page++)
		book_write(&first, page, KIND_NOISE);
	stage_meet(d, stage, 1);
	for (uint32_t page = 0; page < count; page++)
		book_write(&second, page, KIND_NOISE);
	book_verify_all(&second);
	stage_meet(d, stage, 2);
	book_verify_all(&first);
	book_verify_all(&second);
	OK(pager_disconnect(p));
}

static void
server_start(const char *directory)
{
	char disk[160];
	const char *const words[] = { "file", disk, NULL };

	snprintf(disk, sizeof(disk), "%s/disk", directory);
	int fd = open(disk, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	REQUIRE(fd >= 0 && ftruncate(fd, 256 << 20) == 0);
	close(fd);
	REQUIRE(nbdkit_start(&server, directory, words) == 0, "nbdkit has ended");
}

static void
begin(struct live *d, const char *directory)
{
	char swap[160];

	if (nbdkit_is_missing()) {
		puts("skipped: nbdkit is not installed");
		exit(77);
	}
	server_start(directory);
	snprintf(swap, sizeof(swap), "%s/swap", directory);
	live_start(d, "8M", "--swap-nbd", server.uri, "--swap-dir", swap, "--param",
	    "compressor_percent=5", "--param", "swap_file_bytes=4194304", NULL);
	stage = shared_alloc(sizeof(*stage));
}

static int64_t
elsewhere(struct live *d)
{
	static const char *const names[] = { "swap_used_bytes", "swap_nbd_bytes" };
	int64_t bytes[2];

	live_stats(d, names, 2, bytes);
	return bytes[0] - bytes[1];
}

static void
end(struct live *d, pid_t pid)
{
	stage_allow(stage, 2);
	client_join(d, pid, true);
	EQ(live_stat(d, "pages_lost"), 0);
	WAIT_UNTIL(d, live_stat(d, "swap_stalled") == 0);
	live_stop(d);
	nbdkit_kill(&server);
}

/* The server stops: what comes after goes to the directory, and is read from there. */
static void
test_stopped(void)
{
	char directory[128];
	struct live d;
	int64_t before;
	pid_t pid;

	live_directory_make(directory, sizeof(directory));
	begin(&d, directory);
	pid = client_start(&d, client, NULL);
	stage_wait(&d, stage, 1);
	WAIT_UNTIL(&d, live_stat(&d, "swap_nbd_bytes") > 0);
	/* A server that has had no processor for a second has stopped, too. */
	before = elsewhere(&d);
	REQUIRE(before < live_stat(&d, "swap_nbd_bytes"), "%lld bytes are in the directory",
	    (long long)before);
	nbdkit_stop(&server);
	stage_allow(stage, 1);
	WAIT_UNTIL(&d, live_stat(&d, "swap_stalled") == 1);
	stage_wait(&d, stage, 2);
	EQ(live_stat(&d, "swap_stalled"), 1);
	WAIT_UNTIL(&d, elsewhere(&d) > before);
	live_check(&d);
	kill(server.pid, SIGCONT);
	end(&d, pid);
}

/* The server is killed with transfers under way, and comes back with the same disk. */
static void
test_killed(void)
{
	char directory[128];
	struct live d;
	pid_t pid;

	live_directory_make(directory, sizeof(directory));
	begin(&d, directory);
	pid = client_start(&d, client, NULL);
	stage_wait(&d, stage, 1);
	WAIT_UNTIL(&d, live_stat(&d, "swap_nbd_bytes") > 0);
	stage_allow(stage, 1);
	for (int64_t i = 0; i < 3; i++) {
		int64_t before = live_stat(&d, "swapouts");

		WAIT_UNTIL(
		    &d, live_stat(&d, "swapouts") > before || atomic_load(&stage->reached) == 2);
		nbdkit_kill(&server);
		server_start(directory);
	}
	stage_wait(&d, stage, 2);
	end(&d, pid);
}

/* The device is used up, then the directory. */
static void
test_device(void)
{
	char directory[128], disk[160], path[64], swap[160];
	struct live d;
	pid_t pid;

	live_directory_make(directory, sizeof(directory));
	snprintf(disk, sizeof(disk), "%s/disk", directory);
	snprintf(swap, sizeof(swap), "%s/swap,priority=-7", directory);
	int fd = open(disk, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	REQUIRE(fd >= 0 && ftruncate(fd, 10 << 20) == 0);
	close(fd);
	int loop = loop_make(disk, path);
	if (loop < 0) {
		puts("skipped: no loop device can be made here");
		exit(77);
	}
	live_start(&d, "8M", "--swap-dir", swap, "--swap-device", path, "--param",
	    "compressor_percent=5", "--param", "swap_file_bytes=4194304", NULL);
	stage = shared_alloc(sizeof(*stage));
	pid = client_start(&d, client, NULL);
	stage_wait(&d, stage, 1);
	WAIT_UNTIL(&d, live_stat(&d, "swap_device_bytes") > 0);
	stage_allow(stage, 1);
	stage_wait(&d, stage, 2);
	WAIT_UNTIL(&d, live_stat(&d, "swap_device_bytes") >= 8 << 20);
	WAIT_UNTIL(&d, live_stat(&d, "swap_used_bytes") > live_stat(&d, "swap_device_bytes"));
	stage_allow(stage, 2);
	client_join(&d, pid, true);
	EQ(live_stat(&d, "pages_lost"), 0);
	live_stop(&d);
	close(loop);
}

/* What cannot be swap is refused, with the cause and a remedy. */
static void
test_options(void)
{
	static const struct {
		const char *option, *value, *cause, *remedy;
	} rows[] = {
		{ "--swap-device", "", "wants a block device", "/dev/sdb2" },
		{ "--swap-device", "/dev/null", "is no block device", "--swap-dir" },
		{ "--swap-device", "/nonexistent", "cannot be used: No such file", "--no-swap" },
		{ "--swap-nbd", "", "wants a URI", "nbd://host/export" },
		{ "--swap-nbd", "/etc/passwd", "cannot be used", "--no-swap" },
		{ "--swap-nbd", "nbd+unix:///?socket=/nonexistent", "connect", "is the server up" },
		{ "--swap-dir", "/tmp,priority=high", "a priority is a number", "32767" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char command[500], text[1000] = "";

		snprintf(command, sizeof(command),
		    "timeout -s KILL 60 %s --socket /tmp/pagerd-test-%d --memory 8M %s '%s' 2>&1",
		    getenv("PAGERD"), (int)getpid(), rows[i].option, rows[i].value);
		FILE *out = popen(command, "r");
		REQUIRE(out != NULL);
		size_t n = fread(text, 1, sizeof(text) - 1, out);
		int status = pclose(out);
		text[n] = '\0';
		REQUIRE(status != 0, "%s %s was taken", rows[i].option, rows[i].value);
		REQUIRE(strstr(text, rows[i].cause) && strstr(text, rows[i].remedy), "%s '%s': %s",
		    rows[i].option, rows[i].value, text);
	}
}

int
main(int argc, char **argv)
{
	static const struct live_test tests[] = {
		{ "stopped", test_stopped },
		{ "killed", test_killed },
		{ "device", test_device },
		{ "options", test_options },
	};

	live_init(argc, argv);
	return LIVE_RUN(argc, argv, tests);
}
