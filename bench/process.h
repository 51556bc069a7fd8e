/* SPDX-License-Identifier: MIT
 *
 * Other processes and their programs as /proc shows them, and small files.
 */
#ifndef BENCH_PROCESS_H
#define BENCH_PROCESS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* User and system time of all threads; 0 when it cannot be read. */
double process_cpu_seconds(pid_t pid);
/* Bytes that the process caused to be written to storage. */
uint64_t process_write_bytes(pid_t pid);
/* Bytes of anonymous resident memory. */
uint64_t process_private_bytes(pid_t pid);
/* Bytes swapped out by the whole system since boot. */
uint64_t swapped_out_bytes(void);

/* Finds a program of this project: $variable, else the first of `places` (relative to the directory
 * of this program, ended by NULL) that can be executed, else the bare name, for execvp. => buf, or
 * one of the given texts. */
const char *program_find(
    const char *variable, const char *const *places, const char *name, char *buf, size_t buf_size);

/* Reads a small file; the text ends with NUL, without the last newline. => 0 or -errno. */
int file_read(const char *path, char *buf, size_t buf_size);
/* One write(2). => 0 or -errno. */
int file_write(const char *path, const char *text);
/* Removes a directory and everything in it. */
void directory_remove(const char *path);

#endif
