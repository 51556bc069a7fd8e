/* SPDX-License-Identifier: MIT
 *
 * libpager: memory served by pagerd. Every function returns 0 or a negative errno, stores its
 * results through its last pointers, and leaves them alone on failure. All functions are
 * thread-safe. Addresses and sizes are in bytes. Sizes are rounded up to the daemon's system page
 * size, which pager_statistics reports.
 */
#ifndef PAGER_PAGER_H
#define PAGER_PAGER_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PAGER_API __attribute__((visibility("default")))

struct pager;

enum pager_event {
	/* The daemon is gone: threads that touch absent pages block from now on. value: 0 */
	PAGER_EVENT_DAEMON_DIED = 1,
	/* Memory pressure has changed (pager/pressure.h). value: enum pager_pressure. When the
	 * function returns, the daemon is told that the program has done what it could. */
	PAGER_EVENT_PRESSURE = 2,
	/* The footprint of the process, or its resident memory, has come near its limit (pagerctl
	 * limit), or an entry of the client's ledger has. value: 80: it has 80 percent of it; 100:
	 * it has more, and is among the first to be ended when memory is short; pager/ledger.h says
	 * of which. Told once, until it has less again. */
	PAGER_EVENT_LIMIT = 3,
};

#define PAGER_NO_INHERIT 1u /* of options: a forked child gets nothing (see pager_inherit) */
struct pager_options {
	uint32_t size;  /* sizeof(struct pager_options) of the caller */
	uint32_t flags; /* 0 or PAGER_NO_INHERIT */
	/* Called on a thread of libpager; must not call pager_disconnect. NULL: events are not
	 * delivered, and there is no such thread. */
	void (*event)(void *context, enum pager_event event, uint64_t value);
	void *event_context;
	const char *name; /* how pagerctl shows this client; NULL: the program's name */
};

/* socket NULL: $PAGERD_SOCKET, else $XDG_RUNTIME_DIR/pagerd.sock if it exists, else
 * /run/pagerd/pagerd.sock. Errors: -ENOENT, -ECONNREFUSED (no daemon), -EACCES (not allowed on the
 * socket), -EPROTO (version or answer), -EPERM (the daemon could hand out no userfaultfd), -ENFILE
 * (it has no descriptor left), -EDQUOT (descriptors that this user has given it cannot be closed),
 * -EAGAIN (clients of this user have held the daemon up: it lets in no more for a while), -EBADF
 * (the program has closed the connection's descriptors meanwhile), -ENOMEM, -EMFILE, -EINVAL. */
PAGER_API int pager_connect(
    const char *socket, const struct pager_options *options, struct pager **ret);
/* Unmaps everything this connection has allocated and frees p. No other thread may use p or its
 * memory. */
PAGER_API int pager_disconnect(struct pager *p);

enum pager_allocate_flags {
	PAGER_ALLOC_ANYWHERE = 0, /* the library chooses the address; pages come and go */
	/* At the address that *ret_addr holds before the call, a multiple of the page size.
	 * -EEXIST: something is mapped there */
	PAGER_ALLOC_FIXED = 2,
	/* The memory can be named (pager_make_entry) and so shared. It lies in an object of its
	 * own, which costs a descriptor of the daemon, 12 KiB of its tables for each 512 pages in
	 * use, and 4,096 pages or more of the user's share of addresses. */
	PAGER_ALLOC_SHAREABLE = 1,
	/* One run of one descriptor, in an object of its own. */
	PAGER_ALLOC_CONTIGUOUS = 4,
	/* All pages are brought in and wired, as by pager_wire, before the call returns, or nothing
	 * is allocated. -EAGAIN: the wire limit is reached; -ENOMEM: not all pages came in */
	PAGER_ALLOC_WIRED = 8,
	/* Purgeable memory, in an object of its own: while the program does not need its content,
	 * the daemon may throw it away (pager_purgeable_control). With PAGER_ALLOC_SHAREABLE: all
	 * who map it see one state. */
	PAGER_ALLOC_PURGEABLE = 16,
};
/* A flag: at a multiple of 2^log2 bytes, log2 from 1 to 46. Not with PAGER_ALLOC_FIXED. */
#define PAGER_ALLOC_ALIGNED_SHIFT 24
#define PAGER_ALLOC_LOG2_MAX      46
#define PAGER_ALLOC_ALIGNED(log2) ((unsigned)(log2) << PAGER_ALLOC_ALIGNED_SHIFT)

/* Zero-filled memory of at least `size` bytes, page-aligned. flags: enum pager_allocate_flags.
 * Errors: -EINVAL (size 0, an unknown flag, an address or alignment that cannot be), -ENOMEM
 * (address space or the daemon's limits), -EEXIST, -EAGAIN (see the flags), -EMFILE (no descriptor
 * is free for the moment of the call), -ENOTCONN, -EBADF (the program has closed the connection's
 * descriptors). Whatever the error, nothing is left allocated. */
PAGER_API int pager_allocate(struct pager *p, size_t size, unsigned flags, void **ret_addr);
/* Gives back any page-aligned part of allocated memory. -EINVAL: a part of the range is not
 * allocated. -EBUSY: a part is pinned (pager_memory_descriptor_prepare). If the program itself has
 * unmapped memory there, or has mapped something in its place, that is left alone. */
