/* SPDX-License-Identifier: MIT
 *
 * A connection without threads, for a program that does not know of it (run/). A thread would make
 * the program multi-threaded, which it can see: unshare(2) fails, libc takes locks, the descriptor
 * of a debugger shows it. So it stays what a forked child's connection is before its first call: no
 * keeper, which would hold its descriptors, and no agent, which would drop page-table entries for
 * the daemon (it uses its other way, pmap/zap.c). The daemon is told that the session ends with the
 * address space and not with the socket. Runs on: the caller's threads; a forked child's one
 * thread.
 */
#include "pager_priv.h"

#include <errno.h>
#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

#include "anchor.h"
#include "number.h"

static void
numbers_raise(struct pager *p)
{
	/* Nobody reads what the daemon sends an agent. A socket whose other end is closed tells it
	 * so at once. */
	if (p->agent.socket >= 0)
		close(p->agent.socket);
	p->agent.socket = -1;
	number_raise(&p->chan.fd);
	number_raise(&p->uffd);
}

static int
light_begin(struct pager *p)
{
	struct pager_req_fork_step request = { .step = PAGER_FORK_LIGHT };
	struct chan_call call = { CHAN_CALL(FORK_STEP, &request, &p->forking.step) };

	call.reply_bytes_min = offsetof(struct pager_rep_fork_step, regions);
	numbers_raise(p);
	return chan_exchange(&p->chan, &call);
}

/* A forked child's first call. */
static int
light_settle(struct pager *p)
{
	int r;

	pthread_mutex_lock(&p->settle_lock);
	r = 0;
	if (atomic_load_explicit(&p->light, memory_order_relaxed)) {
		r = fork_settle_books(p);
		if (r == 0) {
			numbers_raise(p);
			atomic_store_explicit(&p->light, false, memory_order_release);
		}
	}
	pthread_mutex_unlock(&p->settle_lock);
	return r;
}

int
light_connect(const char *socket, const char *name, struct pager **ret)
{
	struct pager *p =
	    mmap(NULL, sizeof(*p), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int r;

	if (p == MAP_FAILED)
		return -ENOMEM;
	p->magic = PAGER_MAGIC;
	p->stays_light = true;
	p->begin = light_begin;
	p->settle = light_settle;
	p->inherits = true;
	(void)event_start(&p->events, NULL, NULL); /* no thread: it cannot fail */
	r = pager_establish(p, socket, name);
	if (r < 0) {
		munmap(p, sizeof(*p));
		return r;
	}
	/* Where the system allows no io_uring the program must not close it (design.md). */
	(void)anchor_own(p->uffd);
	*ret = p;
	return 0;
}
