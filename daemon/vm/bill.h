/* SPDX-License-Identifier: MIT
 *
 * A bill: where a client's memory is charged. Its pages are posted to its own ledger and count
 * against the limit of its process; bounded resources that it takes count against the share of its
 * user.
 */
#ifndef BILL_H
#define BILL_H

#include "core/ledger.h"
#include "core/shares.h"
#include "vm/process.h"

struct bill {
	struct ledger ledger;
	struct process *process;       /* (C) with a reference: its limit */
	struct share_account *account; /* (C) the user's, with a reference */
};

/* That many pages move between classes (ledger_post); those in frames count against the process's
 * limit. => PAGEQ held */
void bill_post(struct bill *bill, enum ledger_class from, enum ledger_class to, uint64_t pages);
/* Memory of the daemon's tables is about to be taken for the client. => 0, or what share_take says
 */
int bill_tables_take(struct daemon *d, struct bill *bill, uint64_t bytes) MUST_USE;
/* And has been given back. */
void bill_tables_give(struct daemon *d, struct bill *bill, uint64_t bytes);
/* Another client pays for it from now on, be it over its share. */
void bill_tables_move(struct bill *from, struct bill *to, uint64_t bytes);

#endif
