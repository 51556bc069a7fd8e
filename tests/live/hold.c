/* SPDX-License-Identifier: MIT */
#include "hold.h"

#include <fcntl.h>
#include <liburing.h>
#include <poll.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "pager/uffd_compat.h"

static void *
write_for_ever(void *argument)
{
	struct held_write *w = argument;

	struct io_uring_cqe *done;
	struct io_uring_sqe *write;
	struct io_uring ring;

	if (w->how == HOLD_WRITE) {
		(void)!pwrite(w->memfd, w->page, w->bytes, (off_t)w->offset);
		return NULL;
	}
	REQUIRE(io_uring_queue_init(4, &ring, 0) == 0);
	write = io_uring_get_sqe(&ring);
	io_uring_prep_write(write, w->memfd, w->page, (unsigned)w->bytes, w->offset);
	io_uring_sqe_set_flags(write, IOSQE_ASYNC);
	REQUIRE(io_uring_submit(&ring) == 1);
	io_uring_wait_cqe(&ring, &done);
	return NULL;
}

void
hold(struct held_write *w, int device, int memfd, uint64_t offset, size_t page_bytes)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg;
	struct pollfd fault;
	pthread_t thread;

	*w = (struct held_write){
		.memfd = memfd, .bytes = page_bytes, .offset = offset, .how = w->how
	};
	w->uffd = ioctl(device, USERFAULTFD_IOC_NEW, O_CLOEXEC | O_NONBLOCK);
	w->page =
	    mmap(NULL, page_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	REQUIRE(w->uffd >= 0 && w->page != MAP_FAILED && ioctl(w->uffd, UFFDIO_API, &api) == 0,
	    "%s", strerror(errno));
	reg = (struct uffdio_register){ .range = { (uintptr_t)w->page, page_bytes },
		.mode = UFFDIO_REGISTER_MODE_MISSING };
	REQUIRE(ioctl(w->uffd, UFFDIO_REGISTER, &reg) == 0, "%s", strerror(errno));
	REQUIRE(pthread_create(&thread, NULL, write_for_ever, w) == 0);
	/* Some end while it is held, and where it comes back nobody waits for it. */
	pthread_detach(thread);
	fault = (struct pollfd){ .fd = w->uffd, .events = POLLIN };
	while (poll(&fault, 1, -1) < 0)
		continue;
}

int
hold_open(const void *address)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	unsigned long low, high;
	char line[512], path[128];
	int fd = -1;

	REQUIRE(maps);
	while (fd < 0 && fgets(line, sizeof(line), maps))
		if (sscanf(line, "%lx-%lx ", &low, &high) == 2 && (uintptr_t)address >= low &&
		    (uintptr_t)address < high) {
			snprintf(path, sizeof(path), "/proc/self/map_files/%lx-%lx", low, high);
			fd = open(path, O_RDWR | O_CLOEXEC);
		}
	fclose(maps);
	return fd;
}

void
require_killed(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		continue;
	REQUIRE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL,
	    "the client that held the lock ended with status %#x", status);
}
