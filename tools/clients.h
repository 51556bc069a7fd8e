/* SPDX-License-Identifier: MIT
 *
 * The list of clients, one client's ledger and its regions, for the commands that show them.
 */
#ifndef CLIENTS_H
#define CLIENTS_H

#include "out.h"

/* Fetches all sessions, in the daemon's order. The caller frees *ret. => as ctl_ask. */
int clients_fetch(struct ctl *ctl, struct pager_wire_client **ret, size_t *ret_count);
/* Calls `each` for the regions of a client, in the order of addresses, as they arrive. flags:
 * PAGER_WIRE_MAP_FLAGS. => as ctl_ask. */
int clients_map(struct ctl *ctl, struct ctl_client client, uint32_t flags,
    void (*each)(void *context, const struct pager_wire_region *region), void *context);
/* Calls `each` for the clients that are in groups. => as ctl_ask. */
int groups_each(struct ctl *ctl,
    void (*each)(void *context, const struct pager_wire_group_member *member), void *context);
struct json_object *clients_json(const struct pager_wire_client *client);

#endif
