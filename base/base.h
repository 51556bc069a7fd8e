/* SPDX-License-Identifier: MIT
 *
 * Attributes and small arithmetic that every folder behind the daemon's door may use.
 */
#ifndef BASE_H
#define BASE_H

#include <stddef.h>
#include <stdint.h>

#define ARRAY_LEN(a)                    (sizeof(a) / sizeof((a)[0]))
#define container_of(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))
#define CACHE_LINE                      64
#define CACHE_ALIGNED                   __attribute__((aligned(CACHE_LINE)))
/* For optimistic reads that are validated afterwards; ThreadSanitizer would report them. */
#define READS_RACILY           __attribute__((no_sanitize("thread")))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))
#define NORETURN               __attribute__((noreturn))
#define MUST_USE               __attribute__((warn_unused_result))
#define likely(x)              __builtin_expect(!!(x), 1)
#define unlikely(x)            __builtin_expect(!!(x), 0)

static inline uint64_t
min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static inline uint64_t
max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

/* Both need `align` to be a power of two. */
static inline uint64_t
round_up_u64(uint64_t v, uint64_t align)
{
	return (v + align - 1) & ~(align - 1);
}

static inline uint64_t
round_down_u64(uint64_t v, uint64_t align)
{
	return v & ~(align - 1);
}

#endif
