/* SPDX-License-Identifier: MIT
 *
 * System calls without libc: its functions for memory are what this library replaces.
 */
#ifndef RUN_RAW_H
#define RUN_RAW_H

#include <stdint.h>
#include <sys/syscall.h>

#if !defined(__x86_64__)
#error "only x86-64: see run/meson.build"
#endif

/* => the kernel's answer; -errno: -4095 to -1 */
static inline long
raw_call(long number, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f)
{
	register uint64_t r10 __asm__("r10") = d, r8 __asm__("r8") = e, r9 __asm__("r9") = f;
	long r;

	__asm__ volatile("syscall"
			 : "=a"(r)
			 : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
			 : "rcx", "r11", "memory");
	return r;
}

static inline long
raw_mmap(uint64_t address, uint64_t size, int protection, int flags, int fd, int64_t offset)
{
	return raw_call(SYS_mmap, address, size, (uint64_t)protection, (uint64_t)flags,
	    (uint64_t)fd, (uint64_t)offset);
}

static inline long
raw_munmap(uint64_t address, uint64_t size)
{
	return raw_call(SYS_munmap, address, size, 0, 0, 0, 0);
}

static inline long
raw_mprotect(uint64_t address, uint64_t size, int protection)
{
	return raw_call(SYS_mprotect, address, size, (uint64_t)protection, 0, 0, 0);
}

static inline long
raw_madvise(uint64_t address, uint64_t size, int advice)
{
	return raw_call(SYS_madvise, address, size, (uint64_t)advice, 0, 0, 0);
}

static inline long
raw_mremap(uint64_t old, uint64_t old_size, uint64_t size, int flags, uint64_t address)
{
	return raw_call(SYS_mremap, old, old_size, size, (uint64_t)flags, address, 0);
}

#define RAW_ERROR_MAX 4095
static inline int
raw_failed(long r)
{
	return r < 0 && r >= -RAW_ERROR_MAX;
}

#endif
