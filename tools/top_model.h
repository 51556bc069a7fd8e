/* SPDX-License-Identifier: MIT
 *
 * pagerctl top, the model: two samples of what the daemon says in, rows and levels out. It knows no
 * terminal, no daemon and no clock.
 */
#ifndef TOP_MODEL_H
#define TOP_MODEL_H

#include "out.h"
#include "statread.h"

enum top_column {
#define TOP_COLUMN(NAME, key, title, width, from, kind, text) TOP_##NAME,
#include "top_columns.h"
	TOP_COLUMNS
};
enum top_kind { TOP_KIND_TEXT, TOP_KIND_NUMBER, TOP_KIND_BYTES, TOP_KIND_RATE, TOP_KIND_PERCENT };
struct top_column_row {
	const char *key, *title, *text;
	int width, from;
	enum top_kind kind;
};
extern const struct top_column_row top_columns[TOP_COLUMNS];
/* => the column; TOP_COLUMNS: there is none with that key */
enum top_column top_column_find(const char *key);

#define TOP_BAND_UNKNOWN INT32_MIN

/* What is known of a client beside the list of clients. */
struct top_beside {
	uint32_t parent;  /* the nearest of its process's ancestors that is a client; 0: none */
	char state;       /* of the process, a letter of proc(5); 0: unknown */
	bool has_swapped; /* else `swapped` is unknown */
	int32_t band;     /* or TOP_BAND_UNKNOWN */
	uint32_t freeze;  /* tbl/freeze_state.h */
	bool has_limit;   /* else `limit` is unknown */
	uint64_t limit;   /* as top_limit */
	uint64_t swapped; /* bytes */
	const char *user; /* its name, or its number as text; outlives the rows */
	uint64_t group;   /* the run (pagerctl run) that it belongs to; 0: none */
	char group_name[sizeof(((struct pager_wire_group_member *)0)->name) + 1]; /* its name */
};

/* What was so at one moment. */
struct top_sample {
	struct pager_wire_client *clients;
	struct top_beside *beside; /* one for each client */
	size_t count;
	int64_t *values; /* of the statistics */
	double seconds;  /* of a clock that only goes forward */
};

enum top_stall { TOP_STALL_FILL, TOP_STALL_SWAP, TOP_STALL_FRAME, TOP_STALL_LIMIT, TOP_STALLS };

/* In place of a session's id: the run with this number. */
#define TOP_RUN(group) ((group) | 1ull << 63)

/* A line of the list: a client, or (in the tree) all shown clients of a user, or of a run,
 * together, whose numbers are sums. */
struct top_row {
	bool is_group, has_swapped;
	unsigned depth;   /* in the tree */
	size_t members;   /* of a group */
	uint64_t session; /* of a group: its uid, or TOP_RUN */
	uint64_t run;     /* to which it belongs; 0: none */
	const char *run_name;
	uint32_t pid, uid, parent;
	uint64_t footprint, resident, compressed, swapped, wired, limit; /* bytes */
	uint64_t peak, virtual_bytes, regions;
	double faults, refills, swapins;      /* a second */
	double stall_percent, by[TOP_STALLS]; /* of the time between the samples */
	int32_t band;
	const char *state, *user;
	char name[sizeof(((struct pager_wire_client *)0)->name) + 1]; /* fit for a terminal */
};

/* Which rows, in which order. */
struct top_view {
	enum top_column sort;
	bool is_reversed, is_tree;
	char filter[64]; /* in the name, the user, the run, the state, or the whole process id; "":
			    all */
};

/* The least of the limits that hold for a process now, on its resident memory or on its footprint,
 * of which idle processes may have others. => bytes; 0: it has none */
uint64_t top_limit(const struct pager_rep_process_limits *limits);
/* Makes the rows of `now`; the rates are since `last`, or 0 where that is NULL. The caller frees
 * *ret. => 0 or -ENOMEM. */
int top_rows(const struct top_sample *now, const struct top_sample *last,
    const struct top_view *view, struct top_row **ret, size_t *ret_count);

/* The queues of the memory bar, in its order, with the letters that stand for them. */
#define TOP_QUEUES(ROW)                                                                            \
	ROW(ACTIVE, 'A', "active")                                                                 \
	ROW(INACTIVE, 'I', "inactive")                                                             \
	ROW(SPECULATIVE, 'S', "speculative")                                                       \
	ROW(LAUNDRY, 'L', "laundry")                                                               \
	ROW(WIRED, 'W', "wired")                                                                   \
	ROW(COMPRESSOR, 'C', "compressor")                                                         \
	ROW(FREE, '.', "free")
enum top_queue {
#define ROW(NAME, letter, name) TOP_QUEUE_##NAME,
	TOP_QUEUES(ROW)
#undef ROW
	    TOP_QUEUE_COUNT
};
struct top_queue_row {
	char letter;
	const char *name;
};
extern const struct top_queue_row top_queues[TOP_QUEUE_COUNT];

/* The machine. A value that this daemon does not tell is -1. */
struct top_levels {
	int64_t total, queue[TOP_QUEUE_COUNT];          /* bytes */
	int64_t compressor_holds, compressor_takes;     /* bytes: in memory, before and after */
	int64_t swap_used, swap_files, swapped;         /* bytes; swapped: before compression */
	int64_t pressure, available, frozen, waiting;   /* level, permille, processes, faults */
	double ratio;                                   /* of the compressor; 0: it has nothing */
	double faults, refills, swapins, swapout_bytes; /* a second */
};
void top_levels_read(const struct statread *stat, const struct top_sample *now,
    const struct top_sample *last, uint64_t page_bytes, struct top_levels *ret);
/* Draws the queues into `width` letters, each at its part of the total: a queue that has anything
 * has a letter if there is room for all of these. Ends it with NUL. */
void top_bar(const struct top_levels *levels, size_t width, char *ret);

#endif
