/* SPDX-License-Identifier: MIT
 *
 * The books: objects, backings, mappings, maps and tasks, which name one another, so their bodies
 * stand in one place. What is done with each is in the header of its name. Letters on fields:
 * daemon.h.
 */
#ifndef BOOKS_H
#define BOOKS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "atomics.h"
#include "check.h"
#include "clock.h"
#include "lock.h"
#include "pager/proto.h"
#include "vm/bill.h"
#include "vm/task_notes.h"
#include "vm/slot.h"

struct daemon;

#define VM_OBJECT_MAGIC 0x0b1ec70bu
/* Bytes that are billed for a block, the most that it takes by itself: a page each of slots and of
 * two arrays of a policy. */
#define TABLE_BLOCK_BYTES (3u * 4096u)
/* Small allocations share objects of this size, or of a run of slots if that is more. */
#define VM_OBJECT_CHUNK_BYTES (128ull << 20)

/* Pages without a frame have no busy bit. A thread that needs them unchanged while it holds no lock
 * (a punch that passes over them, poison) puts a hole around them: in it no page is filled, refused
 * or discarded. */
struct hole {
	struct hole *next;  /* (O) of its object */
	uint64_t low, high; /* (O) pages [low, high) */
	bool wanted;        /* (O) somebody came meanwhile: wake the range */
};

/* The pager that keeps the pages that have left an object: pagers/pager.h. */
enum pager_kind { PAGER_NONE, PAGER_STORE, PAGER_VNODE, PAGER_DEVICE, PAGER_KIND_COUNT };

#define VNODE_MAGIC 0x0f11e0deu

/* What a file system knows a file by: struct file_handle. */
struct vnode_handle {
	int type;
	unsigned length; /* bytes */
	unsigned char bytes[128];
};

/* The daemon's own descriptions of a file. -1: there is none. */
struct vnode_file {
	atomic_int plain;  /* (A) through the page cache */
	atomic_int direct; /* (A) past it */
};

/* A client's file: pagers/vnode.h. Letters: (V) the lock of the table of files. */
struct vnode {
	unsigned magic;
	unsigned references;       /* (V) its objects, and threads */
	struct vnode *next;        /* (V) in its chain */
	dev_t device;              /* (C) */
	ino_t inode;               /* (C) */
	struct vm_object *objects; /* (V) in the order of their offsets, with a reference each */
	struct vnode_file
	    files[2]; /* by whether they can be written through; once there they stay */
	struct share_account *account; /* (C) pays for the descriptors, with a reference */
	atomic_int error;           /* (A) -errno of a failed write that nobody has been told of */
	struct vnode_handle handle; /* (V) where it is watched */
	bool is_watched;            /* (V) changes that others make are seen */
	atomic_uint changes;        /* (A) times that somebody else was seen to change it */
};

/* A request that dirty pages go to their places: pagers/returns.h. Fields without a letter belong
 * to the cleaner while the request is under way. */
struct clean_request {
	struct clean_request *next; /* under the lock of struct returns, then the cleaner's */
	struct vm_object *object;   /* with a reference of the asking thread's */
	struct task *task;  /* for which it is made: if it dies nobody waits. NULL: no task */
	uint64_t low, high; /* pages */
	uint64_t at;        /* pages below have been written, or are under way */
	uint64_t last;      /* number of the last run that was begun before `at` was there */
	bool leaves;        /* pages are to leave memory once they are clean */
	bool is_under_way;
	int error; /* -errno of a write of the object since it began */
	/* Called by the cleaner with no lock held, at the end. NULL: nobody waits */
	void (*done)(struct clean_request *r);
};

/* The part of an object whose pager has a place for each of its pages from the beginning, as a file
 * has (pagers/pager.h). */
struct external {
	struct vnode *vnode;       /* (C) with a reference */
	uint64_t offset;           /* (C) bytes of the file before the object's first page */
	struct vm_object *next;    /* (V) of the same file, in the order of their offsets */
	unsigned joiners;          /* (V) threads that are about to map it: it stays in the table */
	atomic_ullong dirty_since; /* (A) clock at which its first page became dirty since all were
				      clean; 0: none has */
	unsigned changes_seen;     /* the cleaner's: vnode.changes when it last looked */
	atomic_bool is_wanted;     /* (A) its dirty pages are to be written now, and to leave */
	struct clean_request background; /* the cleaner's own: all pages, because of their age or
					    because memory is short */
	unsigned in_flight;              /* the cleaner's: its runs of this object */
	bool drop_again;      /* the cleaner's: clean pages are to be dropped, and some could
				 not be */
	uint64_t retry_at;    /* the cleaner's: no write is tried before, after one failed */
	uint64_t retry_after; /* the cleaner's: and how long that was, nanoseconds */
};