PAGER_API int pager_deallocate(struct pager *p, void *addr, size_t size);

/* Makes `size` bytes at `destination` what those at `source` are; both ranges are allocated memory,
 * and may overlap. Whole pages (three or more, at the same place in a page on both sides) are
 * shared with the source until one side writes them: no page is touched, expanded or given memory
 * now. The first write to a page at the source keeps the old content for the copy; what the copy's
 * reader touches gets memory of its own, which leaves first and for nothing until it is written.
 * Bytes beside whole pages are copied here, and so is all that cannot be shared: wired or pinned
 * memory, files, devices, and memory that has been copied very often (128 copies of a page, 1,024
 * ranges of one object). Another thread's writes to the source meanwhile are in the copy or not,
 * page by page. The idea is the virtual copy of Mach and XNU. Errors: -EINVAL (size 0, or not all
 * of it is allocated), -EACCES (the source cannot be read, or the destination written), -EBUSY (a
 * page list has some of it), -ENOMEM, -ENOTCONN; the destination may have changed in part. Any
 * thread. */
PAGER_API int pager_copy(struct pager *p, const void *source, size_t size, void *destination);

/* A copy that lies at no address, as the copy objects of Mach and XNU. It is of the connection that
 * made it, which pays for it, and ends with it. Any thread may use it, one at a time. A connection
 * holds 1,024 at most. */
struct pager_copy;
enum pager_copyin_flags {
	PAGER_COPY_DESTROY_SOURCE = 1, /* the source is deallocated: its pages are the copy's */
};
/* Copies a page-aligned range as it is now, as pager_copy does; its size is rounded up to whole
 * pages. flags: enum pager_copyin_flags. Errors: as of pager_copy, -EAGAIN (1,024 copies), and of
 * pager_deallocate: nothing has changed then. */
PAGER_API int pager_copyin(
    struct pager *p, void *source, size_t size, unsigned flags, struct pager_copy **ret_copy);
/* Puts the copy at a new address, to be given back with pager_deallocate; the copy is gone. Errors:
 * -EINVAL, and as of pager_allocate and pager_copy: the copy is there still. */
PAGER_API int pager_copyout(struct pager *p, struct pager_copy *copy, void **ret_addr);
/* Puts the copy over allocated memory of its size, from a multiple of the page size on; the copy is
 * gone. Errors: as of pager_copy: the copy, or what has not been put there yet, is there still. */
PAGER_API int pager_copy_overwrite(struct pager *p, void *destination, struct pager_copy *copy);
/* The copy is gone, whatever this returns. */
PAGER_API int pager_copy_discard(struct pager *p, struct pager_copy *copy);

/* A name for shareable memory, for all of one allocation: a descriptor, which may be sent to any
 * process (SCM_RIGHTS). Whoever has it, or a copy, can map the memory through a connection of its
 * own, no further than `protection` allows: PROT_READ, or PROT_READ | PROT_WRITE. flags: 0. The
 * memory stays as long as somebody maps it, or has a copy of the descriptor. Closing a copy with
 * close(2) is all. Errors: -EINVAL (as for
 * pager_deallocate, or other bits), -ENOTSUP (not allocated with PAGER_ALLOC_SHAREABLE, or a part
 * of an allocation, since whoever maps a page of it could reach all; of a mapped file, whose
 * descriptor would give no less, a part may have a name), -EACCES (the caller may
 * not write there itself, or its descriptor of the file does not allow it), -ENOMEM, -EMFILE (also:
 * 1,024 mappings and names of one object), -ENOTCONN. */
PAGER_API int pager_make_entry(
    struct pager *p, void *addr, size_t size, int protection, unsigned flags, int *ret_fd);
/* Maps `size` bytes of what the descriptor names, from `offset` on, which must be a multiple of the
 * page size. All who map them see the same memory. fd stays the caller's, and may be closed
 * afterwards. flags: where it lies, PAGER_ALLOC_FIXED or PAGER_ALLOC_ALIGNED, as for
 * pager_allocate. To be given back with pager_deallocate. Errors: -EBADF (fd is no name of
 * this daemon's, or none any more), -EACCES (the name does not allow it), -EINVAL (it does not
 * cover that much; other bits), -EEXIST (PAGER_ALLOC_FIXED), -ENOMEM (also: 1,024 mappings and
 * names of one object), -EMFILE, -ENOTCONN. */
PAGER_API int pager_map_entry(struct pager *p, int fd, uint64_t offset, size_t size, int protection,
    unsigned flags, void **ret_addr);

/* A submap: `size` bytes of shared memory that has regions. A page that no region covers is a hole;
 * a touch of a hole, or one that the region does not allow, raises SIGSEGV in the thread that
 * touches. The descriptor is a name as that of pager_make_entry, with the rights PROT_READ |
 * PROT_WRITE | PAGER_SUBMAP_CHANGE: whoever has it maps all or a part of the submap, holes
 * included, by pager_map_entry, once; regions that come and go, and their protections, are then the
 * same for all who map it. flags: 0. Source of the idea: the submaps of Mach's VM. Errors: -EINVAL
 * (size 0 or beyond 2^47, other flags), -ENOMEM (also: the daemon's limits), -EMFILE, -ENOTCONN. */
