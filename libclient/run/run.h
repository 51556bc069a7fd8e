/* SPDX-License-Identifier: MIT
 *
 * libpagerrun.so: the library that `pagerctl run` has preloaded into a program that does not know
 * of it. What libc does about memory is done here (start.c replaces the functions), and private
 * anonymous memory becomes managed where it is, once there is 1 MiB of it:
 *
 *   map.c      mmap, munmap, mprotect: mappings, and reservations when they are first used
 *   remap.c    mremap
 *   heap.c     brk, sbrk
 *   advise.c   madvise, mlock and its kin
 *   exec.c     execve
 *   clone.c    clone, and what makes children by syscall(2)
 *   watch.c    ioctl: memory that the program watches itself
 *   books.c    what is known of the program's memory, and the connection
 *   data.c     RLIMIT_DATA
 *   count.c    what the launcher has told, and what it is told
 *   symbols.c  where libc has these functions
 *   wrap.c     the calls that libpager makes itself
 *   entry.S    syscall(2) by number
 *
 * What the program has of memory is as the kernel's, and what cannot be managed stays the kernel's.
 * Nothing of the program's is used: no malloc, no stdio, no thread, no lock but this library's own.
 *
 * Each call of a replaced function runs with all signals blocked and run.lock held from the change
 * of the mapping to the daemon's answer about it, so that no other call meets the mapping and the
 * books in disagreement, and no signal handler meets the lock. Functions here are called so, unless
 * they say otherwise. Runs on: the program's threads; a child of vfork(2), which is one of them to
 * all this.
 */
#ifndef RUN_H
#define RUN_H

#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>

#include "pager/run_page.h"
#include "pager_priv.h"
#include "patch.h"
#include "raw.h"

#define RUN_PAGE HARDWARE_PAGE
/* Memory of less than this stays ordinary until it grows. */
#define RUN_LEAST       (1ull << 20)
#define RUN_READ_WRITE  (PROT_READ | PROT_WRITE)
#define RUN_PROTECTIONS 8 /* combinations of PROT_READ, PROT_WRITE, PROT_EXEC */

enum run_state {
	RUN_OFF,     /* all that comes stays ordinary */
	RUN_WAITING, /* the first that is large enough connects */
	RUN_CONNECTED,
};

struct run {
	pthread_mutex_t lock;
	enum run_state state;
	struct pager *pager;         /* connected; NULL: nothing is managed */
	char socket[108];            /* constant, here and below */
	uint64_t group, key;         /* to which this process belongs; 0: none */
	char name[64];               /* that the command was given; "": none */
	char self[PATH_MAX];         /* the path by which this library was preloaded */
	struct pager_run_page *page; /* in which is counted; NULL: nobody wants to know */
	bool all_locked;             /* mlockall(MCL_FUTURE) */
	/* Private anonymous memory of the program's, readable and writable, that is too small. */
	struct range_set small;
	/* Private anonymous memory that is inaccessible and has always been: there is nothing in
	 * it. */
	struct range_set reserved;
	/* Managed memory of which the same is true. */
	struct range_set untouched;
	/* Managed memory that mlock(2) has wired. */
	struct range_set locked;
	/* Managed memory, and reservations, that a forked child does not get (MADV_DONTFORK); and
	 * managed memory that it gets as zeroes (MADV_WIPEONFORK). The daemon gives it nothing of
	 * either. */
	struct range_set unforked, wiped;
	/* Managed memory by its protection, if it is not RUN_READ_WRITE: a forked child has all of
	 * it as that. */
	struct range_set protected[RUN_PROTECTIONS];
};
extern struct run run;

/* What a call puts back when it ends. */
struct run_call {
	uint64_t signals;
	int error, cancel_state;
};
/* => run.lock held, signals blocked */
void run_enter(struct run_call *c);
/* result: 0 or more, or -errno. => what libc's function returns; errno is set if that is -1, and
 * else as it was */
long run_leave(const struct run_call *c, long result);

