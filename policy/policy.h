/* SPDX-License-Identifier: MIT
 *
 * The page-out policy interface (doc/policies.md): numbers in, decision out.
 *
 * A policy sees dense page indices (pol_page < env.npages), never a pointer, a lock, a clock or a
 * system call; it owns nothing but the ORDER of pages, in memory of footprint() bytes that is taken
 * once. The core (the daemon's pageq, or pagersim) owns pages, states, I/O and locks, and calls
 * every function under one lock.
 *
 * Page states as the core sees them: NONRESIDENT, MAPPED (touches invisible), INACTIVE (resident
 * and unmapped: a touch is a soft fault). The core enforces "mapped means referenced": a victim
 * must have been deactivated first. A policy whose select() names a page in another state breaks
 * that rule: the page is refused, and counted.
 */
#ifndef POLICY_H
#define POLICY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define POLICY_ABI 3

typedef uint32_t pol_page;
#define POL_NONE UINT32_MAX
/* The indices in the policies of this folder are 28 bits wide, with one value as the end mark:
 * enough for 1 TiB of 4 KiB pages. */
#define POL_PAGES_MAX ((UINT32_C(1) << 28) - 1)

/* How a page came in or was touched. */
enum {
	PF_WRITE = 1,    /* the access was a write */
	PF_PREFETCH = 2, /* brought in as a neighbour, not touched yet */
};

/* The outcome for a page that select() or deactivate() proposed, or that the core took on its own:
 * it may evict INACTIVE neighbours of a victim that the policy did not propose, and calls
 * done(EVICTED) for those too. */
enum pol_outcome {
	POL_EVICTED,
	POL_RESCUED, /* touched meanwhile: soft() was called as well */
	POL_BUSY,    /* in transit, pinned: ask again later */
	POL_FAILED,  /* could not be stored: the core has called soft() to make it MAPPED again */
};

enum pol_state { POL_NONRESIDENT, POL_MAPPED, POL_INACTIVE, POL_PINNED };

enum {
	POL_WANTS_EVERY_REFERENCE =
	    1,                /* is told of each reference by soft(), whatever the model (min) */
	POL_OFFLINE_ONLY = 2, /* needs next_use: the daemon refuses it */
	/* deactivate() keeps a target of its own, so the core also calls it after each fault and
	 * soft fault while frames are scarce. Without the flag it is called only when victims are
	 * needed now. */
	POL_KEEPS_TARGET = 4,
};

struct pol_env {
	uint32_t npages;  /* size of the index space, at most POL_PAGES_MAX */
	uint32_t nframes; /* frames the policy may assume */
	uint64_t seed;
	/* Services, all deterministic. next_use is NULL outside the simulator. */
	enum pol_state (*state)(const void *core, pol_page page);
	uint64_t (*next_use)(const void *core, pol_page page);
	const void *core;
};

struct pol_stats {
	uint64_t resident, mapped, inactive, ghosts;
	uint64_t target; /* the policy's main adaptive figure, if it has one */
};

/* A part of a policy's memory that has an entry of `stride` bytes for each page. offset 0: it
 * begins where the one before it ends. */
struct pol_array {
	size_t offset, stride;
};
#define POL_ARRAYS_MAX 2
/* For the first array: the core puts it at the beginning of a hardware page, and the data before it
 * stays aligned. */
#define POL_ENTRIES _Alignas(16)

struct pol_ops {
	uint32_t abi; /* POLICY_ABI */
	const char *name, *help;
	const char *params; /* "key=default text; ..." for people */
	unsigned flags;
	/* Bytes wanted for this env, ghosts included; params is "key=value,..." or NULL.
	 * => bytes, or 0: bad parameters. */
	size_t (*footprint)(const struct pol_env *env, const char *params);
	/* mem is zeroed and footprint() bytes. => 0 or -EINVAL. */
	int (*init)(void *mem, const struct pol_env *env, const char *params);
	void (*fault)(void *mem, pol_page page, unsigned pf); /* became resident, will be MAPPED */
	void (*soft)(void *mem, pol_page page, unsigned pf);  /* INACTIVE and touched, now MAPPED */
	void (*write)(void *mem, pol_page page); /* first write in this epoch; may be NULL */
	void (*forget)(void *mem,
	    pol_page page); /* the page is gone for good, or wired: drop entry and ghost */
	/* Picks up to want MAPPED pages to unmap, writes them to out, and counts them as INACTIVE
	 * from now on (the core unmaps them at once). The core needs `want` pages to find victims
	 * soon; a policy that keeps its own inactive target returns fewer, or 0, when the target is
	 * met. NULL: the core unmaps in FIFO order of fault/soft beyond a window of W mapped pages
	 * and tells the policy nothing. */
	unsigned (*deactivate)(void *mem, unsigned want, pol_page *out);
	/* Proposes up to want INACTIVE victims, in order; each stays in the policy until done(). */
	unsigned (*select)(void *mem, unsigned want, pol_page *out);
	void (*done)(void *mem, pol_page page, enum pol_outcome outcome);
	void (*resize)(void *mem, uint32_t nframes);
	void (*stats)(const void *mem, struct pol_stats *ret);
	/* => NULL, or a text that says which invariant does not hold. */
	const char *(*check)(const void *mem);
	/* Optional, NULL if the policy does not care: `page` is not resident and will be brought
	 * in. Called before the select() that makes room for it, so that ghost hits move targets
	 * before a victim is chosen (2Q, ARC and S3-FIFO are defined that way). fault() follows, or
	 * forget(), or nothing when the fill fails. If the core never calls it, the policy is the
	 * same, but decides one fault later. */
	void (*miss)(void *mem, pol_page page, unsigned pf);
	/* Optional: changes parameters of the running policy ("cost=40"): the daemon passes
	 * measured costs here.
	 * => 0 or -EINVAL, then nothing has changed. */
	int (*tune)(void *mem, const char *params);
	/* Optional; ends with the first array whose stride is 0. The entry of a page that has been
	 * forgotten, or of which the policy was never told, may become all zeroes at any time,
	 * because the core gives its memory back. The policy must not refer to such an entry from
	 * elsewhere. Without this, memory that has once been touched is never given back. */
	struct pol_array arrays[POL_ARRAYS_MAX];
};

/* The policy of pagerd unless another one is named; called "default". A major fault that the
 * compressor answers costs about two soft ones (doc/performance.md), so few soft faults are worth
 * saving one. The cost is given here, and so is not replaced by the measured one, which gained
 * nothing (doc/policies.md). Lint doc_names finds the text in the manual pages. */
#define POLICY_DEFAULT                                                                             \
	"mach2q:inactive=8,adapt=1,cost=2,overhead=1,near=100,refault=25,trial=10,turns=3"

/* text: "name[:param=value,...]", or "default". => the text with "default" replaced. */
const char *policy_expand(const char *text);
/* Compiled-in policies, by name; NULL if there is none. */
const struct pol_ops *policy_find(const char *name);
/* The i-th, or NULL beyond the last. */
const struct pol_ops *policy_at(unsigned i);

#endif