#define PAGER_SUBMAP_CHANGE 0x20000
PAGER_API int pager_submap_create(struct pager *p, uint64_t size, unsigned flags, int *ret_fd);
/* A flag of pager_submap_allocate: the region's tag, from 0 to PAGER_TAG_MAX. */
#define PAGER_SUBMAP_TAG_SHIFT 16
#define PAGER_SUBMAP_TAG(tag)  ((unsigned)(tag) << PAGER_SUBMAP_TAG_SHIFT)
/* Adds a region of zeroes to the submap that fd names; fd must have PAGER_SUBMAP_CHANGE, here and
 * below. flags: PAGER_ALLOC_FIXED: at *offset, a multiple of the page size; else at the lowest
 * place where it fits, perhaps PAGER_ALLOC_ALIGNED, which is stored in *offset; PAGER_SUBMAP_TAG.
 * protection: PROT_NONE, PROT_READ or PROT_READ | PROT_WRITE. All who map the submap have the
 * region when the call returns. Errors: -EBADF (fd is no name), -ENOTSUP (of no submap), -EACCES
 * (without the right to change it), -EINVAL (also: it would lie beyond the submap's end), -EEXIST
 * (PAGER_ALLOC_FIXED: a region is there, or one that another call is just removing), -ENOMEM (no
 * place, too many regions), -ENOTCONN. */
PAGER_API int pager_submap_allocate(
    struct pager *p, int fd, uint64_t *offset, size_t size, int protection, unsigned flags);
/* Removes what regions have in the range, all of which they must cover. When the call returns its
 * content is gone, and no process sees any of it, one that is stopped included. Errors: as for
 * pager_submap_allocate; -EINVAL (a part of the range is a hole); -EBUSY (somebody has pinned a
 * part of it, see pager_memory_descriptor_prepare). */
PAGER_API int pager_submap_deallocate(struct pager *p, int fd, uint64_t offset, size_t size);
/* Sets what may be done with the range, all of which regions must cover; with PAGER_PROT_MAXIMUM
 * its maximum, as pager_protect does. When the call returns no process can do with it what it may
 * not. The content stays. Errors: as for pager_submap_deallocate, -EBUSY with PROT_NONE only;
 * -EACCES (also: a maximum lacks a right). */
PAGER_API int pager_submap_protect(
    struct pager *p, int fd, uint64_t offset, size_t size, int protection);
/* Another name of what fd names, which may do less: rights is PROT_READ, perhaps with PROT_WRITE
 * and PAGER_SUBMAP_CHANGE. Protections of regions guard against mistakes; a holder of a name with
 * PROT_WRITE who means ill can write to whatever the submap has. A name without it cannot. Errors:
 * -EINVAL (other rights), -EBADF, -EACCES (more than fd allows), -ENOMEM, -EMFILE, -ENOTCONN. */
PAGER_API int pager_submap_name(struct pager *p, int fd, int rights, int *ret_fd);

/* How a device's memory is cached, XNU's WIMG. It is noted and shown; how the processor caches
 * memory of pagerd's own is not changed by it. */
enum pager_cache_mode {
	PAGER_CACHE_DEFAULT = 0,
	PAGER_CACHE_WRITE_COMBINED = 1,
	PAGER_CACHE_UNCACHED = 2,
	PAGER_CACHE_WRITE_THROUGH = 3,
	PAGER_CACHE_COPY_BACK = 4,
};
/* Maps `size` bytes of the device that pagerd's --device calls `name`, from `offset` on, a multiple
 * of the page size. All who map it see the same memory, which is there at once, makes no page
 * faults, and never leaves. The client is billed for the whole size (iokit_mapped, phys_footprint)
 * as long as it is mapped, for each mapping. protection: PROT_READ, or PROT_READ | PROT_WRITE, as
 * the device's mode allows. flags: as for pager_map_entry. To be given back with pager_deallocate,
 * which then takes memory of one kind only. The idea is XNU's device pager. Errors: -ENODEV (there
 * is no such device), -EACCES (its mode does not allow it), -EINVAL (it does not have that much;
 * other bits; a name of 32 bytes or more), -EEXIST (PAGER_ALLOC_FIXED), -ENOMEM (also: 1,024
 * mappings and names of one device), -EMFILE, -ENOTCONN, -EBADF (as for pager_allocate). */
PAGER_API int pager_map_device(struct pager *p, const char *name, uint64_t offset, size_t size,
    int protection, unsigned flags, void **ret_addr);
/* Makes a device of `size` bytes of a descriptor of the program's, from `offset` on; both are
 * multiples of the page size. fd: of a memfd that is sealed with F_SEAL_SHRINK, or of a dma-buf
 * (udmabuf's too). It stays the caller's. *ret_fd: the device's name, as of pager_make_entry;
 * whoever has it maps the device with pager_map_entry, as pager_map_device does, no further than fd
 * allows (a memfd with F_SEAL_WRITE or F_SEAL_FUTURE_WRITE: for reading). pagerd only maps and
 * bills it: its memory is the program's. A memfd loses the rights of group and others in its mode,
 * or a process that may only read could open it again for writing. Errors: -EBADF (fd is not open,
 * or is O_PATH), -ENODEV (it is of something else, which could not be mapped, or could become
 * shorter under its mappers), -EPERM (a memfd without F_SEAL_SHRINK; or its mode could not be
 * changed), -EACCES (it cannot be read), -ERANGE (it is shorter), -EINVAL (size 0, other modes),
 * -ENOMEM, -EMFILE, -ENOTCONN. */
