/* SPDX-License-Identifier: MIT
 *
 * Locks that the agent takes when it opens a window (show.c). A thread that has one must not wait
 * in a fault for that: so it touches nothing that may be in a window meanwhile, and none of its
 * signal handlers runs. Its stack, of which the next pages are touched beforehand, may be in one.
 */
#ifndef HOLD_H
#define HOLD_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

/* From now on this process may have windows, or in a forked child, has none. Until then holding a
 * lock costs no more than the lock. => for true, the caller takes each lock once after that, before
 * it makes a window: a thread that has taken one before has let it go then */
void hold_expect(bool windows);
bool hold_expects(void);
/* Whether this thread has such a lock, as a signal handler that forks may. */
bool hold_is_held(void);
void hold_lock(pthread_mutex_t *lock);
void hold_unlock(pthread_mutex_t *lock);
/* Memory of the caller's that is written while a lock is held: it is no window's after this. */
void hold_touch(void *memory, size_t bytes);

#endif
