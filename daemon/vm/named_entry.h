/* SPDX-License-Identifier: MIT
 *
 * Named entries: pages of an object under a descriptor that can be sent to any process, as Mach's
 * memory entries are named by ports. The descriptor is the end of a pipe from which one reads; the
 * daemon keeps the other end, which sees an error when the last copy of the descriptor is closed,
 * one in flight included. Nobody writes to the pipe. No holder can end the name for the others, as
 * with a socket by shutdown(2), nor hide the descriptor in its own queue. An entry covers its pages
 * (vm/vm_share.h) as long as it is there.
 */
#ifndef NAMED_ENTRY_H
#define NAMED_ENTRY_H

#include "vm/kept_name.h"

void named_table_create(struct daemon *d);
void named_table_destroy(struct daemon *d);
/* pipe: the daemon's end, the entry's from now on; -1 with identity NULL: nobody finds the entry,
 * it only covers its pages, and costs no descriptor. The object must be shareable; it takes a
 * reference of its own. account: pays for the descriptor. => 0, -ENOMEM, -EMFILE (the object has
 * COVERS_MAX mappings and entries), or what share_take says: the end is the caller's still. No
 * lock held, here and below */
int named_entry_create(struct daemon *d, const struct named_range *range, int pipe,
    const struct named_identity *identity, struct share_account *account, struct named_entry **ret);
/* One that the worker before this one had. pipe: as above. => 0 or -errno */
int named_entry_restore(struct daemon *d, const struct kept_name *name, struct vm_object *o,
    int pipe, struct named_entry **ret);
/* What the descriptor of that pipe names, with a reference on the object. The entry may end
 * meanwhile, unless the caller has a copy of the descriptor open, and also then when the daemon
 * ends. vm_mapping_join_locked looks whether the pages are still covered. => false: there is none
 */
bool named_entry_find(
    struct daemon *d, const struct named_identity *identity, struct named_range *ret);
/* What it covers, without a reference. */
struct named_range named_entry_range(const struct named_entry *n);
/* The name goes: nobody finds it, and it covers nothing any more. *ret: what it has covered, with
 * the reference; the caller discards what nobody else covers. */
void named_entry_end(struct daemon *d, struct named_entry *n, struct named_range *ret);
/* The identity of the pipe that the descriptor is an end of, whatever it is. => 0, or -EBADF: it is
 * no pipe. Never waits: it asks no file system of a client's */
int named_identify(int fd, struct named_identity *ret);

#endif
