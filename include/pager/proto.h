/* SPDX-License-Identifier: MIT
 *
 * The wire between libpager / tools and the daemon: SOCK_SEQPACKET on a unix socket, one message a
 * packet, fixed-width fields, host byte order (both ends are one machine), reserved fields zero. A
 * request is answered by one reply with the same type and sequence; error != 0 means the body is
 * absent. A malformed request ends the session. Messages are rows of tbl/msg.h.
 */
#ifndef PAGER_PROTO_H
#define PAGER_PROTO_H

#include <stddef.h>
#include <stdint.h>

#include "pager/pager.h"
#include "pager/proto_memorystatus.h"
#include "pager/proto_ledger.h"
#include "pager/proto_copy.h"
#include "pager/proto_file.h"
#include "pager/proto_port.h"
#include "pager/proto_fork.h"
#include "pager/proto_files.h"
#include "pager/proto_own.h"
#include "pager/proto_release.h"
#include "pager/proto_upl.h"
#include "pager/proto_group.h"
#include "pager/proto_upgrade.h"

#define PAGER_PROTO_VERSION 8
#define PAGER_MSG_BYTES_MAX 16384
#define PAGER_MSG_FDS_MAX   1
#define PAGER_DEVICE_NAME   32 /* bytes of a device's name, NUL included */
#define PAGER_MAPPERS_MAX   8
#define PAGER_SOCKET_ENV    "PAGERD_SOCKET"
#define PAGER_SOCKET_SYSTEM "/run/pagerd/pagerd.sock"
#define PAGER_SOCKET_USER   "pagerd.sock" /* under $XDG_RUNTIME_DIR */

enum pager_msg_type {
#define MSG(number, NAME, name, fds, access, runs, text) PAGER_MSG_##NAME = number,
#include "tbl/msg.h"
};

struct pager_msg_header {
	uint32_t length; /* of the whole message */
	uint16_t type;
	uint16_t reserved;
	uint64_t sequence;
	int32_t error; /* replies: 0 or -errno; requests: 0 */
	uint32_t reserved2;
};

enum pager_role { PAGER_ROLE_CLIENT = 1, PAGER_ROLE_TOOL = 2 };

struct pager_req_hello {
	uint32_t version_min, version_max;
	uint32_t role;
	uint32_t reserved;
	uint64_t features; /* must be 0 */
	char name[64];     /* NUL-terminated */
};
struct pager_rep_hello {
	uint32_t version;
	uint32_t daemon_pid;
	uint64_t features;
	uint64_t page_size;
	uint64_t session_id;
	uint64_t uffd_features; /* exactly the features that a client must ask UFFDIO_API for */
};

/* Size, in hardware pages, of the range that proves that a client's userfaultfd watches its own
 * memory. */
#define PAGER_PROBE_PAGES 64
struct pager_req_attach { /* carries the userfaultfd, on which UFFDIO_API has been done */
	/* PAGER_PROBE_PAGES untouched pages of private anonymous memory, registered with the
	 * userfaultfd for MISSING. The daemon fills some of them with zeroes. */
	uint64_t probe_address, probe_size;
};
struct pager_rep_attach { /* carries the agent's socket */
	uint32_t proven;  /* 0: the daemon may not look at this process's page tables, and has not
			     checked it */
	uint32_t reserved;
};

/* The client has reserved [address, address + size) with PROT_NONE; on success it maps the memfd
 * there (MAP_SHARED | MAP_FIXED, PROT_READ | PROT_WRITE, at object_offset), registers MISSING |
 * MINOR | WP and sets MADV_DONTFORK. If that fails it must DEALLOCATE. address and size are
 * multiples of the page size. */
struct pager_req_allocate {
	uint64_t address, size;
	uint32_t flags; /* PAGER_WIRE_ALLOC_* */
	uint32_t reserved;
};
struct pager_rep_allocate {
	uint64_t object_id, object_offset;
};
/* flags of ALLOCATE: those of pager_allocate that are not the library's work. The range shares its
 * object with no other. SHAREABLE: it can be named. */
