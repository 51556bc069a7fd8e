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
#include "tree.h"
#include "vm/ahead_ratio.h"
#include "vm/bill.h"
#include "vm/leaves.h"
#include "vm/purgeable.h"
#include "vm/task_notes.h"
#include "vm/slot.h"

struct daemon;

#define VM_OBJECT_MAGIC 0x0b1ec70bu
/* Bytes that are billed for a block, the most that it takes by itself: a page each of slots and of
 * two arrays of a policy. */
#define TABLE_BLOCK_BYTES (3u * 4096u)
/* Small allocations share objects of this size, or of a run of slots if that is more. */
#define VM_OBJECT_CHUNK_BYTES (128ull << 20)

/* The pager that keeps the pages that have left an object: pagers/pager.h. */
enum pager_kind { PAGER_NONE, PAGER_STORE, PAGER_VNODE, PAGER_DEVICE, PAGER_KIND_COUNT };

#define VNODE_MAGIC 0x0f11e0deu

/* A client's file: pagers/vnode.h. Letters: (V) the lock of the table of files. */
struct vnode {
	unsigned magic;
	unsigned references;       /* (V) its objects, and threads */
	struct vnode *next;        /* (V) in its chain; likewise next_watched */
	dev_t device;              /* (C) */
	ino_t inode;               /* (C) */
	struct vm_object *objects; /* (V) in the order of their offsets, with a reference each */
	struct vnode_file
	    files[2]; /* by whether they can be written through; once there they stay */
	struct share_account *account; /* (C) pays for the descriptors, with a reference */
	atomic_int error;           /* (A) -errno of a failed write that nobody has been told of */
	struct vnode_handle handle; /* (V) where it is watched */
	bool is_watched;            /* (V) changes that others make are seen */
	struct vnode *next_watched; /* (V) in the chain of its handle */
	atomic_bool is_announced;   /* (A) accesses of others are: pagers/vnode_strict.h */
	uint64_t slow_until;        /* (V) clock: announced accesses do not wait until then */
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
	bool syncs;         /* then they are to be on the disk, too */
	bool is_under_way;
	bool is_gathering;       /* a run gathers its next pages */
	bool is_held_up;         /* until a run ends that has its next page, too */
	atomic_bool is_unwanted; /* (A) nobody waits for it any more: it may end early */
	int error;               /* -errno of a write of the object since it began */
	int sync_error;          /* -errno that there was in bringing it to the disk, or before */
	/* Called by the cleaner with no lock held, at the end. NULL: nobody waits */
	void (*done)(struct clean_request *r);
};

/* The part of an object whose pager has a place for each of its pages, as a file has. */
struct external {
	struct vnode *vnode;            /* (C) with a reference */
	uint64_t offset;                /* (C) bytes of the file before the object's first page */
	struct vm_object *next;         /* (V) of the same file, in the order of their offsets */
	_Atomic(atomic_ullong *) marks; /* (A) by page; NULL: none has been wired: pagers/marks.h */
	struct ahead_ratio ahead;       /* (A) what becomes of pages that are read ahead */
	bool is_gone;     /* (O) its pager has let go of it, or it is not in the file's list yet */
	unsigned joiners; /* (V) threads that are about to map it: it stays in the table */
	struct tree followers; /* (Y) links of private mappings, by their numbers: copy_link.h */
	atomic_uint follower_count; /* (A) how many; written under Y */
	atomic_ullong dirty_since;  /* (A) clock when the first page became dirty; 0: none is */
	atomic_bool is_cleaned;     /* (A) `background` is under way: set before dirty_since is
				       cleared for it; the cleaner's to write */
	unsigned changes_seen;      /* the cleaner's: vnode.changes when it last looked */
	atomic_bool is_wanted;      /* (A) its dirty pages are to be written now, and to leave */
	atomic_uint dirty_pages;    /* (A) here and below: vm/dirty.h */
	atomic_uint payer;          /* (A) who was billed for the last page that became dirty */
	atomic_bool is_failing;     /* (A) the last writes have failed; the cleaner's to write */
	atomic_bool forget_wanted;  /* (A) its dirty pages are to be given up */
	atomic_bool is_let_go;      /* (A) it cannot be read: vnode_forget; likewise */
	atomic_uint late;           /* (A) writes that have not come back for long; likewise */
	struct clean_request background; /* the cleaner's own: pages are old, or memory short */
	unsigned in_flight, run_ends;    /* the cleaner's: runs, and how many have ended */
	unsigned syncing;                /* the cleaner's: pageout/clean_sync.c; they keep it */
	atomic_uint read_forgets;        /* (A) times that reads under way were to be given up */
	atomic_uint reads_aside; /* (A) reads that were, and have not come back: they keep it */
	bool drop_again;         /* the cleaner's: clean pages are still to be dropped */
	uint64_t stuck_ns;       /* the cleaner's: vnode_forget */
	uint64_t retry_at, retry_after; /* the cleaner's: when, and how long after a failure, ns */
};

