/* SPDX-License-Identifier: MIT
 *
 * The questions that come first in every call: is the connection usable, and are its descriptors
 * still open here? Runs on: the caller's threads and the keeper.
 */
#include "pager_priv.h"

#include <errno.h>

int
pager_check(const struct pager *p)
{
	if (!p || p->magic != PAGER_MAGIC)
		return -EINVAL;
	return atomic_load_explicit(&p->forked, memory_order_relaxed) ? -ENOTCONN : 0;
}

int
pager_check_descriptors(struct pager *p)
{
	return fd_is_noted(p->chan.fd, &p->chan.note) && fd_is_noted(p->uffd, &p->uffd_note)
		   ? 0
		   : -EBADF;
}