#define PAGER_WIRE_ALLOC_SHAREABLE ((uint32_t)PAGER_ALLOC_SHAREABLE)
#define PAGER_WIRE_ALLOC_PURGEABLE ((uint32_t)PAGER_ALLOC_PURGEABLE)
#define PAGER_WIRE_ALLOC_TAGGED    ((uint32_t)PAGER_ALLOC_TAGGED)
#define PAGER_WIRE_ALLOC_UNCOUNTED ((uint32_t)PAGER_ALLOC_NO_FOOTPRINT)
#define PAGER_WIRE_ALLOC_FLAGS                                                                     \
	(PAGER_WIRE_ALLOC_SHAREABLE | PAGER_WIRE_ALLOC_PURGEABLE | PAGER_WIRE_ALLOC_TAGGED |       \
	    PAGER_WIRE_ALLOC_UNCOUNTED | (uint32_t)PAGER_ALLOC_CONTIGUOUS)

/* The range was allocated as shareable, or mapped by MAP_ENTRY. protection: what the name allows,
 * PROT_READ or PROT_READ | PROT_WRITE. Errors: -ENOTSUP: not shareable, or not all of an
 * allocation; -EACCES: the client may not write there itself. */
struct pager_req_make_entry {
	uint64_t address, size;
	uint32_t protection;
	uint32_t flags; /* 0 */
};
struct pager_rep_make_entry { /* carries the descriptor */
	uint64_t object_id;
};

/* Carries the descriptor. offset is in what the name covers. The client maps the memfd it gets at
 * object_offset over the reserved range and registers it as for ALLOCATE: with PROT_WRITE
 * MAP_SHARED, without MAP_PRIVATE, since userfaultfd takes no shared mapping of a read-only
 * descriptor. Errors: -EBADF: the descriptor is no name, or none any more; -EACCES: the name does
 * not allow it; -EINVAL: it does not cover that. */
struct pager_req_map_entry {
	uint64_t address, size, offset;
	uint32_t protection;
	uint32_t flags; /* 0 */
};
#define PAGER_WIRE_MAP_DEVICE 1u /* it is a device: mapped as MAP_DEVICE says */
struct pager_rep_map_entry {     /* carries the memfd */
	uint64_t object_id, object_offset;
	uint32_t flags;      /* PAGER_WIRE_MAP_DEVICE */
	uint32_t cache_mode; /* enum pager_cache_mode */
};

/* The client maps what it gets at object_offset over the reserved range with MAP_SHARED |
 * MAP_POPULATE and the protection asked for, and does not register it. Errors: -ENODEV: there is no
 * device of that name; -EACCES: its mode does not allow it; -EINVAL: it does not have that much. */
struct pager_req_map_device {
	uint64_t address, size, offset;
	char name[PAGER_DEVICE_NAME]; /* NUL-terminated */
	uint32_t protection;
	uint32_t flags; /* 0 */
};
struct pager_rep_map_device { /* carries the memfd */
	uint64_t object_id, object_offset;
	uint32_t flags;      /* PAGER_WIRE_MAP_DEVICE */
	uint32_t cache_mode; /* enum pager_cache_mode */
};

/* Carries the descriptor: of a memfd that is sealed against shrinking, or of a dma-buf. Errors:
 * -ENODEV: it is of something else; -EPERM: it can shrink, or who may only read could write;
 * -EACCES: it cannot be read; -ERANGE: it ends before offset + size. */
struct pager_req_make_device {
	uint64_t offset, size;
	uint32_t cache_mode; /* enum pager_cache_mode */
	uint32_t flags;      /* 0 */
};
struct pager_rep_make_device { /* carries the descriptor that is the device's name */
	uint64_t object_id;
};

enum pager_descriptor_op {
	PAGER_DESCRIPTOR_PREPARE =
	    1, /* the range is wired and pinned; the client brings it in then */
	PAGER_DESCRIPTOR_PIECE = 2, /* tells the first piece of a range that is pinned */
	PAGER_DESCRIPTOR_COMPLETE = 3,
};
/* Errors: -EINVAL: (PIECE, COMPLETE) not pinned; -EACCES: the protection does not allow the
 * direction; -EAGAIN: the limit on wired memory. */
struct pager_req_descriptor {
	uint64_t address, size;
	uint32_t op;        /* enum pager_descriptor_op */
	uint32_t direction; /* enum pager_direction; with COMPLETE any */
};
struct pager_rep_descriptor { /* of PIECE: carries the memfd; of others: all 0 */
	uint64_t object_id, object_offset, size;
	uint32_t protection; /* that the memfd allows */
	uint32_t reserved;
};

