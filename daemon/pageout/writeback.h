/* SPDX-License-Identifier: MIT
 *
 * The writer: segments go to swap, and what is left of them is compacted.
 */
#ifndef WRITEBACK_H
#define WRITEBACK_H

struct daemon;

int writeback_start(struct daemon *d);
void writeback_stop(struct daemon *d);
void writeback_fini(struct daemon *d);
/* The compressor is large or wasteful: swap out or compact. Any thread. */
void writeback_want(struct daemon *d);

#endif
