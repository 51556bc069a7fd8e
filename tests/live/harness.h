/* SPDX-License-Identifier: MIT
 *
 * Live tests: the built daemon in a directory of its own, client processes that are killed however
 * the test ends, the daemon's statistics, its invariant check, and an audit from outside of the
 * memory that it holds.
 *
 * The test's first process has one thread, forks clients (each connects by itself) and watches; a
 * failure in it or in a client ends the test with a text that names the failure. It always waits
 * for a counter or an event, never for a time. The alarm ends the test when the daemon has counted
 * nothing for LIVE_TIMEOUT seconds, or after ten times as long in any case, and shows what every
 * thread of the daemon and of the clients was doing, what the daemon has counted, and what each
 * process of the test waited for.
 *
 * A touch returns before the server that has answered it has counted it, and a worker may give
 * memory back after the request that it worked for. So a test waits for a number that must be
 * reached (WAIT_UNTIL), and reads a number that must be exact when the daemon is at rest
 * (live_rest).
 *
 * Environment: PAGERD, PAGERCTL (programs), LIVE_SEED, LIVE_SCALE (percent of operations),
 * LIVE_TIMEOUT (seconds), LIVE_KEEP (leave the directory).
 */
#ifndef LIVE_HARNESS_H
#define LIVE_HARNESS_H

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#include "chan.h"
#include "pager/pager.h"
#include "statread.h"

struct live {
	pid_t pid;    /* 0: not running */
	pid_t keeper; /* under --keeper: `pid` is its worker; else 0 */
	char directory[128], socket[160];
	uint64_t memory_bytes, page_bytes;
	struct chan chan;
	struct statread stats;
	uint64_t samples, exact_samples; /* of live_sample */
	uint64_t held_peak;              /* bytes of its memfds */
	bool refuses; /* clients are left on purpose: at the end ledgers and gauges need not be zero
		       */
};

/* Ends the test as failed, from any of its processes: prints the text and the daemon's state. */
void live_fail(const char *file, int line, const char *fmt, ...)
    __attribute__((noreturn, format(printf, 3, 4)));
void live_fail_condition(const char *file, int line, const char *condition, const char *fmt, ...)
    __attribute__((noreturn, format(printf, 4, 5)));
