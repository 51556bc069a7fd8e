/* SPDX-License-Identifier: MIT
 *
 * pagerctl clients: the sessions, and the memory that each is billed for.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "clients.h"

static void
print_table(const struct ctl *ctl, const struct pager_wire_client *clients, size_t count)
{
	printf("%8s %8s %6s %7s %8s %9s %8s %9s %10s %8s %10s %8s  %s\n", "SESSION", "PID", "UID",
	    "REGIONS", "VIRTUAL", "FOOTPRINT", "PEAK", "RESIDENT", "COMPRESSED", "WIRED", "FAULTS",
	    "LIMIT", "NAME");
	for (size_t i = 0; i < count; i++) {
		const struct pager_wire_client *c = &clients[i];
		char n[7][OUT_NUMBER], name[sizeof(c->name) + 1], session[24];

		snprintf(session, sizeof(session), "s%" PRIu64, c->session_id);
		printf("%8s %8" PRIu32 " %6" PRIu32 " %7" PRIu64
		       " %8s %9s %8s %9s %10s %8s %10" PRIu64 " %8s  %s\n",
		    session, c->pid, c->uid, c->regions, out_bytes(ctl, c->virtual_bytes, n[0]),
		    out_bytes(ctl, c->ledger[PAGER_LEDGER_PHYS_FOOTPRINT], n[1]),
		    out_bytes(ctl, c->phys_footprint_peak, n[2]),
		    out_bytes(ctl, c->ledger[PAGER_LEDGER_PHYS_MEM], n[3]),
		    out_bytes(ctl, c->ledger[PAGER_LEDGER_INTERNAL_COMPRESSED], n[4]),
		    out_bytes(ctl, c->ledger[PAGER_LEDGER_WIRED_MEM], n[5]),
		    c->ledger[PAGER_LEDGER_FAULTS],
		    c->limit_bytes ? out_bytes(ctl, c->limit_bytes, n[6]) : "-",
		    out_text(name, sizeof(name), c->name, sizeof(c->name)));
	}
}

int
cmd_clients(struct ctl *ctl, int argc, char **argv)
{
	struct pager_wire_client *clients;
	struct json_object *array;
	size_t count;
	int r;

	(void)argc;
	(void)argv;
	r = clients_fetch(ctl, &clients, &count);
	if (r != CTL_OK)
		return ctl_fail(ctl, r, "cannot list the clients");
	if (ctl->json) {
		array = json_object_new_array();
		for (size_t i = 0; i < count; i++)
			json_object_array_add(array, clients_json(&clients[i]));
		out_json(ctl, array);
	} else {
		print_table(ctl, clients, count);
	}
	free(clients);
	return CTL_OK;
}
