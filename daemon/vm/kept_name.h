/* SPDX-License-Identifier: MIT
 *
 * Named entries for the worker that comes after this one. Such an entry is of all pages of its
 * object, so one number says all of it: the keeper has the daemon's end of its pipe by that.
 */
#ifndef KEPT_NAME_H
#define KEPT_NAME_H

#include "vm/vm_share.h"

struct kept_name {
	uint32_t object; /* index */
	uid_t uid;       /* who pays */
	bool is_privileged, is_writable;
	unsigned number; /* among those of the object */
};

uint64_t kept_name_pack(const struct kept_name *name);
struct kept_name kept_name_unpack(uint64_t id);

#endif
