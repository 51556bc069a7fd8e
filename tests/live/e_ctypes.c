/* SPDX-License-Identifier: MIT
 *
 * Under --keeper the worker is killed again and again, and a client written in Python, which calls
 * libpager by ctypes, sees only its own pages.
 *
 * usage: e_ctypes kills PYTHON CLIENT LIBPAGER [kills]
 */
#include "harness.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <sys/mman.h>

/* tests/live/ctypes_client.py says the same. */
struct notes {
	_Atomic uint64_t rounds;
	_Atomic uint64_t over;
};

static const char *python, *script, *library;
static unsigned kills_count = 6;
static char notes_path[200];

static void
client(struct live *d, void *argument)
{
	char size[32];

	(void)argument;
	snprintf(size, sizeof(size), "%llu", (unsigned long long)(2 * d->memory_bytes));
	execl(python, python, script, library, d->socket, size, notes_path, NULL);
	FAIL("%s: %s", python, strerror(errno));
}

static void
kills(void)
{
	uint64_t rng = mix64(live_seed);
	struct notes *notes;
	struct live d;
	pid_t pid;
	int fd;

	live_start(&d, "4M", "--keeper", "--no-swap", NULL);
	snprintf(notes_path, sizeof(notes_path), "%s/notes", d.directory);
	fd = open(notes_path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	REQUIRE(fd >= 0 && ftruncate(fd, sizeof(*notes)) == 0, "%s", strerror(errno));
	notes = mmap(NULL, sizeof(*notes), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	REQUIRE(notes != MAP_FAILED, "%s", strerror(errno));
	pid = client_start(&d, client, NULL);
	for (unsigned i = 0; i < kills_count; i++) {
		uint64_t until = atomic_load(&notes->rounds) + 1 + rng_below(&rng, 3000);

		WAIT_UNTIL(&d, atomic_load(&notes->rounds) >= until);
		kill(d.pid, SIGKILL);
		live_taken_over(&d);
		EQ(live_stat(&d, "takeovers"), i + 1);
	}
	live_check(&d);
	atomic_store(&notes->over, 1);
	client_join(&d, pid, false);
	EQ(live_stat(&d, "pages_lost"), 0);
	live_stop(&d);
}

int
main(int argc, char **argv)
{
	static const struct live_test tests[] = { { "kills", kills } };

	live_init(argc, argv);
	if (argc < 5)
		return 2;
	python = argv[2];
	script = argv[3];
	library = argv[4];
	if (argc > 5)
		kills_count = (unsigned)atoi(argv[5]);
	return LIVE_RUN(argc, argv, tests);
}
