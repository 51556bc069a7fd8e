/* SPDX-License-Identifier: MIT
 *
 * RELEASE_WHY(NUMBER, NAME, text): why a client is not let go of, and what can be done about it.
 */
RELEASE_WHY(0, NONE, "nothing stands in the way")
RELEASE_WHY(
    1, MACHINE, "what it has away does not fit into the memory that the machine has available")
RELEASE_WHY(2, CGROUP, "what it has away does not fit into its memory cgroup")
RELEASE_WHY(
    3, SHAREABLE, "memory that can be shared stays the pager's: deallocate it, and close its names")
RELEASE_WHY(4, FILE, "it maps a file through pagerd: unmap it")
RELEASE_WHY(5, DEVICE, "it maps a device through pagerd: unmap it")
RELEASE_WHY(6, WIRED, "memory is wired, or held for a device: unwire it, and complete descriptors")
RELEASE_WHY(7, PINNED, "the kernel has pages pinned, for io_uring or O_DIRECT: end the transfers")
RELEASE_WHY(8, LISTED, "a page list holds pages: commit or abort it")
RELEASE_WHY(9, VOLATILE, "purgeable memory is volatile or empty: make it nonvolatile")
RELEASE_WHY(
    10, HELD_COPY, "it holds copies that lie in no range (pager_copyin): put them somewhere")
RELEASE_WHY(11, PORT, "it has ports: close them")
RELEASE_WHY(12, FORKS, "a child of it is being forked: try again")
RELEASE_WHY(13, DEAF, "it does not listen: is it stopped, or has it no thread of libpager's?")
RELEASE_WHY(14, CLIENT, "its own process could not prepare it")
RELEASE_WHY(15, TAKEN_BACK, "nobody waits for it any more")
RELEASE_WHY(16, WINDOW, "a copy of it shares what it reads: try again")
#undef RELEASE_WHY
