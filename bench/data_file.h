/* SPDX-License-Identifier: MIT
 *
 * The file of a run on a mapped file. It has no name, so nothing is left of it however the run
 * ends.
 */
#ifndef BENCH_DATA_FILE_H
#define BENCH_DATA_FILE_H

#include <stdint.h>

#include "pool.h"

/* Makes a file of `units` pages (pattern.h), all of generation 0, which is on disk and not in the
 * page cache. => 0 or -errno. */
int data_file_make(
    const char *directory, uint64_t object, uint64_t units, const struct pool *pool, int *ret_fd);
/* Writes what the page cache has of the file to disk, and drops it from the cache. => 0 or -errno.
 */
int data_file_drop(int fd);
/* => bytes of the file that are in the page cache; 0 when the kernel does not say. */
uint64_t data_file_cached_bytes(int fd);
/* Reads one page of the file with read(2). => 0 or -errno. */
int data_file_read(int fd, uint64_t page, void *unit);

#endif