struct submap {
	struct lock lock;
	struct submap_region *regions; /* (S) sorted and disjoint */
	uint32_t count, room;          /* (S) */
	uint32_t hint;                 /* (S) the last region found */
	uint32_t changes;              /* (S) protections that page tables do not have yet */
};

/* Whether pages of an object have copies above or are copies of what is below: copy_link.h. */
#define COPY_ABOVE 1u
#define COPY_BELOW 2u

/* Pages [upper_first, +count) of `upper` were copied from [lower_first, +count) of `lower`, or
 * follow them where that is external: copy_link.h. */
struct copy_link {
	struct vm_object *upper, *lower;          /* (Y) without references */
	uint64_t upper_first, lower_first, count; /* (Y) pages */
	bool is_leaving;           /* (Y) the range of `upper` is on its way out of all links */
	struct tree_node by_lower; /* (Y) in lower's `above`, by lower_first, or `followers` */
	struct tree_node by_upper; /* (Y) in upper's `below`, by upper_first */
};

/* Links in reserve, and the room for those that have been given back and are to be freed. */
#define COPY_RESERVE      256u
#define COPY_RESERVE_MORE 64u

struct copy_table {
	struct lock lock;   /* COPIES: covers all links */
	uint32_t count;     /* (Y) links */
	uint32_t changes;   /* (Y) links that came or went so far */
	uint64_t followers; /* (Y) links so far whose lower object is external */
	/* (Y) Links for those whose work cannot be refused: copy_reserve.h */
	struct copy_link *reserve[COPY_RESERVE + COPY_RESERVE_MORE];
	atomic_uint reserve_count; /* (A) written under Y */
	struct cond given;         /* one has been given to the reserve */
	atomic_uint making;        /* (A) copies whose links are there, and whose pages may not be
				      protected yet */
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
	bool was_named;    /* (O) there has been a descriptor of it: anybody may have its memfd */
	bool is_exposed;   /* (O) a task that is not trusted has, or has had, its memfd */
	/* (C) Memory of a device: its pages never leave, a mapping of it is billed as such and
	 * makes no faults: pagers/device.h. */
	bool is_device;
	uint32_t cache_mode;   /* (C) of a device: enum pager_cache_mode */
	uint64_t mapped_pages; /* (O) of a device: in all mappings, which are billed for them */
	bool is_purgeable;     /* (C) its content may be thrown away while it is not needed */
	struct purgeable purgeable; /* where that is so: vm/purgeable.h */
	bool alone; /* (C) holds one allocation: no other one is placed in it, also not where a
		       part of that has been given back */
	struct task *owner; /* the task that pays for it, with a reference. (C), but where it is
			       shareable (O,Q): either to read, both to write. NULL: it is the
			       daemon's own, and nobody pays for it */
	struct bill *bill;  /* likewise: the owner's, or NULL */
	enum ledger_standing standing; /* how it is billed: (C), but where it is purgeable (O,Q):
					  either to read, both to write */
	uint64_t class_pages[LEDGER_CLASS_COUNT]; /* (Q) what its bill says of it */
	uint64_t populated;                       /* (O) blocks that are billed */
	atomic_uint idle_blocks;   /* (A) of these: without a page; written under O */
	bool in_hand;              /* the cleaner's: a hand has it, or will have it */
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
	atomic_uint linked;  /* (A) COPY_*: which of the two lists are not empty; written under Y */
	struct tree above, below; /* (Y) links: what was copied from it; what it was copied from */
	uint32_t link_count;      /* (Y) in both */
	struct hole *holes;       /* (O) ranges in which no page may be filled now */
	struct upl *upls;         /* (O) its page lists: upl/upl.h */
	atomic_ushort
	    *blocks; /* (C) its part of slot_table.blocks; a word is (A), written under O */
};
/* Before anybody sees it. */
static inline void
vm_object_of_file(struct vm_object *o)
{
	store_relaxed(&o->pager, PAGER_VNODE);
}
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
	_Atomic(struct window *)
	    windows; /* (M) to write and to go through, (A) to see whether there are any: pages of
			others that are seen in their places: window.h */
	atomic_ullong wired_bytes; /* (M) to write, (A) to read: of its entries that are wired */
};

/* Whose pages are seen at the place of a page of a copy. */
enum window_page {
	WINDOW_SHOWS, /* what it was copied from: the page of `source` */
	WINDOW_ASKED, /* likewise, and the client's agent has been asked to change that */
	WINDOW_OPEN,  /* its own */
};