struct pager_wire_device {
	uint64_t object_id, size;
	uint64_t mapped_bytes;        /* in all mappings together */
	char name[PAGER_DEVICE_NAME]; /* NUL-terminated; "": made by a client */
	uint32_t uid, gid, mode;      /* 0 where made by a client */
	uint32_t cache_mode;          /* enum pager_cache_mode */
	uint32_t mappings;
	uint32_t
	    mapper_count; /* processes that map it; in mappers at most PAGER_MAPPERS_MAX of them */
	uint32_t mappers[PAGER_MAPPERS_MAX]; /* process ids */
};
#define PAGER_DEVICES_PER_REPLY 32
struct pager_req_devices {
	uint64_t cursor; /* 0 at first, then the reply's */
};
struct pager_rep_devices {
	uint64_t next_cursor; /* 0: that was all */
	uint32_t count, reserved;
	struct pager_wire_device
	    devices[PAGER_DEVICES_PER_REPLY]; /* only `count` of them are sent */
};

/* An object that several may map, and a name for all of it that allows everything. Its regions say
 * what a page may be used for; there are none at first. A touch of a page in no region, or that the
 * region does not allow, is answered with SIGSEGV. It is mapped by MAP_ENTRY. */
struct pager_req_submap_create {
	uint64_t size;
	uint32_t flags; /* 0 */
	uint32_t reserved;
};
struct pager_rep_submap_create { /* carries the name */
	uint64_t object_id;
};

enum pager_submap_op {
	PAGER_SUBMAP_ALLOCATE = 1, /* a region of zeroes */
	PAGER_SUBMAP_DEALLOCATE = 2,
	PAGER_SUBMAP_PROTECT = 3,
};
/* Carries a name of the submap that allows changing it. The answer comes when no process that maps
 * the submap can do any more what the change forbids; once a change has begun it is carried out to
 * its end, whatever becomes of the session. Errors: -EBADF: the descriptor is no name, or none any
 * more; -ENOTSUP: it names no submap; -EACCES: it does not allow changes, or (PROTECT) a maximum
 * lacks a right; -EINVAL: not all of the range is regions, or lies in the submap; -EEXIST: the
 * place is taken, or its pages are still being discarded. */
struct pager_req_submap_change {
	uint64_t offset, size; /* multiples of the page size */
	uint32_t op;           /* enum pager_submap_op */
	uint32_t protection;   /* PROT_NONE, PROT_READ or PROT_READ | PROT_WRITE; DEALLOCATE: 0;
				  PROTECT: perhaps with PAGER_PROT_MAXIMUM */
	uint32_t flags;        /* ALLOCATE: PAGER_ALLOC_FIXED (at offset), or an alignment, as of
				  pager_allocate; else 0 */
	uint32_t tag;          /* ALLOCATE: at most PAGER_TAG_MAX; else 0 */
};
struct pager_rep_submap_change {
	uint64_t offset; /* ALLOCATE: where the region lies */
	uint64_t pages;  /* DEALLOCATE: that are gone */
};

/* Carries a name. rights: PROT_READ, perhaps with PROT_WRITE and PAGER_SUBMAP_CHANGE. -EACCES: the
 * name that was sent allows less. */
struct pager_req_submap_name {
	uint32_t rights;
	uint32_t flags; /* 0 */
};
struct pager_rep_submap_name { /* carries the new name */
	uint64_t object_id;
};

struct pager_req_deallocate {
	uint64_t address, size;
};
struct pager_rep_deallocate {
	uint64_t pages;
};
struct pager_req_wire {
	uint64_t address, size;
};
struct pager_rep_wire {
	uint64_t reserved;
};
struct pager_req_unwire {
	uint64_t address, size;
};
struct pager_rep_unwire {
	uint64_t reserved;
};
struct pager_req_behavior {
	uint64_t address, size;
	uint32_t behavior; /* enum pager_behavior */
	uint32_t reserved;
};
struct pager_rep_behavior {
	uint64_t pages; /* acted on */
};
/* After the answer the client changes its mapping; it has made sure before that this cannot fail.
 */
