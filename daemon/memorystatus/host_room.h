/* SPDX-License-Identifier: MIT
 *
 * What a process could have of the machine's memory beside what it has now. Any thread that may
 * wait for a file of the kernel's; allocates nothing.
 */
#ifndef HOST_ROOM_H
#define HOST_ROOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Bytes. UINT64_MAX: not known, or there is no bound. */
struct host_room {
	uint64_t machine; /* MemAvailable */
	uint64_t cgroup;  /* the least of what its memory cgroups (v2) leave, page cache included */
};

/* directory: the machine's files (--host-files) */
struct host_room host_room(const char *directory, pid_t pid);

/* The file's text, ended by NUL. => false: it cannot be read, and there is no text */
bool host_text(const char *directory, const char *name, char *text, size_t size);

#endif
