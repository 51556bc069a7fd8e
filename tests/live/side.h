/* SPDX-License-Identifier: MIT
 *
 * For tests of copies in one process: a source and its copy, in memory of a fresh daemon.
 */
#ifndef LIVE_SIDE_H
#define LIVE_SIDE_H

#include "harness.h"
#include "stage.h"

enum { PAGES = 64 };
static const char *page_size = "4K";

static inline void
start(struct live *d, const char *memory)
{
	live_start(
	    d, memory, "--page-size", page_size, "--param", "swap_file_bytes=33554432", NULL);
}

/* Memory of one client of a test in one process. */
struct side {
	struct live *d;
	struct pager *p;
	size_t page;
	unsigned char *source, *copy;
};

static inline unsigned char *
page_of(const struct side *s, unsigned char *base, unsigned i)
{
	return base + i * s->page;
}

static inline void
fill(const struct side *s, unsigned char *base, unsigned i, unsigned value)
{
	memset(page_of(s, base, i), (int)value, s->page);
}

static inline void
expect(const struct side *s, const unsigned char *base, unsigned i, unsigned value)
{
	const unsigned char *at = base + i * s->page;

	for (size_t n = 0; n < s->page; n++)
		REQUIRE(at[n] == (unsigned char)value, "page %u has %u at %zu, not %u", i, at[n], n,
		    value);
}

static inline struct side
side_make(struct live *d)
{
	struct side s = { .d = d, .p = client_connect(d), .page = d->page_bytes };

	s.source = client_allocate(s.p, PAGES * s.page);
	s.copy = client_allocate(s.p, PAGES * s.page);
	return s;
}

static inline void
copy(struct side *s)
{
	OK(pager_copy(s->p, s->source, PAGES * s->page, s->copy));
}

static inline unsigned
query(struct side *s, const unsigned char *base, unsigned i)
{
	unsigned disposition;

	OK(pager_page_query(s->p, base + i * s->page, &disposition));
	return disposition;
}

/* Runs the body in a client of a fresh daemon. */
static inline void
run_client(const char *memory, client_body *body)
{
	struct live d;

	start(&d, memory);
	client_join(&d, client_start(&d, body, NULL), false);
	live_check(&d);
	EQ(live_stat(&d, "pages_lost"), 0);
	WAIT_UNTIL(&d, live_stat(&d, "copy_links") == 0);
	live_stop(&d);
}

#endif
