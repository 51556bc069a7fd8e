/* SPDX-License-Identifier: MIT
 *
 * pagerctl wired: what is wired and why, by client; and what the daemon takes for itself, by kind
 * and for each client, thread, mapping, region, page and library. Everything is measured by the
 * daemon when it is asked.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "out.h"

static const struct own_row {
	const char *name, *text;
	unsigned unit;
} own_rows[] = {
#define OWN(NAME, name, unit, text) { #name, text, PAGER_OWN_UNIT_##unit },
#include "tbl/own_memory.h"
};
static const struct unit_row {
	const char *name, *text;
} unit_rows[] = {
#define OWN_UNIT(NAME, name, text) { #name, text },
#include "tbl/own_unit.h"
};

/* Wired pages that a client pays for and has not wired: others have, of memory that they share. */
static uint64_t
wired_by_others(const struct pager_wire_wired *c)
{
	return c->wired > c->promised ? c->wired - c->promised : 0;
}

/* --- clients --- */

static void
client_print(const struct ctl *ctl, const struct pager_wire_wired *c)
{
	char n[7][OUT_NUMBER], name[sizeof(c->name) + 1], session[24];

	snprintf(session, sizeof(session), "s%" PRIu64, c->session_id);
	printf("%8s %7" PRIu32 " %6" PRIu32 " %8s %8s %7" PRIu32 " %8s %5" PRIu32 " %8s %4" PRIu32
	       " %8s %5" PRIu32 " %8s %8s  %s\n",
	    session, c->pid, c->uid, out_bytes(ctl, c->wired, n[0]),
	    out_bytes(ctl, c->promised, n[1]), c->regions, out_bytes(ctl, c->called, n[2]),
	    c->calls, out_bytes(ctl, c->pinned, n[3]), c->pins, out_bytes(ctl, c->listed, n[4]),
	    c->lists, out_bytes(ctl, c->device, n[5]), out_bytes(ctl, wired_by_others(c), n[6]),
	    out_text(name, sizeof(name), c->name, sizeof(c->name)));
}

static struct json_object *
client_json(const struct pager_wire_wired *c)
{
	struct json_object *object = json_object_new_object();
	char name[sizeof(c->name) + 1];

#define FIELD(field) out_add_u64(object, #field, c->field)
	FIELD(session_id), FIELD(pid), FIELD(uid);
	out_add_text(object, "name", out_text(name, sizeof(name), c->name, sizeof(c->name)));
	FIELD(wired), FIELD(promised), FIELD(regions), FIELD(called), FIELD(calls), FIELD(pinned);
	FIELD(pins), FIELD(listed), FIELD(lists), FIELD(device);
#undef FIELD
	out_add_u64(object, "by_others", wired_by_others(c));
	return object;
}

/* The sums that stand in each reply. */
static void
sums_print(const struct ctl *ctl, const struct pager_rep_wired *w)
{
	char n[5][OUT_NUMBER];

	printf("wired %s, in page lists %s, mapped of devices %s; promised to clients %s of %s\n",
	    out_bytes(ctl, w->wired, n[0]), out_bytes(ctl, w->listed, n[1]),
	    out_bytes(ctl, w->device, n[2]), out_bytes(ctl, w->promised, n[3]),
	    out_bytes(ctl, w->limit, n[4]));
	printf("%8s %7s %6s %8s %8s %7s %8s %5s %8s %4s %8s %5s %8s %8s  %s\n", "SESSION", "PID",
	    "UID", "WIRED", "PROMISED", "REGIONS", "BY CALL", "CALLS", "PINNED", "PINS", "LISTED",
	    "LISTS", "DEVICES", "OTHERS'", "NAME");
}

static void
sums_json(struct json_object *object, const struct pager_rep_wired *w)
{
	out_add_u64(object, "wired", w->wired);
	out_add_u64(object, "listed", w->listed);
	out_add_u64(object, "device", w->device);
	out_add_u64(object, "promised", w->promised);
	out_add_u64(object, "limit", w->limit);
}

/* json: what the report is to be put into; NULL: it is printed. => as ctl_ask */
static int
report_clients(struct ctl *ctl, struct json_object *json)
{
	struct json_object *array = json ? json_object_new_array() : NULL;
	struct pager_req_wired request = { 0 };
	struct pager_rep_wired reply;
	struct chan_call call = { CHAN_CALL(WIRED, &request, &reply) };
	int r;

	call.reply_bytes_min = offsetof(struct pager_rep_wired, clients);
	do {
		r = ctl_ask(ctl, &call);
		if (r == CTL_OK &&
		    (reply.count > PAGER_WIRED_PER_REPLY ||
			call.reply_bytes <
			    call.reply_bytes_min + reply.count * sizeof(reply.clients[0])))
			r = -EPROTO;
		if (r != CTL_OK)
			break;
		if (request.cursor == 0 && json)
			sums_json(json, &reply);
		else if (request.cursor == 0)
			sums_print(ctl, &reply);
		for (uint32_t i = 0; i < reply.count; i++) {
			if (json)
				json_object_array_add(array, client_json(&reply.clients[i]));
			else
				client_print(ctl, &reply.clients[i]);
		}
		request.cursor = reply.next_cursor;
	} while (request.cursor != 0);
	if (json)
		json_object_object_add(json, "clients", array);
	return r;
}

