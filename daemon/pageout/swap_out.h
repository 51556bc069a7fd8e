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

/* Likewise all segments whose pages keep apart (compressor.h), however little memory the compressor
 * holds: they are those of clients that were frozen. */
void swap_out_apart(struct writer *w);
/* Waits for the writes that are still under way, however long. */
void swap_out_end(struct writer *w);

#endif
