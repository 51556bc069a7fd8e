/* SPDX-License-Identifier: MIT
 *
 * Bodies of messages about memory pressure, bands and limits; a part of pager/proto.h.
 */
#ifndef PAGER_PROTO_MEMORYSTATUS_H
#define PAGER_PROTO_MEMORYSTATUS_H

#include <stdint.h>

/* Jetsam bands (tbl/band.h). */
#define PAGER_BAND_DEFAULT  180
#define PAGER_BAND_INTERNAL 999

/* What the client wants to be told of. */
struct pager_req_pressure_watch {
	uint32_t levels; /* bit n: level n; PAGER_PRESSURE_LEVELS; 0: of nothing */
	uint32_t reserved;
};
struct pager_rep_pressure_watch {
	uint32_t level; /* as it is announced now */
	uint32_t reserved;
};
/* The client has done what it could about the last notice. */
struct pager_req_pressure_done {
	uint64_t reserved;
};
struct pager_rep_pressure_done {
	uint64_t reserved;
};

#define PAGER_WIRE_SIMULATE_KEEP     0u /* whatever is simulated now, or nothing */
#define PAGER_WIRE_SIMULATE_MEASURED 1u /* nothing */
#define PAGER_WIRE_SIMULATE_LEVEL    2u /* and that level more */
/* How a client has answered its last notice; bytes of footprint. */
struct pager_wire_notice {
	uint64_t session_id;
	uint32_t pid;
	uint32_t levels;  /* of which it wants to be told */
	uint32_t told;    /* the level that it knows */
	int32_t band;     /* its jetsam band */
	uint64_t number;  /* of its last notice; 0: none, and the rest is 0 */
	uint64_t age_ns;  /* since then */
	uint64_t before;  /* what it had then */
	uint64_t least;   /* the least that it has been seen to have since */
	uint64_t after;   /* what it had when it said that it was done */
	uint32_t is_done; /* whether it has said so */
	uint32_t reserved;
	uint64_t now; /* what it has */
	char name[64];
};
#define PAGER_NOTICES_PER_REPLY 32
struct pager_req_pressure {
	uint32_t simulate; /* PAGER_WIRE_SIMULATE_*; all but KEEP need CONTROL */
	uint32_t reserved;
	uint64_t cursor; /* 0 at first, then the reply's */
};
struct pager_rep_pressure {
	uint32_t level;     /* as measured */
	uint32_t announced; /* what clients are told */
	int32_t simulated;  /* -1: nothing is */
	uint32_t host;      /* the level that the machine's own pressure asks for */
	uint32_t available; /* permille of the movable frames */
	uint32_t below[4];  /* permille below which a level begins */
	uint32_t reserved;
	uint64_t movable, free_above, files, compressible, swap_room; /* bytes */
	uint64_t next_cursor; /* 0: that was all; of one's own clients, or with CONTROL of all */
	uint32_t count, reserved2;
	struct pager_wire_notice
	    clients[PAGER_NOTICES_PER_REPLY]; /* only `count` of them are sent */
};

struct pager_req_memory {
	uint64_t bytes; /* 0: only asks */
};
struct pager_rep_memory {
	uint64_t previous;    /* that it was to hold */
	uint64_t wanted;      /* that it is to hold now */
	uint64_t total;       /* that it may hold now: follows as pages leave */
	uint64_t least, most; /* that can be wanted */
	uint64_t wired;       /* what clients have wired, with devices */
	uint32_t is_refused;  /* 1: bytes is not within least and most, and nothing has changed */
	uint32_t reserved;
};

#define PAGER_WIRE_BAND_SHOW (-2) /* only asks */
#define PAGER_WIRE_BAND_NONE (-1) /* has none, or is to have none */
struct pager_req_priority {       /* of a process; `session` names any session of it */
	uint32_t pid;
	int32_t band; /* a number of tbl/band.h, or PAGER_WIRE_BAND_* */
	uint64_t session;
};
struct pager_rep_priority {
	int32_t previous; /* PAGER_WIRE_BAND_NONE: none */
	int32_t now;      /* in which it is now */
};

