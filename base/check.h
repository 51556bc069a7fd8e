/* SPDX-License-Identifier: MIT
 *
 * Assertions. CHECK is always on and cheap: a failed one is a programmer's mistake and ends the
 * process. INVARIANT costs something and needs debug_level >= 1; INVARIANT_SLOW walks structures
 * and needs 2. Faults of the world (a client, a disk) are never asserted: they are an errno.
 */
#ifndef BASE_CHECK_H
#define BASE_CHECK_H

#include "base.h"

/* Prints message, thread name and backtrace, then aborts. Safe against re-entry. Any thread. */
void panic_at(const char *file, int line, const char *fmt, ...) NORETURN PRINTF_LIKE(3, 4);

#define panic(...) panic_at(__FILE__, __LINE__, __VA_ARGS__)
#define CHECK(cond)                                                                                \
	do {                                                                                       \
		if (unlikely(!(cond)))                                                             \
			panic("check failed: %s", #cond);                                          \
	} while (0)
/* As CHECK, with a formatted message that carries the values. */
#define CHECKF(cond, ...)                                                                          \
	do {                                                                                       \
		if (unlikely(!(cond)))                                                             \
			panic(__VA_ARGS__);                                                        \
	} while (0)
/* A change of a state that `arrows` must have. The states are printed as numbers. */
#define CHECK_ARROW(arrows, from, to, what, id)                                                    \
	CHECKF((size_t)(from) < ARRAY_LEN(arrows) && (size_t)(to) < ARRAY_LEN(arrows) &&           \
		   (arrows)[from][to],                                                             \
	    what " %llu: %d -> %d", (unsigned long long)(id), (int)(from), (int)(to))
#define CHECK_OBJ(ptr, m) CHECKF((ptr) != NULL && (ptr)->magic == (m), "bad object: %s", #ptr)

#if DEBUG_LEVEL >= 1
#define INVARIANT(cond) CHECK(cond)
#else
#define INVARIANT(cond) ((void)sizeof(cond))
#endif
#if DEBUG_LEVEL >= 2
#define INVARIANT_SLOW(cond) CHECK(cond)
#else
#define INVARIANT_SLOW(cond) ((void)sizeof(cond))
#endif

#endif
