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
FAIL(COMPRESS_NO_SPACE, ENOSPC, "the compressor finds no room for a page")
FAIL(UFFD_COPY_EAGAIN, EAGAIN, "UFFDIO_COPY meets a changing address space")
FAIL(UFFD_CONTINUE_EAGAIN, EAGAIN, "UFFDIO_CONTINUE meets a changing address space")
FAIL(UFFD_COPY_EEXIST, EEXIST, "UFFDIO_COPY finds the page already there")
FAIL(UFFD_WRITEPROTECT_EAGAIN, EAGAIN, "UFFDIO_WRITEPROTECT meets a changing address space")
FAIL(OBJECT_CREATE_ENOMEM, ENOMEM, "no memory for a VM object")
FAIL(SESSION_CREATE_ENOMEM, ENOMEM, "no memory for a session")
FAIL(FRAME_TAKE, ENOMEM, "no free frame for a fault")
FAIL(ACCEPT_EMFILE, EMFILE, "no descriptor is left for a connection")
FAIL(ACCEPT_ENOBUFS, ENOBUFS, "the kernel has no memory for a connection")
FAIL(ACCEPT_ECONNABORTED, ECONNABORTED, "a connection has gone before it is accepted")
#undef FAIL
