/* SPDX-License-Identifier: MIT
 *
 * Memory in pages of its own, not malloc's: a program may have put malloc on paged memory, and the
 * agent reads what lies here.
 */
#ifndef PAGER_OWN_PAGES_H
#define PAGER_OWN_PAGES_H

#include <stddef.h>

/* Makes it `least` bytes or more: `first` doubled until that is enough. What was there stays, and
 * may move. *bytes: its size, 0 with NULL before the first time. => the memory; NULL: there is no
 * more, and what was there is as before */
void *own_pages_grow(void *pages, size_t *bytes, size_t least, size_t first);
void own_pages_free(void *pages, size_t bytes);

#endif
