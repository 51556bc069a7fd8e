/* SPDX-License-Identifier: MIT
 *
 * The space that swap files take, as its owner is told of it: why it cannot be used at the start,
 * and what has gone wrong with it since. One line when a kind of failure begins, one when it is
 * over, however often it is met in between. Runs on: the main thread at start, then the writer.
 */
#include "pagers/swapspace.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "clock.h"
#include "daemon.h"

/* A failure is over when it has not been met for this long and something has been written since.
 * Longer than swap waits before it tries again. */
#define TROUBLE_OVER_NS 30000000000ull

static void
directory_explain(const char *path, int error, char *message, size_t size)
{
	const char *remedy = "choose another --swap-dir, or --no-swap";
	struct stat st;

	if (stat(path, &st) != 0 && error == -ENOENT)
		snprintf(message, size,
		    "cannot make the swap directory %s: the directory it would be in does not "
		    "exist (make that, %s)",
		    path, remedy);
	else if (stat(path, &st) != 0)
		snprintf(message, size, "cannot make the swap directory %s: %s (%s)", path,
		    strerror(-error), remedy);
	else if (!S_ISDIR(st.st_mode))
		snprintf(message, size, "the swap directory %s is a file, no directory (%s)", path,
		    remedy);
	else
		snprintf(message, size, "no file can be made in the swap directory %s: %s (%s)",
		    path, strerror(-error), remedy);
}

int
swapspace_create(struct daemon *d, char *message, size_t message_size)
{
	struct swap_config config = {
		.directory = d->options.swap_directory,
		.slot_bytes = round_up_u64(compressor_segment_bytes(d->compressor), 4096),
		.file_bytes = param(d, swap_file_bytes),
		.max_bytes = d->options.swap_max_bytes,
		.low_free_slots = (unsigned)param(d, swap_low_slots),
		.high_free_slots = (unsigned)param(d, swap_high_slots),
		.force_sync = param(d, swap_force_sync),
	};
	int error = swap_create(&config, &d->swap);

	CHECK(d->compressor && message_size > 0);
	if (error == -ERANGE)
		snprintf(message, message_size,
		    "--swap-max is %llu bytes, and the smallest swap file has %llu (give "
		    "more, or --no-swap)",
		    (unsigned long long)config.max_bytes,
		    (unsigned long long)swap_file_bytes_min(&config));
	else if (error == -EINVAL)
		snprintf(message, message_size,
		    "the parameters of swap do not go together: swap_low_slots (%u) must be "
		    "at most swap_high_slots (%u), and "
		    "swap_file_bytes (%llu) at least %zu and at most a million times that",
		    config.low_free_slots, config.high_free_slots,
		    (unsigned long long)config.file_bytes, config.slot_bytes);
	else if (error)
		directory_explain(config.directory, error, message, message_size);
	return error;
}

static void
failure_tell(const struct daemon *d, enum swap_failure kind, int error)
{
	const char *path = d->options.swap_directory, *reason = strerror(-error);
	unsigned long long most = d->options.swap_max_bytes;

	CHECK(kind < SWAP_FAILURE_COUNT);
	if (kind == SWAP_FAILED_READ)
		log_warning_limited("swap files in %s cannot be read (%s): what is lost so is told "
				    "when it is touched",
		    path, reason);
	else if (kind == SWAP_FAILED_WRITE)
		log_warning_limited("swap files in %s cannot be written (%s): pages stay in "
				    "memory, and it is tried again every few seconds "
				    "(make room there, or choose another --swap-dir)",
		    path, reason);
	else if (error == -EDQUOT && most)
		log_warning_limited("swap is full: its files have the %llu bytes of --swap-max, "
				    "pages stay in memory",
		    most);
	else if (error == -ENOENT)
		log_warning_limited("the swap directory %s is gone and cannot be made again: pages "
				    "stay in memory, and it is tried again every "
				    "few seconds (make the directory that it was in)",
		    path);
	else
		log_warning_limited("no swap file can be made in %s (%s): pages stay in memory, "
				    "and it is tried again every few seconds (make "
				    "room there, or choose another --swap-dir)",
		    path, reason);
}

void
swapspace_failed(struct daemon *d, enum swap_failure kind, int error)
{
	struct swap_trouble *t = &d->swapspace.trouble[kind];

	CHECK(kind < SWAP_FAILURE_COUNT && error < 0);
	if (t->error == 0) {
		failure_tell(d, kind, error);
		t->error = error;
	}
	t->times++;
	t->last_ns = clock_now_ns();
	t->better = false;
}

void
swapspace_passed(struct daemon *d, bool written)
{
	static const char *const what[] = {
		[SWAP_FAILED_CREATE] = "there is room in swap again",
		[SWAP_FAILED_WRITE] = "swap files are written again",
		[SWAP_FAILED_READ] = "swap files are read again",
	};

	for (unsigned kind = 0; kind < SWAP_FAILURE_COUNT; kind++) {
		struct swap_trouble *t = &d->swapspace.trouble[kind];

		if (t->error == 0)
			continue;
		t->better |= written;
		if (!t->better || clock_now_ns() - t->last_ns < TROUBLE_OVER_NS)
			continue;
		log_notice_limited(
		    "%s, after %llu failures", what[kind], (unsigned long long)t->times);
		*t = (struct swap_trouble){ 0 };
	}
}
