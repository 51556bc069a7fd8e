/* SPDX-License-Identifier: MIT */
#include "raw.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "pager/uffd_compat.h"

void
raw_hello(struct live *d, struct raw *r)
{
	struct pager_rep_hello hello;

	r->uffd = r->agent = -1;
	chan_init(&r->chan);
	OK(chan_open(&r->chan, d->socket));
	OK(chan_hello(&r->chan, PAGER_ROLE_CLIENT, "raw", &hello, &r->device));
	r->page_bytes = hello.page_size;
	r->uffd = ioctl(r->device, USERFAULTFD_IOC_NEW, O_CLOEXEC | O_NONBLOCK);
	REQUIRE(r->uffd >= 0, "%s", strerror(errno));
}

void
raw_connect(struct live *d, struct raw *r)
{
	struct pager_req_attach request = { 0 };
	struct pager_rep_attach reply;
	struct chan_call call = { CHAN_CALL(ATTACH, &request, &reply), .fds_out_count = 2 };
	int pair[2], fds[2];

	raw_hello(d, r);
	REQUIRE(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) == 0);
	fds[0] = r->uffd;
	fds[1] = pair[1];
	call.fds_out = fds;
	OK(chan_exchange(&r->chan, &call));
	close(pair[1]);
	r->agent = pair[0];
}

int
raw_allocate(struct raw *r, uint64_t address, uint64_t bytes, int *ret_memfd, uint64_t *ret_offset)
{
	struct pager_req_allocate request = { .address = address, .size = bytes };
	struct pager_rep_allocate reply;
	struct chan_call call = { CHAN_CALL(ALLOCATE, &request, &reply), .ret_fd = ret_memfd };
	int error = chan_exchange(&r->chan, &call);

	if (!error)
		*ret_offset = reply.object_offset;
	return error;
}

void *
raw_reserve(size_t bytes)
{
	size_t align = 2u << 20;
	void *memory = mmap(NULL, bytes + align, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	REQUIRE(memory != MAP_FAILED, "%s", strerror(errno));
	return (void *)(((uintptr_t)memory + align - 1) & ~(uintptr_t)(align - 1));
}

int
raw_register(struct raw *r, void *at, size_t bytes)
{
	struct uffdio_register reg = {
		.range = { .start = (uintptr_t)at, .len = bytes },
		.mode = UFFDIO_REGISTER_MODE_MISSING | UFFDIO_REGISTER_MODE_MINOR | UFFDIO_REGISTER_MODE_WP,
	};

	return ioctl(r->uffd, UFFDIO_REGISTER, &reg) < 0 ? -errno : 0;
}

void
raw_map(struct raw *r, void *at, size_t bytes, int memfd, uint64_t offset)
{
	REQUIRE(mmap(at, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, memfd, (off_t)offset) == at, "%s",
	    strerror(errno));
	OK(raw_register(r, at, bytes));
}

void
raw_close(struct raw *r)
{
	chan_close(&r->chan);
	if (r->uffd >= 0)
		close(r->uffd);
	if (r->agent >= 0)
		close(r->agent);
	close(r->device);
}
