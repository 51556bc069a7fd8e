/* SPDX-License-Identifier: MIT
 *
 * The questions that come first in every call: is the connection usable, and are its descriptors
 * still open here? And is this the process that has it? Runs on: the caller's threads and the
 * keeper.
 */
#include "pager_priv.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

static unsigned char *mark; /* a page of its own, which the kernel clears in a child */

int
process_mark(void)
{
	size_t bytes = (size_t)sysconf(_SC_PAGESIZE);
	void *page;

	if (!mark) {
		page =
		    mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (page == MAP_FAILED || madvise(page, bytes, MADV_WIPEONFORK) < 0)
			return -ENOMEM;
		mark = page;
	}
	*mark = 1;
	return 0;
}

bool
process_is_copy(void)
{
	return mark && *(volatile unsigned char *)mark == 0;
}

int
pager_check(const struct pager *p)
{
	if (!p || p->magic != PAGER_MAGIC)
		return -EINVAL;
	if (atomic_load_explicit(&p->forked, memory_order_relaxed) || process_is_copy())
		return -ENOTCONN;
	/* A forked child: its first call. */
	return atomic_load_explicit(&p->light, memory_order_acquire)
		   ? p->settle((struct pager *)(uintptr_t)p)
		   : 0;
}

int
pager_check_descriptors(struct pager *p)
{
	return fd_is_noted(p->chan.fd, &p->chan.note) && fd_is_noted(p->uffd, &p->uffd_note)
		   ? 0
		   : -EBADF;
}
