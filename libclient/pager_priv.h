/* SPDX-License-Identifier: MIT
 *
 * struct pager, and the functions that files of libclient call in one another.
 *
 * Locks, outermost first:
 *
 *   change_lock  one deallocation or change of protection at a time; held across requests
 *   fork_lock    (fork.c) the list of connections
 *   chan.lock    one request and its reply; waits for the daemon
 *   space_lock   the books of addresses and every change of a managed mapping; held across mmap(2)
 *                and madvise(2) on managed memory, never across a request, and never while managed
 *                memory is touched
 *   keeper.lock, events.lock   leaves: each covers a state and is never held across a call
 *
 * The agent takes space_lock and events.lock. The program's event function may take all but
 * keeper.lock.
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
#include "device_set.h"
#include "range_set.h"
#include "pager/pager.h"

#define PAGER_MAGIC 0x7061676572303031ull

/* The thread that does what only this process can do to itself. */
struct agent {
	pthread_t thread;
	int socket;  /* the daemon sends; the agent never answers */
	int stop_fd; /* eventfd: readable when the thread must end */
	int epoll;   /* of the descriptors that the thread waits for; in the keeper's table only */
	int pidfd;   /* of this process; -1: ranges are zapped one by one; used by the agent only */
	/* Used by the agent only. faulting: the last processors that the daemon named. allowed: the
	 * processors that the agent may use. used: those of them to which it has restricted itself.
	 */
	uint64_t faulting;
	cpu_set_t allowed, used;
};

/* The thread whose descriptor table is the connection's own (keeper.c). */
enum keeper_state { KEEPER_STARTING, KEEPER_KEEPING, KEEPER_ENDING, KEEPER_DONE };
struct keeper {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t changed;  /* waited for by the keeper and by the thread that starts or stops
				    it,  broadcast with each change of state */
	enum keeper_state state; /* (lock) */
	int result; /* of starting, then of ending; written before the state that follows */
};

/* Events for the program, and the thread that delivers them (event.c). */
#define EVENTS_MAX (PAGER_EVENT_DAEMON_DIED + 1)
struct events {
	pthread_t thread; /* only with a function */
	void (*function)(void *context, enum pager_event event,
	    uint64_t value); /* constant; NULL: events are not delivered */
	void *context;       /* constant */
	pthread_mutex_t lock;
	pthread_cond_t
	    changed;      /* waited for by the thread, signalled by the agent and by event_stop */
	unsigned waiting; /* (lock) bit n: event n */
	uint64_t values[EVENTS_MAX]; /* (lock) */
	bool stopping;               /* (lock) */
};

/* The books of addresses:
 *
 *   managed   mapped from a memfd and registered: the caller's memory
 *   windows   reservations for small allocations
 *   free      unused parts of windows
 *   devices   devices' memory: mapped, and not registered
 *   owed      ranges that no thread can reach, and of which the daemon could not be told yet
 *
 * free lies within windows; free, managed, devices and owed are disjoint; a large allocation is
 * managed outside of windows; a range that is being allocated or deallocated is in none of the
 * three. */
struct pager {
	uint64_t magic;
	struct chan chan;
	uint64_t page_size;       /* constant */
	uint64_t session;         /* constant: its number */
	int uffd;                 /* constant once attached */
	struct fd_note uffd_note; /* constant once attached */
	bool parted; /* (fork_lock) the agent's descriptors are in the keeper's table only */
	atomic_bool may_share; /* shareable memory has been asked for */
	atomic_bool forked;    /* a forked child's copy, which is useless */

	pthread_mutex_t change_lock;
	pthread_mutex_t space_lock;
	struct range_set managed;  /* (space_lock) */
	struct range_set windows;  /* (space_lock) */
	struct range_set free;     /* (space_lock) */
	struct range_set owed;     /* (space_lock) */
	struct device_set devices; /* (space_lock) */
	void *unreadable;          /* constant: a page that nobody can read */
	struct pager_upl *upls;    /* (space_lock) */

	struct keeper keeper;
	struct agent agent;
	struct events events;

	struct pager *prev, *next; /* (fork_lock) */
};

/* check.c */
/* Whether p can be used at all. => 0; -EINVAL; -ENOTCONN: in a forked child. */
int pager_check(const struct pager *p);
/* Whether the descriptors that requests and mappings need are still open here. => 0; -EBADF: the
 * program has closed them. */
int pager_check_descriptors(struct pager *p);

/* space.c: addresses. Only the connection's own mappings are changed. Where the program has
 * unmapped one, or has mapped something in its place, the range is left alone and taken out of the
 * books. */
/* => 0 or -ENOMEM */
int space_init(struct pager *p);
void space_fini(struct pager *p);
/* Reserves inaccessible addresses of this process, in no set yet. size: a multiple of page_size;
 * align: a power of 2, at least page_size. => 0 or -ENOMEM. */
int space_reserve(struct pager *p, uint64_t size, uint64_t align, uint64_t *ret_address);
/* The same at an address, a multiple of page_size. => 0; -ENOMEM; -EEXIST: something is there. */
int space_reserve_at(struct pager *p, uint64_t address, uint64_t size);
/* Unmaps the content of a range that is in no set and inaccessible; the addresses can be reserved
 * again, or, if the kernel has no mappings left for that, are never used again. */
void space_vacate(struct pager *p, uint64_t address, uint64_t size);
/* Gives a range that has been mapped and registered its protection, PROT_*, and makes it managed.
 * => 0; -ENOMEM: it is still inaccessible, if it was. */
int space_manage(struct pager *p, uint64_t address, uint64_t size, int protection);
/* Makes the range inaccessible and not managed; it stays mapped. => 0; -EINVAL: part of it is not
 * managed; -ENOMEM: it is managed, and a part of it may be inaccessible. */
