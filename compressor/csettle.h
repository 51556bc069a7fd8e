/* SPDX-License-Identifier: MIT
 *
 * What follows when a segment's last page, reader or owner has gone.
 */
#ifndef CSETTLE_H
#define CSETTLE_H

#include "compressor_priv.h"

/* from -> FULL, with the lists; then settles if need be. A segment that is on the age list stays
 * where it is, another becomes the youngest unless told otherwise. => called without the pool lock,
 * after cvacant_close. */
enum { ENTER_OLDEST = 1, ENTER_STUCK = 2, ENTER_OPEN = 4 };
void cpool_enter_full(struct compressor *c, uint32_t segment, enum cseg_state from, unsigned how);
/* Does what the row's state calls for once pages or pins have gone: puts it into another class,
 * releases it, queues its place. Harmless at any time. */
void cpool_settle(struct compressor *c, uint32_t segment);
/* The last reader has left a DEPARTING segment: its memory goes, it is AWAY. */
void cseg_depart(struct compressor *c, uint32_t segment);

/* End cseg_load_pin or cseg_full_pin, and cseg_read_pin. */
void cseg_load_unpin(struct compressor *c, uint32_t segment);
void cseg_read_unpin(struct compressor *c, uint32_t segment);

#endif