struct pager_req_protect {
	uint64_t address, size;
	uint32_t protection; /* PROT_*, perhaps with PAGER_PROT_MAXIMUM */
	uint32_t reserved;
};
struct pager_rep_protect {
	uint64_t reserved;
};
struct pager_req_inherit {
	uint64_t address, size;
	uint32_t inheritance; /* enum pager_inheritance */
	uint32_t reserved;
};
struct pager_rep_inherit {
	uint64_t reserved;
};
struct pager_req_tag {
	uint64_t address, size;
	uint32_t tag; /* at most PAGER_TAG_MAX */
	uint32_t reserved;
};
struct pager_rep_tag {
	uint64_t reserved;
};
#define PAGER_WIRE_REGION_FLAGS ((uint32_t)(PAGER_REGION_EXTENDED | PAGER_REGION_RECURSIVE))
struct pager_req_region {
	uint64_t address;
	uint32_t flags; /* PAGER_WIRE_REGION_FLAGS */
	uint32_t depth; /* RECURSIVE: of submaps, at most; else 0 */
};
struct pager_wire_region {
	uint64_t address, size, object_id, object_offset;
	uint32_t protection, max_protection, behavior, inheritance;
	uint32_t tag, wired_count, user_wired_count;
	uint32_t share_mode; /* enum pager_share_mode */
	uint32_t ref_count, shadow_depth;
	uint32_t external_pager; /* 0 or 1 */
	uint32_t billed;         /* 1: the client that maps it there pays for it */
	uint32_t cache_mode;     /* enum pager_cache_mode; 0 where it is no device */
	uint32_t depth;          /* submaps around it */
	uint32_t is_submap;      /* 1: a submap that is not gone into */
	uint16_t is_device;      /* 1: the client is billed for its size, whoever has made it */
	uint16_t purgeable;      /* 1 and its state (pager/purgeable.h); 0: it is not purgeable */
	/* Of an extended description, else 0. */
	uint64_t pages_resident, pages_dirty, pages_compressed, pages_swapped, pages_wired;
	/* Bytes: its pages, each divided by the number of places that map it; resident, and
	 * compressed or swapped. */
	uint64_t proportional_resident, proportional_stored;
};
struct pager_rep_region {
	struct pager_wire_region region;
};
struct pager_req_page_query {
	uint64_t address;
};
struct pager_rep_page_query {
	uint32_t disposition; /* enum pager_disposition */
	uint32_t reserved;
};
struct pager_req_statistics {
	uint64_t reserved;
};
struct pager_rep_statistics {
	struct pager_statistics statistics; /* without shared_*, which MAP tells */
};

struct pager_req_stat_segment {
	uint64_t reserved;
};
struct pager_rep_stat_segment {
	uint64_t segment_bytes;
};

struct pager_wire_client {
	uint64_t session_id;
	uint32_t pid, uid;
	uint64_t limit_bytes; /* 0: none */
	uint64_t virtual_bytes;
	uint64_t regions;
	uint64_t ledger[PAGER_LEDGER_COUNT];
	uint64_t phys_footprint_peak;
	char name[64];
};
#define PAGER_CLIENTS_PER_REPLY 32
struct pager_req_clients {
	uint64_t cursor; /* 0 at first, then the reply's */
};
struct pager_rep_clients {
	uint64_t next_cursor; /* 0: that was all */
	uint32_t count, reserved;
	struct pager_wire_client
	    clients[PAGER_CLIENTS_PER_REPLY]; /* only `count` of them are sent */
};

/* In the following requests `session`, if not 0, names the session with that id; else `pid` means
 * all sessions of that process together. */

#define PAGER_REGIONS_PER_REPLY 64
/* flags of MAP: only regions of memory that was allocated to be shared */
#define PAGER_WIRE_MAP_SHAREABLE 0x10000u
#define PAGER_WIRE_MAP_FLAGS     (PAGER_WIRE_REGION_FLAGS | PAGER_WIRE_MAP_SHAREABLE)
struct pager_req_map {
	uint32_t pid;
	uint32_t flags; /* PAGER_WIRE_MAP_FLAGS */
	uint64_t session;
	uint64_t cursor; /* 0 at first, then the reply's: an address */
};
struct pager_rep_map {
	uint64_t next_cursor; /* 0: that was all */
	uint32_t count, reserved;
	struct pager_wire_region
	    regions[PAGER_REGIONS_PER_REPLY]; /* only `count` of them are sent */
};

struct pager_req_footprint {
	uint32_t pid, reserved;
	uint64_t session;
};
struct pager_rep_footprint {
	struct pager_wire_client client; /* of several sessions: sums, and the id of the first */
	uint32_t sessions, reserved;
};

struct pager_req_limit { /* of a process; `session` names any session of it */
	uint32_t pid, reserved;
	uint64_t session;
	uint64_t bytes; /* 0: lift the limit */
};
struct pager_rep_limit {
	uint64_t previous_bytes;
};

