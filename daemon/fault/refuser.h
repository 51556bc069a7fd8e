/* SPDX-License-Identifier: MIT
 *
 * Stores that are refused though their page is there. Other mappings, and other threads, may read
 * that page, so it gets no poison: its thread gets a SIGBUS of the daemon's. In a system call, such
 * as read(2) into the page, that would not end the touch: the kernel makes the touch again as long
 * as a signal is pending, and so without end. Such a thread waits. To tell the two apart the kernel
 * is asked where the thread is, which may take as long as that thread lacks a processor; so a
 * thread of its own, the refuser, does that, and only refused stores wait for it.
 */
#ifndef REFUSER_H
#define REFUSER_H

#include <stdbool.h>

struct daemon;
struct fault;

/* => 0 or -errno; refuser_fini also after a failure */
int refuser_start(struct daemon *d);
void refuser_stop(struct daemon *d);
void refuser_fini(struct daemon *d);
/* The store of the fault is refused, just now. => true: its thread will be told, or the fault comes
 * again; it is to be kept, for the case that the thread cannot be told. false: the thread has been
 * woken, and comes again, to prove that it waits (standing.h). No lock held */
bool refuser_ask(struct daemon *d, const struct fault *f);

#endif
