/* SPDX-License-Identifier: MIT
 *
 * A client's view of a submap, and what it may see there.
 */
#ifndef LIVE_VIEW_H
#define LIVE_VIEW_H

#include <sys/mman.h>

#include "guard.h"
#include "harness.h"

#define RW (PROT_READ | PROT_WRITE)

struct view {
	struct live *live;
	struct pager *pager;
	unsigned char *base;
	int fd;
};

/* A client with a submap of that many pages, all of it mapped. Installs the guard's handlers. */
struct view view_make(struct live *d, uint64_t pages);
/* A client that maps pages of the submap whose name fd is, from page `first` on. */
struct view view_join(struct live *d, int fd, uint64_t first, uint64_t pages, int protection);
/* Closes the name and disconnects. */
void view_end(struct view *v);
unsigned char *view_page(const struct view *v, uint64_t page);
uint64_t view_bytes(const struct view *v, uint64_t pages);
void view_add(const struct view *v, uint64_t page, uint64_t pages, int protection);
/* => 0 or -errno */
int view_protect(const struct view *v, uint64_t page, uint64_t pages, int protection);
int view_remove(const struct view *v, uint64_t page, uint64_t pages);
/* What a load and then a store answer at each page: 0, or SIGSEGV. Content stays. */
void view_expect_touch(const struct view *v, uint64_t page, uint64_t pages, int load, int store);
/* Each page is of one byte, which is the value plus the page's number; -1: zeroes. */
void view_write(const struct view *v, uint64_t page, uint64_t pages, unsigned char value);
void view_expect(const struct view *v, uint64_t page, uint64_t pages, int value);
/* Runs one client under a daemon of share.h's options, and looks when it has gone that nothing is
 * left. */
void view_run(client_body *body);

#endif