#define FAIL(...) live_fail(__FILE__, __LINE__, __VA_ARGS__)
#define REQUIRE(condition, ...)                                                                    \
	do {                                                                                       \
		if (!(condition))                                                                  \
			live_fail_condition(__FILE__, __LINE__, #condition, " " __VA_ARGS__);      \
	} while (0)
/* A call that answers 0 or -errno. */
#define OK(call)                                                                                   \
	do {                                                                                       \
		int ok_result_ = (call);                                                           \
		if (ok_result_ != 0)                                                               \
			live_fail(__FILE__, __LINE__, "%s: %s", #call, strerror(-ok_result_));     \
	} while (0)
#define EQ(a, b)                                                                                   \
	do {                                                                                       \
		long long a_ = (long long)(a), b_ = (long long)(b);                                \
		if (a_ != b_)                                                                      \
			live_fail(__FILE__, __LINE__, "%s is %lld, %s is %lld", #a, a_, #b, b_);   \
	} while (0)
/* Waits until the condition holds; the daemon must not end meanwhile. */
#define WAIT_UNTIL(d, condition)                                                                   \
	while (!(condition))                                                                       \
	live_tick_at(d, __FILE__, __LINE__, #condition)

/* Called first: environment, seed, signals, the alarm. Exits with 77 (skipped) where nothing can
 * be tested. */
void live_init(int argc, char **argv);
extern uint64_t live_seed;
/* Runs the test that argv[1] names. => the program's exit status */
struct live_test {
	const char *name;
	void (*run)(void);
};
int live_run(int argc, char **argv, const struct live_test *tests, size_t count);
#define LIVE_RUN(argc, argv, tests) live_run(argc, argv, tests, sizeof(tests) / sizeof((tests)[0]))
/* n operations, scaled by LIVE_SCALE. */
uint64_t live_scaled(uint64_t n);

/* Makes a directory that every user may search, removed however the test ends. One beside the
 * daemon's own. */
void live_directory_make(char *path, size_t path_size);
/* Starts pagerd with --memory and the words given (until NULL). => it serves */
void live_start(struct live *d, const char *memory, ...) __attribute__((sentinel));
/* With all clients gone: the check holds, ledgers are zero, swap and frames come back. Then
 * SIGTERM; the exit status is 0 and the log clean. */
void live_stop(struct live *d);
/* Waits for the end of a daemon that has been told to end: status 0 and a clean log. */
void live_ended(struct live *d);
/* Kills the daemon, without checks. */
void live_kill(struct live *d);
/* Under --keeper: waits until the worker has died, and another one serves. */
void live_taken_over(struct live *d);
/* For loops that wait: looks whether the daemon and the clients are well, and sleeps a
 * millisecond. The rest is what a report about a test that hangs says about the caller. */
void live_tick_at(struct live *d, const char *file, int line, const char *condition);
#define live_tick(d) live_tick_at(d, __FILE__, __LINE__, "something")
/* The caller is at that stage (stage.h), or waits until another process is: for the report. */
void live_stage_note(unsigned stage);

/* One statistic. An unknown name fails the test. */
int64_t live_stat(struct live *d, const char *name);
/* Several statistics, read at the same instant. */
void live_stats(struct live *d, const char *const *names, size_t count, int64_t *ret);
/* Waits until all threads of the daemon sleep: then all answered requests and faults are
 * finished and counted. The caller keeps its clients from touching anything; background work
 * (I/O, ageing) may begin again at any time. */
void live_rest(struct live *d);
/* Reads the statistics: queues must sum to the total. `exact`: also stops the daemon for a
 * moment, when its memfds must not hold more than --memory. */
void live_sample(struct live *d, bool exact);
/* Calls f with the path below /proc and the target of each descriptor of the process. */
void live_descriptors_each(
    pid_t pid, void (*f)(const char *path, const char *target, void *argument), void *argument);
/* How many descriptors have this text in their target; "": all of them. */
unsigned live_descriptors_count(pid_t pid, const char *text);
/* How many names a directory has; 0 where there is none. */
unsigned live_names_count(const char *directory);
/* Bytes in objects' memfds and the compressor's arena. */
uint64_t live_held_bytes(struct live *d);
/* pagerctl with the socket and the words given. => its exit status; output in `text`. */
int live_pagerctl(struct live *d, char *text, size_t text_size, ...) __attribute__((sentinel));
/* `pagerctl check` must hold. */
void live_check(struct live *d);
/* Arms fail points, or all off with NULL. */
void live_debug_fail(struct live *d, const char *spec);
/* How often a fail point has fired. */
uint64_t live_fail_count(struct live *d, const char *name);
void live_limit(struct live *d, pid_t pid, uint64_t bytes);
void live_param(struct live *d, const char *name, const char *value);
/* How many lines of the log contain the text. */
unsigned live_log_count(struct live *d, const char *text);
/* How many lines with the text there would be without the log's rate limit: includes lines that
 * the log reports as left out, which it does when the limit's window ends. */
unsigned live_log_told(struct live *d, const char *text);

/* --- clients --- */
typedef void client_body(struct live *d, void *argument);
/* Starts a process that runs body and exits with 0. uid 0: as the test's user. */
pid_t client_start_as(struct live *d, uid_t uid, client_body *body, void *argument);
static inline pid_t
client_start(struct live *d, client_body *body, void *argument)
{
	return client_start_as(d, 0, body, argument);
}
/* Waits for its end; the status must be 0. `sample`: calls live_sample meanwhile. */
void client_join(struct live *d, pid_t pid, bool sample);
/* Kills it and waits until it is gone. */
void client_kill(pid_t pid);
/* The harness no longer watches it: the test waits for it by itself, however it ends. */
void client_forget(pid_t pid);
/* Zeroed memory shared between the test's processes. */
void *shared_alloc(size_t bytes);
/* In a client: connects, or fails the test. */
struct pager *client_connect(struct live *d);
void *client_allocate(struct pager *p, size_t bytes);

/* --- numbers --- */
static inline uint64_t
mix64(uint64_t x)
{
	x += 0x9e3779b97f4a7c15ull;
	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ull;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebull;
	return x ^ (x >> 31);
}
static inline uint64_t
rng_next(uint64_t *state)
{
	*state += 0x9e3779b97f4a7c15ull;
	return mix64(*state);
}
static inline uint64_t
rng_below(uint64_t *state, uint64_t n)
{
	return rng_next(state) % n;
}

#endif
