/* SPDX-License-Identifier: MIT
 *
 * fork(): managed memory is MADV_DONTFORK, so a child has none of it. A child does inherit the
 * descriptors of its parent's connection. It closes its copies, which the parent does not
 * notice, and every call on an inherited connection ends with -ENOTCONN. vfork(2) and
 * posix_spawn(3) need nothing: all descriptors are close-on-exec.
 */
#include "pager_priv.h"

#include <errno.h>
#include <unistd.h>

static pthread_mutex_t fork_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t fork_once = PTHREAD_ONCE_INIT;
static struct pager *fork_list; /* (fork_lock) */
static int fork_once_result;

static void
fork_close(struct pager *p)
{
	chan_close(&p->chan);
	if (!p->parted)
		agent_close(&p->agent);
	if (fd_is_noted(p->uffd, &p->uffd_note))
		close(p->uffd);
	p->uffd = -1;
}

static void
fork_prepare(void)
{
	pthread_mutex_lock(&fork_lock);
}

static void
fork_parent(void)
{
	pthread_mutex_unlock(&fork_lock);
}

/* Only this thread exists in the child. Threads that are gone may hold locks other than fork_lock,
 * so the child takes none of them, now or later. */
static void
fork_child(void)
{
	for (struct pager *p = fork_list; p; p = p->next) {
		atomic_store_explicit(&p->forked, true, memory_order_relaxed);
		fork_close(p);
	}
	fork_list = NULL;
	pthread_mutex_unlock(&fork_lock);
}

static void
fork_install(void)
{
	fork_once_result = -pthread_atfork(fork_prepare, fork_parent, fork_child);
}

int
fork_register(struct pager *p)
{
	pthread_once(&fork_once, fork_install);
	if (fork_once_result < 0)
		return fork_once_result;
	pthread_mutex_lock(&fork_lock);
	p->prev = NULL;
	p->next = fork_list;
	if (fork_list)
		fork_list->prev = p;
	fork_list = p;
	pthread_mutex_unlock(&fork_lock);
	return 0;
}

void
fork_part(struct pager *p)
{
	const int fds[] = { p->agent.socket, p->agent.stop_fd, p->agent.pidfd };

	pthread_mutex_lock(&fork_lock);
	/* The struct keeps the numbers: the agent uses them in the other table. */
	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	p->parted = true;
	pthread_mutex_unlock(&fork_lock);
}

void
fork_unregister(struct pager *p)
{
	pthread_mutex_lock(&fork_lock);
	fork_close(p);
	if (p->prev)
		p->prev->next = p->next;
	else
		fork_list = p->next;
	if (p->next)
		p->next->prev = p->prev;
	pthread_mutex_unlock(&fork_lock);
}
