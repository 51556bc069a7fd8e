/* SPDX-License-Identifier: MIT
 *
 * What the threads of another process are doing, told by /proc.
 */
#ifndef LIVE_THREADS_H
#define LIVE_THREADS_H

#include <stdbool.h>
#include <sys/types.h>

/* Writes a line for each thread to stderr: its name, and what it waits for. */
void threads_show(pid_t pid);
/* One look. => whether all threads slept at one and the same moment. A thread that waits for its processor does not sleep. */
bool threads_rest(pid_t pid);
/* => whether one thread sleeps. */
bool thread_sleeps(pid_t pid, pid_t thread);

#endif
