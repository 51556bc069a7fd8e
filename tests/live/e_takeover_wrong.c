/* SPDX-License-Identifier: MIT
 *
 * Under --keeper a successor finds that the books of a client cannot be right: that client is
 * ended, with a line that says so, and the others go on with all of their content.
 *
 * usage: e_takeover_wrong one|count|range|row [page size]
 *
 * one: a page's books; count, range: a client's record is overwritten, its map's number of ranges
 * or one of these; row: an object's row
 */
#include "harness.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>

#include "book.h"
#include "vm/kept_object.h"
#include "vm/task_record.h"

/* Of each of the two clients, all in memory: the fail point fires when both are taken over, and not
 * when only one is. */
enum { PAGES = 40 };

static const char *page_size = "4K";

struct steps {
	atomic_uint written, stop, left;
	atomic_uint killed, well; /* of the clients that have left */
};

static void
writes(struct live *d, struct steps *s)
{
	struct pager *p = client_connect(d);
	uint64_t rng = mix64(live_seed + (uint64_t)getpid());
	struct book b;

	book_open(&b, client_allocate(p, PAGES * d->page_bytes), d->page_bytes, PAGES,
	    (uint32_t)getpid());
	for (uint32_t i = 0; i < PAGES; i++)
		book_write(&b, i, KIND_NOISE);
	atomic_fetch_add(&s->written, 1);
	while (!atomic_load(&s->stop)) {
		uint32_t page = (uint32_t)rng_below(&rng, PAGES);

		book_verify(&b, page);
		book_write(&b, page, KIND_NOISE);
	}
	book_verify_all(&b);
	OK(pager_disconnect(p));
}

/* The client is its child: who is ended here does not end the test. */
static void
nurse(struct live *d, void *argument)
{
	struct steps *s = argument;
	pid_t pid = fork();
	int status;

	REQUIRE(pid >= 0, "%s", strerror(errno));
	if (pid == 0) {
		writes(d, s);
		_exit(0);
	}
	EQ(waitpid(pid, &status, 0), pid);
	atomic_fetch_add(&s->killed, WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	atomic_fetch_add(&s->well, WIFEXITED(status) && WEXITSTATUS(status) == 0);
	atomic_fetch_add(&s->left, 1);
}

/* The first descriptor of the keeper's that is of an arena of that name, open for writing. */
static int
arena_of(const struct live *d, const char *name)
{
	char path[300], link[300], wanted[64];
	struct dirent *entry;
	DIR *directory;
	ssize_t got;
	int fd = -1;

	snprintf(wanted, sizeof(wanted), "/memfd:pagerd-%s ", name);
	snprintf(path, sizeof(path), "/proc/%d/fd", (int)d->keeper);
	directory = opendir(path);
	REQUIRE(directory, "%s: %s", path, strerror(errno));
	while (fd < 0 && (entry = readdir(directory)) != NULL) {
		snprintf(path, sizeof(path), "/proc/%d/fd/%s", (int)d->keeper, entry->d_name);
		got = readlink(path, link, sizeof(link) - 1);
		if (got <= 0)
			continue;
		link[got] = '\0';
		if (strncmp(link, wanted, strlen(wanted)) == 0)
			fd = open(path, O_RDWR | O_CLOEXEC);
	}
	closedir(directory);
	REQUIRE(fd >= 0, "the keeper has no arena %s", name);
	return fd;
}

static void
overwrite(int fd, uint64_t at, const void *with, size_t bytes)
{
	EQ(pwrite(fd, with, bytes, (off_t)at), (ssize_t)bytes);
	close(fd);
}

/* The record says that the map has more entries than there is room for. */
static void
damage_count(const struct live *d)
{
	uint64_t map = 2ull << 32 | 0x7fffffff;

	overwrite(arena_of(d, "record"), offsetof(struct task_record, map), &map, sizeof(map));
}

/* Both halves say of their first range that it ends before it begins. */
static void
damage_range(const struct live *d)
{
	int fd = arena_of(d, "record");
	struct task_record record;
	uint64_t end = 4096;

	EQ(pread(fd, &record, offsetof(struct task_record, purgeable_by), 0),
	    (ssize_t)offsetof(struct task_record, purgeable_by));
	for (uint64_t half = 0; half < 2; half++)
		EQ(pwrite(fd, &end, sizeof(end),
		       (off_t)(sizeof(record) + half * record.room * sizeof(struct kept_entry) +
			       offsetof(struct kept_entry, end))),
		    (ssize_t)sizeof(end));
	close(fd);
}

/* The first row says that its pages lie where there are no slots. */
static void
damage_row(const struct live *d)
{
	uint32_t base = UINT32_MAX - 511;

	overwrite(
	    arena_of(d, "objects"), offsetof(struct kept_object, slot_base), &base, sizeof(base));
}

/* The next worker finds it, one client is ended, and the other one goes on. */
static void
one_is_ended(const char *fail, void (*damage)(const struct live *d))
{
	struct steps *s = shared_alloc(sizeof(*s));
	pid_t pids[2];
	struct live d;

	live_start(&d, "64M", "--keeper", "--no-swap", "--page-size", page_size,
	    fail ? "--fail" : NULL, fail, NULL);
	for (unsigned i = 0; i < 2; i++)
		pids[i] = client_start(&d, nurse, s);
	WAIT_UNTIL(&d, atomic_load(&s->written) == 2);
	/* Maps do not change any more. */
	if (damage)
		damage(&d);
	kill(d.pid, SIGKILL);
	WAIT_UNTIL(&d, atomic_load(&s->left) == 1);
	EQ(atomic_load(&s->killed), 1);
	WAIT_UNTIL(&d, live_log_count(&d, "another worker takes over without") == 1);
	live_taken_over(&d);
	EQ(live_stat(&d, "takeovers"), 2);
	live_check(&d);
	atomic_store(&s->stop, 1);
	for (unsigned i = 0; i < 2; i++)
		client_join(&d, pids[i], false);
	EQ(atomic_load(&s->well), 1);
	EQ(live_log_count(&d, "cannot be right after a takeover"), 1);
	live_kill(&d);
}

static void
one(void)
{
	if (!FAIL_POINTS)
		exit(77);
	one_is_ended("TAKEOVER_WRONG:60", NULL);
}

static void
count(void)
{
	one_is_ended(NULL, damage_count);
}

static void
range(void)
{
	one_is_ended(NULL, damage_range);
}

static void
row(void)
{
	one_is_ended(NULL, damage_row);
}

int
main(int argc, char **argv)
{
	static const struct live_test tests[] = { { "one", one }, { "count", count },
		{ "range", range }, { "row", row } };

	live_init(argc, argv);
	if (argc > 2)
		page_size = argv[2];
	return LIVE_RUN(argc, argv, tests);
}
