/* SPDX-License-Identifier: MIT
 *
 * struct pager, and the functions that files of libclient call in one another.
 *
 * Locks, outermost first:
 *
 *   change_lock  one deallocation, change of protection or opening of a window at a time; held
 *                across requests
 *   settle_lock  a child's first call
 *   fork_lock    (fork.c) the list of connections; a fork holds it, and with it chan.lock and
 *                space_lock of each, from FORK_BEGIN to the end
 *   chan.lock    one request and its reply; waits for the daemon
 *   space_lock   the books of addresses and every change of a managed mapping; held across mmap(2)
 *                and madvise(2) on managed memory, never across a request, and never while managed
 *                memory is touched
 *   keeper.lock, events.lock   leaves: each covers a state and is never held across a call
 *
 * The agent takes all but settle_lock, fork_lock and keeper.lock. Those that it takes are held by
 * other threads as hold.h says. The program's event function may take all but keeper.lock.
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
#include "hold.h"
#include "range_set.h"
#include "pager/pager.h"
#include "pager/proto.h"

#define PAGER_MAGIC 0x7061676572303031ull

/* The thread that does what only this process can do to itself. */
struct agent {
	pthread_t thread;
	int socket;  /* the daemon sends; answers are requests */
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
#define EVENTS_MAX (PAGER_EVENT_LIMIT + 1)
/* Their places, and one for each entry of the ledger. */
#define EVENT_PLACES (EVENTS_MAX + PAGER_LEDGER_COUNT)
_Static_assert(EVENT_PLACES <= 64, "they are a word's bits");
struct events {
	pthread_t thread; /* only where it runs */
	void (*function)(void *context, enum pager_event event,
	    uint64_t value); /* constant; NULL: events are not delivered */
	void *context;       /* constant */
	pthread_mutex_t lock;
	pthread_cond_t
	    changed;      /* waited for by the thread, signalled by the agent and by event_stop */
	uint64_t waiting; /* (lock) bit n: the event with place n: event.c */
	uint64_t values[EVENT_PLACES]; /* (lock) */
	bool running, stopping;        /* (lock) */
	/* The last notice of pressure, for pager_pressure_take (notice.c). */
	int notice_fd; /* (change_lock, lock) to write, either to read; an eventfd in the program's
			  table; -1: none */
	struct fd_note notice_note;
	bool has_notice;              /* (lock) it has not been taken */
	enum pager_pressure pressure; /* (lock) its level */
};

/* What a child is to get of a connection. NOTHING: what the kernel gives it, which is no memory.
 * BARE: the daemon could not keep anything for it; its touches are SIGBUS. */
enum fork_state { FORK_NOTHING, FORK_BARE, FORK_READY };
/* Pieces of managed memory in whose place the program has mapped something, behind the library's
 * back, that are remembered. */
#define FORK_FOREIGN_MAX 64
/* One fork of a connection. Under fork_lock, and constant in the child, whose own it is. */
struct forking {
	enum fork_state state;
	bool has_chan, has_space; /* chan.lock, space_lock are held for it */
	int socket;               /* the child's; -1: none */
	int staging;              /* content of begun.physical; -1: none */
	int second;        /* the child's own number for `socket`, where it shares_files; -1 */
	bool shares_files; /* parent and child have one table of descriptors (CLONE_FILES) */
	unsigned tries;    /* of asking for the child, so far */
	struct pager_rep_fork_begin begun; /* the daemon's answer */
	struct pager_rep_fork_step step;   /* likewise; not on the stack, which may be small */
	/* In the child: up to covered, managed memory is held for it by inaccessible mappings, but
	 * for what the program has mapped there itself. */
	uint64_t covered;
	struct range foreign[FORK_FOREIGN_MAX];
	unsigned foreign_count;
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
	bool inherits;         /* constant: a forked child gets memory */
	unsigned generation;   /* constant: forks between the process that connected and this one */
	/* A forked child that has made no call yet: it has no threads of the connection's. */
	atomic_bool light;
	uint64_t attaching; /* (chan.lock) the probe of an ATTACH whose answer has not been read; 0:
			       there is none */
	pthread_mutex_t settle_lock;
	/* (chan.lock) In a child: the number of its FORK_CHILD, 0: it has not been sent; whether
	 * its answer has been read. */
	uint64_t announced;
	bool has_heard;
	int (*settle)(struct pager *p); /* constant: what the first call of a light one does */
	int (*begin)(struct pager *p);  /* constant: what follows ATTACH */
	bool stays_light; /* constant: it has no threads, in forked children either (light.c) */
	bool is_anchored; /* constant: a forked child's userfaultfd stays open (anchor.h) */
	struct forking forking;

