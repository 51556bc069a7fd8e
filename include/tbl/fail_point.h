/* SPDX-License-Identifier: MIT
 *
 * FAIL(NAME, ERRNO, text): places where a test may make the world fail. Armed with
 * `--fail NAME:after[:times]` or PAGERD_FAIL=NAME:after[:times][,...]: `after` passes go by, then
 * `times` (default 1; 0: without end) passes fail.
 */
FAIL(SWAP_READ_EIO, EIO, "a read from a swap file fails")
FAIL(SWAP_WRITE_EIO, EIO, "a write to a swap file fails")
FAIL(SWAP_WRITE_ENOSPC, ENOSPC, "a write to a swap file finds the disk full")
FAIL(SWAP_READ_SHORT, EIO, "a read from a swap file transfers half")
FAIL(SWAP_WRITE_SHORT, EIO, "a write to a swap file transfers half")
FAIL(SWAP_READ_BITFLIP, EIO, "one bit of what a swap file returns is wrong")
FAIL(SWAP_SUBMIT_EAGAIN, EAGAIN, "requests to swap cannot be handed to the kernel now")
FAIL(SWAP_CREATE_ENOSPC, ENOSPC, "a new swap file cannot be allocated")
FAIL(SWAP_ALLOCATE_EOPNOTSUPP, EOPNOTSUPP,
    "the file system has no fallocate(2): a swap file gets its blocks when it is written")
FAIL(FILE_READ_EIO, EIO, "a read from a client's file fails")
FAIL(FILE_WRITE_EIO, EIO, "a write to a client's file fails")
FAIL(FILE_WRITE_ENOSPC, ENOSPC, "a write to a client's file finds the disk full")
FAIL(FILE_READ_SHORT, EIO, "a read from a client's file transfers half")
FAIL(FILE_WRITE_SHORT, EIO, "a write to a client's file transfers half")
FAIL(FILE_WRITE_HANGS, EIO,
    "a write to a client's file does not begin, nor end, before all fail points are disarmed")
FAIL(COMPRESS_NO_SPACE, ENOSPC, "the compressor finds no room for a page")
FAIL(UFFD_COPY_EAGAIN, EAGAIN, "UFFDIO_COPY meets a changing address space")
FAIL(UFFD_CONTINUE_EAGAIN, EAGAIN, "UFFDIO_CONTINUE meets a changing address space")
FAIL(FILL_PART, ENOMEM, "content is put in place up to the middle of a page")
FAIL(UFFD_COPY_EEXIST, EEXIST, "UFFDIO_COPY finds the page already there")
FAIL(UFFD_WRITEPROTECT_EAGAIN, EAGAIN, "UFFDIO_WRITEPROTECT meets a changing address space")
FAIL(OBJECT_CREATE_ENOMEM, ENOMEM, "no memory for a VM object")
FAIL(COPY_LINK_ENOMEM, ENOMEM, "no memory for the reserve of links of copies")
FAIL(SESSION_CREATE_ENOMEM, ENOMEM, "no memory for a session")
FAIL(PINS_EPERM, EPERM, "the daemon may not run a program in the kernel")
FAIL(PINS_LOOK_ENOMEM, ENOMEM, "the kernel has no memory to look for pins")
FAIL(PROCESS_KILL_EPERM, EPERM, "a process that is to be ended may not be killed by the daemon")
FAIL(FRAME_TAKE, ENOMEM, "no free frame for a fault")
FAIL(ACCEPT_EMFILE, EMFILE, "no descriptor is left for a connection")
FAIL(ACCEPT_ENOBUFS, ENOBUFS, "the kernel has no memory for a connection")
FAIL(ACCEPT_ECONNABORTED, ECONNABORTED, "a connection has gone before it is accepted")
FAIL(DIE_SLIDE_HALF, EINTR, "the daemon is killed: half of a stored page has slid")
FAIL(DIE_SLIDE_MOVED, EINTR,
    "the daemon is killed: a stored page has slid, and its entry is of before")
FAIL(DIE_SEGMENT_OPEN, EINTR,
    "the daemon is killed: a segment has memory and is not being filled yet")
FAIL(DIE_SEGMENT_TRIM, EINTR, "the daemon is killed: a segment has less memory than its row says")
FAIL(DIE_SEGMENT_GONE, EINTR,
    "the daemon is killed: a segment has lost its memory and is not free yet")
FAIL(DIE_VACANT_FILL, EINTR, "the daemon is killed: a page is in a vacancy, and no entry says so")
FAIL(DIE_FILL_BEGUN, EINTR, "the daemon is killed: a page has a frame, and no content")
FAIL(DIE_FILL_PART, EINTR,
    "the daemon is killed: a part of a page is in place (pages larger than the hardware's)")