int space_unmanage(struct pager *p, uint64_t address, uint64_t size);
/* A range that has been mapped and registered is managed, whatever its protection. => 0 or -ENOMEM.
 */
int space_restore(struct pager *p, uint64_t address, uint64_t size);
/* Gives a range that is mapped and registered a protection, PROT_*. => 0 or -ENOMEM: a part of it
 * may have it. */
int space_protect(struct pager *p, uint64_t address, uint64_t size, int protection);
/* apart: the kernel's mappings of the range end where it ends, so that space_protect of it needs no
 * further mapping and cannot fail for lack of one. Else they are joined with their neighbours again
 * if nothing differs. => 0 or -ENOMEM */
int space_part_mappings(struct pager *p, uint64_t address, uint64_t size, bool apart);
/* Takes the pages of our own mappings of the range out of the page tables. => 0 or -errno */
int space_unmap_pages(struct pager *p, uint64_t address, uint64_t size);
/* Notes a range that no thread can reach and that the daemon still has in its books. */
void space_owe(struct pager *p, uint64_t address, uint64_t size);
/* Takes one such range out of the set. => false: there is none. */
bool space_owed_take(struct pager *p, uint64_t *ret_address, uint64_t *ret_size);
/* Unmaps all, managed or not. => 0; -ENOMEM: something managed is still mapped. */
int space_unmap_all(struct pager *p);
/* Whether all of the range is mapped and registered with the connection's userfaultfd, as all
 * mappings of this library are. */
bool space_is_registered(const struct pager *p, uint64_t address, uint64_t size);
/* The part of the range that begins at address and is one registered mapping. It is measured in
 * hardware pages, because the program may have split the mapping, even within a system page. => its
 * size; 0: none. */
uint64_t space_registered_part(const struct pager *p, uint64_t address, uint64_t size);
#define HARDWARE_PAGE 4096u
/* Checks arguments of public calls: the start must be page-aligned and the range, its size rounded
 * up, managed or memory of devices. => 0 or -EINVAL. */
int space_check(
    struct pager *p, const void *addr, size_t size, uint64_t *ret_address, uint64_t *ret_size);

/* device.c: mappings of devices. Where the program has mapped something else, that is left alone.
 */
/* Maps the device over a range that is in no set and inaccessible. => 0: it is in the set of
 * devices; or -errno: nothing of ours is mapped there, except perhaps what was there before */
int device_map(
    struct pager *p, uint64_t address, uint64_t size, int fd, uint64_t offset, int protection);
/* Whether all of the range is memory of devices. */
bool device_has(struct pager *p, uint64_t address, uint64_t size);
/* => 0, -ENOMEM: a part of it may have it, or -EACCES: the description does not allow it */
int device_protect(struct pager *p, uint64_t address, uint64_t size, int protection);
/* As space_part_mappings, for device_protect and device_unmap. */
int device_part(struct pager *p, uint64_t address, uint64_t size, bool apart);
/* Nothing of ours is mapped there any more; the caller vacates the range. => 0 or -ENOMEM */
int device_unmap(struct pager *p, uint64_t address, uint64_t size);
/* => 0 or -ENOMEM: something is still mapped */
int device_unmap_all(struct pager *p);

/* upl.c */
/* Frees what is left of page lists, whose pages are handed back by the end of the connection. */
void upl_free_all(struct pager *p);

/* attribute.c */
typedef int region_function(struct pager *p, uint64_t address, uint64_t size, int protection);
/* Calls `each` for the parts of a range as the daemon's books have them, in the order of addresses.
 * => 0, or the first that is not 0 of -errno of the requests and what `each` returns */
int region_each(struct pager *p, uint64_t address, uint64_t size, region_function *each);

/* advise.c */
/* Makes a request about a range, which is put into *ret_address and *ret_size of the request. => 0
 * or -errno */
int range_exchange(struct pager *p, const void *addr, size_t size, uint64_t *ret_address,
    uint64_t *ret_size, struct chan_call *call);

/* agent.c */
void agent_init(struct agent *agent);
/* Opens all descriptors but the socket, which comes from the daemon. => 0 or -errno. */
int agent_open(struct agent *agent);
/* agent_start and agent_stop run on the keeper; agent_stop waits for the thread's end. */
int agent_start(struct pager *p);
void agent_stop(struct pager *p);
void agent_close(struct agent *agent);

/* keeper.c */
void keeper_init(struct keeper *k);
/* => 0: the agent runs, both threads have a descriptor table of their own, and the agent's
 * descriptors are gone from the program's; or -errno. */
int keeper_start(struct pager *p);
/* Ends the agent, unmaps all and breaks the connection. => 0; -ENOMEM: something managed is still
 * mapped, and p must stay. */
int keeper_stop(struct pager *p);

/* event.c */
/* function NULL: there is no thread, and events are not delivered. => 0 or -errno */
int event_start(
    struct events *e, void (*function)(void *, enum pager_event, uint64_t), void *context);
void event_post(struct events *e, enum pager_event event, uint64_t value);
/* Whether this is the thread that calls the function. */
bool event_is_self(const struct events *e);
/* Waits for the function to return. */
void event_stop(struct events *e);

/* fork.c: the connections that a child must not use */
/* => no descriptor is open yet. */
int fork_register(struct pager *p);
/* Closes the agent's descriptors in the program's table; a fork sees all of them or none. => the
 * keeper has them. */
void fork_part(struct pager *p);
/* Closes every descriptor of the connection and takes it off the list; a fork sees both or neither.
 */
void fork_unregister(struct pager *p);

#endif
