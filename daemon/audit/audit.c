/* SPDX-License-Identifier: MIT
 *
 * The audit as a whole. Runs on: jobs.
 */
#include "audit/audit.h"

#include "audit/audit_priv.h"

void
check_all(struct daemon *d, struct report *r)
{
	locks_assert_none();
	check_frames(d, r);
	check_ledgers(d, r);
	check_objects(d, r);
	check_tables(d, r);
	check_clients(d, r);
	check_storage(d, r);
	report_end(r);
}
