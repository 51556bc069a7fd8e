/* SPDX-License-Identifier: MIT
 *
 * brk and sbrk. The heap lies where the kernel has it, and its end is the kernel's, rounded up: it
 * grows in steps, each of which becomes managed as a whole when the heap is large enough. What lies
 * between the program's end and the kernel's is zeroes that nobody uses.
 */
#include "run.h"

#include <errno.h>

#define STEP_MAX   (64ull << 20)
#define STEP_SHARE 8 /* of the heap: a step */

static struct {
	uint64_t first;  /* the end when this library began; 0: not asked yet */
	uint64_t end;    /* the program's */
	uint64_t kernel; /* the kernel's, end or more */
} heap;

static uint64_t
kernel_brk(uint64_t end)
{
	return (uint64_t)raw_call(SYS_brk, end, 0, 0, 0, 0, 0);
}

static void
heap_ask(void)
{
	if (heap.first == 0)
		heap.first = heap.end = heap.kernel = kernel_brk(0);
}

/* => a power of 2 */
static uint64_t
step_of(uint64_t bytes)
{
	uint64_t step = RUN_LEAST;

	while (step < STEP_MAX && step * 2 <= bytes / STEP_SHARE)
		step *= 2;
	return step;
}

static long
heap_grow(uint64_t end)
{
	uint64_t from = run_page_up(heap.kernel), want = end;

	if (end <= heap.kernel) {
		heap.end = end;
		return 0;
	}
	if (run.state != RUN_OFF && end - heap.first >= RUN_LEAST) {
		uint64_t step = step_of(end - heap.first);

		/* From where the heap begins, so that it grows alike in each run of a program. */
		want = heap.first + ((end - heap.first + step - 1) & ~(step - 1));
		if (want < end || kernel_brk(want) != want)
			want = run_page_up(end);
	}
	if (want < end || run_data_is_full(want - from) || kernel_brk(want) != want)
		return -ENOMEM;
	heap.end = end;
	heap.kernel = want;
	if (run.state != RUN_OFF && end - heap.first >= RUN_LEAST && want > from)
		(void)run_manage(from, want, RUN_READ_WRITE);
	return 0;
}

static long
heap_shrink(uint64_t end)
{
	uint64_t start = run_page_up(end), from, until, at;

	if (!run_managed_part(start, heap.kernel, &from, &until)) {
		if (kernel_brk(end) != end)
			return -ENOMEM;
		heap.end = heap.kernel = end;
		return 0;
	}
	/* Whole pages are zeroes if they come back. */
	for (at = start; run_managed_part(at, heap.kernel, &from, &until); at = until) {
		if (from > at)
			raw_madvise(at, from - at, MADV_DONTNEED);
		if (from < run_page_up(heap.end) &&
		    run_zero(from, until < run_page_up(heap.end) ? until : run_page_up(heap.end)) <
			0)
			return -ENOMEM;
	}
	if (at < heap.kernel)
		raw_madvise(at, run_page_up(heap.kernel) - at, MADV_DONTNEED);
	heap.end = end;
	return 0;
}

static long
heap_set(uint64_t end)
{
	return end >= heap.end ? heap_grow(end) : heap_shrink(end);
}

int
run_brk(void *end)
{
	struct run_call c;

	run_enter(&c);
	heap_ask();
	return (int)run_leave(&c, heap_set((uintptr_t)end));
}

void *
run_brk_call(void *end)
{
	struct run_call c;

	run_enter(&c);
	heap_ask();
	if (end)
		(void)heap_set((uintptr_t)end);
	return (void *)run_leave(&c, (long)heap.end);
}

void *
run_sbrk(intptr_t increment)
{
	uint64_t before, after;
	struct run_call c;
	long r = 0;

	run_enter(&c);
	heap_ask();
	before = heap.end;
	after = before + (uint64_t)increment;
	if (increment > 0 ? after < before : increment < 0 && after > before)
		r = -ENOMEM;
	else if (increment != 0)
		r = heap_set(after);
	return (void *)run_leave(&c, r < 0 ? r : (long)before);
}
