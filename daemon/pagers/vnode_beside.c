/* SPDX-License-Identifier: MIT
 *
 * Runs on: announced.
 */
#include "pagers/vnode_beside.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "log.h"
#include "threads.h"

/* Of programs of another word size, whose calls have other numbers; those of these numbers here are
 * never announced. */
#ifdef __x86_64__
#define X32_BIT   0x40000000l
#define I386_MMAP 192l /* mmap2 */
#else
#define X32_BIT   0l
#define I386_MMAP SYS_mmap
#endif

bool
beside_is_own(pid_t thread)
{
	return thread > 0 && syscall(SYS_tgkill, getpid(), thread, 0) == 0;
}

enum beside_call
beside_look(pid_t thread)
{
	char text[128];
	long number;

	if (thread <= 0 || !thread_file_read(thread, thread, "wchan", text, sizeof(text)))
		return BESIDE_OTHER;
	if (strcmp(text, "0") == 0)
		return BESIDE_NOT_YET;
	if (!thread_file_read(thread, thread, "syscall", text, sizeof(text)))
		return thread_file_read(thread, thread, "wchan", text, sizeof(text)) ? BESIDE_HIDDEN
										     : BESIDE_OTHER;
	/* "running": it has been killed meanwhile. */
	if (text[0] < '0' || text[0] > '9')
		return BESIDE_OTHER;
	number = atol(text) & ~X32_BIT;
	return number == SYS_mmap || number == I386_MMAP ? BESIDE_MMAP : BESIDE_OTHER;
}

/* The process of a thread; the thread itself if that is not told. */
static pid_t
process_of(pid_t thread)
{
	const char *at;
	char text[512];

	if (!thread_file_read(thread, thread, "status", text, sizeof(text)))
		return thread;
	at = strstr(text, "\nTgid:");
	return at ? (pid_t)atol(at + strlen("\nTgid:")) : thread;
}

/* Whether it will store into the file, by the arguments of its call. */
static bool
is_for_writing(pid_t thread)
{
	unsigned long number, address, size, protection, flags;
	char text[128];

	return thread_file_read(thread, thread, "syscall", text, sizeof(text)) &&
	       sscanf(text, "%lu %lx %lx %lx %lx", &number, &address, &size, &protection, &flags) ==
		   5 &&
	       (protection & PROT_WRITE) && (flags & MAP_TYPE) != MAP_PRIVATE;
}

void
beside_tell(pid_t thread, int fd)
{
	char link[64], path[256], name[32];
	ssize_t length;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	length = readlink(link, path, sizeof(path) - 1);
	path[length > 0 ? length : 0] = '\0';
	(void)thread_file_read(thread, thread, "comm", name, sizeof(name));
	log_notice_limited("process %d (%s) maps %s with mmap(2)%s: it agrees with the pages of "
			   "clients after they have been written only",
	    (int)process_of(thread), name, path, is_for_writing(thread) ? ", for writing" : "");
}
