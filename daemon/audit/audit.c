/* SPDX-License-Identifier: MIT
 *
 * The audit as a whole. Runs on: jobs; of a worker that takes over: the main thread, before there
 * are others.
 */
#include "audit/audit.h"

#include "audit/audit_priv.h"

static void
books_walk(struct daemon *d, struct report *r)
{
	locks_assert_none();
	check_frames(d, r);
	check_ledgers(d, r);
	check_objects(d, r);
	check_copies(d, r);
	check_tables(d, r);
	check_storage(d, r);
	check_own(d, r);
}

void
check_books(struct daemon *d, struct report *r)
{
	locks_assert_none();
	books_walk(d, r);
	report_end(r);
}

void
check_all(struct daemon *d, struct report *r)
{
	locks_assert_none();
	books_walk(d, r);
	check_clients(d, r);
	report_end(r);
}
