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

#define REMEDY "choose another --swap-dir, or --no-swap"

static void
directory_explain(const char *path, int error, char *message, size_t size)
{
	struct stat st;

	if (stat(path, &st) != 0 && error == -ENOENT)
		snprintf(message, size,
		    "cannot make the swap directory %s: the directory it would be in does not "
		    "exist (make that, " REMEDY ")",
		    path);
	else if (stat(path, &st) != 0)
		snprintf(message, size, "cannot make the swap directory %s: %s (" REMEDY ")", path,
		    strerror(-error));
	else if (!S_ISDIR(st.st_mode))
		snprintf(message, size,
		    "the swap directory %s is a file, no directory (" REMEDY ")", path);
	else
		snprintf(message, size,
		    "no file can be made in the swap directory %s: %s (" REMEDY ")", path,
		    strerror(-error));
}

static void
device_explain(const char *path, int error, char *message, size_t size)
{
	if (error == -ENOTBLK)
		snprintf(message, size,
		    "--swap-device %s is no block device (name a partition or the like, or give a "
		    "directory with --swap-dir)",
		    path);
	else if (error == -EBUSY)
		snprintf(message, size,
		    "--swap-device %s is in use: mounted, swap of the system's, part of a larger "
		    "volume, or another pagerd's (see lsblk %s)",
		    path, path);
	else if (error == -EEXIST)
		snprintf(message, size,
		    "--swap-device %s holds something, which would be lost; if it may be, clear "
		    "the "
		    "beginning: dd if=/dev/zero of=%s bs=128K count=1",
		    path, path);
	else if (error == -ENOSPC)
		snprintf(message, size, "--swap-device %s is too small for a swap file", path);
	else
		snprintf(message, size,
		    "--swap-device %s cannot be used: %s (choose another, or --no-swap)", path,
		    strerror(-error));
}

static void
config_explain(const struct swap_config *config, int error, char *message, size_t size)
{
	if (error == -EPROTO)
		snprintf(message, size,
		    "swap: the worker before was of another build, or had other options");
	else if (error == -ERANGE)
		snprintf(message, size,
		    "--swap-max is %llu bytes, and the smallest swap file has %llu (give "
		    "more, or --no-swap)",
		    (unsigned long long)config->max_bytes,
		    (unsigned long long)swap_file_bytes_min(config));
	else if (error == -EINVAL)
		snprintf(message, size,
		    "the parameters of swap do not go together: swap_low_slots (%u) must be "
		    "at most swap_high_slots (%u), and "
		    "swap_file_bytes (%llu) at least %zu and at most a million times that",
		    config->low_free_slots, config->high_free_slots,
		    (unsigned long long)config->file_bytes, config->slot_bytes);
	else
		snprintf(message, size, "swap cannot be set up: %s", strerror(-error));
}

/* --- what outlives the process -------------------------------------------------------------- */

static uint64_t
kept_id(enum swap_kept kind, unsigned id)
{
	CHECK(kind < SWAP_KEPT_COUNT);
	return (uint64_t)kind << 32 | id;
}

static int
kept_take(void *ctx, enum swap_kept kind, unsigned id)
{
	const struct daemon *d = ctx;

	return keeper_take(d->keeper, KEPT_SWAP, kept_id(kind, id));
}

static void
kept_keep(void *ctx, enum swap_kept kind, unsigned id, int fd)
{
	const struct daemon *d = ctx;

	keeper_keep(d->keeper, KEPT_SWAP, kept_id(kind, id), fd);
}

static void
kept_drop(void *ctx, enum swap_kept kind, unsigned id)
{
	const struct daemon *d = ctx;

	keeper_drop(d->keeper, KEPT_SWAP, kept_id(kind, id));
}

/* -------------------------------------------------------------------------------------------- */

int
swapspace_create(struct daemon *d, char *message, size_t message_size)
{
	struct swap_config config = {
		.backend_count = d->options.swap_backend_count,
		.slot_bytes = round_up_u64(compressor_segment_bytes(d->compressor), 4096),
		.file_bytes = param(d, swap_file_bytes),
		.max_bytes = d->options.swap_max_bytes,
		.low_free_slots = (unsigned)param(d, swap_low_slots),
		.high_free_slots = (unsigned)param(d, swap_high_slots),
		.key_file = d->options.swap_key_file,
		.server_timeout_ns = param(d, swap_server_seconds) * 1000000000ull,
		.force_sync = param(d, swap_force_sync),
	};
	const struct swap_keeper keeper = { kept_take, kept_keep, kept_drop, d };
	struct swap_fault fault;
	int error;

	CHECK(d->compressor && message_size > 0);
	config.keeper = d->keeper ? &keeper : NULL;
	memcpy(config.backends, d->options.swap_backends, sizeof(config.backends));
	error = swap_create(&config, &d->swap, &fault);
	if (error && !fault.where && fault.why[0])
		snprintf(
		    message, message_size, "%s (see --swap-key and --swap-encrypt)", fault.why);
	else if (error && !fault.where)
		config_explain(&config, error, message, message_size);
	else if (error && fault.kind == SWAP_DIRECTORY)
		directory_explain(fault.where, error, message, message_size);
	else if (error && fault.kind == SWAP_DEVICE)
		device_explain(fault.where, error, message, message_size);
	else if (error)
		snprintf(message, message_size,
		    "--swap-nbd %s cannot be used: %s (is the server up, and the URI right? or "
		    "--no-swap)",
		    fault.where, fault.why[0] ? fault.why : strerror(-error));
	return error;
}

static void
directory_failure_tell(
    const struct daemon *d, enum swap_failure kind, const struct swap_fault *fault)
{
	const char *path = fault->where, *reason = strerror(-fault->error);
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
	else if (fault->error == -EDQUOT && most)
		log_warning_limited("swap is full: its files have the %llu bytes of --swap-max, "
				    "pages stay in memory",
		    most);
	else if (fault->error == -ENOENT)
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

static void
failure_tell(const struct daemon *d, enum swap_failure kind, const struct swap_fault *fault)
{
	const char *where = fault->where, *reason = strerror(-fault->error);

	CHECK(kind < SWAP_FAILURE_COUNT);
	if (fault->kind == SWAP_DIRECTORY)
		directory_failure_tell(d, kind, fault);
	else if (kind == SWAP_FAILED_READ)
		log_warning_limited("swap on %s cannot be read (%s): what is lost so is told when "
				    "it is touched",
		    where, reason);
	else if (kind == SWAP_FAILED_WRITE)
		log_warning_limited("swap on %s cannot be written (%s): pages stay in memory or go "
				    "elsewhere, and it is tried again every few seconds",
		    where, reason);
	else
		log_warning_limited("swap is full: %s has no room for another file, pages stay in "
				    "memory (name one more place for swap)",
		    where);
}

void
swapspace_failed(struct daemon *d, enum swap_failure kind, const struct swap_fault *fault)
{
	struct swap_trouble *t = &d->swapspace.trouble[kind];

	CHECK(kind < SWAP_FAILURE_COUNT && fault->error < 0);
	if (t->error == 0) {
		failure_tell(d, kind, fault);
		t->error = fault->error;
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
