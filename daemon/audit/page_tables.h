/* SPDX-License-Identifier: MIT
 *
 * A client's page tables against the books.
 */
#ifndef AUDIT_PAGE_TABLES_H
#define AUDIT_PAGE_TABLES_H

#include "audit/client.h"

/* How the books exclude that a page is in the page tables as it is. */
enum page_wrong {
	PAGE_WITHOUT_FRAME,
	PAGE_CLEAN_WRITABLE,
	PAGE_LACKING_WRITABLE, /* a copy would lose what is there */
	PAGE_FORBIDDEN,        /* by the submap that it is of */
};

struct page_finding {
	const struct client_entry *entry;
	uint64_t address, index;
	enum page_wrong why;
};

/* More than this many findings of one client are not looked for. */
#define PAGE_FINDINGS_MAX 8u
/* Pages of one client that are looked at a second time. The rest of such pages is left out: a
 * client could make any number of them. */
#define PAGE_SUSPECTS_MAX 65536u

struct page_look {
	const struct client *client;
	struct page_finding findings[PAGE_FINDINGS_MAX];
	unsigned finding_count, suspects;
	uint64_t pages;    /* that are in the page tables, and were compared */
	uint64_t left_out; /* were in transit, or too many */
};

/* Compares pages at [start, end), which the client has mapped as the entry says. => 0; -EAGAIN: the
 * client is served in another lane by now; or -errno, as pagemap_scan. No lock held; watch_client
 * has been called */
int page_tables_look(
    struct page_look *look, const struct client_entry *e, uint64_t start, uint64_t end);

#endif