FAIL(DIE_FILL_PLACED, EINTR,
    "the daemon is killed: a page has its content, and is still being filled")
FAIL(DIE_WRITE_BOOKED, EINTR, "the daemon is killed: a page is dirty, and still write-protected")
FAIL(DIE_STORED, EINTR, "the daemon is killed: a page is stored, and nothing names the copy")
FAIL(DIE_COPY_NAMED, EINTR, "the daemon is killed: a page names its copy, and is in memory")
FAIL(DIE_PUNCHED, EINTR,
    "the daemon is killed: a page has left memory, and its slot names the frame")
FAIL(DIE_PUBLISHED, EINTR, "the daemon is killed: a slot names a copy, and the frame is not free")
FAIL(DIE_DISCARD_PUNCHED, EINTR,
    "the daemon is killed: a discarded page is out of memory, and has a slot")
FAIL(DIE_OBJECT_MADE, EINTR, "the daemon is killed: an object is there, and no entry")
FAIL(DIE_ENTRY_MADE, EINTR, "the daemon is killed: a range is allocated, and no answer noted")
FAIL(DIE_ENTRY_GONE, EINTR, "the daemon is killed: a range is given back, and its pages are there")
FAIL(DIE_TAKEOVER, EINTR, "the daemon is killed: it has taken some pages over")
FAIL(DIE_TAKEOVER_REST, EINTR,
    "the daemon is killed: it is about to fill a part of a page that lacks it")
FAIL(DIE_ANSWER, EINTR, "the daemon is killed: an answer is noted, and not sent")
FAIL(DIE_ANSWERED, EINTR,
    "the daemon is killed: an answer is sent, and its request lies in the socket")
FAIL(PROFILE_WRITE, ENOSPC, "the file of a profile cannot be written")
FAIL(DIE_MERGE, EINTR, "the daemon is killed: a page is in two segments")
FAIL(
    DIE_RENAME, EINTR, "the daemon is killed: a stored page has its new owner, and no checksum yet")
FAIL(DIE_SWAP_RESERVED, EINTR,
    "the daemon is killed: a segment has a place in swap, and is not written")
FAIL(DIE_SWAP_BEGUN, EINTR, "the daemon is killed: a segment is being written to swap")
FAIL(DIE_SWAP_WRITTEN, EINTR,
    "the daemon is killed: a segment was written, and its place does not count")
FAIL(DIE_SWAP_COMMITTED, EINTR,
    "the daemon is killed: a segment was written, and does not know its place")
FAIL(DIE_SWAP_PLACED, EINTR, "the daemon is killed: a segment knows its place, and is in memory")
FAIL(DIE_SWAP_DEPARTING, EINTR, "the daemon is killed: a segment is in swap, and has memory")
FAIL(
    DIE_SWAP_DEPARTED, EINTR, "the daemon is killed: a segment is in swap, and has lost its memory")
FAIL(DIE_SWAP_EMPTY, EINTR, "the daemon is killed: a place in swap is not needed any more")
FAIL(DIE_SWAP_COLLECTED, EINTR,
    "the daemon is killed: nobody names a place in swap that is not free yet")
FAIL(DIE_SWAP_FREED, EINTR,
    "the daemon is killed: a place in swap has its next generation, and is not free")
FAIL(DIE_SWAP_MOVED, EINTR, "the daemon is killed: a segment is at two places in swap")
FAIL(DIE_SWAP_PLACING, EINTR,
    "the daemon is killed: a segment is at its new place in swap, and is still being moved")
FAIL(
    DIE_SWAP_FILE_MADE, EINTR, "the daemon is killed: a swap file is there, and nobody has kept it")
FAIL(DIE_SWAP_FILE_KEPT, EINTR, "the daemon is killed: a swap file was kept, and is not in use")
FAIL(DIE_SWAP_FILE_GONE, EINTR,
    "the daemon is killed: a swap file was deleted, and its row says it is there")
FAIL(DIE_SWAP_ADOPT, EINTR, "the daemon is killed: it has taken some of swap over")
FAIL(DIE_NAME_MADE, EINTR, "the daemon is killed: a named entry is there, and no answer noted")
FAIL(DIE_NAME_MAPPED, EINTR, "the daemon is killed: a named entry is mapped, and no answer noted")
FAIL(DIE_WIRED, EINTR, "the daemon is killed: entries are wired or unwired, and pages are not")
FAIL(DIE_PURGING, EINTR, "the daemon is killed: purgeable memory is empty, and has its pages")
FAIL(DIE_PURGEABLE, EINTR,
    "the daemon is killed: the state of purgeable memory has changed, and no answer is noted")
FAIL(TAKEOVER_WRONG, EIO, "of a page that is taken over nobody notes that it has no copy")
#undef FAIL
