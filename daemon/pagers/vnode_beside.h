/* SPDX-License-Identifier: MIT
 *
 * Mappings that others make of mapped files with mmap(2), beside those of the daemon's clients.
 * The kernel announces an mmap as it announces a read of the same range, so its thread, which
 * waits for the answer, is looked at: /proc says in which system call it is.
 *
 * To read that can mean to wait until the thread is off its processor, for as long as whoever has
 * it there likes. So the thread's wchan is read first, which waits for nothing, and is 0 until the
 * thread is off.
 */
#ifndef VNODE_BESIDE_H
#define VNODE_BESIDE_H

#include <stdbool.h>
#include <sys/types.h>

enum beside_call {
	BESIDE_MMAP,
	BESIDE_OTHER,   /* another call, or none: also of one that is gone */
	BESIDE_NOT_YET, /* it is on a processor still; or the daemon may not look */
	BESIDE_HIDDEN,  /* the daemon may not look at this one */
};

/* => whether it is a thread of this process */
bool beside_is_own(pid_t thread);
/* In which call a thread is that waits for the answer to an announcement. Waits for nobody. */
enum beside_call beside_look(pid_t thread);
/* Says in the log that the thread maps the file of the descriptor. */
void beside_tell(pid_t thread, int fd);

#endif
