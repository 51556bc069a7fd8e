/* SPDX-License-Identifier: MIT
 *
 * CALL(NAME, end_ms, text): calls and waits of the daemon whose length a client controls. A client
 * that delays one for longer than end_ms milliseconds is killed (for MEMFD: if a process is seen
 * inside of a call that takes the lock; else after 5 s); 0: never for this alone.
 */
CALL(ADDRESS_SPACE, 5000, "a userfaultfd call, which takes the lock of the process's address space")
CALL(ADVICE, 5000, "process_madvise, which takes the lock of the process's address space")
CALL(PAGEMAP, 5000, "a look at the process's page tables")
CALL(MEMFD, 200, "a write to, or a hole in, the memory that the client shares")
CALL(FILE, 0, "a call on a file that the client has given: its file system may not answer")
CALL(WAIT, 0, "a wait for pages of that client")
#undef CALL
