/* SPDX-License-Identifier: MIT
 *
 * A connection that has been let go of (release.c), and what calls on it do: ordinary.c.
 */
#ifndef ORDINARY_H
#define ORDINARY_H

#include "region_priv.h"

/* Whether the connection is gone because of that, and all memory is ordinary. */
bool release_is_done(const struct pager *p);
/* As pager_check, for calls that are of use afterwards, in forked children, too. */
int release_check(const struct pager *p);
/* Waits while its memory is being taken. */
void release_wait(struct pager *p);

/* => as the calls of these names, for ordinary memory */
int ordinary_allocate(struct pager *p, const struct region_wish *wish, void **ret_addr);
int ordinary_deallocate(struct pager *p, void *addr, size_t size);
int ordinary_protect(struct pager *p, void *addr, size_t size, int protection);

#endif
