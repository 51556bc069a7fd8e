/* SPDX-License-Identifier: MIT
 *
 * The keeper: a thread with a descriptor table of its own. The table holds the connection's
 * descriptors and nothing else; the agent works in it too. A program that closes descriptors that
 * it did not open (closefrom(3)) closes only its own copies:
 *
 * - The daemon sees no hang-up, which would end the session and with it the content of all memory.
 * - The userfaultfd stays open whatever happens to the daemon, so that threads that wait in a fault
 *   never go on and read zeroes.
 * - The agent never uses a number that has become another file's.
 *
 * In return the table holds no file of the program open.
 *
 * A tool that watches a program from within (ThreadSanitizer) assumes one table and takes a number
 * of this table for the same file in the program's. So descriptors of this table are used by raw
 * system calls, which no tool interposes.
 *
 * Runs on: the keeper's own thread, "pager-keeper", with all signals blocked; the functions of
 * pager_priv.h on the caller's.
 */
#include "pager_priv.h"

#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef CLOSE_RANGE_UNSHARE
#define CLOSE_RANGE_UNSHARE (1u << 1)
#endif
#define KEPT_MAX 5

static void
keeper_set(struct keeper *k, enum keeper_state state)
{
	pthread_mutex_lock(&k->lock);
	k->state = state;
	pthread_cond_broadcast(&k->changed);
	pthread_mutex_unlock(&k->lock);
}

static enum keeper_state
keeper_wait_past(struct keeper *k, enum keeper_state state)
{
	enum keeper_state now;

	pthread_mutex_lock(&k->lock);
	while (k->state <= state)
		pthread_cond_wait(&k->changed, &k->lock);
	now = k->state;
	pthread_mutex_unlock(&k->lock);
	return now;
}

/* Gives this thread a table of its own, which holds the connection's descriptors under the numbers
 * that they have in the program's. => 0 or -errno */
static int
keeper_table(struct pager *p)
{
	int kept[KEPT_MAX] = { p->chan.fd, p->uffd, p->agent.socket, p->agent.stop_fd,
		p->agent.pidfd };
	unsigned next = 0;

	/* Sort the numbers, then close all that lie between. Those above go first: that part of the
	 * table is never copied. */
	for (int i = 1; i < KEPT_MAX; i++)
		for (int j = i; j > 0 && kept[j - 1] > kept[j]; j--) {
			int fd = kept[j];

			kept[j] = kept[j - 1];
			kept[j - 1] = fd;
		}
	if (syscall(SYS_close_range, (unsigned)kept[KEPT_MAX - 1] + 1, ~0u, CLOSE_RANGE_UNSHARE) <
	    0)
		return -errno;
	for (int i = 0; i < KEPT_MAX; i++) {
		if (kept[i] < 0)
			continue;
		if ((unsigned)kept[i] > next)
			syscall(SYS_close_range, next, (unsigned)kept[i] - 1, 0u);
		next = (unsigned)kept[i] + 1;
	}
	/* The program may have closed them, and their numbers be other files', since they were
	 * opened. From here on no other thread can change this table. */
	return pager_check_descriptors(p);
}

static void *
keeper_run(void *argument)
{
	struct pager *p = argument;
	struct keeper *k = &p->keeper;

	pthread_setname_np(pthread_self(), "pager-keeper");
	k->result = keeper_table(p);
	if (k->result == 0)
		k->result = agent_start(p);
	keeper_set(k, KEEPER_KEEPING);
	if (k->result < 0)
		return NULL;
	keeper_wait_past(k, KEEPER_KEEPING);
	agent_stop(p);
	/* Unmap before the daemon is told: no thread may fault on memory that the daemon has
	 * forgotten. */
	k->result = device_unmap_all(p);
	if (k->result == 0)
		k->result = space_unmap_all(p);
	chan_break(&p->chan);
	keeper_set(k, KEEPER_DONE);
	/* If a mapping could not be removed, this thread stays, so that its userfaultfd stays open.
	 */
	while (k->result < 0)
		pause();
	return NULL;
}

void
keeper_init(struct keeper *k)
{
	pthread_mutex_init(&k->lock, NULL);
	pthread_cond_init(&k->changed, NULL);
}

int
keeper_start(struct pager *p)
{
	struct keeper *k = &p->keeper;
	sigset_t all, old;
	int r;

	k->state = KEEPER_STARTING;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(&k->thread, NULL, keeper_run, p);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (r != 0)
		return r == EAGAIN ? -ENOMEM : -r;
	/* Wait until no file of the program is open in both tables any more. */
	keeper_wait_past(k, KEEPER_STARTING);
	if (k->result < 0) {
		pthread_join(k->thread, NULL);
		return k->result;
	}
	fork_part(p);
	return 0;
}

int
keeper_stop(struct pager *p)
{
	struct keeper *k = &p->keeper;

	keeper_end(p);
	keeper_wait_past(k, KEEPER_ENDING);
	if (k->result < 0)
		return k->result;
	pthread_join(k->thread, NULL);
	return 0;
}
