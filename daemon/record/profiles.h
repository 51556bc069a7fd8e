/* SPDX-License-Identifier: MIT
 *
 * Profiles of runs (policy/profile.h): what is gathered of a run, and where it is kept. Fault
 * servers note that a page has come back, in a ring, under a short lock; a thread
 * (region/foreseen.h) takes the notes out, reads and writes the files, and brings in what is
 * foreseen. A note that finds the ring full is counted as dropped; nobody waits and nothing is
 * allocated.
 *
 * A run is of an image, the file that processes of a group (vm/group.h) run. It is there from the
 * first of these on until the group has ended, or until it has none any more and another image
 * needs its place. Letters on fields: daemon.h, and (F) the lock of profiles, (T) that thread's.
 */
#ifndef PROFILES_H
#define PROFILES_H

#include "daemon.h"
#include "foresight.h"
#include "memorystatus/frame_wait.h"
#include "profile_index.h"
#include "vm/task.h"

#define PROFILE_RUNS_MAX      16u /* at a time, and of one user's */
#define PROFILE_RUNS_USER_MAX 8u
#define PROFILE_RING          4096u
/* Notes for which the thread is woken: so many pages are brought in ahead that it need not know of
 * each at once. */
#define PROFILE_NOTES_SOON 8u
#define PROFILE_NOTES_LATE (PROFILE_RING / 4)
#define PROFILE_MARKS      65536u

enum profile_note_kind { PROFILE_REFILL, PROFILE_HIT };

struct profile_note {
	struct task *task; /* with a reference */
	uint64_t address;
	enum profile_note_kind kind;
};

/* What a process of the run has allocated. */
struct profile_place {
	uint64_t start;
	struct profile_region name;
	uint32_t old; /* (T) the region of the last run with that name, or PROFILE_NONE */
};
#define PROFILE_NONE UINT32_MAX

/* One process's way through the last run. */
struct profile_way {
	bool has_begun;
	struct foresight_cursor cursor;
};
#define PROFILE_WAYS 64u /* processes of a run that have one */

struct profile_run {
	struct profile_run *next;     /* (F) */
	struct client_group *group;   /* (C) with a reference */
	uint32_t uid;                 /* (C) */
	char *program;                /* (C) the image */
	bool has_ended;               /* (F) it has no process any more */
	atomic_uint processes;        /* (A) so far */
	struct profile_place *places; /* (C) PROFILE_REGIONS_MAX of them */
	atomic_uint place_count;      /* (A) written by the control loop */
	struct profile_names counts;  /* the control loop's: places of a process and size */
	atomic_ullong marks[PROFILE_MARKS / 64]; /* (A) by page: it was brought in, most likely */
	atomic_bool
	    is_followed; /* (A) something may be brought in: the thread is to be told soon */
	/* (A) For whoever asks; written by the thread. */
	atomic_uint state; /* enum pager_profile_state */
	atomic_ullong counted[PROFILED_COUNT];
	/* (T) from here on. */
	bool is_loaded;
	void *file; /* of the last run; NULL: there is none */
	struct profile old;
	uint32_t *order;            /* of the foresight */
	uint32_t *now;              /* by region of the last run: the place that has its name now */
	struct profile_names olds;  /* its regions, from 1 on, by their names */
	uint32_t places_seen;       /* of place_count */
	struct profile_spans spans; /* of these places */
	struct foresight foresight;
	struct foresight_judge judge;
	struct profile_way ways[PROFILE_WAYS];
	struct profile_page *pages; /* gathered, by place */
	uint32_t page_count, page_room;
	struct brought ahead; /* by place */
};

struct profiles {
	struct lock lock;         /* PROFILES; covers the list and the ring */
	struct cond noted;        /* the thread waits; signalled by whoever gives it something */
	bool is_waiting;          /* (F) */
	bool stopping;            /* (F) */
	struct profile_run *runs; /* (F) */
	unsigned noted_in, noted_out;            /* (F) */
	atomic_ullong dropped;                   /* (A) notes */
	struct profile_note notes[PROFILE_RING]; /* (F) */
	char *directory;                         /* (C) NULL: profiles are not kept */
};

int profiles_create(struct daemon *d);
void profiles_destroy(struct daemon *d);

/* --- the control loop --- */
/* The group's images have profiles from now on. => 0; -EOPNOTSUPP: none are kept; -EALREADY */
int profiles_begin(struct daemon *d, struct client_group *group);
/* The task is in the group from now on, as a process of the image that it runs. */
void profile_join(struct daemon *d, struct task *task, struct client_group *group);
/* The task has allocated a range. */
void profile_allocated(struct task *task, uint64_t address, uint64_t bytes);
/* Runs whose clients have ended, and whose launcher has, end; what is noted is looked at. =>
 * whether some have no client, or notes were left */
bool profiles_sweep(struct daemon *d);
/* What is noted is looked at now: notes keep their tasks, and their groups wait for that. */
void profiles_hasten(struct daemon *d);
struct pager_rep_profile;
/* nth: as in the request. => 0, or -ENOENT */
int profile_show(struct daemon *d, const struct client_group *group, uint32_t nth,
    struct pager_rep_profile *ret);

/* --- who forks for a client --- */
/* The child, which has not begun, is one more process of its parent's image. */
void profile_inherit(struct task *child, const struct task *parent);

/* --- fault servers --- */
void profile_note_add(
    struct daemon *d, struct task *task, uint64_t address, enum profile_note_kind kind);
static inline uint32_t
profile_mark(const struct vm_object *o, uint64_t index)
{
	return (uint32_t)((o->index * UINT64_C(40503) + index) % PROFILE_MARKS);
}
/* A thread waits for the page, which was stored. Any lock but those of leaves may be held, here and
 * below */
static inline void
profile_refilled(const struct fault *f)
{
	if (unlikely(load_acquire(&f->task->profile.run) != NULL))
		profile_note_add(f->task->daemon, f->task, f->address, PROFILE_REFILL);
}
/* The page, which was there and not mapped, was touched. => whether it was brought in for that */
static inline bool
profile_touched(struct task *task, const struct vm_object *o, uint64_t index, uint64_t address)
{
	const struct profile_run *run = load_acquire(&task->profile.run);
	uint32_t mark;

	if (likely(!run))
		return false;
	mark = profile_mark(o, index);
	if (!(load_relaxed(&run->marks[mark / 64]) >> mark % 64 & 1))
		return false;
	profile_note_add(task->daemon, task, address, PROFILE_HIT);
	return true;
}

/* --- record/profile_file.c: the thread --- */
/* Reads the last run's. *ret_file: as profile_decode has it, freed with own_free. => 0, or -errno:
 * there is none, or none that is used, of which the log says why */
int profile_load(
    const struct daemon *d, const struct profile_run *run, void **ret_file, struct profile *ret);
/* In place of what there is. => 0, or -errno, which the log has */
int profile_save(
    const struct daemon *d, const struct profile_run *run, const struct profile *profile);

#endif