/* Where pages of an object lie while they are resident: at page index * page size of a memfd. */
struct vm_backing {
	int memfd;       /* (C) */
	bool is_foreign; /* (C) a client has given it: whatever it is of, the daemon has no frames
			    for what lies there, and reads and writes nothing */
	uid_t uid;       /* (C) of that client */
};

/* Pages [start, end) of the object, and what they may be used for: vm/submap.h. */
struct submap_region {
	uint64_t start, end;
	uint32_t protection;     /* PROT_NONE, PROT_READ or both rights, within max_protection */
	uint32_t max_protection; /* likewise; never gains a right */
	uint32_t tag;            /* at most PAGER_TAG_MAX */
	bool is_leaving;         /* removed: a hole whose pages are being discarded */
};

struct submap {
	struct lock lock;
	struct submap_region *regions; /* (S) sorted and disjoint */
	uint32_t count, room;          /* (S) */
	uint32_t hint;                 /* (S) the last region found */
	uint32_t changes;              /* (S) protections that page tables do not have yet */
};

struct vm_object {
	uint32_t magic;
	atomic_uint references;
	uint32_t index;      /* (C) in the object table */
	uint32_t slot_base;  /* (C) first slot */
	uint64_t id;         /* (C) never used again */
	uint64_t page_count; /* (C) */
	struct external
	    *external;     /* (C) its pager has a place for each page. NULL: it is anonymous */
	bool is_shareable; /* (C) see vm_object.h */
	bool is_exposed;   /* (O) a task that is not trusted has, or has had, its memfd */
	/* (C) Memory of a device: its pages never leave, a mapping of it is billed as such and
	 * makes no faults: pagers/device.h. */
	bool is_device;
	uint32_t cache_mode;   /* (C) of a device: enum pager_cache_mode */
	uint64_t mapped_pages; /* (O) of a device: in all mappings, which are billed for them */
	bool alone; /* (C) holds one allocation: no other one is placed in it, also not where a
		       part of that has been given back */
	struct task *owner; /* the task that pays for it, with a reference. (C), but where it is
			       shareable (O,Q): either to read, both to write. NULL: it is the
			       daemon's own, and nobody pays for it */
	struct bill *bill;  /* likewise: the owner's, or NULL */
	uint64_t class_pages[LEDGER_CLASS_COUNT]; /* (Q) where it is shareable: what its bill says
						     of it */
	uint64_t populated;                       /* (O) blocks that are billed */
	atomic_uint lane;          /* (A) where it is shareable: vm_object_lane; written under O */
	struct daemon *daemon;     /* (C) */
	struct vm_backing backing; /* (C) */
	struct submap *submap;     /* (C) its regions: submap.h. NULL: it is none */
	uint64_t submap_bytes;     /* (O) memory of their list, which is billed */
	struct vm_mapping *mappings;   /* (O) where it is seen, in the order of their ids */
	unsigned cover_count;          /* (O) mappings and named entries */
	struct named_entry *named;     /* (O) named entries of it */
	uint64_t next_mapping_id;      /* (O) */
	_Atomic enum pager_kind pager; /* (A) of an anonymous object: NONE until its
					  first page leaves, and never again */
	struct lock lock;
	struct cond unbusy;  /* jobs wait for it under O; broadcast by the thread that lets a WANTED
				page go */
	atomic_uint waiters; /* (A) on unbusy */
	struct hole *holes;  /* (O) ranges in which no page may be filled now */
	struct upl *upls;    /* (O) its page lists: upl/upl.h */
	atomic_ushort
	    *blocks; /* (C) its part of slot_table.blocks; a word is (A), written under O */
};

