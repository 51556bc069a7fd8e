/* SPDX-License-Identifier: MIT
 *
 * The list of clients and one client's ledger, for the commands that show them.
 */
#ifndef CLIENTS_H
#define CLIENTS_H

#include "out.h"

/* Fetches all sessions, in the daemon's order. The caller frees *ret. => as ctl_ask. */
int clients_fetch(struct ctl *ctl, struct pager_wire_client **ret, size_t *ret_count);
struct json_object *clients_json(const struct pager_wire_client *client);

#endif
