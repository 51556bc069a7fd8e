/* SPDX-License-Identifier: MIT */
#include "signals.h"

#include <stddef.h>
#include <time.h>

#include "base.h"

static const int numbers[] = { SIGINT, SIGTERM, SIGHUP };
static volatile sig_atomic_t received;
static sigset_t blocked, unblocked;

static void
on_signal(int number)
{
	received = number;
}

void
signals_block(void)
{
	struct sigaction action = { .sa_handler = on_signal };

	sigemptyset(&blocked);
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
		sigaddset(&blocked, numbers[i]);
		sigaction(numbers[i], &action, NULL);
	}
	signal(SIGPIPE, SIG_IGN);
	sigprocmask(SIG_BLOCK, &blocked, &unblocked);
}

const sigset_t *
signals_unblocked(void)
{
	return &unblocked;
}

int
signals_received(void)
{
	struct timespec none = { 0 };

	if (!received) {
		int got = sigtimedwait(&blocked, NULL, &none);

		if (got > 0)
			received = got;
	}
	return received;
}