/* --- the daemon's own memory --- */

static uint64_t
unit_bytes(const struct pager_rep_tables *t, unsigned unit)
{
	uint64_t bytes = 0;

	for (unsigned i = 0; i < PAGER_OWN_COUNT; i++)
		bytes += own_rows[i].unit == unit ? t->own[i].bytes : 0;
	return bytes;
}

/* What is in no row: of the heap, and of the rest of the daemon's private memory. */
static uint64_t
rest(uint64_t all, uint64_t part)
{
	return all > part ? all - part : 0;
}

static uint64_t
other_heap(const struct pager_rep_tables *t)
{
	return rest(t->heap, t->heap_own);
}

static uint64_t
other_private(const struct pager_rep_tables *t)
{
	return rest(t->anonymous, t->anonymous_own + other_heap(t));
}

static void
tables_print(const struct ctl *ctl, const struct pager_rep_tables *t)
{
	char n[2][OUT_NUMBER];
	uint64_t sum = 0;

	printf(
	    "\n%-16s %10s %10s  %-12s %s\n", "OWN MEMORY", "PIECES", "BYTES", "FOR EACH", "WHAT");
	for (unsigned i = 0; i < PAGER_OWN_COUNT; i++) {
		sum += t->own[i].bytes;
		if (t->own[i].count > 0)
			printf("%-16s %10" PRIu64 " %10s  %-12s %s\n", own_rows[i].name,
			    t->own[i].count, out_bytes(ctl, t->own[i].bytes, n[0]),
			    unit_rows[own_rows[i].unit].name, own_rows[i].text);
	}
	printf("%-16s %10s %10s  %-12s %s\n", "other heap", "", out_bytes(ctl, other_heap(t), n[0]),
	    "", "of malloc, in no row above");
	printf("%-16s %10s %10s  %-12s %s\n", "other private", "",
	    out_bytes(ctl, other_private(t), n[0]), "",
	    "malloc's free memory, data of the program and of its libraries");
	printf("%-16s %10s %10s\n", "all", "",
	    out_bytes(ctl, sum + other_heap(t) + other_private(t), n[0]));
}

static void
costs_print(const struct pager_rep_tables *t)
{
	printf("\n%-12s %12s %14s  %s\n", "ONE", "OF", "BYTES EACH", "WHAT");
	for (unsigned unit = 1; unit < PAGER_OWN_UNIT_COUNT; unit++) {
		if (t->units[unit] == 0) {
			printf("%-12s %12d %14s  %s\n", unit_rows[unit].name, 0, "-",
			    unit_rows[unit].text);
			continue;
		}
		printf("%-12s %12" PRIu64 " %14.1f  %s\n", unit_rows[unit].name, t->units[unit],
		    (double)unit_bytes(t, unit) / (double)t->units[unit], unit_rows[unit].text);
	}
}

static void
tables_json(struct json_object *object, const struct pager_rep_tables *t)
{
	struct json_object *own = json_object_new_object(), *costs = json_object_new_object();

	for (unsigned i = 0; i < PAGER_OWN_COUNT; i++) {
		struct json_object *row = json_object_new_object();

		out_add_u64(row, "pieces", t->own[i].count);
		out_add_u64(row, "bytes", t->own[i].bytes);
		out_add_text(row, "for_each", unit_rows[own_rows[i].unit].name);
		json_object_object_add(own, own_rows[i].name, row);
	}
	for (unsigned unit = 0; unit < PAGER_OWN_UNIT_COUNT; unit++) {
		struct json_object *row = json_object_new_object();

		out_add_u64(row, "count", t->units[unit]);
		out_add_u64(row, "bytes", unit_bytes(t, unit));
		if (t->units[unit] > 0)
			json_object_object_add(row, "bytes_each",
			    json_object_new_double(
				(double)unit_bytes(t, unit) / (double)t->units[unit]));
		json_object_object_add(costs, unit_rows[unit].name, row);
	}
	json_object_object_add(object, "own", own);
	json_object_object_add(object, "costs", costs);
	out_add_u64(object, "other_heap", other_heap(t));
	out_add_u64(object, "other_private", other_private(t));
}

int
cmd_wired(struct ctl *ctl, int argc, char **argv)
{
	struct json_object *json = ctl->json ? json_object_new_object() : NULL;
	struct pager_req_tables request = { 0 };
	struct pager_rep_tables tables;
	struct chan_call call = { CHAN_CALL(TABLES, &request, &tables) };
	int r = report_clients(ctl, json);

	(void)argc;
	(void)argv;
	if (r == CTL_OK)
		r = ctl_ask(ctl, &call);
	if (r != CTL_OK) {
		json_object_put(json);
		return ctl_fail(ctl, r, "cannot list what is wired");
	}
	if (json) {
		tables_json(json, &tables);
		out_json(ctl, json);
	} else {
		tables_print(ctl, &tables);
		costs_print(&tables);
	}
	return CTL_OK;
}
