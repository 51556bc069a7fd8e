/* SPDX-License-Identifier: MIT
 *
 * struct pager and what the files of libclient call of one another.
 *
 * Locks, outermost first:
 *
 *   fork_lock    (fork.c) the list of connections
 *   chan.lock    one request and its reply; waits for the daemon
 *   space_lock   the books of addresses and every change of a managed mapping; held across mmap(2)
 *                and madvise(2) on managed memory, never across a request, and never while managed
 *                memory is touched
 *
 * The agent takes space_lock and no other (a caller's event function may take them all).
 */
#ifndef PAGER_PRIV_H
#define PAGER_PRIV_H

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "chan.h"
#include "range_set.h"
#include "pager/pager.h"

#define PAGER_MAGIC 0x7061676572303031ull

/* The thread that does what only this process can do to itself. */
struct agent {
	pthread_t thread;
	int socket;  /* the daemon sends, nobody answers */
	int stop_fd; /* eventfd: readable when the thread shall end */
	int pidfd;   /* this process; -1: ranges are zapped one by one; the agent's own */
	/* The agent's own: the processors that it was told last, those it may use, and those it has left itself of them */
	uint64_t faulting;
	cpu_set_t allowed, used;
};

/* The books of addresses:
 *
 *   managed   mapped from a memfd and registered: what the caller owns
 *   windows   reservations for small allocations
 *   free      parts of windows that nobody uses
 *
 * free lies within windows and is disjoint from managed; a large allocation is managed outside of
 * windows; a range that is being allocated or deallocated is in neither free nor managed. */
struct pager {
	uint64_t magic;
	struct chan chan;
	uint64_t page_size; /* constant */
	int uffd;           /* constant once attached; see pager_disconnect on its life */
	atomic_bool forked; /* this is a child's useless copy */

	pthread_mutex_t space_lock;
	struct range_set managed; /* (space_lock) */
	struct range_set windows; /* (space_lock) */
	struct range_set free;    /* (space_lock) */

	struct agent agent;
	void (*event)(void *context, enum pager_event event, uint64_t value); /* constant */
	void *event_context;                                                  /* constant */

	struct pager *prev, *next; /* (fork_lock) */
};

/* Whether p can be used at all. => 0; -EINVAL; -ENOTCONN in a forked child. */
int pager_check(const struct pager *p);

/* space.c: addresses */
void space_init(struct pager *p);
void space_fini(struct pager *p);
/* Inaccessible addresses of this process, a multiple of page_size long, in no set yet. => 0 or
 * -ENOMEM. */
int space_reserve(struct pager *p, uint64_t size, uint64_t *ret_address);
/* Takes back what space_reserve gave, or a part of it. => the range is mapped inaccessible. */
void space_release(struct pager *p, uint64_t address, uint64_t size);
/* The range becomes managed. => 0 or -ENOMEM. */
int space_manage(struct pager *p, uint64_t address, uint64_t size);
/* The range is inaccessible afterwards and not managed; what is mapped there stays. => 0; -EINVAL:
 * part of it is not managed; -ENOMEM. */
int space_unmanage(struct pager *p, uint64_t address, uint64_t size);
/* Undoes that: all of it can be read and written. => 0 or -ENOMEM. */
int space_restore(struct pager *p, uint64_t address, uint64_t size);
/* Maps inaccessible addresses over whatever is there. => 0 or -ENOMEM. */
int space_hide(uint64_t address, uint64_t size);
/* Unmaps all, managed or not. => 0; -ENOMEM: something managed is still mapped. */
int space_unmap_all(struct pager *p);
/* Arguments of the public calls: page-aligned start, size rounded up, all of it managed. => 0 or
 * -EINVAL. */
int space_check(
    struct pager *p, const void *addr, size_t size, uint64_t *ret_address, uint64_t *ret_size);

/* agent.c */
void agent_init(struct agent *agent);
/* => 0, with *ret_daemon_fd the end to be sent to the daemon; or -errno. */
int agent_open(struct agent *agent, int *ret_daemon_fd);
int agent_start(struct pager *p);
/* Waits for the thread's end. => not called on the agent's thread. */
void agent_stop(struct pager *p);
void agent_close(struct agent *agent);

/* fork.c: the connections that a child must not use */
/* => no descriptor is open yet. */
int fork_register(struct pager *p);
/* Closes every descriptor of the connection and takes it off the list, as one step for fork. */
void fork_unregister(struct pager *p);

#endif