	pthread_mutex_t change_lock;
	pthread_mutex_t space_lock;
	struct range_set managed;  /* (space_lock) */
	struct range_set windows;  /* (space_lock) */
	struct range_set free;     /* (space_lock) */
	struct range_set owed;     /* (space_lock) */
	struct device_set devices; /* (space_lock) */
	void *unreadable;          /* constant: a page that nobody can read */
	struct pager_upl *upls;    /* (space_lock) */
	struct pager_port *ports;  /* (space_lock) */
	struct pager_show *shows;  /* (space_lock) newest first */
	uint64_t shown;            /* (change_lock) bytes so far: show.c */

	atomic_bool released; /* all memory is ordinary, and the connection ends: release.c */
	struct keeper keeper;
	struct agent agent;
	struct events events;

	struct pager *prev, *next; /* (fork_lock) */
};

/* A port as this process has it. */
#define PORT_MAGIC 0x7061676572303076ull

struct pager_port {
	uint64_t magic;
	struct pager *pager;            /* constant */
	struct pager_port *prev, *next; /* (space_lock) */
	uint64_t id;                    /* constant: the daemon's number */
	struct fd_note note;            /* constant: of info.fd */
	bool is_parents;                /* constant: this is a forked child */
	struct pager_port_info info;    /* constant */
};

/* pager.c */
/* Connects: everything but the struct itself, of which magic, begin, stays_light, settle and
 * inherits are set, and the events. => 0 or -errno; on failure only the struct is left */
int pager_establish(struct pager *p, const char *socket, const char *name);

/* check.c */
/* Whether p can be used at all. => 0; -EINVAL; -ENOTCONN: in a forked child. */
int pager_check(const struct pager *p);
/* This process has what connections it has: libc has forked it, or nobody has. => 0 or -ENOMEM */
int process_mark(void);
/* Whether this is a child of clone(2), to which nothing of the parent's belongs. */
bool process_is_copy(void);
/* Whether the descriptors that requests and mappings need are still open here. => 0; -EBADF: the
 * program has closed them. */
int pager_check_descriptors(struct pager *p);

/* light.c */
/* As pager_connect, but the connection has no threads. Its descriptors have numbers that programs
 * do not count on, and the memory is served even if the program closes them; calls answer -EBADF
 * then. No lock, no thread and no memory of the program's or of its malloc is used. */
int light_connect(const char *socket, const char *name, struct pager **ret);

/* adopt.c: memory at addresses that the program has chosen, in place of private anonymous memory of
 * its own. => the caller keeps others from changing these mappings meanwhile */
/* Makes memory of which nobody has written a byte managed where it is. => 0; or -errno: it is
 * ordinary memory as before */
int region_adopt(struct pager *p, uint64_t address, uint64_t size, int protection);
/* Makes room in the books so that region_abandon cannot fail. => 0 or -ENOMEM */
int region_abandon_prepare(struct pager *p);
/* The program has unmapped managed memory, or has mapped something else in its place: the daemon is
 * told, at once or later. => all of the range is managed, and room was made */
void region_abandon(struct pager *p, uint64_t address, uint64_t size);
/* The daemon has no range there any more, at once or later. Unlike region_give_back this leaves
 * alone what lies there: it is the program's. */
void region_forget(struct pager *p, uint64_t address, uint64_t size);
/* The first part of [start, end) that is managed. => false: there is none */
bool space_managed_part(
    struct pager *p, uint64_t start, uint64_t end, uint64_t *ret_start, uint64_t *ret_end);

/* watch.c */
/* Makes the userfaultfd. => 0 or -errno; on failure the caller closes what has been opened. */
int pager_watch(struct pager *p, int dev_fd, uint64_t features);
/* Absent pages, which only the daemon fills, for a request. => 0 or -errno */
int probe_open(const struct pager *p, struct pager_req_attach *ret);
void probe_close(uint64_t address);

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
/* In a forked child: the lists are the parent's, and nothing can be done with them here. */
void upl_fork_all(struct pager *p);
/* Frees what is left of page lists, whose pages are handed back by the end of the connection. */
void upl_free_all(struct pager *p);

/* port.c */
/* Frees what is left of ports, which end with the connection. */
void port_free_all(struct pager *p);
/* In a forked child: the ports are the parent's, and no call can be made of them here. */
void port_fork_all(struct pager *p);

/* copy.c */
/* Whole pages: the destination becomes a copy that shares what nobody writes. => 0 or -errno of
 * COPY, when a part of the destination may have been copied */
/* pager_shared_elf_parts, whose arguments are not NULL. (elf.c) */
int elf_parts(uint64_t page_size, int fd, struct pager_shared_part *parts, unsigned room,
    unsigned *ret_count);
int copy_virtually(struct pager *p, uint64_t source, uint64_t size, uint64_t destination);

/* show.c */
/* The copy's own memory is to be mapped around the address, where another one's is. => no lock held
 */
void show_open(struct pager *p, uint64_t address);
/* The same in all of a range. => 0 or -errno; no lock held */
int show_open_range(struct pager *p, uint64_t address, uint64_t size);
/* In a forked child: what it has inherited is seen where it was copied from. => 0 or -errno: a part
 * may be; no other thread touches inherited memory, and no lock held */
int show_inherited(struct pager *p);
/* Unmaps what is left of it. => there is no other thread */
void show_free_all(struct pager *p);

/* attribute.c */
typedef int region_function(struct pager *p, uint64_t address, uint64_t size, int protection);
/* Calls `each` for the parts of a range as the daemon's books have them, in the order of addresses.
 * => 0, or the first that is not 0 of -errno of the requests and what `each` returns */
int region_each(struct pager *p, uint64_t address, uint64_t size, region_function *each);
/* As pager_protect; change_lock held */
int range_protect(struct pager *p, uint64_t address, uint64_t size, int protection);

/* advise.c */
/* Makes a request about a range, which is put into *ret_address and *ret_size of the request. => 0
 * or -errno */
int range_exchange(struct pager *p, const void *addr, size_t size, uint64_t *ret_address,
    uint64_t *ret_size, struct chan_call *call);

/* agent.c */
void agent_init(struct agent *agent);
/* Opens all descriptors but the socket, which comes from the daemon. => 0 or -errno. */
int agent_open(struct agent *agent);
/* Closes these again. */
void agent_shut(struct agent *agent);
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
/* keeper_end.c */
/* The same begins, and is not waited for: keeper_stop does. */
void keeper_end(struct pager *p);

/* event.c */
/* function NULL: there is no thread, and events are not delivered. => 0 or -errno */
int event_start(
    struct events *e, void (*function)(void *, enum pager_event, uint64_t), void *context);
/* There is a thread from now on, be there a function or not. => 0 or -errno */
int event_run(struct events *e);
/* The program has done what it could about the last notice of pressure. => 0 or -errno */
int notice_done(struct pager *p);
void event_post(struct events *e, enum pager_event event, uint64_t value);
/* Whether this is the thread that calls the function. */
bool event_is_self(const struct events *e);
/* Waits for the function to return. */
void event_stop(struct events *e);

/* notice.c: notices of memory pressure */
/* Closes the program's descriptor for them. */
void notice_close(struct pager *p);

/* fork.c: the connections of this process, and what a forked child gets of them */

/* => no descriptor is open yet. */
int fork_register(struct pager *p);
/* Takes it off the list, if it is there, in a child of clone(2), whose parent's descriptors stay as
 * they are. */
void fork_forget(struct pager *p);
/* Closes the agent's descriptors in the program's table; a fork sees all of them or none. => the
 * keeper has them. */
void fork_part(struct pager *p);
/* Closes every descriptor of the connection and takes it off the list; a fork sees both or neither.
 */
void fork_unregister(struct pager *p);
/* What is done around each fork of the process, whether anything is managed or not, with all
 * signals blocked. child: the child's connections are its own by then. */
struct fork_surrounding {
	void (*before)(void);
	void (*parent)(void);
	void (*child)(void);
};
/* Does for another way of making a child what is done for fork(2). make: => as of fork, on the same
 * stack in both; shares_files: the child will have this process's table of descriptors. => what it
 * says, errno as it was left */
pid_t fork_by(pid_t (*make)(void *context), void *context, bool shares_files);
/* => 0; -errno of patch: libc's fork cannot be replaced */
int fork_surround(const struct fork_surrounding *surrounding);

/* fork_child.c: the same in the child */
/* Closes what this process has of the connection's descriptors. */
void fork_close(struct pager *p);
/* Holds the places of all that was managed. A child of several connections does this for each
 * before it maps anything. */
void fork_cover(struct pager *p);
/* The connection is the child's own, with the memory that it has inherited. => false: it is none
 * any more. Runs on: the child's one thread, before anything else runs in it */
bool fork_child_begin(struct pager *p);
/* Reads the answer to ATTACH that is still to come. => 0 or -errno: the connection is broken;
 * chan.lock held */
int fork_collect(struct pager *p);
/* Takes what is unused of windows into the books; a second time is harmless. => 0 or -errno */
int fork_windows(struct pager *p);
/* fork_share.c */
/* In a forked child, when libc is in order again. */
void fork_share(struct pager *list);

/* fork_settle.c */
/* Starts the threads of a forked child's connection: its first call does. => 0 or -errno: it is as
 * before */
int fork_settle(struct pager *p);
/* Its answers are read and its windows put in order. => 0 or -errno; settle_lock held */
int fork_settle_books(struct pager *p);

#endif
