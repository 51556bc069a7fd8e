/* SPDX-License-Identifier: MIT
 *
 * Touches that may be refused with a signal.
 */
#ifndef LIVE_REFUSED_H
#define LIVE_REFUSED_H

#include <setjmp.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>

static sigjmp_buf refused_back;

static inline void
refused_caught(int signal)
{
	siglongjmp(refused_back, signal);
}

/* From now on SIGSEGV ends a touch below. */
static inline void
refused_expect(void)
{
	struct sigaction action = { .sa_handler = refused_caught };

	sigaction(SIGSEGV, &action, NULL);
}

/* => 0 or the signal */
static inline int
refused_load(unsigned char *at, uint64_t *ret)
{
	int signal = sigsetjmp(refused_back, 1);

	if (signal == 0)
		*ret = *(volatile uint64_t *)(void *)at;
	return signal;
}

/* Likewise. */
static inline int
refused_store(unsigned char *at, uint64_t value)
{
	int signal = sigsetjmp(refused_back, 1);

	if (signal == 0)
		*(volatile uint64_t *)(void *)at = value;
	return signal;
}

#endif
