/* SPDX-License-Identifier: MIT
 *
 * Processors kept awake while pages come from disk (fault/latency.c), with a device made by the
 * test. Ticks are numbers: nothing here waits.
 */
#include "c_unit.h"

#include <fcntl.h>
#include <stdarg.h>

#include "fault/latency.h"

enum { TICK_MS = 100, RATE = 1000 };

static int device[2]; /* a pipe */
static unsigned opens;
static bool refuses;

int __real_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);

int
__wrap_open64(const char *path, int flags, ...)
{
	va_list arguments;
	int mode;

	if (strcmp(path, "/dev/cpu_dma_latency") != 0) {
		va_start(arguments, flags);
		mode = va_arg(arguments, int);
		va_end(arguments);
		return __real_open64(path, flags, mode);
	}
	opens++;
	if (refuses) {
		errno = EACCES;
		return -1;
	}
	assert_int_equal(flags & O_ACCMODE, O_WRONLY);
	return fcntl(device[1], F_DUPFD_CLOEXEC, 0);
}

static struct daemon *
latency_start(struct unit *u)
{
	unit_start(u);
	assert_int_equal(pipe2(device, O_CLOEXEC | O_NONBLOCK), 0);
	opens = 0;
	refuses = false;
	store_relaxed(&u->daemon->params.latency_reads, RATE);
	latency_init(u->daemon);
	return u->daemon;
}

static void
latency_stop(struct unit *u)
{
	latency_fini(u->daemon);
	assert_int_equal(u->daemon->latency.fd, -1);
	assert_int_equal(unit_level(u, STAT_LATENCY_HELD), 0);
	close(device[0]);
	close(device[1]);
	unit_stop(u);
}

/* A tick in which this many pages came from disk. */
static void
tick(struct daemon *d, unsigned reads)
{
	stat_add(stats_shard(&d->stats, shard_index_server(d, 0)), STAT_SWAPINS, reads);
	latency_refresh(d, TICK_MS);
}

/* The device is open exactly while pages come fast enough, and for a second after. */
static void
held_while_pages_come(void **state)
{
	enum { ENOUGH = RATE * TICK_MS / 1000, QUIET = 1000 / TICK_MS };
	int32_t written = -1;
	struct daemon *d;
	struct unit u;
	(void)state;

	d = latency_start(&u);
	tick(d, 0);
	tick(d, ENOUGH - 1);
	assert_int_equal(opens, 0);
	tick(d, ENOUGH);
	assert_int_equal(opens, 1);
	assert_int_equal(unit_level(&u, STAT_LATENCY_HELD), 1);
	assert_int_equal(read(device[0], &written, sizeof(written)), sizeof(written));
	assert_int_equal(written, 0);
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 0; i < QUIET - 1; i++)
			tick(d, ENOUGH - 1);
		assert_true(d->latency.fd >= 0);
		tick(d, ENOUGH);
	}
	assert_int_equal(opens, 1);
	for (unsigned i = 0; i < QUIET; i++)
		tick(d, 0);
	assert_int_equal(d->latency.fd, -1);
	assert_int_equal(unit_level(&u, STAT_LATENCY_HELD), 0);
	/* And again. Without the parameter it is closed at once, and not opened. */
	tick(d, ENOUGH);
	assert_int_equal(opens, 2);
	assert_int_equal(stats_counter(&d->stats, STAT_LATENCY_REQUESTS), 2);
	store_relaxed(&d->params.latency_reads, 0);
	tick(d, ENOUGH);
	assert_int_equal(d->latency.fd, -1);
	tick(d, ENOUGH);
	assert_int_equal(opens, 2);
	latency_stop(&u);
}

/* A daemon that may not open it tries once. */
static void
refused_once(void **state)
{
	struct daemon *d;
	struct unit u;
	(void)state;

	d = latency_start(&u);
	refuses = true;
	for (unsigned i = 0; i < 3; i++)
		tick(d, RATE);
	assert_int_equal(opens, 1);
	assert_int_equal(unit_level(&u, STAT_LATENCY_HELD), 0);
	assert_int_equal(stats_counter(&d->stats, STAT_LATENCY_REQUESTS), 0);
	latency_stop(&u);
}

/* A device that does not take the number is closed again. */
static void
useless_is_closed(void **state)
{
	static const char full[4096];
	struct daemon *d;
	struct unit u;
	(void)state;

	d = latency_start(&u);
	while (write(device[1], full, sizeof(full)) > 0)
		continue;
	tick(d, RATE);
	tick(d, RATE);
	assert_int_equal(opens, 1);
	assert_int_equal(d->latency.fd, -1);
	assert_int_equal(stats_counter(&d->stats, STAT_LATENCY_REQUESTS), 0);
	latency_stop(&u);
}

/* The end closes it. */
static void
end_closes(void **state)
{
	struct daemon *d;
	struct unit u;
	(void)state;

	d = latency_start(&u);
	tick(d, RATE);
	assert_true(d->latency.fd >= 0);
	latency_stop(&u);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(held_while_pages_come),
		cmocka_unit_test(refused_once),
		cmocka_unit_test(useless_is_closed),
		cmocka_unit_test(end_closes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
