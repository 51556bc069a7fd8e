/* SPDX-License-Identifier: MIT
 *
 * What PAGER_EVENT_LIMIT says.
 */
#include "pager/proto.h"

unsigned
pager_limit_percent(uint64_t value)
{
	return PAGER_AGENT_LIMIT_PERCENT(value);
}

const char *
pager_limit_entry(uint64_t value)
{
	static const char *const names[] = {
#define LEDGER(NAME, name, unit, kind, classes, text) #name,
#include "tbl/ledger.h"
	};
	uint64_t entry = PAGER_AGENT_LIMIT_ENTRY(value);

	/* 0: the limits on the process; an entry of a later daemon has no name here. */
	return entry > 0 && entry <= sizeof(names) / sizeof(names[0]) ? names[entry - 1] : NULL;
}
