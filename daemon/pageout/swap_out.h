/* SPDX-License-Identifier: MIT
 *
 * Whole cold segments go to swap. Runs on: the writer's thread, no lock held.
 */
#ifndef SWAP_OUT_H
#define SWAP_OUT_H

struct writer;

/* Writes segments out until the compressor holds what it should. => nothing is in flight */
void swap_out(struct writer *w);

#endif
