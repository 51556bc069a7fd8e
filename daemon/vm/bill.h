/* SPDX-License-Identifier: MIT
 *
 * A bill: where a client's memory is charged. Its pages are posted to its own ledger and count
 * against the limit of its process; bounded resources that it takes count against the share of its
 * user.
 */
#ifndef BILL_H
#define BILL_H

#include "core/ledger.h"
#include "core/ledger_limit.h"
#include "core/shares.h"
#include "vm/group.h"
#include "vm/process.h"

struct bill {
	struct ledger ledger;
	struct ledger_limit limits[PAGER_LEDGER_COUNT]; /* on its entries */
	atomic_bool has_limits;  /* (A) some were set: they are looked at; written by the control
				    loop */
	struct process *process; /* (C) with a reference: its limit */
	struct share_account *account;        /* (C) the user's, with a reference */
	_Atomic(struct client_group *) group; /* (Q) to write, (A) to read, and set only once, with
						 a reference: what was started with it; NULL: it is
						 in none */
};

/* The client belongs to the group from now on, with all that it has; takes the reference over.
 * Under PAGEQ. => false: it is in one, and nothing is taken over */
bool bill_group_set(struct bill *bill, struct client_group *group);

/* That many pages move between classes (ledger_post); those in frames count against the process's
 * limit. => PAGEQ held */
void bill_post(struct bill *bill, enum ledger_class from, enum ledger_class to, uint64_t pages);
/* Memory of the daemon's tables is about to be taken for the client. => 0, or what share_take says
 */
int bill_tables_take(struct daemon *d, struct bill *bill, uint64_t bytes) MUST_USE;
/* The same, be it over the user's share. */
void bill_tables_take_over(struct daemon *d, struct bill *bill, uint64_t bytes);
/* And has been given back. */
void bill_tables_give(struct daemon *d, struct bill *bill, uint64_t bytes);
/* Another client pays for it from now on, be it over its share. */
void bill_tables_move(struct bill *from, struct bill *to, uint64_t bytes);

#endif
