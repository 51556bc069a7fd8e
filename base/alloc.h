/* SPDX-License-Identifier: MIT
 *
 * Threads that others wait on for frames do not allocate: malloc's lock may be held by a thread
 * that waits for one of them, and the heap may have to grow when there is nothing left to grow
 * into. With debug_level >= 1 (but not under sanitizers, which have an allocator of their own)
 * malloc and its like panic in a thread that has forbidden itself to allocate.
 */
#ifndef BASE_ALLOC_H
#define BASE_ALLOC_H

#include "base.h"

#ifdef __has_feature
#define ALLOC_SANITIZED (__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define ALLOC_SANITIZED 1
#else
#define ALLOC_SANITIZED 0
#endif

#if DEBUG_LEVEL >= 1 && defined(__GLIBC__) && !ALLOC_SANITIZED
#define ALLOC_GUARDED 1
/* From here on the calling thread may free memory, and not allocate any. */
void alloc_forbid(void);
/* It may allocate again. */
void alloc_allow(void);
#else
#define ALLOC_GUARDED 0
static inline void
alloc_forbid(void)
{
}
static inline void
alloc_allow(void)
{
}
#endif

#endif
