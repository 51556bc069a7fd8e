/* SPDX-License-Identifier: MIT
 *
 * Content: 48 words made of a unit's number and its generation, again and again, so that LZ4 makes
 * a tenth of it and a working set of four times the memory fits without swap. Every word of a unit
 * is checked at each touch. Runs on: threads of its own.
 */
#include "takeover_touch.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "clock.h"
#include "pattern.h"

#define UNIT_WORDS  (UNIT_BYTES / sizeof(uint64_t))
#define FRESH_WORDS 48u

/* A page that the daemon gives up is SIGBUS at the touch. */
static _Thread_local sigjmp_buf bus_jump;
static _Thread_local volatile sig_atomic_t bus_is_expected;

static void
bus_handler(int number)
{
	if (bus_is_expected)
		siglongjmp(bus_jump, 1);
	signal(number, SIG_DFL);
	raise(number);
}

static void
content_of(const struct touchers *t, uint64_t unit, uint64_t words[FRESH_WORDS])
{
	uint64_t key = mix64(t->seed ^ mix64(unit << 32 | t->generation[unit]));

	words[0] = unit;
	words[1] = t->generation[unit];
	for (unsigned i = 2; i < FRESH_WORDS; i++)
		words[i] = mix64(key + i);
}

static void
unit_write(const struct touchers *t, uint64_t unit)
{
	volatile uint64_t *at = (volatile uint64_t *)(t->base + unit * UNIT_BYTES);
	uint64_t words[FRESH_WORDS];

	content_of(t, unit, words);
	for (unsigned i = 0; i < UNIT_WORDS; i++)
		at[i] = words[i % FRESH_WORDS];
}

static bool
unit_is_right(const struct touchers *t, uint64_t unit)
{
	const volatile uint64_t *at = (const volatile uint64_t *)(t->base + unit * UNIT_BYTES);
	uint64_t words[FRESH_WORDS], wrong = 0;

	content_of(t, unit, words);
	for (unsigned i = 0; i < UNIT_WORDS; i++)
		wrong |= at[i] ^ words[i % FRESH_WORDS];
	return wrong == 0;
}

/* Reads, checks and, if it is to change, writes a unit. */
static void
unit_touch(struct touchers *t, uint64_t unit, bool writes)
{
	if (sigsetjmp(bus_jump, 0) != 0) {
		bus_is_expected = 0;
		atomic_fetch_add(&t->poisoned, 1);
		return;
	}
	bus_is_expected = 1;
	if (!unit_is_right(t, unit))
		atomic_fetch_add(&t->bad, 1);
	if (writes) {
		t->generation[unit]++;
		unit_write(t, unit);
	}
	bus_is_expected = 0;
}

static void
wait_note(struct toucher *own, uint64_t begun_ns, uint64_t ended_ns)
{
	uint64_t killed_ns = atomic_load(&own->all->killed_ns), wait_ns;

	if (!killed_ns || ended_ns <= killed_ns)
		return;
	wait_ns = ended_ns - (begun_ns > killed_ns ? begun_ns : killed_ns);
	if (wait_ns > atomic_load(&own->longest_ns))
		atomic_store(&own->longest_ns, wait_ns);
}

static void *
toucher_main(void *argument)
{
	struct toucher *own = argument;
	struct touchers *t = own->all;
	uint64_t units = (t->units - own->index + t->count - 1) / t->count;

	while (!atomic_load(&t->stop)) {
		uint64_t unit = rng_below(&own->rng, units) * t->count + own->index;
		uint64_t begun_ns = clock_now_ns();

		unit_touch(t, unit, true);
		wait_note(own, begun_ns, clock_now_ns());
		atomic_fetch_add(&own->touches, 1);
	}
	return NULL;
}

int
touchers_start(struct touchers *t)
{
	struct sigaction action = { .sa_handler = bus_handler, .sa_flags = SA_NODEFER };

	t->generation = calloc(t->units, sizeof(*t->generation));
	if (!t->generation)
		return -ENOMEM;
	sigaction(SIGBUS, &action, NULL);
	for (uint64_t unit = 0; unit < t->units; unit++)
		unit_write(t, unit);
	for (unsigned i = 0; i < t->count; i++) {
		struct toucher *own = &t->threads[i];
		int error;

		own->all = t;
		own->index = i;
		own->rng.state = mix64(t->seed + i);
		error = pthread_create(&own->thread, NULL, toucher_main, own);
		if (error)
			return -error;
	}
	return 0;
}

void
touchers_look(const struct touchers *t, uint64_t before[TOUCHERS_MOST])
{
	for (unsigned i = 0; i < t->count; i++)
		before[i] = atomic_load(&t->threads[i].touches);
}

bool
touchers_went_on(const struct touchers *t, const uint64_t before[TOUCHERS_MOST], uint64_t by)
{
	for (unsigned i = 0; i < t->count; i++)
		if (atomic_load(&t->threads[i].touches) < before[i] + by)
			return false;
	return true;
}

void
touchers_kill_comes(struct touchers *t)
{
	for (unsigned i = 0; i < t->count; i++)
		atomic_store(&t->threads[i].longest_ns, 0);
	atomic_store(&t->killed_ns, clock_now_ns());
}

uint64_t
touchers_longest_ns(struct touchers *t)
{
	uint64_t longest_ns = 0;

	for (unsigned i = 0; i < t->count; i++)
		if (atomic_load(&t->threads[i].longest_ns) > longest_ns)
			longest_ns = atomic_load(&t->threads[i].longest_ns);
	return longest_ns;
}

void
touchers_stop(struct touchers *t)
{
	atomic_store(&t->stop, true);
	for (unsigned i = 0; i < t->count; i++)
		pthread_join(t->threads[i].thread, NULL);
	for (uint64_t unit = 0; unit < t->units; unit++)
		unit_touch(t, unit, false);
	free(t->generation);
}
