/* SPDX-License-Identifier: MIT
 *
 * Emptying a swap file that is to be deleted. Runs on: the writer's thread, no lock held.
 */
#ifndef DRAIN_H
#define DRAIN_H

struct writer;

/* Moves the segments of the files that are being drained to other files. What cannot be read stays,
 * and the rest is moved all the same; once nothing can be written nothing more is tried. Either way
 * the file cannot be emptied for now. */
void drain(struct writer *w);

#endif
