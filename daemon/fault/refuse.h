/* SPDX-License-Identifier: MIT
 *
 * Faults that end in a signal.
 */
#ifndef REFUSE_H
#define REFUSE_H

#include "fault/seat.h"

/* An address that the daemon does not serve: it was given back while a thread was touching it. =>
 * no lock held */
void fault_answer_unknown(struct fault_server *server, const struct fault *f);
/* A touch that the task may not make: a write to memory that it may only read, and has made
 * writable for itself (were the protection lifted, the kernel would make it a page of its own,
 * which nobody pays for), or a touch that a submap does not allow. It gets what the processor would
 * give it. Its signal handler may return; then it faults again. */
void fault_answer_violation(struct fault_server *server, const struct fault *f);
/* Puts the server's hole around a page without a frame, which is to get poison. => false: the page
 * is in another thread's hole, which will wake the fault; O held */
bool fault_hole_take_locked(struct fault_server *server, struct vm_object *o, uint64_t index);
/* Answers the fault with SIGBUS, and keeps it, to be answered truly once there is room. What is
 * stored stays stored. => false: the page is resident and needs no refusal; no lock held */
bool fault_refuse(struct fault_server *server, const struct fault *fault, enum refusal why);

/* The thread of the fault, or its process, gets a signal, at once. => whether there is such a
 * thread
 */
bool fault_signal(const struct fault *f, int number);
void fault_signal_process(const struct fault *f, int number);
/* Whether they mean nothing: it is in another PID namespace, or the daemon may not know. */
bool fault_thread_is_elsewhere(const struct task *task);

#endif
