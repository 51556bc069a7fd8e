/* SPDX-License-Identifier: MIT
 *
 * What a region's numbers mean, for the commands that show regions.
 */
#ifndef REGION_TEXT_H
#define REGION_TEXT_H

#include "out.h"

/* As rwx. => buf */
const char *region_protection(uint32_t protection, char buf[4]);
/* How memory with the tag is called. => a text, perhaps in buf */
const char *region_tag(uint32_t tag, char buf[OUT_NUMBER]);
/* How it is shared: as vmmap shows it, and by name. => "?": unknown */
const char *region_share_mode(uint32_t mode);
const char *region_share_name(uint32_t mode);

#endif
