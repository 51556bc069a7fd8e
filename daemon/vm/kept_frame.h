/* SPDX-License-Identifier: MIT
 *
 * Frames that a worker before this one has left (d->frames.named is there). Runs on: the main
 * thread, before there are others.
 */
#ifndef KEPT_FRAME_H
#define KEPT_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct daemon;

/* Whether the row is of that page, and no slot has named it yet. */
bool kept_frame_is_of(const struct daemon *d, uint32_t frame, uint32_t object, uint64_t index);
/* The row's page stays: it is TAKEN from now on, busy and with these flags, for vm_page_commit. =>
 * PAGEQ held */
void kept_frame_take_locked(struct daemon *d, uint32_t frame, uint32_t flags);
/* All other frames are free, but for those that hold so many bytes of the compressor's. => 0, or
 * -ENOMEM: there are not enough. PAGEQ held */
int kept_frames_end_locked(struct daemon *d, size_t compressor_bytes);

#endif
