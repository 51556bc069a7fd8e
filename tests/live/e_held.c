/* SPDX-License-Identifier: MIT
 *
 * A client holds the lock of its memfd's inode: a write(2) to it copies from a page whose fault is
 * never answered. A thread of the daemon that needs that lock waits uninterruptibly. Another
 * client, always under pressure, must go on; the attacker must be killed, and nothing of it may
 * stay.
 *
 * usage: e_held worker|server|jobs|handed-on|dies|terminate|again
 *
 * - worker: its pages must leave, and pageout workers wait
 * - server: it has planted pages and touches them, and fault servers wait
 * - jobs: it gives pages back, and a jobs thread waits; other clients' requests must be answered
 * - handed-on: another process holds the lock, and the client ends: so does its teardown wait
 * - dies: the same, and the client is killed
 * - terminate: the same, and the daemon is told to end
 * - again: one after the other of a user's clients holds it; the user is refused, nobody else is
 */
#include "harness.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "book.h"
#include "hold.h"
#include "raw.h"

#define ATTACK_PAGES 2048u
#define PLANTED      1536u /* the first page that is planted, and not touched before */
#define PLANTS       8u

struct shared {
	atomic_ulong operations; /* of the honest client */
	atomic_ulong requests;
	atomic_bool filled, attacked, handed_on, stop;
	int memfd;              /* the attacker's number of it */
	uint64_t end_of_memory; /* an offset in it where a write hits no page in use */
};
static struct shared *shared;
static const char *mode;

static bool
is_mode(const char *name)
{
	return strcmp(mode, name) == 0;
}

/* By the client, and not by another process. */
static bool
is_held_by_itself(void)
{
	return is_mode("worker") || is_mode("server") || is_mode("jobs") || is_mode("again");
}

static void
honest(struct live *d, void *argument)
{
	struct mixture mixture = { 5, 10, 30 };
	struct pager *p = client_connect(d);
	uint32_t count = (uint32_t)(2 * d->memory_bytes / d->page_bytes);
	uint64_t rng = mix64(live_seed);
	struct book b;

	(void)argument;
	book_open(&b, client_allocate(p, count * d->page_bytes), d->page_bytes, count, 1);
	book_write_all(&b, &mixture, &rng);
	atomic_store(&shared->filled, true);
	while (!atomic_load(&shared->stop)) {
		uint32_t page = (uint32_t)rng_below(&rng, count);

		book_verify(&b, page);
		if (rng_below(&rng, 2))
			book_write(&b, page, mixture_draw(&mixture, &rng));
		if (rng_below(&rng, 64) == 0) {
			OK(pager_behavior(
			    p, b.base + page * d->page_bytes, d->page_bytes, PAGER_BEHAVIOR_FREE));
			book_forget(&b, page);
			atomic_fetch_add(&shared->requests, 1);
		}
		atomic_fetch_add(&shared->operations, 1);
	}
	book_verify_all(&b);
	book_close(&b);
	OK(pager_disconnect(p));
}

static void *
touch(void *argument)
{
	(void)*(volatile char *)argument;
	return NULL;
}

/* The last page is the write's target, some pages are planted, and the rest is dirty. */
static void
attacker(struct live *d, void *argument)
{
	static struct held_write held;
	size_t bytes, page;
	uint64_t offset;
	struct raw r;
	char *memory;
	int memfd;

	(void)argument;
	raw_connect(d, &r);
	page = r.page_bytes;
	bytes = ATTACK_PAGES * page;
	memory = raw_memory(&r, bytes, &memfd, &offset);
	for (uint32_t i = 0; i < PLANTED; i++)
		*(uint64_t *)(void *)(memory + i * page) = mix64(i);
	for (uint32_t i = PLANTED; i < PLANTED + PLANTS; i++)
		REQUIRE(pwrite(memfd, memory, page, (off_t)(offset + i * page)) == (ssize_t)page,
		    "%s", strerror(errno));
	shared->memfd = memfd;
	shared->end_of_memory = offset + bytes - page;
	if (is_held_by_itself())
		hold(&held, r.device, memfd, offset + bytes - page, page);
	atomic_store(&shared->attacked, true);
	while (!is_held_by_itself() && !atomic_load(&shared->handed_on))
		usleep(1000);
	for (uint32_t i = PLANTED; is_mode("server") && i < PLANTED + PLANTS; i++) {
		pthread_t thread;

		REQUIRE(pthread_create(&thread, NULL, touch, memory + i * page) == 0);
	}
	if (is_mode("jobs")) {
		struct pager_req_deallocate request = { .address = (uintptr_t)memory,
			.size = bytes };
		struct pager_rep_deallocate reply;
		struct chan_call call = { CHAN_CALL(DEALLOCATE, &request, &reply) };

		(void)chan_exchange(&r.chan, &call);
	}
	if (is_mode("handed-on"))
		_exit(0);
	/* Some of its pages are always there to leave. */
	for (uint32_t i = 0; is_mode("worker") || is_mode("again"); i = (i + 1) % PLANTED)
		*(uint64_t *)(void *)(memory + i * page) += 1;
	for (;;)
		pause();
}

