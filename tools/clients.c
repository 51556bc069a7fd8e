/* SPDX-License-Identifier: MIT */
#include "clients.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CLIENTS_MAX (1u << 20) /* a longer list is taken for one without end */

/* Fetches one piece of the list. => as ctl_ask; -EPROTO: the count does not fit the reply. */
static int
fetch_piece(struct ctl *ctl, uint64_t cursor, struct pager_rep_clients *reply)
{
	struct pager_req_clients request = { .cursor = cursor };
	struct chan_call call = { CHAN_CALL(CLIENTS, &request, reply) };
	int r;

	call.reply_bytes_min = offsetof(struct pager_rep_clients, clients);
	r = ctl_ask(ctl, &call);
	if (r != CTL_OK)
		return r;
	if (reply->count > PAGER_CLIENTS_PER_REPLY ||
	    call.reply_bytes < call.reply_bytes_min + reply->count * sizeof(reply->clients[0]))
		return -EPROTO;
	return 0;
}

int
clients_fetch(struct ctl *ctl, struct pager_wire_client **ret, size_t *ret_count)
{
	struct pager_rep_clients *reply = malloc(sizeof(*reply));
	struct pager_wire_client *all = NULL, *more;
	size_t count = 0;
	uint64_t cursor = 0;
	int r = reply ? 0 : -ENOMEM;

	while (r == 0) {
		r = fetch_piece(ctl, cursor, reply);
		if (r != CTL_OK)
			break;
		more = realloc(all, (count + reply->count + 1) * sizeof(*all));
		if (!more) {
			r = -ENOMEM;
			break;
		}
		all = more;
		memcpy(all + count, reply->clients, reply->count * sizeof(*all));
		count += reply->count;
		if (reply->next_cursor == 0)
			break;
		if (reply->next_cursor == cursor || count > CLIENTS_MAX)
			r = -EPROTO;
		cursor = reply->next_cursor;
	}
	free(reply);
	if (r != CTL_OK) {
		free(all);
		return r;
	}
	*ret = all;
	*ret_count = count;
	return 0;
}

int
clients_map(struct ctl *ctl, struct ctl_client client, uint32_t flags,
    void (*each)(void *context, const struct pager_wire_region *region), void *context)
{
	struct pager_req_map request = {
		.pid = client.pid, .session = client.session, .flags = flags
	};
	struct pager_rep_map *reply = malloc(sizeof(*reply));
	int r = reply ? 0 : -ENOMEM;

	while (r == 0) {
		struct chan_call call = { CHAN_CALL(MAP, &request, reply) };

		call.reply_bytes_min = offsetof(struct pager_rep_map, regions);
		r = ctl_ask(ctl, &call);
		if (r != CTL_OK)
			break;
		if (reply->count > PAGER_REGIONS_PER_REPLY ||
		    call.reply_bytes <
			call.reply_bytes_min + reply->count * sizeof(reply->regions[0]))
			r = -EPROTO;
		for (uint32_t i = 0; r == 0 && i < reply->count; i++)
			each(context, &reply->regions[i]);
		if (reply->next_cursor == 0)
			break;
		if (reply->next_cursor <= request.cursor)
			r = -EPROTO; /* it would never end */
		request.cursor = reply->next_cursor;
	}
	free(reply);
	return r;
}

int
groups_each(struct ctl *ctl,
    void (*each)(void *context, const struct pager_wire_group_member *member), void *context)
{
	struct pager_rep_groups *reply = malloc(sizeof(*reply));
	struct pager_req_groups request = { 0 };
	struct chan_call call = { CHAN_CALL(GROUPS, &request, reply) };
	int r = reply ? 0 : -ENOMEM;

	call.reply_bytes_min = offsetof(struct pager_rep_groups, members);
	do {
		r = r ? r : ctl_ask(ctl, &call);
		for (uint32_t i = 0;
		     r == 0 && i < reply->count && i < PAGER_GROUP_MEMBERS_PER_REPLY; i++)
			each(context, &reply->members[i]);
		if (r == 0 && reply->next_cursor != 0 && reply->next_cursor <= request.cursor)
			r = -EPROTO; /* it would never end */
		request.cursor = r == 0 ? reply->next_cursor : 0;
	} while (request.cursor != 0);
	free(reply);
	return r;
}

struct json_object *
clients_json(const struct pager_wire_client *client)
{
	static const char *const ledger_names[] = {
#define LEDGER(NAME, name, unit, kind, classes, text) #name,
#include "tbl/ledger.h"
	};
	struct json_object *object = json_object_new_object();
	char name[sizeof(client->name) + 1];

	out_add_u64(object, "session_id", client->session_id);
	out_add_u64(object, "pid", client->pid);
	out_add_u64(object, "uid", client->uid);
	out_add_text(
	    object, "name", out_text(name, sizeof(name), client->name, sizeof(client->name)));
	out_add_u64(object, "regions", client->regions);
	out_add_u64(object, "virtual_size", client->virtual_bytes);
	out_add_u64(object, "limit", client->limit_bytes);
	out_add_u64(object, "phys_footprint_peak", client->phys_footprint_peak);
	for (size_t i = 0; i < PAGER_LEDGER_COUNT; i++)
		out_add_u64(object, ledger_names[i], client->ledger[i]);
	return object;
}
