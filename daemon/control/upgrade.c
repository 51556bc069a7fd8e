/* SPDX-License-Identifier: MIT
 *
 * Asking another program. Lines are "key value"; all keys but "version" must have the same value.
 * The program runs as a child that is told to print and to end, with the daemon's own arguments; it
 * opens nothing that the daemon has. Runs on: jobs threads.
 */
#include "control/upgrade.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "arena.h"
#include "clock.h"
#include "pager/proto.h"
#include "vm/kept_task.h"

#define HEAD      "pagerd-arenas 1\n"
#define ANSWER_NS UINT64_C(10000000000)
#define REMEDY                                                                                     \
	"; nothing has changed. To go on with it all the same, end this daemon (pagerctl stop "    \
	"--release lets go of its clients first) and start the new one"

void
upgrade_list_begin(struct daemon *d)
{
	arena_list(d->arenas, sizeof(d->arenas));
}

void
upgrade_list_end(struct daemon *d, uint64_t segment_bytes)
{
	char shapes[sizeof(d->arenas)];
	char swap[64] = "none";
	int used;

	task_record_list(d);
	arena_list(NULL, 0);
	memcpy(shapes, d->arenas, sizeof(shapes));
	/* Its tables have their own size for each place of swap, which options say. */
	if (!d->options.no_swap)
		snprintf(swap, sizeof(swap), "version %llx file %llu",
		    (unsigned long long)swap_kept_version(),
		    (unsigned long long)param(d, swap_file_bytes));
	used = snprintf(d->arenas, sizeof(d->arenas),
	    HEAD "version %s\nlayout %u\nkeeper %u\nkinds %u\nprotocol %u\nhardware-page %zu\n"
		 "page-size %zu\nmemory %llu\nsegment-memory %llu\nsegment %zu\nswap %s\n%s",
	    PAGERD_VERSION, ARENA_LAYOUT, KEEPER_PROTOCOL, (unsigned)KEPT_KIND_COUNT,
	    (unsigned)PAGER_PROTO_VERSION, d->hw_bytes, d->page_bytes,
	    (unsigned long long)d->options.memory_bytes, (unsigned long long)segment_bytes,
	    compressor_segment_bytes(d->compressor), swap, shapes);
	CHECK(used > 0 && (size_t)used < sizeof(d->arenas));
}

/* --- comparing ------------------------------------------------------------------------------ */

struct line {
	const char *key, *value;
	int key_length, value_length;
};

/* The line that begins at `at`. => where the next one does; NULL: there is none */
static const char *
line_next(const char *at, struct line *ret)
{
	const char *end = strchr(at, '\n'), *space = strchr(at, ' ');

	if (!end || !space || space > end)
		return NULL;
	*ret = (struct line){ at, space + 1, (int)(space - at), (int)(end - space - 1) };
	return end + 1;
}

static bool
line_find(const char *text, const struct line *wanted, struct line *ret)
{
	while ((text = line_next(text, ret)) != NULL)
		if (ret->key_length == wanted->key_length &&
		    strncmp(ret->key, wanted->key, (size_t)wanted->key_length) == 0)
			return true;
	return false;
}

static bool
values_are_same(const struct line *a, const struct line *b)
{
	return a->value_length == b->value_length &&
	       strncmp(a->value, b->value, (size_t)a->value_length) == 0;
}

bool
upgrade_fits(const char *ours, const char *theirs, char *text, size_t size)
{
	struct line own, its;

	if (strncmp(theirs, HEAD, strlen(HEAD)) != 0) {
		snprintf(text, size,
		    "it is not a pagerd that knows upgrades: it did not print what it needs when "
		    "it was started with --arenas" REMEDY);
		return false;
	}
	for (const char *at = ours; (at = line_next(at, &own)) != NULL;) {
		bool is_there = line_find(theirs, &own, &its);

		if (strncmp(own.key, "version ", 8) == 0 ||
		    (is_there && values_are_same(&own, &its)))
			continue;
		snprintf(text, size,
		    "it cannot go on with what this daemon has in memory: %.*s is \"%.*s\" here "
		    "and \"%.*s\" there" REMEDY,
		    own.key_length, own.key, own.value_length, own.value,
		    is_there ? its.value_length : 4, is_there ? its.value : "none");
		return false;
	}
	for (const char *at = theirs; (at = line_next(at, &its)) != NULL;) {
		if (line_find(ours, &its, &own))
			continue;
		snprintf(text, size, "it needs what this daemon does not have: %.*s" REMEDY,
		    its.key_length, its.key);
		return false;
	}
	return true;
}

/* --- asking --------------------------------------------------------------------------------- */

/* => 0 or an error number */
static int
program_start(struct daemon *d, int program, int output, pid_t *ret)
{
	unsigned count = 0;
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	char path[32], **arguments;
	sigset_t none;
	int error;

	while (d->options.arguments[count])
		count++;
	arguments = calloc(count + 2, sizeof(*arguments));
	if (!arguments)
		return ENOMEM;
	memcpy(arguments, d->options.arguments, count * sizeof(*arguments));
	arguments[count] = (char *)(uintptr_t) "--arenas";
	snprintf(path, sizeof(path), "/proc/self/fd/%d", program);
	sigemptyset(&none);
	posix_spawnattr_init(&attributes);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO);
	/* A script's interpreter opens it by this number. */
	posix_spawn_file_actions_adddup2(&actions, program, program);
	error = posix_spawn(ret, path, &actions, &attributes, arguments, environ);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attributes);
	free(arguments);
	return error;
}

/* Reads until the program closes its output. => whether it did so in time */
static bool
answer_read(int output, char *answer, size_t size)
{
	uint64_t until_ns = clock_now_ns() + ANSWER_NS, now;
	struct pollfd p = { .fd = output, .events = POLLIN };
	size_t used = 0;
	ssize_t got;

	while ((now = clock_now_ns()) < until_ns) {
		if (poll(&p, 1, (int)((until_ns - now) / 1000000u) + 1) <= 0)
			continue;
		got = read(output, answer + used, size - 1 - used);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0 || used + (size_t)got == size - 1) {
			answer[used + (size_t)(got > 0 ? got : 0)] = '\0';
			return true;
		}
		used += (size_t)got;
	}
	return false;
}

bool
upgrade_ask(struct daemon *d, int program, char *text, size_t size)
{
	char answer[2 * sizeof(d->arenas)];
	int ends[2], error, status = 0;
	bool in_time;
	pid_t pid;

	locks_assert_none();
	error = pipe2(ends, O_CLOEXEC) < 0 ? errno : 0;
	if (!error) {
		error = program_start(d, program, ends[1], &pid);
		close(ends[1]);
		if (error)
			close(ends[0]);
	}
	if (error) {
		snprintf(text, size, "it cannot be run: %s" REMEDY, strerror(error));
		return false;
	}
	in_time = answer_read(ends[0], answer, sizeof(answer));
	close(ends[0]);
	kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		continue;
	if (!in_time) {
		snprintf(text, size, "it did not say within %u s what it needs" REMEDY,
		    (unsigned)(ANSWER_NS / 1000000000u));
		return false;
	}
	return upgrade_fits(d->arenas, answer, text, size);
}
