/* SPDX-License-Identifier: MIT
 *
 * What `pagerctl run` and the library that it has preloaded agree on: a word of the environment,
 * and a page in which the programs count what is not managed of them. The page is a file in memory
 * that the launcher holds open, so that what was counted is there however the programs have ended.
 */
#ifndef PAGER_RUN_PAGE_H
#define PAGER_RUN_PAGE_H

#include <stdint.h>

/* ID:KEY:PID:COUNTS:NAME: the group's number and key, in hexadecimal; the command's process id, in
 * decimal; the path of the page, or nothing; and the name that the command has, or nothing. */
#define PAGER_RUN_ENV "PAGERD_RUN"

enum pager_run_reason {
#define RUN_REASON(NAME, name, kind, text) PAGER_RUN_##NAME,
#include "tbl/run_reason.h"
	PAGER_RUN_REASONS
};

#define PAGER_RUN_MAGIC 0x70616772756e3031ull
/* Any process of the run adds to it, with atomic additions, and may write nonsense. */
struct pager_run_page {
	uint64_t magic;
	struct {
		uint64_t times, bytes;
	} counts[PAGER_RUN_REASONS];
};
#define PAGER_RUN_PAGE_BYTES 4096u
_Static_assert(sizeof(struct pager_run_page) <= PAGER_RUN_PAGE_BYTES, "it is one page");

#endif
