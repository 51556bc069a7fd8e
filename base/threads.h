/* SPDX-License-Identifier: MIT
 *
 * What the threads of a process are doing, read from /proc.
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
/* => whether the thread sleeps. Waiting for a processor or for a disk is not sleeping. */
bool thread_sleeps(pid_t pid, pid_t thread);
/* => whether it is one of the kernel's own threads, for I/O that must wait: they come and go */
bool thread_is_io_worker(pid_t pid, pid_t thread);
/* Calls f for each thread until it returns false. => whether it never did; false if /proc cannot be
 * read */
bool threads_each(pid_t pid, bool (*f)(pid_t pid, pid_t thread, void *argument), void *argument);
/* Looks once at all threads except `except` (0: none). => 0: not all of them were asleep, or one
 * only until a time is over; otherwise a number: if the next look returns the same one, all have
 * slept from the end of this look to the beginning of the next */
uint64_t threads_asleep(pid_t pid, pid_t except);

/* The calling thread's nice value becomes that of the process's first thread plus `by`, as far as
 * there are such values; without privilege a lower one is refused. So threads of a program that was
 * started with a nice value of its own keep their order. */
void thread_nice_set(int by);

#endif
