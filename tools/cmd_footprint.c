/* SPDX-License-Identifier: MIT
 *
 * pagerctl footprint CLIENT: one client's whole ledger.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "clients.h"
#include "footprint.h"

static const struct {
	const char *name, *unit, *text;
} entries[] = {
#define LEDGER(NAME, name, unit, kind, classes, text) { #name, unit, text },
#include "tbl/ledger.h"
};

/* What a client maps of memory that can be shared, whoever is billed for it. Bytes */
struct shared_sums {
	uint64_t resident, stored; /* in full, once for each place that maps it */
	/* Each page divided by the number of places where anybody maps it. */
	uint64_t proportional_resident, proportional_stored;
	uint64_t page_size;
};

static void
shared_add(void *context, const struct pager_wire_region *r)
{
	struct shared_sums *s = context;

	s->resident += r->pages_resident * s->page_size;
	s->stored += (r->pages_compressed + r->pages_swapped) * s->page_size;
	s->proportional_resident += r->proportional_resident;
	s->proportional_stored += r->proportional_stored;
}

static void
print_shared(const struct ctl *ctl, const struct shared_sums *s)
{
	const struct {
		const char *name, *text;
		uint64_t bytes;
	} rows[] = {
		{ "shared_resident",
		    "resident pages of shareable memory that it maps, billed or not", s->resident },
		{ "shared_stored", "likewise, compressed or swapped", s->stored },
		{ "shared_proportional_resident",
		    "resident, each page divided by the places that map it",
		    s->proportional_resident },
		{ "shared_proportional_stored", "likewise, compressed or swapped",
		    s->proportional_stored },
	};
	char number[OUT_NUMBER];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		printf("%-28s %8s  %s\n", rows[i].name, out_bytes(ctl, rows[i].bytes, number),
		    rows[i].text);
}

static void
print_ledger(const struct ctl *ctl, const struct pager_wire_client *c, uint32_t sessions)
{
	char number[OUT_NUMBER], name[sizeof(c->name) + 1];

	printf("%s [%" PRIu32 "], user %" PRIu32 ", session s%" PRIu64,
	    out_text(name, sizeof(name), c->name, sizeof(c->name)), c->pid, c->uid, c->session_id);
	if (sessions > 1)
		printf(" and %" PRIu32 " more, together", sessions - 1);
	putchar('\n');
	printf("%-22s %14s  %s\n", "virtual_size", out_bytes(ctl, c->virtual_bytes, number),
	    "address space allocated");
	printf("%-22s %14" PRIu64 "  %s\n", "regions", c->regions, "regions in its map");
	printf("%-22s %14s  %s\n", "limit",
	    c->limit_bytes ? out_bytes(ctl, c->limit_bytes, number) : "none",
	    "on internal: resident pages");
	printf("%-22s %14s  %s\n", "phys_footprint_peak",
	    out_bytes(ctl, c->phys_footprint_peak, number), "the most it has been");
	for (size_t i = 0; i < PAGER_LEDGER_COUNT; i++) {
		if (strcmp(entries[i].unit, "bytes") == 0)
			out_bytes(ctl, c->ledger[i], number);
		else if (strcmp(entries[i].unit, "ns") == 0)
			snprintf(number, sizeof(number), "%.3fms", (double)c->ledger[i] / 1e6);
		else
			snprintf(number, sizeof(number), "%" PRIu64, c->ledger[i]);
		printf("%-22s %14s  %s\n", entries[i].name, number, entries[i].text);
	}
}

int
cmd_footprint(struct ctl *ctl, int argc, char **argv)
{
	struct pager_req_footprint request = { 0 };
	struct pager_rep_footprint reply;
	struct chan_call call = { CHAN_CALL(FOOTPRINT, &request, &reply) };
	struct json_object *object;
	struct shared_sums shared = { 0 };
	struct ctl_client client;
	int r;

	(void)argc;
	r = out_take_client(ctl, argv[0], &client);
	if (r != CTL_OK)
		return r;
	if (ctl->explain + ctl->entries + (ctl->interval > 0) > 1)
		return ctl_usage(ctl, "--explain, --entries and --interval do not go together");
	if (ctl->explain)
		return footprint_explain(ctl, client, argv[0]);
	if (ctl->entries)
		return footprint_entries(ctl, client, argv[0]);
	if (ctl->interval > 0)
		return footprint_watch(ctl, client, argv[0]);
	request.pid = client.pid;
	request.session = client.session;
	r = ctl_ask(ctl, &call);
	shared.page_size = ctl->hello.page_size;
	if (r == CTL_OK)
		r = clients_map(ctl, client,
		    PAGER_REGION_EXTENDED | PAGER_REGION_RECURSIVE | PAGER_WIRE_MAP_SHAREABLE,
		    shared_add, &shared);
	if (r != CTL_OK)
		return out_no_client(ctl, r, argv[0]);
	if (ctl->json) {
		object = clients_json(&reply.client);
		out_add_u64(object, "sessions", reply.sessions);
		out_add_u64(object, "shared_resident", shared.resident);
		out_add_u64(object, "shared_stored", shared.stored);
		out_add_u64(object, "shared_proportional_resident", shared.proportional_resident);
		out_add_u64(object, "shared_proportional_stored", shared.proportional_stored);
		out_json(ctl, object);
	} else {
		print_ledger(ctl, &reply.client, reply.sessions);
		print_shared(ctl, &shared);
	}
	return CTL_OK;
}