PAGER_API int pager_make_device(struct pager *p, int fd, uint64_t offset, size_t size,
    enum pager_cache_mode cache_mode, int *ret_fd);

/* Maps `size` bytes of a file, from `offset` on, which must be a multiple of the page size, through
 * the daemon: its pages are in the daemon's memory, leave it when it is short, and count against
 * the limits of their clients. All clients of one daemon that map a file see one memory. What is
 * written through a mapping is written to the file within 5 seconds, by pager_msync, and by
 * pager_deallocate of the range. Touching what lies behind the end of the file is SIGBUS; bytes of
 * the last page behind the end read as zeroes and are written nowhere. fd stays the caller's, and
 * may be closed afterwards; the file may be deleted. prot: PROT_READ, or PROT_READ | PROT_WRITE,
 * which needs a descriptor opened with O_RDWR. flags: PAGER_MAP_SHARED or PAGER_MAP_PRIVATE, and
 * where it lies, PAGER_ALLOC_FIXED or PAGER_ALLOC_ALIGNED, as for pager_allocate. To be given back
 * with pager_deallocate.
 *
 * PAGER_MAP_PRIVATE: the memory is the process's own, and has what the file has; what is written to
 * it goes to no file and is seen by nobody else. A descriptor that may only be read suffices,
 * whatever is written. A page that has not been written may show a change of the file or not; one
 * that has been written does not change, also if the file ends before it. pager_msync passes it
 * over; a forked child gets it as other private memory; a copy of it (pager_copy, pager_send) is of
 * what it was.
 *
 * Errors: -EACCES (the descriptor does not allow it), -ENODEV (no regular file, or one that mmap(2)
 * does not take either), -EOPNOTSUPP (a file system that pagerd --strict-files does not take),
 * -EINVAL, -EBADF, -EEXIST (PAGER_ALLOC_FIXED), -ENOMEM (also: 1,024 private mappings of the file),
 * -EMFILE, -ENOTCONN; others are the file system's. The idea is the vnode pager of Mach and XNU. */
#define PAGER_MAP_SHARED  0x100u
#define PAGER_MAP_PRIVATE 0x200u
PAGER_API int pager_map_file(struct pager *p, int fd, uint64_t offset, size_t size, int prot,
    unsigned flags, void **ret_addr);

enum pager_msync_flags {
	PAGER_MSYNC_SYNC = 1,  /* returns when all that was written is in the file and on disk */
	PAGER_MSYNC_ASYNC = 2, /* the pages are written soon */
	PAGER_MSYNC_INVALIDATE = 4, /* clean pages are read from the file again */
};
/* Brings pages of files in the range and their files into agreement. Other memory is passed over.
 * Errors: -EINVAL (a part of the range is not allocated, SYNC and ASYNC together, no flag),
 * -ENOMEM, -ENOTCONN; with SYNC also the first error of writing to one of the files since the last
 * call that has told it, as -EIO and -ENOSPC: what could not be written stays in memory, and is
 * tried again. */
PAGER_API int pager_msync(struct pager *p, void *addr, size_t size, unsigned flags);

/* Brings the range in and keeps it resident and writable without faults until it has been unwired
 * as often as wired. Memory that is pinned for long (registered I/O buffers, RDMA) should be wired.
 * -EAGAIN: the wire limit is reached. -EBUSY (unwiring): a part of the range is pinned. */
PAGER_API int pager_wire(struct pager *p, void *addr, size_t size);
PAGER_API int pager_unwire(struct pager *p, void *addr, size_t size);

/* Memory descriptors: memory on which a device is to work (DMA, registered I/O buffers), after
 * IOKit's IOMemoryDescriptor. */
enum pager_direction {
	PAGER_DIRECTION_IN = 1,  /* into memory: the device writes there */
	PAGER_DIRECTION_OUT = 2, /* out of memory: the device reads */
	PAGER_DIRECTION_INOUT = 3,
};
/* Where a part of the memory lies: `size` bytes of a file, from `offset` on. */
struct pager_memory_piece {
	int fd;              /* the descriptor's: neither to be closed, nor used after
				pager_memory_descriptor_complete */
	uint32_t protection; /* what it allows: PROT_READ, or PROT_READ | PROT_WRITE */
	uint64_t offset, size;
};
struct pager_memory_descriptor;
/* A descriptor of the range, which says nothing to the daemon yet. It must be released before
 * pager_disconnect. Errors: -EINVAL (a part of the range is not allocated, or there is no such
 * direction), -ENOMEM, -ENOTCONN. */
PAGER_API int pager_memory_descriptor_create(struct pager *p, void *addr, size_t size,
    enum pager_direction direction, struct pager_memory_descriptor **ret);
