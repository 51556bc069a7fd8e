/* SPDX-License-Identifier: MIT
 *
 * Attributes of a range's entries that its pages know nothing of: protection and its maximum,
 * inheritance, tag. The client's mapping is the client's work: the kernel refuses what it forbids,
 * and the entry's protection is for what the daemon does on the client's behalf.
 */
#ifndef ATTRIBUTE_H
#define ATTRIBUTE_H

#include "region/range.h"

/* protection: PROT_*, and with PAGER_PROT_MAXIMUM it is the maximum that is set; the protection
 * loses what the maximum does not have. Neither gains a right that the maximum lacks. => 0,
 * -EINVAL, -EACCES (an entry's maximum lacks a right) or -ENOMEM, and nothing has changed then.
 * Runs on: jobs, no lock held, here and below */
int region_protect(struct range *range, uint32_t protection);
/* => 0, -EINVAL or -ENOMEM */
int region_inherit(struct range *range, uint32_t inheritance);
/* => 0, -EINVAL or -ENOMEM */
int region_tag(struct range *range, uint32_t tag);

#endif
