/* SPDX-License-Identifier: MIT
 *
 * See hold.h. Runs on: any thread.
 */
#include "hold.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>

#define HARDWARE_PAGE_BYTES 4096u
/* Of the stack, for what the library calls while it holds a lock. */
#define STACK_BYTES 8192u

static atomic_bool windows_expected;
/* This thread's. */
static __thread struct {
	unsigned held;
	bool blocks; /* signals, since it took the first */
	sigset_t before;
} own __attribute__((tls_model("initial-exec")));

void
hold_expect(bool windows)
{
	atomic_store(&windows_expected, windows);
}

bool
hold_expects(void)
{
	return atomic_load_explicit(&windows_expected, memory_order_relaxed);
}

bool
hold_is_held(void)
{
	return own.held > 0;
}

/* A page that is written is the process's own from then on. */
void
hold_touch(void *memory, size_t bytes)
{
	volatile unsigned char *at = memory;

	if (!memory || bytes == 0 || !hold_expects())
		return;
	for (size_t i = 0; i < bytes; i += HARDWARE_PAGE_BYTES)
		at[i] = at[i];
	at[bytes - 1] = at[bytes - 1];
}

static __attribute__((noinline)) void
stack_touch(void)
{
	volatile unsigned char below[STACK_BYTES];

	for (size_t i = 0; i < sizeof(below); i += HARDWARE_PAGE_BYTES)
		below[i] = 0;
	below[sizeof(below) - 1] = 0;
}

void
hold_lock(pthread_mutex_t *lock)
{
	sigset_t all;

	if (own.held++ == 0 && atomic_load(&windows_expected)) {
		stack_touch();
		sigfillset(&all);
		own.blocks = pthread_sigmask(SIG_SETMASK, &all, &own.before) == 0;
	}
	pthread_mutex_lock(lock);
}

void
hold_unlock(pthread_mutex_t *lock)
{
	bool blocks = own.blocks && own.held == 1;
	sigset_t before = own.before;

	if (blocks)
		own.blocks = false;
	own.held--;
	pthread_mutex_unlock(lock);
	if (blocks)
		pthread_sigmask(SIG_SETMASK, &before, NULL);
}
