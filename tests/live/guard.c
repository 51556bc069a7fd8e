/* SPDX-License-Identifier: MIT */
#include "guard.h"

#include <setjmp.h>

#include "harness.h"

static sigjmp_buf caught;
/* The touch that may fail, or NULL; and the last ones that have. */
static const volatile void *volatile touched, *volatile failed[64];
static volatile unsigned failures;

static void
on_fault(int number, siginfo_t *info, void *context)
{
	const volatile void *at = info->si_addr;

	(void)context;
	if (at == touched) {
		failed[failures++ % 64] = at;
		touched = NULL;
		siglongjmp(caught, number);
	}
	/* A thread that was woken while the daemon was about to answer it has asked twice, and may
	 * be far when the second answer comes. */
	for (unsigned i = 0; i < 64; i++)
		if (at == failed[i])
			return;
	FAIL("signal %d at %p", number, info->si_addr);
}

void
guard_begin(void)
{
	struct sigaction action = { .sa_sigaction = on_fault, .sa_flags = SA_SIGINFO };

	REQUIRE(sigaction(SIGSEGV, &action, NULL) == 0 && sigaction(SIGBUS, &action, NULL) == 0);
}

int
guard_load(const volatile unsigned char *at, unsigned char *ret)
{
	int number = sigsetjmp(caught, 1);

	if (number == 0) {
		touched = at;
		*ret = *at;
		touched = NULL;
	}
	return number;
}

int
guard_load_word(const volatile uint64_t *at, uint64_t *ret)
{
	int number = sigsetjmp(caught, 1);

	if (number == 0) {
		touched = at;
		*ret = *at;
		touched = NULL;
	}
	return number;
}

int
guard_store(volatile unsigned char *at, unsigned char value)
{
	int number = sigsetjmp(caught, 1);

	if (number == 0) {
		touched = at;
		*at = value;
		touched = NULL;
	}
	return number;
}

int
guard_store_word(volatile uint64_t *at, uint64_t value)
{
	int number = sigsetjmp(caught, 1);

	if (number == 0) {
		touched = at;
		*at = value;
		touched = NULL;
	}
	return number;
}
