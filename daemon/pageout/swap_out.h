/* SPDX-License-Identifier: MIT
 *
 * Whole cold segments go to swap. Runs on: the writer's thread, with no lock held.
 */
#ifndef SWAP_OUT_H
#define SWAP_OUT_H

struct writer;

/* Writes segments until the compressor holds no more than it should, no segment or no place is
 * left, or a write fails. => no write is in flight, before and after. There is swap. */
void swap_out(struct writer *w);

#endif