/* One more reference, for a holder of one. */
static inline void
vm_object_get(struct vm_object *o)
{
	INVARIANT(o->magic == VM_OBJECT_MAGIC);
	fetch_add_relaxed(&o->references, 1);
}
/* A page has become dirty: where its pager has a place for it, it is written there before long. */
static inline void
vm_object_dirtied(const struct vm_object *o)
{
	if (unlikely(o->external != NULL) && load_relaxed(&o->external->dirty_since) == 0)
		store_release(&o->external->dirty_since, clock_now_ns());
}
#define VM_MAPPING_MAGIC 0x0a99f1c7u

/* Where a task sees pages of an object: page i of [first, end) at base + i * page size. */
struct vm_mapping {
	uint32_t magic;
	atomic_uint references; /* one for each map entry that lies in it */
	uint64_t id;            /* (C) ascending in its object, never used again there */
	uint32_t number; /* (C) in vm_page.seen_by; parts of one that was split have the same.
			    SEEN_BY_ANY: it has none */
	struct vm_object *object; /* (C) with a reference */
	struct task *task;        /* (C) with a reference */
	uint64_t base;            /* (C) modulo 2^64, where first is above 0 */
	uint64_t first, end;      /* (C), but where the object is shareable (O,M): either to read,
				     both to write */
	bool is_read_only;        /* (C) its task sees it through a description that it cannot write
				     through, mapped privately: vm_mapping.h */
	struct vm_mapping *next;  /* (O) on the object's list */
	atomic_ullong wired_bytes; /* (M) to write, (A) to read: of its entries that are wired */
};

/* One more reference, for a holder of one. Any lock may be held, here and
 * below. */
static inline struct vm_mapping *
vm_mapping_get(struct vm_mapping *m)
{
	INVARIANT(m->magic == VM_MAPPING_MAGIC);
	fetch_add_relaxed(&m->references, 1);
	return m;
}
/* Drops a reference of a holder that has another one. */
static inline void
vm_mapping_put_not_last(struct vm_mapping *m)
{
	CHECK(fetch_sub_acq_rel(&m->references, 1) > 1);
}

#define UPL_MAGIC 0x00091157u

/* A page list: upl/upl.h. A field without a letter is the using thread's alone. */
struct upl {
	uint32_t magic;
	uint32_t flags;           /* (C) */
	struct vm_object *object; /* (C) with a reference */
	struct task *task;        /* (C) for which frames are taken; kept by the caller */
	uint64_t base;            /* (C) where the task sees the object */
	bool is_wired;            /* (C) what is filled becomes WIRED */
	uint64_t first;           /* (C) page */
	unsigned count;           /* pages; less than was asked for once upl_clip was called */
	unsigned gathered;        /* pages looked at so far */
	unsigned held;            /* (O,Q) either to read, both to write; here and below */
	unsigned busy;            /* (O,Q) of those, all but wired pages */
	struct upl *next;         /* (O) of the object's lists */
	uint64_t *holds;          /* (O,Q) a bit for each page that is held */
	uint8_t *pages;           /* (O) enum upl_page */
};

/* A page list that a client has of its own memory: region/page_list.h. */
struct page_list {
	struct page_list *next; /* of the task's */
	uint64_t id;            /* never used again by the task */
	struct upl *upl;
	struct task *task; /* without a reference: the list goes with it */
	uint64_t address, end;
	uint64_t wired_bytes; /* taken of the user's share */
	size_t table_bytes;   /* likewise */
};

#define NAMED_ENTRY_MAGIC 0x4a3ede17u
#define NAMED_CHAINS      256u

/* Tells a name from all others, of any time: named_entry.h. */
struct named_identity {
	uint64_t inode;   /* number of the pipe's, used again when it has wrapped at 2^32 */
	uint64_t born_ns; /* when that was made */
};

/* Pages of an object that a descriptor names: named_entry.h. */
struct named_entry {
	uint32_t magic;
	struct vm_object *object;           /* (C) with a reference */
	uint64_t first, end;                /* (C) pages */
	bool is_writable;                   /* (C) what may be mapped of it */
	bool may_change;                    /* (C) a submap's regions */
	int pipe;                           /* (C) the daemon's end */
	struct named_identity identity;     /* (C) */
	struct share_account *account;      /* (C) whose descriptor it is, with a reference */
	struct named_entry *next;           /* in its chain */
	struct named_entry *next_of_object; /* (O) */
};

struct named_table {
	struct lock lock; /* covers the chains; leaf */
	struct named_entry *chains[NAMED_CHAINS];
	uint32_t count;
};

