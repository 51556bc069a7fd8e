/* SPDX-License-Identifier: MIT
 *
 * The device pager: memory that is there for its own sake, as that of a driver. XNU's device pager
 * is the idea. The daemon's own devices are declared when it starts. Each has an object whose
 * memory is made at once, of frames that are wired for as long as the daemon runs, and lies in one
 * piece of one memfd. A client makes others of a descriptor of its own; of their memory the daemon
 * knows nothing.
 *
 * A device is mapped without userfaultfd, so it makes no faults and its pages never leave. A
 * mapping is billed when it is made, at its whole size, since nothing that happens later is seen
 * (vm/vm_share.c: mapping_bill_locked).
 */
#ifndef DEVICE_H
#define DEVICE_H

#include "pagers/pager.h"
#include "vm/vm_object.h"

/* An object of the device pager, as vm_object_create_device. Any thread */
int device_object_create(struct daemon *d, const struct device_memory *of, struct vm_object **ret);
/* Makes what d->devices declares. => 0; or -errno, and a text that says which does not fit. Runs
 * on: the main thread, before clients come */
int devices_create(struct daemon *d, char *message, size_t message_size);
/* => nobody maps any more */
void devices_destroy(struct daemon *d);
/* The daemon's own device of that name, or NULL. Any thread */
const struct device *device_find(const struct daemon *d, const char *name);
/* The daemon's own device that has the object, or NULL. Any thread */
const struct device *device_of(const struct daemon *d, const struct vm_object *o);
/* What a user may map: PROT_READ and PROT_WRITE. is_in_group: the user is in the device's group. */
int device_rights(const struct device *v, uid_t uid, bool is_in_group);

#endif
