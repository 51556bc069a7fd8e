/* SPDX-License-Identifier: MIT
 *
 * Programs under pagerctl run that are stopped while others need the memory: it leaves, nothing
 * else waits for them, and when they go on they find what they had.
 *
 * usage: e_run_stopped one|family|limited
 * family: with all that it has forked, and what went on to another program; limited: nobody needs
 * the memory, but it may have less
 */
#include "harness.h"

#include <fcntl.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/wait.h>

/* Of the daemon, of each process that is stopped, and of the other program, which needs all that
 * there is. */
#define MEMORY "8M"
#define HOLDS  "4"
#define NEEDS  "16"
#define PAGE   4096u
#define PAGES  1024u /* of each process */
/* What may stay of them: the policy has not come to it yet. */
#define STAY  64u
#define LIMIT (1u << 20)

#define PROCESSES 4u /* of a family */

/* A program: `pagerctl run` becomes it. It leads a process group, in which its children are. */
struct program {
	pid_t pid;
	int output;
};

static void
launch(struct program *p, const struct live *d, const char *mib, const char *const *who)
{
	const char *const words[] = { "pagerctl", "--socket", d->socket, "run", "--",
		getenv("RUN_HOLD"), mib };
	char *arguments[16];
	unsigned count = 0;
	int output[2];

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		arguments[count++] = (char *)(uintptr_t)words[i];
	for (int i = 0; who && who[i]; i++)
		arguments[count++] = (char *)(uintptr_t)who[i];
	arguments[count] = NULL;
	REQUIRE(pipe2(output, O_CLOEXEC) == 0);
	p->pid = fork();
	REQUIRE(p->pid >= 0);
	if (p->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		setpgid(0, 0);
		dup2(output[1], STDOUT_FILENO);
		execv(getenv("PAGERCTL"), arguments);
		_exit(127);
	}
	close(output[1]);
	p->output = output[0];
}

/* Each of its processes has gone through its memory. */
static void
line_wait(const struct program *p)
{
	char line[256] = "";
	size_t used = 0;

	while (
	    used + 1 < sizeof(line) && read(p->output, line + used, 1) == 1 && line[used] != '\n')
		used++;
	REQUIRE(atoi(line) == p->pid, "\"%s\"", line);
}

/* What its processes have, and what came back to them. */
struct sum {
	unsigned clients;
	uint64_t resident, returns; /* pages */
};

static struct sum
sum_of(struct live *d, const struct program *p)
{
	static struct pager_rep_clients reply;
	struct pager_req_clients request = { 0 };
	struct chan_call call = { CHAN_CALL(CLIENTS, &request, &reply) };
	struct sum sum = { 0 };

	call.reply_bytes_min = offsetof(struct pager_rep_clients, clients);
	OK(chan_exchange(&d->chan, &call));
	EQ(reply.next_cursor, 0);
	for (uint32_t i = 0; i < reply.count; i++) {
		const struct pager_wire_client *c = &reply.clients[i];

		if (getpgid((pid_t)c->pid) != p->pid)
			continue;
		sum.clients++;
		sum.resident += c->ledger[PAGER_LEDGER_INTERNAL] / PAGE;
		sum.returns +=
		    c->ledger[PAGER_LEDGER_DECOMPRESSIONS] + c->ledger[PAGER_LEDGER_SWAPINS];
	}
	return sum;
}

/* It lives, and nothing that it had was wrong: then it would have ended. */
static bool
is_well(const struct program *p)
{
	int status;

	REQUIRE(waitpid(p->pid, &status, WNOHANG) == 0, "it has ended: %x", (unsigned)status);
	return true;
}

static void
stop(const struct program *p)
{
	int status;

	REQUIRE(kill(-p->pid, SIGSTOP) == 0);
	REQUIRE(waitpid(p->pid, &status, WUNTRACED) == p->pid && WIFSTOPPED(status), "%x",
	    (unsigned)status);
}

static void
end(const struct program *p)
{
	int status;

	REQUIRE(kill(-p->pid, SIGTERM) == 0);
	REQUIRE(waitpid(p->pid, &status, 0) == p->pid && WIFSIGNALED(status) &&
		    WTERMSIG(status) == SIGTERM,
	    "%x", (unsigned)status);
	close(p->output);
}

/* Goes on, and has all of its memory again, which is more than once what has left. */
static void
go_on(struct live *d, const struct program *p, unsigned processes)
{
	uint64_t before = sum_of(d, p).returns;

	REQUIRE(kill(-p->pid, SIGCONT) == 0);
	WAIT_UNTIL(d, is_well(p) && sum_of(d, p).returns >= before + 2 * processes * PAGES);
	EQ(sum_of(d, p).clients, processes);
}

static void
stopped(const char *const *who, unsigned processes)
{
	struct program program, other;
	struct live d;
	uint64_t before;

	live_start(&d, MEMORY, NULL);
	launch(&program, &d, HOLDS, who);
	line_wait(&program);
	stop(&program);
	EQ(sum_of(&d, &program).clients, processes);
	launch(&other, &d, NEEDS, NULL);
	/* It gets through, and on and on. */
	line_wait(&other);
	WAIT_UNTIL(&d, is_well(&other) && sum_of(&d, &program).resident <= processes * STAY);
	before = sum_of(&d, &other).returns;
	WAIT_UNTIL(&d, is_well(&other) && sum_of(&d, &other).returns > before + 4 * PAGES);
	live_check(&d);
	/* Beside the other one, which needs all of it still. */
	go_on(&d, &program, processes);
	end(&other);
	end(&program);
	WAIT_UNTIL(&d, live_stat(&d, "sessions") == 0);
	live_check(&d);
	live_stop(&d);
}

static void
test_one(void)
{
	stopped(NULL, 1);
}

static void
test_family(void)
{
	static const char *const who[] = { "child", "orphan", "over", NULL };

	stopped(who, PROCESSES);
}

static void
test_limited(void)
{
	struct program program;
	struct live d;

	live_start(&d, MEMORY, NULL);
	launch(&program, &d, HOLDS, NULL);
	line_wait(&program);
	stop(&program);
	REQUIRE(sum_of(&d, &program).resident > LIMIT / PAGE);
	live_limit(&d, program.pid, LIMIT);
	WAIT_UNTIL(&d, sum_of(&d, &program).resident <= LIMIT / PAGE);
	go_on(&d, &program, 1);
	end(&program);
	WAIT_UNTIL(&d, live_stat(&d, "sessions") == 0);
	live_check(&d);
	live_stop(&d);
}

int
main(int argc, char **argv)
{
	static const struct live_test tests[] = {
		{ "one", test_one },
		{ "family", test_family },
		{ "limited", test_limited },
	};

	live_init(argc, argv);
	/* Orphans are this test's, and end with it. */
	REQUIRE(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
	return LIVE_RUN(argc, argv, tests);
}