struct pager_req_check {
	uint64_t reserved;
};
struct pager_rep_check {
	uint32_t failures;
	uint32_t checks;
	char text[2008];         /* one line per failure, then notes, NUL-terminated */
	uint32_t notes;          /* about what clients did themselves */
	uint32_t clients;        /* whose address spaces were compared with the books */
	uint32_t clients_unseen; /* and that could not be looked at */
	uint32_t reserved;
	uint64_t regions, pages; /* of the former, as compared */
	uint64_t pages_left_out; /* they were in transit */
};

enum pager_debug_op {
	PAGER_DEBUG_FAIL_ARM = 1,
	PAGER_DEBUG_FAIL_DISARM = 2,
	PAGER_DEBUG_LOG_LEVEL = 3,
	PAGER_DEBUG_SHOW = 4
};
struct pager_req_debug {
	uint32_t op, reserved;
	char argument[256]; /* NUL-terminated */
};
struct pager_rep_debug {
	char text[4096];
};

struct pager_req_policy {
	uint32_t pid; /* with session 0: 0 means the daemon's policy, else that client's own */
	uint32_t set; /* 0 show, 1 switch */
	uint64_t session;
	char policy[256]; /* "name[:param=value,...]" or "default"; set to "" for a client: back to
			     the daemon's */
};
struct pager_rep_policy {
	char text[4096];
};

enum pager_trace_op { PAGER_TRACE_START = 1, PAGER_TRACE_STOP = 2, PAGER_TRACE_SHOW = 3 };
#define PAGER_TRACE_GROUP                                                                          \
	1u               /* `session` is the number of a group, all of whose clients are meant */
struct pager_req_trace { /* START carries one writable descriptor */
	uint32_t op;
	uint32_t pid;    /* with session 0: 0 means every client */
	uint32_t window; /* mapped pages while recording; 0: leave the policy alone */
	uint32_t flags;  /* PAGER_TRACE_GROUP */
	uint64_t session;
};
struct pager_rep_trace {
	uint64_t records, dropped, bytes;
	uint32_t active, reserved;
};

struct pager_req_param {
	uint32_t set, index; /* set 0: describe the index-th parameter, -ENOENT beyond the last */
	char name[64];       /* set 1 */
	char value[64];
};
struct pager_rep_param {
	char name[64], value[64], unit[32], minimum[32], maximum[32], text[256];
	uint32_t live; /* may be changed while running */
	uint32_t reserved;
};

/* The agent's socket (SEQPACKET, made by the daemon). The daemon sends these messages; the agent
 * never answers, and its work is best effort. */
enum pager_agent_op {
	/* Drop the page-table entries of the ranges (MADV_DONTNEED). value: a mask of the
	   processors (bit n: processor n) on which the client's threads fault often; 0: none is
	   known. It is best done on that processor if there is one, and elsewhere if there are
	   several. */
	PAGER_AGENT_ZAP = 1,
	/* A notice of memory pressure, for the program: PAGER_AGENT_PRESSURE_VALUE. No ranges. */
	PAGER_AGENT_PRESSURE = 2,
	/* The process has come near a limit of its own, or the client near one on an entry of its
	   ledger. value: PAGER_AGENT_LIMIT_VALUE. No ranges. */
	PAGER_AGENT_LIMIT = 3,
	/* A thread waits for its own page at one range, where another one is seen: WINDOW_OPEN. */
	PAGER_AGENT_WINDOW = 4,
	/* The client is to be let go of: RELEASE_STEP. No ranges. */
	PAGER_AGENT_RELEASE = 5,
};
/* The number of the notice, and an enum pager_pressure. */
#define PAGER_AGENT_PRESSURE_VALUE(number, level) ((uint64_t)(number) << 8 | (level))
#define PAGER_AGENT_PRESSURE_LEVEL(value)         ((unsigned)((value)&0xff))
/* Percent of the limit, or 100: it has more. which: 0: the process's, on the footprint or on
 * resident memory; 1 and an enum pager_ledger_entry. */
#define PAGER_AGENT_LIMIT_VALUE(which, percent) ((uint64_t)(which) << 8 | (percent))
#define PAGER_AGENT_LIMIT_PERCENT(value)        ((unsigned)((value)&0xff))
#define PAGER_AGENT_LIMIT_ENTRY(value)          ((value) >> 8)
#define PAGER_AGENT_RANGES_MAX                  256
struct pager_agent_range {
	uint64_t address, size;
};
struct pager_agent_message {
	uint32_t op, count;
	uint64_t value;
	struct pager_agent_range ranges[PAGER_AGENT_RANGES_MAX]; /* only `count` are sent */
};