#define PAGER_EVENT_PROCESSES   64
#define PAGER_PROCESS_CHOSEN    1u
#define PAGER_PROCESS_DYING     2u
#define PAGER_PROCESS_ENDABLE   4u /* could have been ended */
#define PAGER_PROCESS_OVER_SOFT 8u /* over a soft limit */
struct pager_wire_event_process {
	uint32_t pid;
	int32_t band;   /* in which it was */
	uint32_t flags; /* PAGER_PROCESS_* */
	uint32_t uid;
	uint64_t footprint; /* bytes */
	uint64_t moved;     /* number of its move into its band */
	uint64_t band_ns;   /* that it had been in it; 0: it was given none */
	char name[32];
};
/* A process that was ended, and what led to it. Sizes are bytes. */
struct pager_wire_event {
	uint64_t number;  /* from 1 on */
	uint64_t time_ns; /* since 1970 */
	uint32_t cause;   /* tbl/jetsam_cause.h */
	uint32_t pid, uid;
	int32_t band;
	uint64_t session_id;
	uint64_t footprint, limit; /* limit: which it was over; 0: none */
	uint32_t available;        /* permille, and the level at which each begins */
	uint32_t below[4];
	uint32_t announced, is_squeezed;
	uint32_t process_count; /* all that there were; the snapshot has the first of them */
	uint64_t movable, free_above, files, compressible, swap_room;
	uint64_t total, free, active, inactive, laundry, wired, speculative, compressor;
	char name[64];
	uint32_t count;
	uint32_t short_seconds; /* that less had been available than the level of warning */
	struct pager_wire_event_process processes[PAGER_EVENT_PROCESSES];
};
struct pager_req_events {
	uint64_t after; /* the first one with a higher number is meant */
};
struct pager_rep_events {
	uint32_t is_there; /* 0: there is none, and the event is all 0 */
	uint32_t reserved;
	uint64_t last; /* number of the last one there is */
	struct pager_wire_event event;
};

#define PAGER_WIRE_LIMIT_ACTIVE   0u
#define PAGER_WIRE_LIMIT_INACTIVE 1u
/* On resident pages. Fatal: its own pages leave before, and it is ended if they cannot. */
#define PAGER_WIRE_LIMIT_RESIDENT_ACTIVE   2u
#define PAGER_WIRE_LIMIT_RESIDENT_INACTIVE 3u
#define PAGER_WIRE_LIMITS                  4u /* how many there are */
struct pager_req_limits {                     /* of a process; `session` names any session of it */
	uint32_t pid;
	uint32_t which; /* PAGER_WIRE_LIMIT_* */
	uint64_t session;
	uint64_t bytes; /* 0: none */
	uint32_t is_fatal;
	uint32_t reserved;
};
struct pager_rep_limits {
	uint64_t previous_bytes; /* 0: none */
	uint32_t was_fatal;
	uint32_t reserved;
};
struct pager_req_process_limits { /* of a process; `session` names any session of it */
	uint32_t pid;
	uint32_t reserved;
	uint64_t session;
};
/* Sizes are bytes; 0: there is no such limit. */
struct pager_rep_process_limits {
	uint32_t pid;
	int32_t band;                       /* its jetsam band, which says whether it is idle */
	uint64_t hard;                      /* the hard limit on resident pages */
	uint64_t limits[PAGER_WIRE_LIMITS]; /* by PAGER_WIRE_LIMIT_*, here and below */
	uint32_t is_fatal[PAGER_WIRE_LIMITS];
	uint64_t footprint, resident; /* what counts against them now */
	uint32_t is_there;            /* 0: it has no session now */
	uint32_t reserved;
};

