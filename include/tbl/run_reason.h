/* SPDX-License-Identifier: MIT
 *
 * RUN_REASON(NAME, name, kind, text): why something under `pagerctl run` is not managed: MEMORY
 * stays ordinary and is counted with its bytes, a PROGRAM (an exec) has none that is managed.
 */
RUN_REASON(SMALL, small, MEMORY, "pieces of less than 1 MiB, which are managed once they grow")
RUN_REASON(STACK, stack, MEMORY, "stacks (MAP_STACK, MAP_GROWSDOWN)")
RUN_REASON(SHARED, shared, MEMORY, "shared memory (MAP_SHARED)")
RUN_REASON(FILE, file, MEMORY, "private mappings of files")
RUN_REASON(HUGE, huge, MEMORY, "huge pages (MAP_HUGETLB)")
RUN_REASON(EXECUTABLE, executable, MEMORY, "executable memory")
RUN_REASON(LOCKED, locked, MEMORY, "locked from the beginning (MAP_LOCKED, mlockall(MCL_FUTURE))")
RUN_REASON(PROTECTED, protected, MEMORY, "not writable when it was mapped")
RUN_REASON(FLAGS, flags, MEMORY, "mapped with flags that mean something else")
RUN_REASON(WIPED, wiped, MEMORY, "what a forked child has as zeroes (MADV_WIPEONFORK)")
RUN_REASON(WATCHED, watched, MEMORY, "watched by the program's own userfaultfd; it was given back")
RUN_REASON(REFUSED, refused, MEMORY, "refused by pagerd, or the program has closed the connection")
RUN_REASON(OFF, off, MEMORY, "of a process that could not connect to pagerd")
RUN_REASON(STATIC, static, PROGRAM, "statically linked")
RUN_REASON(SANITIZER, sanitizer, PROGRAM, "built with a sanitizer, which has mappings of its own")
RUN_REASON(FOREIGN, foreign, PROGRAM, "for another processor, or no ELF file")
RUN_REASON(PRIVILEGED, privileged, PROGRAM,
    "set-user-ID, set-group-ID or with capabilities: nothing is preloaded")
RUN_REASON(ENVIRONMENT, environment, PROGRAM, "started with an environment without LD_PRELOAD")
RUN_REASON(LIBC, libc, PROGRAM, "its libc's functions could not be replaced")
#undef RUN_REASON
