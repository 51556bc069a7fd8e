/* SPDX-License-Identifier: MIT
 *
 * Shared by the tests of swap: temporary directories, random numbers, a check of swap's
 * bookkeeping.
 */
#ifndef B_SWAP_H
#define B_SWAP_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "swap.h"

#define DISK_DIRECTORY "/var/tmp"
#define SHM_DIRECTORY  "/dev/shm"

static inline uint64_t
test_random(uint64_t *seed)
{
	*seed += 0x9e3779b97f4a7c15u;
	uint64_t z = *seed;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

/* Removes a flat directory. */
static inline void
directory_remove(const char *path)
{
	DIR *stream = opendir(path);

	if (!stream)
		return;
	for (struct dirent *d; (d = readdir(stream)) != NULL;)
		if (d->d_name[0] != '.')
			(void)unlinkat(dirfd(stream), d->d_name, 0);
	closedir(stream);
	(void)rmdir(path);
}

/* A path that does not exist yet under a fresh directory of `where`. Undone by directory_fini. */
static inline void
directory_init(const char *where, char base[64], char path[80])
{
	snprintf(base, 64, "%s/pagerd-test-XXXXXX", where);
	assert_non_null(mkdtemp(base));
	snprintf(path, 80, "%s/swap", base);
}

static inline void
directory_fini(const char *base, const char *path)
{
	directory_remove(path);
	directory_remove(base);
}

/* Entries whose name contains `part`. */
static inline unsigned
directory_count(const char *path, const char *part)
{
	DIR *stream = opendir(path);
	unsigned count = 0;

	assert_non_null(stream);
	for (struct dirent *d; (d = readdir(stream)) != NULL;)
		count += d->d_name[0] != '.' && strstr(d->d_name, part) != NULL;
	closedir(stream);
	return count;
}

static inline void
assert_swap_valid(struct swap *s)
{
	char msg[200] = "";

	if (!swap_is_valid(s, msg, sizeof(msg)))
		fail_msg("swap is not valid: %s", msg);
}

static inline struct swap_stats
stats_of(struct swap *s)
{
	struct swap_stats stats;

	swap_stats(s, &stats);
	return stats;
}

/* The place of a slot without its generation. */
static inline unsigned
place_of(struct swap_slot slot)
{
	return (unsigned)slot.v;
}

static inline unsigned
file_of(struct swap_slot slot)
{
	return place_of(slot) >> 20;
}

#endif
