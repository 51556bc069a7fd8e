/* SPDX-License-Identifier: MIT
 *
 * Processes that have no thread of the library's, close all their descriptors, and outlive the
 * daemon: whoever touches what is away waits, and never reads zeroes.
 *
 * usage: e_fork_dead child|grandchild|orphan|many|unring|run
 */
#include "harness.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "children.h"
#include "closers.h"

enum { PAGES = 64, TICKS = 100 };

struct dead {
	struct closers closers;
	enum { CHILD, GRANDCHILD, ORPHAN } kind;
	unsigned count;
	bool no_ring; /* the system allows no io_uring */
};

static void
no_ring(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_io_uring_setup, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(filter) / sizeof(filter[0]), filter };

	REQUIRE(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
		prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

static void
sleep_for_ever(void)
{
	for (;;)
		pause();
}

static void
client(struct live *d, void *argument)
{
	struct dead *s = argument;
	const size_t page = d->page_bytes, bytes = PAGES * page;
	unsigned char *memory;
	pid_t pid;

	if (s->no_ring)
		no_ring();
	memory = client_allocate(client_connect(d), bytes);
	closers_write(memory, bytes, page);
	for (unsigned i = 0; i < s->count; i++) {
		pid = fork_sure();
		if (pid > 0) {
			if (s->kind == ORPHAN)
				EQ(status_of(pid), 0);
			continue;
		}
		if (s->kind != ORPHAN)
			prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (s->kind != CHILD && fork_sure() > 0) {
			if (s->kind == ORPHAN)
				_exit(0);
			sleep_for_ever();
		}
		if (s->kind == GRANDCHILD)
			prctl(PR_SET_PDEATHSIG, SIGKILL);
		closers_read(&s->closers, memory, bytes, page);
		_exit(0);
	}
	sleep_for_ever();
}

/* Nobody has read on. */
static void
closers_wait(struct live *d, struct closers *s)
{
	for (unsigned i = 0; i < atomic_load(&s->ready); i++) {
		pid_t pid = atomic_load(&s->pid[i]);

		WAIT_UNTIL(d, atomic_load(&s->is_wrong) || waits_for_a_fault(pid, pid));
		REQUIRE(!atomic_load(&s->is_wrong));
	}
	for (int n = 0; n < TICKS; n++)
		live_tick(d);
	REQUIRE(!atomic_load(&s->is_wrong));
	EQ(atomic_load(&s->ended), 0);
}

static void
closers_kill(struct closers *s)
{
	for (unsigned i = 0; i < atomic_load(&s->ready); i++)
		kill(atomic_load(&s->pid[i]), SIGKILL);
}

static void
run(const struct dead *wanted)
{
	struct dead *s = shared_alloc(sizeof(*s));
	struct live d;
	pid_t pid;

	*s = *wanted;
	live_start(&d, "16M", NULL);
	pid = client_start(&d, client, s);
	WAIT_UNTIL(&d, atomic_load(&s->closers.ready) == s->count);
	/* What they have said before is in the daemon's books. */
	WAIT_UNTIL(&d, live_stat(&d, "sessions") >= 1 + (int64_t)s->count);
	live_kill(&d);
	atomic_store(&s->closers.go, true);
	closers_wait(&d, &s->closers);
	closers_kill(&s->closers);
	client_kill(pid);
}

static void
test_child(void)
{
	run(&(struct dead){ .count = 1 });
}

static void
test_grandchild(void)
{
	run(&(struct dead){ .count = 2, .kind = GRANDCHILD });
}

static void
test_orphan(void)
{
	run(&(struct dead){ .count = 2, .kind = ORPHAN });
}

/* More than one ring has places for. */
static void
test_many(void)
{
	run(&(struct dead){ .count = CLOSERS_MAX });
}

/* They have a keeper from the beginning. */
static void
test_unring(void)
{
	run(&(struct dead){ .count = 2, .no_ring = true });
}

static void
run_client(struct live *d, void *argument)
{
	const char *program = getenv("PAGERCTL");

	execl(program, program, "--socket", d->socket, "run", "--", getenv("RUN_CLOSERS"),
	    (const char *)argument, NULL);
	FAIL("%s: %s", program, strerror(errno));
}

static void
test_run(void)
{
	struct closers *s;
	char path[160];
	struct live d;
	pid_t pid;
	int fd;

	live_start(&d, "16M", NULL);
	snprintf(path, sizeof(path), "%s/closers", d.directory);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	REQUIRE(fd >= 0 && ftruncate(fd, sizeof(*s)) == 0);
	s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	REQUIRE(s != MAP_FAILED);
	close(fd);
	pid = client_start(&d, run_client, path);
	WAIT_UNTIL(&d, atomic_load(&s->ready) == 2);
	WAIT_UNTIL(&d, live_stat(&d, "zero_fills") >= 32 << 8);
	live_kill(&d);
	atomic_store(&s->go, true);
	closers_wait(&d, s);
	closers_kill(s);
	client_kill(pid);
}

static const struct live_test tests[] = {
	{ "child", test_child },
	{ "grandchild", test_grandchild },
	{ "orphan", test_orphan },
	{ "many", test_many },
	{ "unring", test_unring },
	{ "run", test_run },
};

int
main(int argc, char **argv)
{
	live_init(argc, argv);
	return LIVE_RUN(argc, argv, tests);
}