/* --- books.c --- */
static inline uint64_t
run_page_up(uint64_t size)
{
	return (size + RUN_PAGE - 1) & ~(uint64_t)(RUN_PAGE - 1);
}
/* Takes a range out of a set, as far as it is in it. */
void set_cut(struct range_set *set, uint64_t start, uint64_t end);
/* Adds a range, whatever of it is in the set. If there is no memory for that, it is not added. */
void set_put(struct range_set *set, uint64_t start, uint64_t end);
/* The first part of [start, end) that is managed. */
bool run_managed_part(uint64_t start, uint64_t end, uint64_t *ret_start, uint64_t *ret_end);
/* Makes memory managed of which nobody has written a byte. => whether it is; else it is as it was
 */
bool run_manage(uint64_t start, uint64_t end, int protection);
/* Before mappings are replaced or removed. => 0 or -ENOMEM: that must not be done */
int run_forget_prepare(uint64_t start, uint64_t end);
/* The mappings of the range are not what they were. => run_forget_prepare has succeeded */
void run_forget(uint64_t start, uint64_t end);
/* The protection of managed memory at `start`, and in *end how far it is the same at least. */
int run_protection(uint64_t start, uint64_t *end);
/* What a forked child gets of managed memory of the range is what the books say. => 0 or -errno */
int run_inherit(uint64_t start, uint64_t end);
/* Around fork(2), with all signals blocked; not with run.lock. */
extern const struct fork_surrounding run_fork;

/* --- data.c --- */
/* Whether RLIMIT_DATA forbids so much more: to the kernel managed memory is shared memory, which
 * that limit does not count. */
bool run_data_is_full(uint64_t more);
/* Managed memory of the range, bytes. writable: only what is */
uint64_t run_managed_bytes(uint64_t start, uint64_t end, bool writable);

/* --- count.c --- */
/* Reads what the launcher says in the environment. => at the program's start */
void run_told(void);
/* Something is not managed; times -1: it was counted too early. */
void run_count(enum pager_run_reason reason, int times, uint64_t bytes);

/* --- map.c, remap.c, advise.c, heap.c: in place of libc's; signals and run.lock as they come ---
 */
void *run_mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset);
int run_munmap(void *address, size_t size);
int run_mprotect(void *address, size_t size, int protection);
int run_pkey_mprotect(void *address, size_t size, int protection, int key);
void *run_mremap(void *address, size_t old_size, size_t size, int flags, ...);
int run_madvise(void *address, size_t size, int advice);
int run_mlock(const void *address, size_t size);
int run_mlock2(const void *address, size_t size, unsigned flags);
int run_munlock(const void *address, size_t size);
int run_mlockall(int flags);
int run_munlockall(void);
int run_brk(void *end);
void *run_sbrk(intptr_t increment);
int run_execve(const char *path, char *const *arguments, char *const *environment);
int run_clone(int (*function)(void *), void *stack, int flags, void *argument, ...);
int run_ioctl(int fd, unsigned long request, ...);
/* clone.c: clone and clone3 by number; what is no thread. => as syscall(2), which returns twice */
long run_clone_call(
    uint64_t flags, uint64_t stack, uint64_t parent_tid, uint64_t child_tid, uint64_t tls);
long run_clone3_call(const void *arguments, size_t bytes);
/* => whether libc's clone is replaced; run_clone is as it was else */
bool run_clone_replace(void);
/* What the system call brk returns. */
void *run_brk_call(void *end);

/* map.c: makes a new private anonymous mapping managed if it is to be, or remembers it. fresh: what
 * it replaces was a reservation */
void run_consider(uint64_t start, uint64_t end, int protection, bool fresh);
/* The range is not mapped any more, as munmap(2). => 0 or -errno */
long run_unmap(uint64_t start, uint64_t end);
/* Zeroes in all of a range of managed memory. => 0 or -errno */
int run_zero(uint64_t start, uint64_t end);

/* --- symbols.c --- */
/* The path by which the object was loaded that has the address; "": none is that long. */
void object_path(uintptr_t address, char *path, size_t path_size);
/* A function of libc's own, whoever else has one of that name. => NULL: there is none of at least
 * that many bytes */
patch_function *libc_function(const char *name, size_t bytes_min);

/* --- entry.S --- */
long run_syscall(long number, ...);
/* Called from there with a number of those that are replaced. */
long run_syscall_replaced(long number, long a, long b, long c, long d, long e, long f);
/* Called from there: the kernel's -errno. => -1 */
long run_syscall_failed(long error);

#endif