_Static_assert(sizeof(struct pager_msg_header) == 24, "wire layout");
_Static_assert(sizeof(struct pager_req_hello) == 88, "wire layout");
_Static_assert(sizeof(struct pager_req_allocate) == 24, "wire layout");
_Static_assert(sizeof(struct pager_req_make_entry) == 24, "wire layout");
_Static_assert(sizeof(struct pager_req_map_entry) == 32, "wire layout");
_Static_assert(sizeof(struct pager_req_submap_create) == 16, "wire layout");
_Static_assert(sizeof(struct pager_req_submap_change) == 32, "wire layout");
_Static_assert(sizeof(struct pager_req_submap_name) == 8, "wire layout");
_Static_assert(sizeof(struct pager_req_map_device) == 64, "wire layout");
_Static_assert(sizeof(struct pager_req_make_device) == 24, "wire layout");
_Static_assert(sizeof(struct pager_req_descriptor) == 24, "wire layout");
_Static_assert(sizeof(struct pager_wire_device) == 112, "wire layout");
_Static_assert(
    sizeof(struct pager_rep_devices) < PAGER_MSG_BYTES_MAX - 24, "a reply fits a message");
_Static_assert(sizeof(struct pager_rep_ports) < PAGER_MSG_BYTES_MAX - 24, "a reply fits a message");
_Static_assert(sizeof(struct pager_wire_region) == 152, "wire layout");
_Static_assert(
    sizeof(struct pager_rep_upl_create) < PAGER_MSG_BYTES_MAX - 24, "a reply fits a message");
_Static_assert(
    sizeof(struct pager_rep_clients) < PAGER_MSG_BYTES_MAX - 24, "a reply fits a message");
_Static_assert(sizeof(struct pager_rep_map) < PAGER_MSG_BYTES_MAX - 24, "a reply fits a message");
_Static_assert(
    sizeof(struct pager_rep_fork_begin) < PAGER_MSG_BYTES_MAX - 24, "a reply fits a message");
_Static_assert(
    sizeof(struct pager_rep_fork_step) < PAGER_MSG_BYTES_MAX - 24, "a reply fits a message");

/* Size of a request's body, or 0 for an unknown type. */
static inline size_t
pager_msg_request_bytes(uint16_t type)
{
	switch (type) {
#define MSG(number, NAME, name, fds, access, runs, text)                                           \
	case number:                                                                               \
		return sizeof(struct pager_req_##name);
#include "tbl/msg.h"
	default:
		return 0;
	}
}

/* How many descriptors must come with a request. => the request is otherwise well-formed */
static inline unsigned
pager_msg_request_fds(const struct pager_msg_header *header)
{
	switch (header->type) {
	case PAGER_MSG_ATTACH:
	case PAGER_MSG_MAP_ENTRY:
	case PAGER_MSG_SUBMAP_CHANGE:
	case PAGER_MSG_SUBMAP_NAME:
	case PAGER_MSG_MAKE_DEVICE:
	case PAGER_MSG_MAP_FILE:
	case PAGER_MSG_COPY_FILE:
	case PAGER_MSG_SHARED_LOAD:
	case PAGER_MSG_UPGRADE:
		return 1;
	case PAGER_MSG_TRACE:
		return ((const struct pager_req_trace *)(header + 1))->op == PAGER_TRACE_START;
	default:
		return 0;
	}
}

/* Whether `received` bytes with `fds` descriptors are a well-formed request. Used by the daemon, by
 * the library's tests and by the fuzzer. => NULL, or a text that names what is wrong. */
static inline const char *
pager_msg_request_check(const void *message, size_t received, unsigned fds)
{
	const struct pager_msg_header *header = message;
	size_t body;

	if (received < sizeof(*header))
		return "shorter than a message header";
	if (header->length != received)
		return "length field differs from the packet's length";
	body = pager_msg_request_bytes(header->type);
	if (body == 0)
		return "unknown message type";
	if (header->reserved != 0 || header->reserved2 != 0 || header->error != 0)
		return "reserved field is not zero";
	if (received != sizeof(*header) + body)
		return "wrong body length for the message type";
	if (fds != pager_msg_request_fds(header))
		return "wrong number of descriptors";
	return NULL;
}

#endif
