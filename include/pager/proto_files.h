/* SPDX-License-Identifier: MIT
 *
 * Bodies of messages about mapped files; a part of pager/proto.h.
 */
#ifndef PAGER_PROTO_FILES_H
#define PAGER_PROTO_FILES_H

#include <stdint.h>

/* A part of a file of which something is mapped, or still to be written. */
struct pager_wire_file {
	uint64_t object_id;
	uint64_t inode;
	uint32_t device_major, device_minor;
	uint64_t offset, size;    /* bytes: which part */
	uint64_t resident, dirty; /* bytes */
	uint64_t dirty_ns;        /* for how long some of it has been dirty; 0: none is */
	uint32_t late;            /* writes that have not come back for long: the file is stuck */
	uint32_t is_failing;      /* 1: the last writes have failed */
	int32_t error;            /* -errno of a failed write that no msync was told of; 0: none */
	uint32_t mappings;        /* places where it is mapped, and names of it */
	uint32_t uid;             /* who pays for the file's descriptors */
	uint32_t reserved;
	char path[192]; /* when it was opened; its end, if it is longer. NUL-terminated */
};
#define PAGER_FILES_PER_REPLY 48
struct pager_req_files {
	uint64_t cursor; /* 0 at first, then the reply's */
};
struct pager_rep_files {
	uint64_t next_cursor; /* 0: that was all; of one's own user, or with CONTROL of all */
	uint32_t count, reserved;
	struct pager_wire_file files[PAGER_FILES_PER_REPLY]; /* only `count` of them are sent */
};

/* The dirty pages of a file are given up, unwritten: of all its parts. */
struct pager_req_forget_file {
	uint64_t object_id; /* of any part of the file. -ENOENT: there is none of that number */
};
struct pager_rep_forget_file {
	uint64_t inode;
	uint32_t device_major, device_minor;
	uint64_t dirty; /* bytes that are to be given up */
	uint32_t parts; /* objects */
	uint32_t late;  /* writes under way that have not come back for long: until they do, what
			   is not in memory cannot be read through the daemon */
	char path[192]; /* as in pager_wire_file */
};

#endif