/* Takes the attacker's memfd over, and its lock. */
static void
accomplice(struct live *d, void *argument)
{
	static struct held_write held;
	int device = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC), memfd;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/fd/%d", *(pid_t *)argument, shared->memfd);
	memfd = open(path, O_RDWR | O_CLOEXEC);
	REQUIRE(device >= 0 && memfd >= 0, "%s", strerror(errno));
	hold(&held, device, memfd, shared->end_of_memory, d->page_bytes);
	atomic_store(&shared->handed_on, true);
	for (;;)
		pause();
}

static void
attack(struct live *d)
{
	bool by_itself = is_held_by_itself();
	pid_t honest_pid, attacker_pid, accomplice_pid = 0;
	uint64_t operations, requests;

	honest_pid = client_start(d, honest, NULL);
	if (is_mode("worker"))
		WAIT_UNTIL(d, atomic_load(&shared->filled));
	attacker_pid = client_start(d, attacker, NULL);
	if (by_itself)
		client_forget(attacker_pid);
	WAIT_UNTIL(d, atomic_load(&shared->attacked));
	if (!by_itself) {
		accomplice_pid = client_start(d, accomplice, &attacker_pid);
		client_forget(accomplice_pid);
		WAIT_UNTIL(d, atomic_load(&shared->handed_on));
	}
	if (is_mode("dies") || is_mode("terminate"))
		client_kill(attacker_pid);
	else if (is_mode("handed-on"))
		client_join(d, attacker_pid, false);
	if (is_mode("terminate")) {
		/* With its teardown stuck. */
		atomic_store(&shared->stop, true);
		client_join(d, honest_pid, false);
		d->refuses = true;
		live_stop(d);
		require_killed(accomplice_pid);
		return;
	}
	require_killed(by_itself ? attacker_pid : accomplice_pid);
	WAIT_UNTIL(d, live_stat(d, "held_calls") >= 1);
	REQUIRE(live_stat(d, "relieved_threads") >= 1 && live_stat(d, "clients_apart") >= 1);
	if (by_itself)
		EQ(live_stat(d, "holders_ended"), 1);
	/* The work that was held up goes on, and so do the other clients. */
	WAIT_UNTIL(d, atomic_load(&shared->filled));
	operations = atomic_load(&shared->operations);
	requests = atomic_load(&shared->requests);
	WAIT_UNTIL(d, atomic_load(&shared->operations) > operations + 1000 &&
			  atomic_load(&shared->requests) > requests);
	live_check(d);
	atomic_store(&shared->stop, true);
	client_join(d, honest_pid, true);
	WAIT_UNTIL(d, live_stat(d, "sessions") == 0);
	live_stop(d);
}

#define NOBODY 65534

/* Attackers of one user, one after the other, until the user is refused. */
static void
attackers(struct live *d, void *argument)
{
	struct pager *p;
	int error;

	(void)argument;
	while ((error = pager_connect(d->socket, NULL, &p)) == 0) {
		pid_t pid;

		OK(pager_disconnect(p));
		pid = fork();
		REQUIRE(pid >= 0, "%s", strerror(errno));
		if (pid == 0) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			attacker(d, NULL);
		}
		require_killed(pid);
	}
	EQ(error, -EAGAIN);
}

static void
attack_again(struct live *d)
{
	pid_t honest_pid = client_start(d, honest, NULL);
	uint64_t operations;
	struct pager *p;

	WAIT_UNTIL(d, atomic_load(&shared->filled));
	client_join(d, client_start_as(d, NOBODY, attackers, NULL), false);
	REQUIRE(live_stat(d, "holders_refused") >= 1 && live_stat(d, "holders_ended") >= 3);
	REQUIRE(live_log_count(d, "no further connections") > 0 &&
		live_log_count(d, "was refused") > 0);
	/* Others go on, and come. */
	OK(pager_connect(d->socket, NULL, &p));
	OK(pager_disconnect(p));
	operations = atomic_load(&shared->operations);
	WAIT_UNTIL(d, atomic_load(&shared->operations) > operations + 1000);
	live_check(d);
	atomic_store(&shared->stop, true);
	client_join(d, honest_pid, true);
	WAIT_UNTIL(d, live_stat(d, "sessions") == 0);
	live_stop(d);
}

int
main(int argc, char **argv)
{
	struct live d;

	live_init(argc, argv);
	if (argc < 2)
		FAIL("which attack?");
	mode = argv[1];
	shared = shared_alloc(sizeof(*shared));
	if (is_mode("again") && geteuid() != 0) {
		printf("skipped: the daemon's own user is not refused, and root alone can be two "
		       "users\n");
		return 77;
	}
	live_start(&d, "16M", "--socket-mode", "0666", NULL);
	if (is_mode("again"))
		attack_again(&d);
	else
		attack(&d);
	return 0;
}