/* Wires the range, as pager_wire does, touches it with the access that the direction needs, and
 * pins it: until pager_memory_descriptor_complete it cannot be unwired, given back or discarded
 * (-EBUSY), so a device's writes are not lost. Several descriptors may be prepared for the same
 * memory. *ret_pieces: where it lies, in the order of addresses; *ret_count: how many pieces. They
 * are the descriptor's, until it is completed. The files are those of the memory itself, with no
 * more rights than the client has to it and the direction needs. Errors: -EALREADY (it is
 * prepared), -EACCES (the protection of a part does not allow the direction), -EAGAIN (the wire
 * limit is reached), -EINVAL (the range has been given back), -EBUSY (a page list covers some of
 * it), -ENOMEM (also: not all pages came in), -EMFILE, -ENOTCONN. Nothing is wired then. */
PAGER_API int pager_memory_descriptor_prepare(struct pager_memory_descriptor *descriptor,
    const struct pager_memory_piece **ret_pieces, size_t *ret_count);
/* The device is done: unpins and unwires what prepare has, and closes the pieces' files. Errors:
 * -EINVAL (it is not prepared), -EBUSY (a page list covers some of it) and -ENOMEM (too many
 * regions): it is prepared still, -ENOTCONN (the
 * memory is not served any more, and the descriptor not prepared). */
PAGER_API int pager_memory_descriptor_complete(struct pager_memory_descriptor *descriptor);
/* Frees a descriptor. Error: -EBUSY (it is prepared). NULL: 0. */
PAGER_API int pager_memory_descriptor_release(struct pager_memory_descriptor *descriptor);

enum pager_behavior {
	PAGER_BEHAVIOR_DEFAULT = 0,
	PAGER_BEHAVIOR_RANDOM = 1,     /* lasting: no clustering */
	PAGER_BEHAVIOR_SEQUENTIAL = 2, /* lasting: each fault also brings in the pages ahead */
	PAGER_BEHAVIOR_REVERSE_SEQUENTIAL = 3,
	PAGER_BEHAVIOR_WILLNEED = 4, /* once: bring in ahead of use, as much as memory is free */
	PAGER_BEHAVIOR_DONTNEED = 5, /* once: cool down; content is kept */
	PAGER_BEHAVIOR_FREE = 6,     /* once: discard; the range reads as zeroes afterwards */
	PAGER_BEHAVIOR_PAGEOUT = 7,  /* once: take out now; content is kept */
	/* once: not needed; each page may go at any time until it is written, or REUSE */
	PAGER_BEHAVIOR_REUSABLE = 8,
	PAGER_BEHAVIOR_REUSE = 9, /* once: needed again, with what it has by now, or zeroes */
};
/* Returns when a lasting behaviour is set, or the other kind has been carried out. PAGEOUT returns
 * 0 when the pages have left (they are stored by the compressor, whose segments go on to swap as
 * usual), and also when nothing more can leave (memory and swap are full). Wired and pinned pages
 * stay; some touched meanwhile may stay, or be back. Threads that touch pages are served meanwhile;
 * other calls on this connection wait. Errors: -EINVAL (a part of the range is not allocated, or
 * there is no such behaviour), -ENOTSUP (FREE, REUSABLE, REUSE and PAGEOUT of memory of a device),
 * -EBUSY (all but PAGEOUT of these: it is pinned), -ENOMEM (a lasting behaviour: too many regions).
 */
PAGER_API int pager_behavior(
    struct pager *p, void *addr, size_t size, enum pager_behavior behavior);

/* Sets what may be done with a range. protection: PROT_NONE or PROT_READ, PROT_WRITE, PROT_EXEC of
 * <sys/mman.h>; with PAGER_PROT_MAXIMUM it is the range's maximum that is set, and the protection
 * loses what the maximum does not have. Errors: -EACCES (a part of the range has a maximum without
 * one of these rights), -EINVAL (no such protection, or a part of the range is not allocated),
 * -ENOMEM (too many regions or mappings); nothing has changed then. */
#define PAGER_PROT_MAXIMUM 0x10000
PAGER_API int pager_protect(struct pager *p, void *addr, size_t size, int protection);

enum pager_inheritance {
	PAGER_INHERIT_SHARE = 0,
	PAGER_INHERIT_COPY = 1, /* what new memory has (names and files SHARE, devices NONE) */
	PAGER_INHERIT_NONE = 2,
};
/* Says what a child of fork(2) gets of a range: the same memory, its content, or nothing. p is a
 * connection of its own there; the manual page has the rest. The idea is Mach's. Errors: -EINVAL,
 * -ENOTSUP (SHARE of memory that is not shareable), -ENOMEM (too many regions). */
PAGER_API int pager_inherit(
    struct pager *p, void *addr, size_t size, enum pager_inheritance inheritance);

#define PAGER_TAG_MAX 255
/* Gives a range a number by which the program knows it again in pager_region and pagerctl map; 0 at
 * first. Errors: -EINVAL, -ENOMEM (too many regions). */
PAGER_API int pager_tag(struct pager *p, void *addr, size_t size, unsigned tag);

/* What pager_region_query is asked for. BASIC: all but what the pages are, which is not counted. */
enum pager_region_flags {
	PAGER_REGION_BASIC = 0,
	PAGER_REGION_EXTENDED = 1,  /* counts the pages, too */
	PAGER_REGION_RECURSIVE = 2, /* goes into submaps, whose regions it describes one by one */
};
/* How memory is shared, with XNU's names and numbers. References are the places where a client has
 * mapped pages of the region, and the names of them. */
