/* SPDX-License-Identifier: MIT
 *
 * Shared reads of forked children. Where a parent has much in memory, the daemon says so, and its
 * child sees what it has inherited where the parent has it (show.c), before the program goes on.
 * Until then nobody else may touch that memory, since what is written between mapping and
 * registering is written unseen: there is one thread, and none of its signal handlers runs.
 *
 * What is written there needs the agent, so it and the keeper are started first, and not by the
 * first call (fork_settle.c). They take what libc's malloc gives, so libc must be in order, and so
 * must a malloc of the program's own: this runs as a handler of pthread_atfork(3), and not where
 * fork_child.c does.
 *
 * A child whose userfaultfd could not be anchored (anchor.h) has the threads begun here as well,
 * and the keeper holds it.
 *
 * Runs on: the child's one thread.
 */
#include "pager_priv.h"

#include <errno.h>
#include <signal.h>
#include <sys/stat.h>

/* Whether no handler that ran before has started a thread. The directory has an entry for each. */
static bool
is_alone(void)
{
	struct stat st;

	return stat("/proc/self/task", &st) == 0 && st.st_nlink == 3;
}

/* A connection without threads, as pagerctl run makes (light.c), stays so: its child reads
 * duplicates. */
static bool
is_wanted(const struct pager *p)
{
	return !p->stays_light && atomic_load_explicit(&p->light, memory_order_relaxed) &&
	       p->forking.state == FORK_READY &&
	       (p->forking.begun.flags & PAGER_FORK_SHARES_READS || !p->is_anchored);
}

void
fork_share(struct pager *list)
{
	int saved = errno, cancel_state;
	struct pager *p = list;
	sigset_t all, old;
	bool alone;

	while (p && !is_wanted(p))
		p = p->next;
	if (!p || hold_is_held())
		return;
	alone = is_alone();
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
	/* Where something fails, this child reads duplicates, or its first call fails as this has.
	 */
	for (; p; p = p->next)
		if (is_wanted(p) && (alone || !p->is_anchored) && p->settle(p) == 0 && alone &&
		    p->forking.begun.flags & PAGER_FORK_SHARES_READS)
			(void)show_inherited(p);
	pthread_setcancelstate(cancel_state, NULL);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	errno = saved;
}
