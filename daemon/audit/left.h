/* SPDX-License-Identifier: MIT
 *
 * What a worker that died has left is walked before anybody is served.
 */
#ifndef AUDIT_LEFT_H
#define AUDIT_LEFT_H

struct daemon;

/* Where the books of an object cannot be right, the clients that see it or pay for it are ended,
 * and so is this worker: the next one takes the others over. What is wrong in sums alone is logged.
 * Nothing is done in a first worker. Runs on: the main thread, before there are others */
void check_left(struct daemon *d);

#endif