/* A device of the daemon's own: pagers/device.h. */
struct device {
	struct device *next;          /* (C) */
	char name[PAGER_DEVICE_NAME]; /* (C) */
	uint64_t bytes;               /* (C) */
	uid_t uid;                    /* (C) whose it is, here and below as of a file */
	gid_t gid;                    /* (C) */
	mode_t mode;                  /* (C) */
	uint32_t cache_mode;          /* (C) enum pager_cache_mode */
	struct vm_object *object;     /* (C) with a reference; NULL: not made yet */
};

struct object_table {
	struct lock lock;
	struct vm_object **objects; /* (A) stable while the object has a resident page */
	uint32_t room, hint, used;  /* used: highest index ever taken, plus one */
	uint64_t next_id;
};

struct vm_entry {
	uint64_t start, end;        /* client addresses */
	struct vm_mapping *mapping; /* one reference per entry */
	uint64_t offset;            /* bytes in the object */
	uint32_t behavior;          /* enum pager_behavior, the lasting ones */
	uint32_t inheritance;       /* enum pager_inheritance */
	uint32_t protection;        /* PROT_*, within max_protection */
	uint32_t max_protection;    /* PROT_*, never gains a right */
	uint32_t tag;               /* the client's: at most PAGER_TAG_MAX */
	uint32_t user_wired_count;  /* by the client, at most UINT16_MAX */
	uint32_t pin_count;   /* by memory descriptors that are prepared, at most UINT16_MAX */
	uint32_t wired_count; /* pin_count, and one more while user_wired_count > 0; the pages
				 stay resident while it is above 0 */
};

struct vm_map {
	struct lock lock;
	struct vm_entry *entries; /* (M) */
	uint32_t count, room;     /* (M) */
	uint32_t hint;            /* (M) last entry found */
	uint64_t virtual_bytes;   /* (M) */
	uint64_t version;         /* (M) changes with each address that it gets or loses */
	uint64_t wired_bytes; /* (M) of wired entries: what may become wired by touching it. Changed
				 by jobs alone */
	struct daemon *daemon;      /* (C) */
	struct bill *bill;          /* (C) pays for its memory; NULL: nobody does */
	struct vm_mapping *growing; /* (M) of the last object that was made for more than one
				       allocation; with a reference */
};

enum task_state { TASK_ATTACHING, TASK_ATTACHED, TASK_DEAD };

#define TASK_MAGIC 0x7a5c1041u

struct task {
	uint32_t magic;
	atomic_uint references;
	uint32_t index, generation;    /* (C) in the table */
	uint64_t id;                   /* (C) */
	struct daemon *daemon;         /* (C) */
	_Atomic enum task_state state; /* (A) written by task_commit */
	atomic_uint lane; /* (A) that serves it: watch/lane.h; written by the watcher, under
			     affinity.busy */
	atomic_uint
	    lane_before; /* (A) whose jobs serve it until it is attached; written by the watcher */
	unsigned times_apart; /* the watcher only: how often it has been moved to a side lane */
	atomic_bool
	    end_wanted; /* (A) it held a thread of ours for too long: the control loop ends it */
	int uffd, agent, pidfd; /* (C) once CLIENT; -1 before */
	atomic_int
	    pagemap; /* (A) opened when first wanted; -1 before, -2: cannot be (pmap/pagemap.c) */
	pid_t pid;   /* (C) */
	uid_t uid;   /* (C) */
	uint64_t wired_billed; /* (M) bytes of the user's share of wired memory */
	char name[64];         /* (C) as HELLO said it, cleaned */
	struct vm_map map;
	atomic_uint objects; /* (A) that it has */
	struct bill bill;
	struct task_reclaim reclaim;
	struct task_waits waits;
	struct page_list *lists; /* here and below: jobs of the task only, of which one runs at a
				    time */
	unsigned list_count;
	uint64_t last_list;             /* the highest id so far */
	struct task *limited_next;      /* (K) on park.limited */
	struct task *overflow_next;     /* (K) on park.overflowed */
	struct stream streams[STREAMS]; /* (M) */
	struct task_affinity affinity;
	atomic_bool
	    has_moved; /* (A) it has moved paged memory by mremap(2), to where no map knows it */
};

struct task_table {
	struct lock lock;
	struct task **tasks;   /* (T) */
	uint32_t *generations; /* (T) */
	uint32_t room, count;
};

#endif
