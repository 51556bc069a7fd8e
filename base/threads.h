/* SPDX-License-Identifier: MIT
 *
 * What the threads of a process are doing, told by /proc.
 */
#ifndef THREADS_H
#define THREADS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* The beginning of /proc/PID/task/THREAD/FILE, without newlines at its end. => whether there was
 * anything */
bool thread_file_read(pid_t pid, pid_t thread, const char *file, char *text, size_t size);
/* => whether it sleeps. One that waits for a processor, or for a disk, does not. */
bool thread_sleeps(pid_t pid, pid_t thread);
/* Calls f for each thread until it says false. => whether it never did; false where /proc does not
 * tell */
bool threads_each(pid_t pid, bool (*f)(pid_t pid, pid_t thread, void *argument), void *argument);
/* One look. => 0: not all threads but `except` (0: none) were found asleep; else a number: when the
 * next look gives the same, all of them have slept from the end of the one to the beginning of the
 * other */
uint64_t threads_asleep(pid_t pid, pid_t except);

#endif
