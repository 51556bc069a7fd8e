/* SPDX-License-Identifier: MIT
 *
 * What a program is that somebody is about to go on to, as far as preloading a library is
 * concerned.
 */
#ifndef PAGER_EXEC_LOOK_H
#define PAGER_EXEC_LOOK_H

#include <stdbool.h>
#include <stdint.h>

enum exec_kind {
	EXEC_DYNAMIC,    /* a library can be preloaded */
	EXEC_UNKNOWN,    /* the file is not there, or cannot be read */
	EXEC_STATIC,     /* nothing is preloaded, here and below */
	EXEC_SANITIZER,  /* the sanitizer's library wants to be the first, or ends the program */
	EXEC_FOREIGN,    /* for another processor or size of addresses, or no program */
	EXEC_PRIVILEGED, /* it changes its user or group, or has capabilities */
};

/* Looks at the file, or for a script at its interpreter. It uses the stack and system calls, and
 * nothing else of libc's: the caller may be a child of vfork(2). */
enum exec_kind exec_look(const char *path);

/* Takes a file out of a list as LD_PRELOAD has it. list: changed in place, and ends up empty if
 * there was nothing else. */
void exec_preload_remove(char *list, const char *file);
/* Whether the list has the file. */
bool exec_preload_has(const char *list, const char *file);

#endif
