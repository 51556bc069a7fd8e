/* SPDX-License-Identifier: MIT
 *
 * The userfaultfd of a connection, and the memory by which the daemon sees that it watches this
 * process. Runs on: the thread that connects; a forked child's one thread.
 */
#include "pager_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "pager/uffd_compat.h"

int
pager_watch(struct pager *p, int dev_fd, uint64_t features)
{
	struct uffdio_api api = { .api = UFFD_API, .features = features };
	int r = chan_fd_above_standard(ioctl(dev_fd, USERFAULTFD_IOC_NEW, O_CLOEXEC | O_NONBLOCK));

	if (r < 0)
		return r == -ENOTTY ? -EPROTO : r;
	p->uffd = r;
	r = fd_note(p->uffd, &p->uffd_note);
	if (r < 0)
		return r;
	return ioctl(p->uffd, UFFDIO_API, &api) < 0 ? -errno : 0;
}

static size_t
probe_bytes(void)
{
	return PAGER_PROBE_PAGES * (size_t)sysconf(_SC_PAGESIZE);
}

int
probe_open(const struct pager *p, struct pager_req_attach *ret)
{
	size_t bytes = probe_bytes();
	void *probe = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct uffdio_register reg = { .range = { (uintptr_t)probe, bytes },
		.mode = UFFDIO_REGISTER_MODE_MISSING };
	int r = 0;

	if (probe == MAP_FAILED)
		return -ENOMEM;
	madvise(probe, bytes, MADV_DONTFORK);
	*ret = (struct pager_req_attach){ .probe_address = (uintptr_t)probe, .probe_size = bytes };
	if (ioctl(p->uffd, UFFDIO_REGISTER, &reg) < 0) {
		r = -errno;
		probe_close(ret->probe_address);
	}
	return r;
}

void
probe_close(uint64_t address)
{
	munmap((void *)(uintptr_t)address, probe_bytes());
}
