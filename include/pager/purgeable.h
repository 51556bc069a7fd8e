/* SPDX-License-Identifier: MIT
 *
 * Purgeable memory. A part of pager/pager.h, which includes it; what is said there of all functions
 * holds here.
 */
#ifndef PAGER_PURGEABLE_H
#define PAGER_PURGEABLE_H

#include "pager/pager.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The state of purgeable memory, in the bits of a word, which are XNU's (VM_PURGABLE_*). Volatile:
 * the daemon may throw the content away at any moment, all of it at once, and stores nothing
 * of it meanwhile; until then it can be read and written, and what is written may be thrown away
 * too. Empty: it has been thrown away, and
 * reads as zeroes. Volatile and empty memory is not in the footprint. */
#define PAGER_PURGEABLE_NONVOLATILE 0
#define PAGER_PURGEABLE_VOLATILE    1
#define PAGER_PURGEABLE_EMPTY       2
#define PAGER_PURGEABLE_STATE_MASK  3
/* With PAGER_PURGEABLE_VOLATILE. Objects of group 0 (from 0 to 7) go first; in a group the one that
 * became volatile first (with LIFO: last) */
#define PAGER_PURGEABLE_OBSOLETE     0x20 /* it goes before all groups, and is not to be used again */
#define PAGER_PURGEABLE_LIFO         0x40
#define PAGER_PURGEABLE_GROUP(group) ((group) << 8)
#define PAGER_PURGEABLE_NO_AGING     0x10000 /* it does not go because of its age */
enum pager_purgeable_control {
	PAGER_PURGEABLE_SET_STATE = 0, /* *state: the new one; afterwards the one before */
	PAGER_PURGEABLE_GET_STATE = 1,
	PAGER_PURGEABLE_PURGE_ALL = 2, /* all that is volatile of this connection becomes empty;
					  address: any, state: may be NULL */
};
/* Changes or tells the state of the purgeable memory at the address: of all of the allocation. The
 * change and the answer are one step: made nonvolatile, memory that was volatile has all of its
 * content, and memory that was empty has lost it, and the program makes it anew. Empty memory that
 * is made volatile stays empty. PAGER_PURGEABLE_EMPTY throws the content away now. The idea is
 * that of XNU's purgable control. Errors: -EINVAL (the address is not of purgeable memory; there is
 * no such control, or state), -EACCES (to set it: the memory may not be written), -EBUSY (it is not
 * to be nonvolatile, and some of it is wired or pinned by somebody, or in a page list), -ENOMEM,
 * -ENOTCONN. Any thread. */
PAGER_API int pager_purgeable_control(
    struct pager *p, void *address, enum pager_purgeable_control control, int *state);

#ifdef __cplusplus
}
#endif
#endif
