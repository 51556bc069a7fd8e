/* SPDX-License-Identifier: MIT
 *
 * Shared by the tests of single pages.
 */
#ifndef LIVE_PAGE_H
#define LIVE_PAGE_H

#include "harness.h"

/* A client's process that is the test, under a daemon with this parameter. */
struct page_test {
	const char *name;
	client_body *body;
	const char *param;
};

/* Runs the test that argv[1] names with the page size of argv[2] ("4K" if there is none). => the
 * program's exit status */
int page_run(int argc, char **argv, const struct page_test *tests, size_t count);
#define PAGE_RUN(argc, argv, tests) page_run(argc, argv, tests, sizeof(tests) / sizeof((tests)[0]))

static inline volatile unsigned char *
page_byte(void *base, uint64_t page, struct live *d)
{
	return (volatile unsigned char *)base + page * d->page_bytes;
}

/* How many of these pages this process has mapped. */
unsigned pages_mapped(struct live *d, const void *base, unsigned pages);

#endif
