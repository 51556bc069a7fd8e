/* SPDX-License-Identifier: MIT
 *
 * What /proc tells of other processes, and the starting of one that dies with its parent.
 */
#ifndef BENCH_PROCESS_H
#define BENCH_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* All threads, user and system. 0 when the process cannot be asked. */
double process_cpu_seconds(pid_t pid);
/* What it caused to be written to storage. */
uint64_t process_write_bytes(pid_t pid);
/* Anonymous resident memory. */
uint64_t process_private_bytes(pid_t pid);
/* Of the whole system, since boot. */
uint64_t swapped_out_bytes(void);

/* Reads a small file; the text ends with NUL, without the last newline. => 0 or -errno. */
int file_read(const char *path, char *buf, size_t buf_size);
/* One write(2). => 0 or -errno. */
int file_write(const char *path, const char *text);
/* Removes what is in a directory (one level of folders below it too) and the directory. */
void directory_remove(const char *path);

#endif
