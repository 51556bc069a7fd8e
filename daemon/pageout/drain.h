/* SPDX-License-Identifier: MIT
 *
 * Emptying a swap file that is to be deleted. Runs on: the writer's thread, with no lock held.
 */
#ifndef DRAIN_H
#define DRAIN_H

struct writer;

/* Moves segments out of the file that is being drained. A segment that cannot be read stays, and
 * the rest is moved all the same; if one cannot be written, no more is tried. In both cases the
 * file is not drained again for some seconds. => there is swap, and no write is in flight */
void drain(struct writer *w);

#endif
