/* SPDX-License-Identifier: MIT
 *
 * What another process has left of swap.
 */
#ifndef SWAPADOPT_H
#define SWAPADOPT_H

#include "swap_priv.h"

/* The key that was left, or one that is made of `file` (swapseal.h), which is kept. => 0 or -errno
 */
int swap_adopt_key(struct swap *s, const char *file);
/* Files that were left; what was being made or deleted goes. Backends are open. => 0 or -errno;
 * -EPROTO: what was left is not whole */
int swap_adopt_files(struct swap *s);

#endif
