/* SPDX-License-Identifier: MIT
 *
 * ioctl. Memory that the program is about to watch with a userfaultfd of its own cannot be watched
 * by pagerd: it is given back to the kernel, content and all, and stays ordinary.
 */
#include <stdarg.h>
#include <string.h>
#include <sys/ioctl.h>

#include "pager/uffd_compat.h"
#include "run.h"

/* As much is there twice meanwhile. */
#define PIECE_BYTES (4ull << 20)

/* Managed memory of one protection becomes the kernel's. What another thread writes meanwhile may
 * be lost, as the kernel has it for a range that is only about to be watched. => 0 or -errno */
static long
piece_give_back(uint64_t start, uint64_t end, int protection)
{
	long copy = raw_mmap(
	    0, end - start, RUN_READ_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	long r = raw_failed(copy) ? copy : run_forget_prepare(start, end);

	if (r == 0 && !(protection & PROT_READ))
		r = raw_mprotect(start, end - start, protection | PROT_READ);
	if (r == 0) {
		memcpy((void *)copy, (const void *)(uintptr_t)start, end - start);
		r = raw_mprotect((uint64_t)copy, end - start, protection);
	}
	if (r == 0)
		r = raw_mremap(
		    (uint64_t)copy, end - start, end - start, MREMAP_MAYMOVE | MREMAP_FIXED, start);
	if (raw_failed(r)) {
		if (!raw_failed(copy))
			raw_munmap((uint64_t)copy, end - start);
		return r;
	}
	run_forget(start, end);
	run_count(PAGER_RUN_WATCHED, 1, end - start);
	return 0;
}

static void
range_give_back(uint64_t start, uint64_t end)
{
	uint64_t from, until;

	for (uint64_t at = start; run_managed_part(at, end, &from, &until); at = until) {
		int protection;

		until = until - from < PIECE_BYTES ? until : from + PIECE_BYTES;
		protection = run_protection(from, &until);
		if (piece_give_back(from, until, protection) < 0)
			return; /* the kernel says that it is watched already */
	}
}

int
run_ioctl(int fd, unsigned long request, ...)
{
	struct uffdio_register wanted;
	struct run_call c;
	uint64_t argument;
	va_list more;
	long r;

	va_start(more, request);
	argument = (uintptr_t)va_arg(more, void *);
	va_end(more);
	if (request == UFFDIO_REGISTER && run.pager && argument) {
		wanted = *(const struct uffdio_register *)(uintptr_t)argument;
		run_enter(&c);
		if (wanted.range.start + wanted.range.len > wanted.range.start) {
			range_give_back(wanted.range.start, wanted.range.start + wanted.range.len);
			/* Nor are they to become managed later. */
			set_cut(
			    &run.small, wanted.range.start, wanted.range.start + wanted.range.len);
			set_cut(&run.reserved, wanted.range.start,
			    wanted.range.start + wanted.range.len);
			set_cut(&run.untouched, wanted.range.start,
			    wanted.range.start + wanted.range.len);
		}
		run_leave(&c, 0);
	}
	r = raw_call(SYS_ioctl, (uint64_t)fd, request, argument, 0, 0, 0);
	return raw_failed(r) ? (int)run_syscall_failed(r) : (int)r;
}
