/* SPDX-License-Identifier: MIT
 *
 * Named entries: pages of an object under a descriptor that can be sent to any process, as Mach's
 * memory entries are named by ports. The descriptor is one end of a pair of sockets, and its
 * cookie, which the kernel gives no other socket, is the name; the daemon keeps the other end,
 * which hangs up when the last copy of the descriptor is closed, one in flight included. An entry
 * covers its pages (vm/vm_share.h) as long as it is there.
 */
#ifndef NAMED_ENTRY_H
#define NAMED_ENTRY_H

#include "vm/vm_share.h"

/* What a holder of the descriptor may map. */
struct named_range {
	struct vm_object *object;
	uint64_t first, end; /* pages */
	bool is_writable;
	bool may_change; /* the object is a submap, whose regions the holder may change */
};

void named_table_create(struct daemon *d);
void named_table_destroy(struct daemon *d);
/* socket: the daemon's end, the entry's from now on. The object must be shareable; it takes a
 * reference of its own. account: pays for the descriptor. => 0, -ENOMEM, -EMFILE (the object has
 * COVERS_MAX mappings and entries), or what share_take says: the socket is the caller's still. No
 * lock held, here and below */
int named_entry_create(struct daemon *d, const struct named_range *range, int socket,
    uint64_t cookie, struct share_account *account, struct named_entry **ret);
/* What the descriptor with that cookie names, with a reference on the object. The entry may
 * end meanwhile, also while the caller has a copy of the descriptor open: any holder can shut it
 * down. vm_mapping_join_locked looks whether the pages are still covered. => false: there is none
 */
bool named_entry_find(struct daemon *d, uint64_t cookie, struct named_range *ret);
/* The name goes: nobody finds it, and it covers nothing any more. *ret: what it has covered, with
 * the reference; the caller discards what nobody else covers. */
void named_entry_end(struct daemon *d, struct named_entry *n, struct named_range *ret);
/* The cookie of a socket, however the client made it. => 0 or -ENOTSOCK. Never waits */
int named_cookie(int fd, uint64_t *ret);

#endif
