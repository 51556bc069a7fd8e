/* SPDX-License-Identifier: MIT
 *
 * Backings. Runs on: control loop and jobs (create); any thread (destroy).
 */
#include "vm/vm_backing.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/closer.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008u /* Linux 6.3; the headers are older */
#endif

int
vm_backing_create(struct vm_backing *b, uint64_t bytes)
{
	int fd = memfd_create("pagerd-object", MFD_CLOEXEC | MFD_ALLOW_SEALING | MFD_NOEXEC_SEAL);
	int error;

	CHECK(bytes > 0);
	if (fd < 0)
		return -errno;
	/* A memfd is born open to all: whoever had a description that can only be read could open
	 * it again for writing. */
	if (fchmod(fd, 0600) < 0 || ftruncate(fd, (off_t)bytes) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
		error = -errno;
		close(fd);
		return error;
	}
	b->memfd = fd;
	return 0;
}

void
vm_backing_adopt(struct vm_backing *b, int fd, uid_t uid)
{
	CHECK(fd >= 0);
	*b = (struct vm_backing){ .memfd = fd, .is_foreign = true, .uid = uid };
}

void
vm_backing_destroy(struct daemon *d, struct vm_backing *b)
{
	CHECK(b->memfd >= 0);
	if (b->is_foreign)
		closer_close(d, b->memfd, 0, b->uid);
	else
		close(b->memfd);
	b->memfd = -1;
}