enum pager_share_mode {
	PAGER_SHARE_COW = 1,        /* one reference, and pages shared with a copy until written */
	PAGER_SHARE_PRIVATE = 2,    /* one reference */
	PAGER_SHARE_EMPTY = 3,      /* a submap, where it is not gone into */
	PAGER_SHARE_SHARED = 4,     /* others have a reference */
	PAGER_SHARE_TRUESHARED = 5, /* likewise, within a submap */
	PAGER_SHARE_PRIVATE_ALIASED =
	    6,                          /* several references, all of them this client's mappings */
	PAGER_SHARE_SHARED_ALIASED = 7, /* others have one, and this client has mapped it twice */
	PAGER_SHARE_LARGE_PAGE = 8,     /* not used: the daemon's pages have one size */
};

struct pager_region_info {
	void *addr; /* start of the region that holds the address, or of the next one above it */
	uint64_t size_bytes;
	uint64_t object_id;
	uint64_t object_offset; /* bytes */
	uint32_t protection;    /* PROT_* */
	uint32_t max_protection;
	uint32_t behavior;
	uint32_t inheritance;      /* enum pager_inheritance */
	uint32_t tag;              /* pager_tag */
	uint32_t user_wired_count; /* times wired by pager_wire */
	uint32_t wired_count;      /* by the daemon, plus one for all of pager_wire */
	uint32_t cache_mode;       /* enum pager_cache_mode, of a device */
	uint64_t pages_resident, pages_dirty, pages_compressed, pages_swapped, pages_wired;
};
/* With the pages counted, which XNU calls extended. -ENOENT: no region at or above addr. */
PAGER_API int pager_region(struct pager *p, const void *addr, struct pager_region_info *ret);

struct pager_region_query {
	uint32_t size;  /* sizeof(struct pager_region_query) of the caller */
	uint32_t depth; /* before, with PAGER_REGION_RECURSIVE: how many submaps deep the answer may
			   lie; after: how deep it lies */
	uint32_t is_submap;    /* 1: a submap, which is not gone into, so no pages are counted */
	uint32_t share_mode;   /* enum pager_share_mode */
	uint32_t ref_count;    /* places that map pages of it, and names of them; one more if it has
				  been copied, and if it is a copy */
	uint32_t shadow_depth; /* what it was copied from, what that was copied from, and so on:
				  how many are still there */
	uint32_t external_pager; /* 1: its content belongs to a file or the like; 0: to pagerd */
	uint32_t billed;         /* 1: this client pays for it; 0: another one that maps it */
	struct pager_region_info info;
	/* Bytes: its pages, each divided by the number of places that map it; resident, and
	 * compressed or swapped. */
	uint64_t proportional_resident, proportional_stored;
};
/* The region that holds the address, or the next one above it, as flags (enum pager_region_flags)
 * say. The idea is XNU's region calls and their flavours. Errors: -ENOENT: no region at or above
 * addr; -EINVAL: unknown flags, or a size that is not this version's. */
PAGER_API int pager_region_query(
    struct pager *p, const void *addr, unsigned flags, struct pager_region_query *ret);

enum pager_disposition {
	PAGER_PAGE_PRESENT = 1, /* resident */
	PAGER_PAGE_DIRTY = 2,
	PAGER_PAGE_REFERENCED = 4, /* on the active queue */
	PAGER_PAGE_COMPRESSED = 8, /* stored by the compressor, in memory */
	PAGER_PAGE_SWAPPED = 16,   /* stored, its segment is on disk */
	PAGER_PAGE_WIRED = 32,
	PAGER_PAGE_POISONED = 64, /* its content was lost to an I/O error: touching it is SIGBUS */
	PAGER_PAGE_SPECULATIVE = 128,
};
PAGER_API int pager_page_query(struct pager *p, const void *addr, unsigned *ret_disposition);

/* This client's ledger and the daemon's page size; in bytes, unless noted. */
struct pager_statistics {
	uint64_t page_size;
	uint64_t phys_footprint, phys_mem, internal, internal_compressed, wired_mem;
	uint64_t phys_footprint_peak, limit; /* limit 0: none */
	uint64_t virtual_size;
	/* faults by kind, counts */
	uint64_t faults, zero_fills, soft_faults, decompressions, swapins, write_protect_faults;
	/* time spent waiting, nanoseconds, by cause */
	uint64_t stall_fill_ns, stall_swap_ns, stall_frame_ns, stall_limit_ns;
	uint64_t pages_lost; /* poisoned by I/O errors */
	/* What it maps of shareable memory, files and devices, whoever is billed for it: in full,
	 * once for each place that maps it; and proportional, each page divided by the number of
	 * places where anybody maps it. Stored: compressed or swapped. */
	uint64_t shared_resident, shared_stored;
	uint64_t shared_proportional_resident, shared_proportional_stored;
	uint64_t iokit_mapped;           /* mappings of devices */
	uint64_t takeovers, takeover_ns; /* of a daemon with a keeper: how often, how long in all */
};
/* Where the program has made or mapped shareable memory, the pages of that are counted. */
PAGER_API int pager_statistics(struct pager *p, struct pager_statistics *ret);

