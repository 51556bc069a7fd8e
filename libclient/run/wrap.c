/* SPDX-License-Identifier: MIT
 *
 * The calls that libpager makes itself, for its own pages and for managed memory: the linker puts
 * these in their place (--wrap, see meson.build). They must not come to the functions that this
 * library replaces in libc.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/auxv.h>

#include "run.h"

void *__wrap_mmap(void *, size_t, int, int, int, off_t);
void *__wrap_mmap64(void *, size_t, int, int, int, off_t);
int __wrap_munmap(void *, size_t);
int __wrap_mprotect(void *, size_t, int);
int __wrap_madvise(void *, size_t, int);
int __wrap_ioctl(int, unsigned long, ...);
void *__wrap_mremap(void *, size_t, size_t, int, ...);

long
run_syscall_failed(long error)
{
	errno = (int)-error;
	return -1;
}

static long
answer(long r)
{
	return raw_failed(r) ? run_syscall_failed(r) : r;
}

/* Own pages lie where the kernel puts nothing by itself. A program that unmaps a part of its
 * memory, and later all of it, would unmap what had come into the hole meanwhile. */
#define PLACES_START (1ull << 46)
#define PLACES_ALIGN (1ull << 16)

/* How far behind PLACES_START they begin: as random as other addresses of the process, below 2^45
 */
static uint64_t
places_random(void)
{
	uint64_t random = 0;

	if (getauxval(AT_RANDOM))
		memcpy(&random, (const void *)(uintptr_t)getauxval(AT_RANDOM), sizeof(random));
	return (random & ((1ull << 29) - 1)) * PLACES_ALIGN;
}

/* => where the next own pages may lie; the kernel takes another place if something is there */
static uint64_t
place_next(uint64_t size)
{
	static _Atomic uint64_t next;
	uint64_t none = 0;

	if (atomic_load_explicit(&next, memory_order_relaxed) == 0)
		atomic_compare_exchange_strong(&next, &none, PLACES_START + places_random());
	size = (size + 2 * PLACES_ALIGN - 1) & ~(PLACES_ALIGN - 1);
	return atomic_fetch_add_explicit(&next, size, memory_order_relaxed);
}

void *
__wrap_mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset)
{
	long r = -EINVAL;

	if (!address)
		r = raw_mmap(place_next(size), size, protection, flags, fd, offset);
	/* The kernel alone says where a ring lies, and refuses every other address. */
	if (address || r == -EINVAL)
		r = raw_mmap((uintptr_t)address, size, protection, flags, fd, offset);
	return (void *)answer(r);
}

void *
__wrap_mmap64(void *address, size_t size, int protection, int flags, int fd, off_t offset)
{
	return __wrap_mmap(address, size, protection, flags, fd, offset);
}

int
__wrap_munmap(void *address, size_t size)
{
	return (int)answer(raw_munmap((uintptr_t)address, size));
}

int
__wrap_mprotect(void *address, size_t size, int protection)
{
	return (int)answer(raw_mprotect((uintptr_t)address, size, protection));
}

int
__wrap_madvise(void *address, size_t size, int advice)
{
	return (int)answer(raw_madvise((uintptr_t)address, size, advice));
}

int
__wrap_ioctl(int fd, unsigned long request, ...)
{
	va_list more;
	uint64_t argument;

	va_start(more, request);
	argument = (uintptr_t)va_arg(more, void *);
	va_end(more);
	return (int)answer(raw_call(SYS_ioctl, (uint64_t)fd, request, argument, 0, 0, 0));
}

/* libpager leaves the address to this function. */
void *
__wrap_mremap(void *address, size_t old_size, size_t size, int flags, ...)
{
	long to = raw_mmap(
	    place_next(size), size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	long r;

	if (raw_failed(to))
		return (void *)answer(to);
	r = raw_mremap((uintptr_t)address, old_size, size, flags | MREMAP_FIXED, (uint64_t)to);
	if (raw_failed(r))
		raw_munmap((uint64_t)to, size);
	return (void *)answer(r);
}
