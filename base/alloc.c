/* SPDX-License-Identifier: MIT
 *
 * malloc and its like, where they are guarded: each asks whether its thread may allocate, and goes
 * on in glibc. Runs on: any thread.
 */
#include "alloc.h"

#if ALLOC_GUARDED

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>

#include "check.h"

#define EXPORT __attribute__((visibility("default")))

/* glibc's own, under the names that it keeps for programs that replace them. */
void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t count, size_t bytes);
void *__libc_realloc(void *memory, size_t bytes);
void *__libc_memalign(size_t alignment, size_t bytes);

static _Thread_local bool forbidden __attribute__((tls_model("initial-exec")));

void
alloc_forbid(void)
{
	forbidden = true;
}

void
alloc_allow(void)
{
	forbidden = false;
}

static void
ask(void)
{
	if (likely(!forbidden))
		return;
	/* The report allocates. */
	forbidden = false;
	panic("check failed: a thread on the reclaim path allocates");
}

EXPORT void *
malloc(size_t bytes)
{
	ask();
	return __libc_malloc(bytes);
}

EXPORT void *
calloc(size_t count, size_t bytes)
{
	ask();
	return __libc_calloc(count, bytes);
}

EXPORT void *
realloc(void *memory, size_t bytes)
{
	ask();
	return __libc_realloc(memory, bytes);
}

EXPORT void *
aligned_alloc(size_t alignment, size_t bytes)
{
	ask();
	return __libc_memalign(alignment, bytes);
}

EXPORT int
posix_memalign(void **ret, size_t alignment, size_t bytes)
{
	void *memory;

	ask();
	memory = __libc_memalign(alignment, bytes);
	if (!memory)
		return ENOMEM;
	*ret = memory;
	return 0;
}

#endif
