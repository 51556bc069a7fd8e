/* SPDX-License-Identifier: MIT */
#include <grp.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "harness_priv.h"

pid_t
client_start_as(struct live *d, uid_t uid, client_body *body, void *argument)
{
	pid_t pid;

	fflush(NULL);
	pid = fork();
	REQUIRE(pid >= 0, "fork: %s", strerror(errno));
	if (pid > 0) {
		child_add(pid);
		return pid;
	}
	if (uid && (setgroups(0, NULL) < 0 || setresgid(uid, uid, uid) < 0 ||
		       setresuid(uid, uid, uid) < 0))
		FAIL("cannot become uid %d: %s", (int)uid, strerror(errno));
	/* After the change of uid, which clears the signal for the parent's death. */
	child_begin();
	body(d, argument);
	fflush(NULL);
	_exit(0);
}

void
client_join(struct live *d, pid_t pid, bool sample)
{
	uint64_t n = 0;
	int status;
	pid_t r;

	while ((r = waitpid(pid, &status, WNOHANG)) == 0) {
		if (sample)
			live_sample(d, n++ % 8 == 0);
		live_tick_at(d, __FILE__, __LINE__, "a client's end");
	}
	REQUIRE(r == pid, "waitpid: %s", strerror(errno));
	child_remove(pid);
	if (WIFSIGNALED(status))
		FAIL("client %d was ended by signal %d (%s)", (int)pid, WTERMSIG(status),
		    strsignal(WTERMSIG(status)));
	if (WEXITSTATUS(status) != 0)
		FAIL("client %d ended with status %d", (int)pid, WEXITSTATUS(status));
}

void
client_kill(pid_t pid)
{
	int status;

	kill(pid, SIGKILL);
	status = child_reap(pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) != 0)
		FAIL("client %d ended with status %d before it was killed", (int)pid,
		    WEXITSTATUS(status));
}

void
client_forget(pid_t pid)
{
	child_remove(pid);
}

void *
shared_alloc(size_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	REQUIRE(memory != MAP_FAILED, "%s", strerror(errno));
	return memory;
}

struct pager *
client_connect(struct live *d)
{
	struct pager *p;

	OK(pager_connect(d->socket, NULL, &p));
	return p;
}

void *
client_allocate(struct pager *p, size_t bytes)
{
	void *memory;

	OK(pager_allocate(p, bytes, 0, &memory));
	return memory;
}
