/* SPDX-License-Identifier: MIT
 *
 * The keeper, with workers made by the test: what they have handed over outlives them, from the
 * moment in which it was sent.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "keeper/keeper.h"
#include "log.h"

/* In memory that all generations of workers, and the test, have. */
struct shared {
	unsigned lives; /* of workers so far */
	unsigned wrong; /* line of the first thing that was */
	uint64_t takeovers[64];
	pid_t keeper;
};

static struct shared *shared;

#define EXPECT(condition)                                                                          \
	do                                                                                         \
		if (!(condition) && !shared->wrong)                                                \
			shared->wrong = __LINE__;                                                  \
	while (0)

/* Runs a keeper in a process of its own. => its status, as of wait(2) */
static int
keep(int (*work)(struct keeper_link *link, void *context))
{
	int status;
	pid_t pid;

	memset(shared, 0, sizeof(*shared));
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		log_set_level(LOG_ERROR);
		shared->keeper = getpid();
		exit(keeper_run(&(struct keeper_config){ .work = work }));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (shared->wrong)
		fail_msg("wrong in line %u", shared->wrong);
	return status;
}

enum { LIVES = 7, EACH = 40 };

static int
file_with(uint64_t word)
{
	int fd = memfd_create("c_keeper", MFD_CLOEXEC);

	EXPECT(fd >= 0 && pwrite(fd, &word, sizeof(word), 0) == sizeof(word));
	return fd;
}

static uint64_t
word_of(int fd)
{
	uint64_t word = 0;

	EXPECT(fd >= 0 && pread(fd, &word, sizeof(word), 0) == sizeof(word));
	return word;
}

/* Life n finds what life n - 1 has sent, all of it, in its last version; drops a part, replaces a
 * part, and dies at once behind the last packet. */
static int
dies_behind_a_packet(struct keeper_link *link, void *context)
{
	unsigned life = shared->lives++;

	(void)context;
	shared->takeovers[life] = link->takeovers;
	EXPECT((link->died_ns != 0) == (life > 0));
	for (uint64_t i = 0; i < EACH; i++) {
		int fd = keeper_take(link, KEPT_OBJECT, i);

		if (life == 0 || (i % 3 == 0 && life % 2 == 0)) {
			/* Nobody has sent it yet, or the life before has dropped it. */
			EXPECT(fd == -1);
			continue;
		}
		EXPECT(word_of(fd) == (life - 1) * 1000 + i);
		EXPECT(keeper_take(link, KEPT_OBJECT, i) == -1);
	}
	EXPECT(keeper_take(link, KEPT_SOCKET, 1) == -1);
	keeper_forget_rest(link);
	if (life == LIVES)
		return 7;
	for (uint64_t i = 0; i < EACH; i++) {
		if (life % 2 == 1 && i % 3 == 0)
			keeper_drop(link, KEPT_OBJECT, i);
		else
			keeper_keep(link, KEPT_OBJECT, i, file_with(life * 1000 + i));
	}
	kill(getpid(), SIGKILL);
	return 0;
}

static void
what_was_sent_outlives_its_sender(void **state)
{
	int status = keep(dies_behind_a_packet);
	(void)state;

	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 7);
	assert_int_equal(shared->lives, LIVES + 1);
	for (unsigned i = 0; i <= LIVES; i++)
		assert_int_equal(shared->takeovers[i], i);
}

/* What nobody takes goes with keeper_forget_rest: the life after does not find it. */
static int
forgets(struct keeper_link *link, void *context)
{
	(void)context;
	switch (shared->lives++) {
	case 0:
		keeper_keep(link, KEPT_RECORD, 5, file_with(5));
		keeper_keep(link, KEPT_RECORD, UINT64_MAX, file_with(6));
		keeper_ready(link, 11);
		abort();
	case 1:
		EXPECT(link->waited_ns == 11);
		EXPECT(word_of(keeper_take(link, KEPT_RECORD, UINT64_MAX)) == 6);
		keeper_forget_rest(link);
		keeper_ready(link, 12);
		abort();
	default:
		EXPECT(link->waited_ns == 23);
		EXPECT(link->count == 1);
		EXPECT(keeper_take(link, KEPT_RECORD, 5) == -1);
		EXPECT(word_of(keeper_take(link, KEPT_RECORD, UINT64_MAX)) == 6);
		return 0;
	}
}

static void
what_nobody_takes_goes(void **state)
{
	int status = keep(forgets);
	(void)state;

	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_int_equal(shared->lives, 3);
}

static void
end_with_9(int signal)
{
	(void)signal;
	_exit(9);
}

/* A signal that the keeper gets is the worker's. */
static int
waits_for_a_signal(struct keeper_link *link, void *context)
{
	(void)context, (void)link;
	shared->lives++;
	signal(SIGTERM, end_with_9);
	kill(shared->keeper, SIGTERM);
	pause();
	return 0;
}

static void
a_signal_is_passed_on(void **state)
{
	int status = keep(waits_for_a_signal);
	(void)state;

	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 9);
	assert_int_equal(shared->lives, 1);
}

/* The worker dies of what the keeper was told: that is an end, not a death to be followed. */
static int
dies_of_it(struct keeper_link *link, void *context)
{
	(void)context, (void)link;
	shared->lives++;
	kill(shared->keeper, SIGTERM);
	pause();
	return 0;
}

static void
an_end_that_was_asked_for_is_one(void **state)
{
	int status = keep(dies_of_it);
	(void)state;

	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 1);
	assert_int_equal(shared->lives, 1);
}

static int outlived[2];

static void
say_that_it_lives(int signal)
{
	(void)signal;
	(void)!write(outlived[1], "", 1);
	_exit(0);
}

/* The keeper is killed, and this worker is not told by anybody. */
static int
loses_its_keeper(struct keeper_link *link, void *context)
{
	(void)context, (void)link;
	signal(SIGALRM, say_that_it_lives);
	alarm(300);
	kill(shared->keeper, SIGKILL);
	pause();
	return 0;
}

static void
a_worker_ends_with_its_keeper(void **state)
{
	int status;
	char byte;
	(void)state;

	assert_int_equal(pipe(outlived), 0);
	status = keep(loses_its_keeper);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGKILL);
	close(outlived[1]);
	/* Its end of the pipe closes with it. */
	assert_int_equal(read(outlived[0], &byte, 1), 0);
	close(outlived[0]);
}

/* The first one serves and crashes; then they crash before they serve, and one is killed. */
static int
crashes(struct keeper_link *link, void *context)
{
	unsigned life = shared->lives++;
	(void)context;

	if (life == 0)
		keeper_ready(link, 0);
	if (life == 2)
		kill(getpid(), SIGKILL);
	signal(SIGABRT, SIG_DFL);
	abort();
}

/* Ten in a row that have not served, and have not been killed from outside: 1, 3 to 11. */
static void
what_nobody_can_take_over_is_given_up(void **state)
{
	int status = keep(crashes);
	(void)state;

	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 1);
	assert_int_equal(shared->lives, 12);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_sent_outlives_its_sender),
		cmocka_unit_test(what_nobody_can_take_over_is_given_up),
		cmocka_unit_test(what_nobody_takes_goes),
		cmocka_unit_test(a_signal_is_passed_on),
		cmocka_unit_test(an_end_that_was_asked_for_is_one),
		cmocka_unit_test(a_worker_ends_with_its_keeper),
	};

	shared =
	    mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	assert_true(shared != MAP_FAILED);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
