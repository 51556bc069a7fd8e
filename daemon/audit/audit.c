/* SPDX-License-Identifier: MIT
 *
 * The audit as a whole. Runs on: jobs.
 */
#include "audit/audit.h"

#include "audit/audit_priv.h"

unsigned
check_all(struct daemon *d, char *text, size_t text_size, unsigned *ret_checks)
{
	struct report r = { .text = text, .size = text_size };

	locks_assert_none();
	CHECK(text_size > 2);
	text[0] = '\0';
	check_frames(d, &r);
	check_ledgers(d, &r);
	check_objects(d, &r);
	check_tables(d, &r);
	check_storage(d, &r);
	*ret_checks = r.checks;
	return r.failures;
}
