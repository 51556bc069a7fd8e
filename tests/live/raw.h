/* SPDX-License-Identifier: MIT
 *
 * A client that speaks the protocol itself, and can do things that libpager never does.
 */
#ifndef LIVE_RAW_H
#define LIVE_RAW_H

#include "descriptors.h"
#include "harness.h"

struct raw {
	struct chan chan;
	uint64_t page_bytes;
	uint64_t uffd_features;  /* that the daemon wants */
	int device, uffd, agent; /* agent: our end */
	bool proven; /* the daemon has verified that the userfaultfd is this process's */
};

/* Hello as a client; the userfaultfd is made. */
void raw_hello(struct live *d, struct raw *r);
/* Another userfaultfd. */
int raw_uffd(struct raw *r, uint64_t features);
/* A range for ATTACH, watched by that one. */
void *raw_probe(int uffd);
/* => 0 or -errno */
int raw_attach(struct raw *r, int uffd, void *probe);
/* The same, and attached. */
void raw_connect(struct live *d, struct raw *r);
/* ALLOCATE at a reserved address, without mapping it. => 0 or -errno */
int raw_allocate(
    struct raw *r, uint64_t address, uint64_t bytes, int *ret_memfd, uint64_t *ret_offset);
void *raw_reserve(size_t bytes);
/* ALLOCATE and mapped, at an address of its own. */
void *raw_memory(struct raw *r, size_t bytes, int *ret_memfd, uint64_t *ret_offset);
/* Mapped there and registered for everything. */
void raw_map(struct raw *r, void *at, size_t bytes, int memfd, uint64_t offset);
int raw_register(struct raw *r, void *at, size_t bytes);
void raw_close(struct raw *r);

/* A connection on which nothing has been sent. */
int raw_socket(const char *path);
/* A request's header and body. => its bytes */
size_t raw_message(void *to, uint16_t type, const void *body, size_t body_bytes);
/* One message with descriptors, which stay open here. => whether it could be sent */
static inline bool
raw_send(int fd, const void *bytes, size_t size, const int *fds, unsigned count)
{
	return descriptors_send(fd, bytes, size, fds, count, 0);
}
/* Waits until the daemon has hung up. */
void raw_wait_hangup(int fd);

#endif
