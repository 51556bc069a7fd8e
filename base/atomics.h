/* SPDX-License-Identifier: MIT
 *
 * Names for <stdatomic.h> that spell the memory order at the use.
 */
#ifndef BASE_ATOMICS_H
#define BASE_ATOMICS_H

#include <stdatomic.h>
#include <stdbool.h>

#define load_relaxed(p)         atomic_load_explicit((p), memory_order_relaxed)
#define load_acquire(p)         atomic_load_explicit((p), memory_order_acquire)
#define store_relaxed(p, v)     atomic_store_explicit((p), (v), memory_order_relaxed)
#define store_release(p, v)     atomic_store_explicit((p), (v), memory_order_release)
#define fetch_add_relaxed(p, v) atomic_fetch_add_explicit((p), (v), memory_order_relaxed)
#define fetch_sub_relaxed(p, v) atomic_fetch_sub_explicit((p), (v), memory_order_relaxed)
#define fetch_add_acq_rel(p, v) atomic_fetch_add_explicit((p), (v), memory_order_acq_rel)
#define fetch_sub_acq_rel(p, v) atomic_fetch_sub_explicit((p), (v), memory_order_acq_rel)
#define fetch_or_acq_rel(p, v)  atomic_fetch_or_explicit((p), (v), memory_order_acq_rel)
#define fetch_and_acq_rel(p, v) atomic_fetch_and_explicit((p), (v), memory_order_acq_rel)
#define exchange_acq_rel(p, v)  atomic_exchange_explicit((p), (v), memory_order_acq_rel)
#define cas_acq_rel(p, expected, desired)                                                          \
	atomic_compare_exchange_strong_explicit(                                                   \
	    (p), (expected), (desired), memory_order_acq_rel, memory_order_acquire)

/* A reference more to a thing that may be ending. => false: the last one has gone */
static inline bool
reference_get_try(atomic_uint *references)
{
	unsigned count = load_relaxed(references);

	while (count > 0)
		if (cas_acq_rel(references, &count, count + 1))
			return true;
	return false;
}

/* For a loop that waits for another processor: leaves more of the core to the sibling that shares
 * it.
 */
static inline void
cpu_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield" ::: "memory");
#else
	atomic_signal_fence(memory_order_seq_cst);
#endif
}

#endif