/* A page list, XNU's universal page list: a range of the program's memory whose pages are taken
 * from all threads until they are handed back. The program is its own pager then: it writes the
 * content of pages to a store of its own and gives their memory back, or fills pages with content
 * before anybody can see them. The pages that a list holds are resident, cannot be paged out, and
 * count as wired memory (pager_wire). A thread that touches one blocks until it is handed back, so
 * the program must not touch any itself; their content is read and written through the list. */
struct pager_upl;

enum pager_upl_flags {
	/* Content is to be read: the list holds resident pages, which cannot be written to
	 * meanwhile. Committed pages are freed, and read as zeroes afterwards, because the program
	 * has their content. Pages without content, wired ones, and those that have been paged out
	 * are holes (a read of a page brings it in). Without this flag content is to be written:
	 * the list holds all pages, with the content that they have. */
	PAGER_UPL_COPYOUT_FROM = 1,
	/* With PAGER_UPL_COPYOUT_FROM: committed pages stay, as they were. */
	PAGER_UPL_CLEAN_IN_PLACE = 2,
	/* With PAGER_UPL_COPYOUT_FROM: pages that the daemon has a copy of are holes. */
	PAGER_UPL_RET_ONLY_DIRTY = 4,
	/* Not with PAGER_UPL_COPYOUT_FROM: only pages without content are held. */
	PAGER_UPL_RET_ONLY_ABSENT = 8,
	/* What could be had only by waiting is a hole: pages of another list, pages in transit, and
	 * pages without content when no memory is free. */
	PAGER_UPL_NOBLOCK = 16,
	/* Not with PAGER_UPL_COPYOUT_FROM: committed pages have no copy anywhere, which is so here
	 * for all that was written. */
	PAGER_UPL_PRECIOUS = 32,
	/* The range is wired (pager_wire) as long as the list is there, and its pages are held
	 * without being taken from other threads. */
	PAGER_UPL_SET_IO_WIRE = 64,
	/* The library keeps what each page was (struct pager_upl_info: pages). */
	PAGER_UPL_SET_INTERNAL = 128,
	/* Nothing is taken: only object_type and size are told. */
	PAGER_UPL_QUERY_OBJECT_TYPE = 256,
};
/* A list of the range of `size` bytes at addr, at most 64 MiB, and within one region. It may cover
 * less: the caller looks at pager_upl_info. It ends early where there is no memory for the next
 * page. Without PAGER_UPL_NOBLOCK the call waits for pages in transit, and for memory for the first
 * page, but not for another list. The list ends with pager_upl_destroy, with
 * PAGER_UPL_COMMIT_FREE_ON_EMPTY, or with the connection, whose end aborts it and leaves upl
 * invalid. While there is one, pager_deallocate, pager_wire, pager_unwire,
 * pager_memory_descriptor_prepare and PAGER_BEHAVIOR_FREE and PAGEOUT of its range fail with
 * -EBUSY. Errors: -EINVAL (addr is not page-aligned or not allocated; size 0; flags that there are
 * not, or that do not go together), -ENOTSUP (others may see the memory: it is shareable), -EACCES
 * (the protection does not allow reading or, without PAGER_UPL_COPYOUT_FROM, writing), -EBUSY
 * (another list covers some of it), -EAGAIN (the wire limit is reached, or there are 1,024 lists),
 * -ENOMEM, -EMFILE, -EBADF, -ENOTCONN. */
PAGER_API int pager_upl_create(
    struct pager *p, void *addr, size_t size, unsigned flags, struct pager_upl **ret);
/* Pages that the list still has are aborted. NULL: nothing happens. -ENOTCONN, -EBADF: the
 * connection is gone, and upl is freed all the same. */
PAGER_API int pager_upl_destroy(struct pager_upl *upl);

/* What a page was when the list was made. */
enum pager_upl_page {
	PAGER_UPL_PAGE_HELD = 1, /* the list has it; cleared when it is handed back */
	PAGER_UPL_PAGE_PRESENT = 2,
	PAGER_UPL_PAGE_DIRTY = 4, /* no copy of it is kept anywhere */
	PAGER_UPL_PAGE_PRECIOUS = 8,
	PAGER_UPL_PAGE_ABSENT = 16, /* it had no content */
	PAGER_UPL_PAGE_WIRED = 32,
	PAGER_UPL_PAGE_SPECULATIVE = 64, /* brought in ahead of use */
	PAGER_UPL_PAGE_ERROR = 128,      /* its content is lost, or could not be read now */
	PAGER_UPL_PAGE_BUSY = 256,       /* it was in transit */
	PAGER_UPL_PAGE_PAGED_OUT = 512,  /* its content was with the daemon's store */
};
enum pager_upl_object_type {
	PAGER_UPL_DEV_MEMORY = 1,  /* a device's memory: no list can be made of it */
	PAGER_UPL_PHYS_CONTIG = 2, /* one run of one descriptor */
	PAGER_UPL_SHARED = 4,      /* others may see it: no list can be made of it */
};
struct pager_upl_info {
	void *addr;
	uint64_t size_bytes;  /* that the list covers */
	uint32_t page_count;  /* in it */
	uint32_t pages_held;  /* now */
	uint32_t object_type; /* with PAGER_UPL_QUERY_OBJECT_TYPE */
	uint32_t reserved;
	/* enum pager_upl_page of each page, as long as the list is there; NULL without
	 * PAGER_UPL_SET_INTERNAL */
	const uint16_t *pages;
};
PAGER_API int pager_upl_info(struct pager_upl *upl, struct pager_upl_info *ret);