#define PAGER_WIRE_FREEZE 0u
#define PAGER_WIRE_THAW   1u
struct pager_req_freeze { /* of a process; `session` names any session of it */
	uint32_t pid;
	uint32_t what; /* PAGER_WIRE_FREEZE or THAW */
	uint64_t session;
};
struct pager_rep_freeze {
	uint32_t state;     /* tbl/freeze_state.h: in which it is now */
	uint32_t has_begun; /* 0: there was nothing to do */
};
/* A client, and how far its process is. Sizes are bytes, of the last time that it was frozen. */
struct pager_wire_frozen {
	uint64_t session_id;
	uint32_t pid;
	uint32_t state;        /* tbl/freeze_state.h */
	int32_t band;          /* its jetsam band */
	uint32_t times, thaws; /* that it was frozen; that a touch thawed it */
	uint32_t reserved;
	uint64_t age_ns; /* since it was frozen; 0: it never was */
	uint64_t out, gathered, shared,
	    held;                     /* left memory; had left before, and were put beside
					 these; stayed, because others have them too; stayed,
					 because they were wired, listed or in use */
	uint64_t footprint, resident; /* now */
	char name[64];
};
struct pager_wire_freeze_event {
	uint64_t number;  /* from 1 on */
	uint64_t time_ns; /* since 1970 */
	uint32_t what;    /* tbl/freeze_event.h */
	uint32_t pid, uid, reserved;
	uint64_t bytes; /* that were put apart, or brought back */
	char name[32];
};
#define PAGER_FROZEN_PER_REPLY        32
#define PAGER_FREEZE_EVENTS_PER_REPLY 64
struct pager_req_frozen {
	uint64_t cursor; /* 0 at first, then the reply's */
	uint32_t pid;    /* only that process; 0 with session 0: all */
	uint32_t reserved;
	uint64_t session;
};
struct pager_rep_frozen {
	uint64_t next_cursor; /* 0: that was all */
	uint64_t last_event;  /* number of the last one; 0: none */
	uint32_t count, event_count;
	struct pager_wire_freeze_event events[PAGER_FREEZE_EVENTS_PER_REPLY]; /* in the first reply;
										 oldest first */
	struct pager_wire_frozen clients[PAGER_FROZEN_PER_REPLY]; /* only `count` are sent */
};

/* Replies fit a message (PAGER_MSG_BYTES_MAX). */
_Static_assert(sizeof(struct pager_rep_events) < 16384 - 24, "a reply fits a message");
_Static_assert(sizeof(struct pager_rep_pressure) < 16384 - 24, "a reply fits a message");
_Static_assert(sizeof(struct pager_rep_frozen) < 16384 - 24, "a reply fits a message");
_Static_assert(sizeof(struct pager_wire_notice) == 144, "wire layout");

/* Errors: -EINVAL: not of purgeable memory; -EACCES: it is to be set, and the memory may not be
 * written; -EBUSY: it is to be volatile or empty, and some of it is wired, or in a page list. */
struct pager_req_purgeable {
	uint64_t address; /* PAGER_PURGEABLE_PURGE_ALL: 0 */
	uint32_t control; /* enum pager_purgeable_control */
	uint32_t state;   /* PAGER_PURGEABLE_SET_STATE: the new one; else 0 */
};
struct pager_rep_purgeable {
	uint32_t state; /* before a change; PAGER_PURGEABLE_PURGE_ALL: 0 */
	uint32_t reserved;
};
/* What is volatile of a process's or a session's memory (both 0: of all clients') becomes empty. */
struct pager_req_purge {
	uint32_t pid; /* 0: not named by it */
	uint32_t reserved;
	uint64_t session; /* likewise */
};
struct pager_rep_purge {
	uint64_t objects, bytes; /* that have been emptied, and what they had, in frames or not */
	uint64_t left;           /* objects of clients that delay the daemon's calls: left alone */
};

#endif
