/* SPDX-License-Identifier: MIT
 *
 * Leaves of the books: parts that name none of the others. Letters on fields: daemon.h.
 */
#ifndef LEAVES_H
#define LEAVES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "atomics.h"

/* Pages without a frame have no busy bit. A thread that needs them unchanged while it holds no lock
 * (a punch that passes over them, poison) puts a hole around them: in it no page is filled, refused
 * or discarded. */
struct hole {
	struct hole *next;  /* (O) of its object */
	uint64_t low, high; /* (O) pages [low, high) */
	bool wanted;        /* (O) somebody came meanwhile: wake the range */
};

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

#endif