/* Reads and writes content of pages that the list holds, from byte `offset` of the list on. What
 * was absent reads as zeroes. Errors: -EINVAL (not all of the range is held; writing with
 * PAGER_UPL_COPYOUT_FROM), -EBADF (the program has closed the list's descriptor), -ENOTCONN, -EIO.
 */
PAGER_API int pager_upl_read(struct pager_upl *upl, uint64_t offset, void *buffer, size_t size);
PAGER_API int pager_upl_write(
    struct pager_upl *upl, uint64_t offset, const void *buffer, size_t size);
/* Where the content of pages that the list holds lies: at *ret_offset of a descriptor that is the
 * list's and stays open as long as the list, *ret_size bytes from byte `offset` of the list on, as
 * far as pages lie side by side. It is for calls that take a descriptor (sendfile(2), splice(2),
 * io_uring). Pages outside of the list must not be written to. -EINVAL: the page is not held. */
PAGER_API int pager_upl_piece(
    struct pager_upl *upl, uint64_t offset, int *ret_fd, uint64_t *ret_offset, uint64_t *ret_size);

enum pager_upl_commit_flags {
	PAGER_UPL_COMMIT_SET_DIRTY = 1, /* the daemon gives up copies that it has */
	/* The program has written the pages to its store. The daemon has not, so in memory of the
	 * program's own they are as dirty as before. */
	PAGER_UPL_COMMIT_CLEAR_DIRTY = 2,
	PAGER_UPL_COMMIT_INACTIVATE = 4,   /* they leave memory soon */
	PAGER_UPL_COMMIT_SPECULATE = 8,    /* pages that were absent leave first unless touched */
	PAGER_UPL_COMMIT_FREE_ABSENT = 16, /* pages that were absent are absent again */
	PAGER_UPL_COMMIT_CLEAR_PRECIOUS = 32,
	PAGER_UPL_COMMIT_NOTIFY_EMPTY = 64,   /* *ret_empty is set */
	PAGER_UPL_COMMIT_FREE_ON_EMPTY = 128, /* the list ends when it holds no page: see below */
};
enum pager_upl_abort_flags {
	PAGER_UPL_ABORT_RESTART = 1,     /* absent pages: threads that wait touch them again */
	PAGER_UPL_ABORT_UNAVAILABLE = 2, /* the same: they read as zeroes */
	/* Absent pages for which a thread waits are lost: touching them is SIGBUS until they are
	 * discarded (PAGER_BEHAVIOR_FREE). Nobody learns about the others. */
	PAGER_UPL_ABORT_ERROR = 4,
	PAGER_UPL_ABORT_DUMP_PAGES = 8,      /* content is thrown away */
	PAGER_UPL_ABORT_REFERENCE = 16,      /* the pages count as touched */
	PAGER_UPL_ABORT_NOTIFY_EMPTY = 64,   /* as above */
	PAGER_UPL_ABORT_FREE_ON_EMPTY = 128, /* as above */
};
/* Hand pages back, all or those in bytes [offset, offset + size) of the list; both are multiples of
 * the page size. Committed: what was read is the program's, and the page is free (or stays, with
 * PAGER_UPL_CLEAN_IN_PLACE); what was written is what threads see. Aborted: an absent page is
 * absent again and a paged-out one paged out, whatever was written to them; other pages are as they
 * were, but with what was written to them. Holes, and pages that were handed back before, are
 * passed over. *ret_empty, with PAGER_UPL_COMMIT_NOTIFY_EMPTY or PAGER_UPL_COMMIT_FREE_ON_EMPTY
 * (else NULL may be given): whether the list holds no page any more. With
 * PAGER_UPL_COMMIT_FREE_ON_EMPTY upl is gone then. Errors: -EINVAL (the range goes beyond the list,
 * and nothing has changed; flags that there are not), -ENOMEM (commit: pages from some page on are
 * still held), -EBADF, -ENOTCONN. */
PAGER_API int pager_upl_commit(struct pager_upl *upl, unsigned flags, int *ret_empty);
PAGER_API int pager_upl_commit_range(
    struct pager_upl *upl, uint64_t offset, uint64_t size, unsigned flags, int *ret_empty);
PAGER_API int pager_upl_abort(struct pager_upl *upl, unsigned flags, int *ret_empty);
PAGER_API int pager_upl_abort_range(
    struct pager_upl *upl, uint64_t offset, uint64_t size, unsigned flags, int *ret_empty);

#ifdef __cplusplus
}
#endif

#include "pager/ledger.h"
#include "pager/port.h"
#include "pager/pressure.h"
#include "pager/purgeable.h"
#include "pager/release.h"
#include "pager/share_reads.h"
#include "pager/shared.h"

#endif