/* Pages [first, end) of a copy, at whose places the pages of another object are mapped: window.h.
 */
struct window {
	struct window *next;       /* (M) of the mapping */
	uint64_t first, end;       /* (C) pages of the mapping's object */
	struct vm_mapping *source; /* (C) through which the task sees them, with a reference */
	uint64_t source_first;     /* (C) the page that is seen at the place of `first` */
	uint8_t *pages;            /* (M) enum window_page of each */
};

/* One more reference, for a holder of one. Any lock may be held, here and below. */
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
/* Whether pages of others are, or have been, seen in places of it. Under M that does not change. */
static inline bool
vm_mapping_has_windows(const struct vm_mapping *m)
{
	return load_relaxed(&((struct vm_mapping *)(uintptr_t)m)->windows) != NULL;
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
	bool goes_on;             /* cleaning form: the pages are busy no more */
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

/* What a holder of the descriptor may map. */
struct named_range {
	struct vm_object *object;
	uint64_t first, end; /* pages */
	bool is_writable;
	bool may_change; /* the object is a submap, whose regions the holder may change */
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
	bool is_findable;                   /* (C) by its descriptor; else it only covers pages */
	int pipe;                           /* (C) the daemon's end */
	unsigned number;                    /* (C) among those of its object */
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

#define PORT_MAGIC   0x90a70b0cu
#define PORT_CHAINS  256u
#define HANDLE_MAGIC 0x90a7ad1eu

/* What the receiver is told of a message. */
struct message_label {
	uint64_t bytes, id; /* of what the sender has sent; its number */
	uint32_t flags;     /* enum pager_send_flags: the sender's intent */
	uint32_t done;      /* enum pager_transfer */
	pid_t pid;          /* the sender's, here and below */
	uid_t uid;
};

/* Pages that nobody maps, on their way to a receiver. */
struct message {
	struct message *next;          /* (P) in its queue */
	uint64_t number;               /* (P) ascending in its port */
	struct named_entry *cover;     /* (C) keeps the pages */
	struct share_account *account; /* (C) whose share of bytes in queues they take, with a
					  reference */
	uint64_t queued;               /* (C) bytes of that share */
	struct message_label label;    /* (C) */
};

struct port {
	uint32_t magic;
	atomic_uint references;     /* one for each handle, and for threads that look at it */
	struct port *next;          /* (P) in its chain, as long as it has not ended */
	uint64_t id;                /* (C) never used again */
	char name[PAGER_PORT_NAME]; /* (C) */
	uid_t uid;                  /* (C) its maker's, here and below */
	gid_t gid;                  /* (C) */
	pid_t pid;                  /* (C) */
	uint32_t senders;           /* (C) enum pager_port_senders */
	uint32_t limit;             /* (C) messages */
	bool has_ended;             /* (P) its maker has closed it */
	unsigned count; /* (P) messages in the queue, and places taken by threads that are about to
			   put one there or have just taken one out */
	struct message *first, **last;    /* (P) */
	uint64_t last_number;             /* (P) of a message */
	uint64_t bytes;                   /* (P) of the queue, whole pages */
	struct port_handle *receiver;     /* (P) NULL: it has ended */
	struct port_handle *senders_list; /* (P) */
};

/* A task's right to a port: to receive from it, which its maker has, or to send. */
struct port_handle {
	uint32_t magic;
	atomic_uint references;           /* the task's, and one while it is being rung */
	uint64_t id;                      /* (C) a number of the task's */
	struct port *port;                /* (C) with a reference */
	struct share_account *account;    /* (C) pays for it, with a reference */
	pid_t pid;                        /* (C) its task's */
	bool receives;                    /* (C) */
	int bell;                         /* (C) the daemon's end of a socket pair */
	bool is_rung;                     /* (P) since the client has last asked */
	bool rings;                       /* (P) a thread is about to ring it */
	bool waits;                       /* (P) the client was told -EAGAIN when it last asked */
	struct port_handle *next_of_task; /* the jobs of its task */
	struct port_handle *next_of_port; /* (P) of those that send */
	struct port_handle *next_to_ring; /* (P) in the list of the thread that rings it */
	/* The jobs of its task: messages that are to be discarded, and the pages of one that are
	 * being discarded now, up to `at`. */
	struct message *unread;
	bool is_discarding;
	struct named_range pages;
	uint64_t at;
};

struct port_table {
	struct lock lock;                 /* leaf */
	struct port *chains[PORT_CHAINS]; /* (P) by name */
	uint64_t last_id;                 /* (P) */
	unsigned count;                   /* (P) ports that have not ended */
	atomic_uint messages;             /* (A) in all queues */
	atomic_ullong discarded;          /* (A) messages so far that nobody has received */
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

/* A file loaded into shared regions: region/shared.h. */
struct shared_file {
	unsigned references; /* (J) places and uses */
	unsigned uses;       /* (J) tasks that have it */
	struct vnode *vnode; /* (J) with a reference, as long as there are uses */
	uid_t uid;           /* (C) who was first */
	uint64_t address;    /* (C) */
	uint64_t size;       /* (C) bytes of addresses */
	uint32_t count;      /* (C) */
	struct pager_shared_part parts[PAGER_SHARED_PARTS_MAX]; /* (C) */
};
/* In the order of addresses; blanks of it begin with `next` (region/shared.c), here and below. */
struct shared_place {
	struct shared_place *next;
	struct shared_file *file;
};
/* Which files lie where, for those who use these regions. */
struct shared_regions {
	unsigned references;         /* (J) tasks, and the table */
	unsigned count;              /* (J) places */
	struct shared_place *places; /* (J) */
};
struct shared_use {
	struct shared_use *next; /* of the task's */
	struct shared_file *file;
};
struct shared_table {
	struct lock lock;              /* leaf; the letter is J */
	struct shared_regions *system; /* (J) for tasks that have none yet */
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
	struct task_record *record; /* (M) vm/kept_task.h; NULL: there is no keeper */
	uint64_t counted;           /* (M) number of the request that wired or unwired entries last;
				       where there is a record */
	struct vm_mapping *growing; /* (M) of the last object that was made for more than one
				       allocation; with a reference */
	/* While the client forks its writes wait: pmap/barrier.h. */
	uint64_t barrier;          /* (M) id of the child's session; 0: it does not fork */
	uint64_t barrier_since_ns; /* (M) when it began */
	bool barrier_met;          /* (M) a fault has met it: a thread is to be woken */
};

/* What a task is billed for: vm/dirty.h. */
struct task_dirty {
	atomic_uint billed;       /* (A) dirty pages of files */
	atomic_uint pages;        /* (A) of those, the ones that count */
	atomic_bool is_held;      /* (A) they keep the task, with a reference */
	atomic_ullong stopped_ns; /* (A) since when its stores have had to wait; 0: they need not */
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
	    end_wanted;  /* (A) it held a thread of ours for too long: the control loop ends it */
	int uffd, agent; /* (C) from ATTACH on; -1 before. Of a forked child: once it is no longer
			    is_unborn */
	/* Of a forked child these change once, on the control loop; pidfd last. */
	atomic_int pid;   /* (A) */
	atomic_int pidfd; /* (A) -1: not known */
	atomic_int
	    pagemap; /* (A) opened when first wanted; -1 before, -2: cannot be (pmap/pagemap.c) */
	uid_t uid;   /* (C) */
	uint64_t wired_billed; /* (M) bytes of the user's share of wired memory */
	char name[64];         /* (C) as HELLO said it, cleaned */
	struct vm_map map;
	atomic_uint objects; /* (A) that it has */
	struct bill bill;
	struct task_dirty dirty;
	struct task_reclaim reclaim;
	struct task_waits waits;
	struct task_notices notices;
	struct task_creation creation;
	struct task_release release;
	struct task_profile profile;
	struct page_list *lists;   /* here and below: jobs of the task only, of which one runs at a
				      time */
	atomic_uint list_count;    /* (A) written by them */
	atomic_ullong list_bytes;  /* likewise: pages that the lists have busy */
	uint64_t last_list;        /* the highest id so far */
	struct copy_held *copies;  /* likewise: region/copy.h */
	atomic_uint window_blocks; /* (A) of all its windows: region/window.h */
	struct lineage *lineage; /* as ports; NULL: it has not forked; of a forked child constant */
	unsigned copy_count;
	uint64_t last_copy;
	struct port_handle *ports;      /* likewise: vm/port.h */
	struct shared_use *shared;      /* likewise: region/shared.h */
	struct shared_regions *regions; /* likewise; NULL: it has loaded nothing yet */
	uint64_t last_port;
	struct task *limited_next;      /* (K) on park.limited */
	struct task *overflow_next;     /* (K) on park.overflowed */
	struct stream streams[STREAMS]; /* (M) */
	struct task_affinity affinity;
	atomic_bool is_unborn; /* (A) of a child that is being forked: there is no userfaultfd yet,
				  and nothing in page tables. False for good from ATTACH on */
	atomic_bool has_moved; /* (A) by mremap(2), paged memory to where no map knows it */
};

struct task_table {
	struct lock lock;
	struct task **tasks;   /* (T) */
	uint32_t *generations; /* (T) */
	uint32_t room, count;
};

#endif
