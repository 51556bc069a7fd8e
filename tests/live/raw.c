/* SPDX-License-Identifier: MIT */
#include "raw.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>

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
	r->uffd_features = hello.uffd_features;
	r->uffd = raw_uffd(r, r->uffd_features);
}

int
raw_uffd(struct raw *r, uint64_t features)
{
	struct uffdio_api api = { .api = UFFD_API, .features = features };
	int fd = ioctl(r->device, USERFAULTFD_IOC_NEW, O_CLOEXEC | O_NONBLOCK);

	REQUIRE(fd >= 0 && ioctl(fd, UFFDIO_API, &api) == 0, "%s", strerror(errno));
	return fd;
}

void *
raw_probe(int uffd)
{
	size_t bytes = PAGER_PROBE_PAGES * (size_t)sysconf(_SC_PAGESIZE);
	void *probe = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct uffdio_register reg = { .range = { (uintptr_t)probe, bytes },
		.mode = UFFDIO_REGISTER_MODE_MISSING };

	REQUIRE(
	    probe != MAP_FAILED && ioctl(uffd, UFFDIO_REGISTER, &reg) == 0, "%s", strerror(errno));
	return probe;
}

int
raw_attach(struct raw *r, int uffd, void *probe)
{
	struct pager_req_attach request = { .probe_address = (uintptr_t)probe,
		.probe_size = PAGER_PROBE_PAGES * (size_t)sysconf(_SC_PAGESIZE) };
	struct pager_rep_attach reply;
	struct chan_call call = { CHAN_CALL(ATTACH, &request, &reply), .fds_out = &uffd,
		.fds_out_count = 1, .ret_fd = &r->agent };
	int error = chan_exchange(&r->chan, &call);

	if (!error)
		r->proven = reply.proven;
	return error;
}

void
raw_connect(struct live *d, struct raw *r)
{
	void *probe;

	raw_hello(d, r);
	probe = raw_probe(r->uffd);
	OK(raw_attach(r, r->uffd, probe));
	munmap(probe, PAGER_PROBE_PAGES * (size_t)sysconf(_SC_PAGESIZE));
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
	void *memory = mmap(
	    NULL, bytes + align, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	REQUIRE(memory != MAP_FAILED, "%s", strerror(errno));
	return (void *)(((uintptr_t)memory + align - 1) & ~(uintptr_t)(align - 1));
}

int
raw_register(struct raw *r, void *at, size_t bytes)
{
	struct uffdio_register reg = {
		.range = { .start = (uintptr_t)at, .len = bytes },
		.mode = UFFDIO_REGISTER_MODE_MISSING | UFFDIO_REGISTER_MODE_MINOR |
			UFFDIO_REGISTER_MODE_WP,
	};

	return ioctl(r->uffd, UFFDIO_REGISTER, &reg) < 0 ? -errno : 0;
}

void
raw_map(struct raw *r, void *at, size_t bytes, int memfd, uint64_t offset)
{
	REQUIRE(mmap(at, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, memfd,
		    (off_t)offset) == at,
	    "%s", strerror(errno));
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

void *
raw_memory(struct raw *r, size_t bytes, int *ret_memfd, uint64_t *ret_offset)
{
	void *memory = raw_reserve(bytes);

	OK(raw_allocate(r, (uintptr_t)memory, bytes, ret_memfd, ret_offset));
	raw_map(r, memory, bytes, *ret_memfd, *ret_offset);
	return memory;
}

int
raw_socket(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	REQUIRE(strlen(path) < sizeof(address.sun_path), "%s", path);
	strcpy(address.sun_path, path);
	REQUIRE(fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0, "%s",
	    strerror(errno));
	return fd;
}

size_t
raw_message(void *to, uint16_t type, const void *body, size_t body_bytes)
{
	struct pager_msg_header header = {
		.type = type, .length = (uint32_t)(sizeof(header) + body_bytes), .sequence = 1
	};

	memcpy(to, &header, sizeof(header));
	memcpy((char *)to + sizeof(header), body, body_bytes);
	return header.length;
}

void
raw_wait_hangup(int fd)
{
	struct pollfd p = { .fd = fd };

	while (poll(&p, 1, -1) < 0 || !(p.revents & POLLHUP))
		continue;
}
