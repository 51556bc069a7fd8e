/* SPDX-License-Identifier: MIT
 *
 * A client that speaks the protocol itself, and so can do what libpager never would.
 */
#ifndef LIVE_RAW_H
#define LIVE_RAW_H

#include "harness.h"

struct raw {
	struct chan chan;
	uint64_t page_bytes;
	int device, uffd, agent; /* agent: our end */
};

/* Hello as a client. */
void raw_hello(struct live *d, struct raw *r);
/* And attached. */
void raw_connect(struct live *d, struct raw *r);
/* ALLOCATE at a reserved address, without mapping it. => 0 or -errno */
int raw_allocate(struct raw *r, uint64_t address, uint64_t bytes, int *ret_memfd, uint64_t *ret_offset);
void *raw_reserve(size_t bytes);
/* Mapped there and registered for everything. */
void raw_map(struct raw *r, void *at, size_t bytes, int memfd, uint64_t offset);
int raw_register(struct raw *r, void *at, size_t bytes);
void raw_close(struct raw *r);

#endif
