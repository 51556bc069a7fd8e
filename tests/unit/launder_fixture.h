/* SPDX-License-Identifier: MIT
 *
 * A worker and its victims without threads: userfaultfd, the pager and the writer are made of
 * functions (the linker's --wrap). Each call is noted, looks whether what may be trusted at that
 * moment holds, and can do what a fault might do at the worst moment.
 */
#ifndef LAUNDER_FIXTURE_H
#define LAUNDER_FIXTURE_H

#include "c_unit.h"

#include "pageout/launder.h"
#include "pagers/pager.h"

enum call { CALL_PROTECT, CALL_PUT, CALL_PUNCH, CALL_WAKE };

/* A call on pages [low, high) of an object. */
struct call_made {
	enum call call;
	struct vm_object *object;
	uint64_t low, high;
};

enum { WORLD_CALLS = 256, WORLD_ROOM = 1000 };

struct launder_world {
	struct unit unit;
	struct pageout_worker *worker;
	struct vm_object *other; /* a second object, or NULL */
	bool is_laundering;      /* calls are noted and looked at */
	struct call_made calls[WORLD_CALLS];
	unsigned call_count;
	/* What a fault does while the worker is inside of a call. */
	void (*on_call)(enum call call, struct vm_object *o, uint64_t low, uint64_t high);
	int protect_error;             /* the answer to every write-protection */
	unsigned room;                 /* pages that the pager takes yet */
	enum pager_room credit;        /* the store's answer */
	size_t credit_asked;           /* pages */
	unsigned writer_wanted;        /* how often */
	unsigned read_most;            /* bytes that one read of a memfd gives; 0: an error */
	bool is_pinned[UNIT_PAGES];    /* of the first object: by the kernel, if pins are known */
	unsigned looks;                /* for pins */
	unsigned interruptions;        /* reads that a signal ends first */
	bool is_read_only[UNIT_PAGES]; /* of the first object: write-protected by a call */
	/* While nothing is laundered. */
	void (*on_punch)(struct vm_object *o, uint64_t low, uint64_t high); /* before it is done */
	bool is_woken[UNIT_PAGES];   /* of the first object: threads that wait for the page */
	bool is_dropped[UNIT_PAGES]; /* likewise: its copy */
};
extern struct launder_world world;

void world_start(void);
void world_stop(void);
/* An object that is gone when its mapping is. */
struct vm_object *world_object_make(uint64_t pages, uint64_t base);
/* The content that page_make writes. */
uint64_t world_content(const struct vm_object *o, uint64_t index);
/* A resident page in ACTIVE with its content: dirty, or clean with the copy world_copy. => its
 * frame */
uint32_t page_make(struct vm_object *o, uint64_t index, bool is_dirty);
/* The copy that a page has or gets: it names the page. */
struct cref world_copy(const struct vm_object *o, uint64_t index);
/* A page that has left: STORED with its copy. */
void page_store(struct vm_object *o, uint64_t index);
/* ACTIVE -> LAUNDRY; the worker's next victim. */
void page_choose(struct vm_object *o, uint64_t index);
/* page_make and page_choose of pages [low, high). */
void victims_make(struct vm_object *o, uint64_t low, uint64_t high, bool is_dirty);
/* A page becomes CLEANING, busy, and the worker's next victim. */
void page_begin(struct vm_object *o, uint64_t index);
/* launder, with all calls looked at. */
unsigned world_launder(void);
struct vm_page *page_at(struct vm_object *o, uint64_t index);
enum page_state page_state_at(struct vm_object *o, uint64_t index);
/* Whether the memfd has the page's content; else it must have nothing. */
bool page_is_in_memfd(struct vm_object *o, uint64_t index);
/* STORED with world_copy, and nothing in the memfd. */
void assert_left(struct vm_object *o, uint64_t index);
/* ACTIVE, not busy, with its content; dirty without a copy, or clean with world_copy. */
void assert_stayed(struct vm_object *o, uint64_t index, bool is_dirty);
/* The same of pages [low, high). */
void assert_all_left(struct vm_object *o, uint64_t low, uint64_t high);
void assert_all_stayed(struct vm_object *o, uint64_t low, uint64_t high, bool are_dirty);
void assert_call(unsigned i, enum call call, struct vm_object *o, uint64_t low, uint64_t high);
/* A fault meets the page. => whether it was busy, and so is to be woken */
bool fault_meets(struct vm_object *o, uint64_t index);
uint64_t world_counter(enum stat_index index);

#endif
