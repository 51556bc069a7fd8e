/* SPDX-License-Identifier: MIT
 *
 * pagerctl limit CLIENT [SIZE|none [KIND|ENTRY [PERCENT [SECONDS]]]]: limits of a client's process,
 * on its resident memory or on its footprint, all of them shown or one set; and limits on an entry
 * of a client's ledger.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bands.h"
#include "out.h"
#include "size.h"

static void
print_limit(const struct ctl *ctl, const char *client, uint64_t before, uint64_t now)
{
	char a[OUT_NUMBER], b[OUT_NUMBER];

	printf("limit of %s %s: %s (was %s)\n",
	    client[0] == 's' ? "the process of session" : "process", client,
	    now ? out_bytes(ctl, now, a) : "none", before ? out_bytes(ctl, before, b) : "none");
}

static const struct {
	const char *name;
	uint32_t which, is_fatal;
} kinds[] = {
	{ "footprint", PAGER_WIRE_LIMIT_ACTIVE, 0 },
	{ "footprint-fatal", PAGER_WIRE_LIMIT_ACTIVE, 1 },
	{ "inactive", PAGER_WIRE_LIMIT_INACTIVE, 0 },
	{ "inactive-fatal", PAGER_WIRE_LIMIT_INACTIVE, 1 },
	{ "resident-soft", PAGER_WIRE_LIMIT_RESIDENT_ACTIVE, 0 },
	{ "resident-fatal", PAGER_WIRE_LIMIT_RESIDENT_ACTIVE, 1 },
	{ "resident-inactive", PAGER_WIRE_LIMIT_RESIDENT_INACTIVE, 0 },
	{ "resident-inactive-fatal", PAGER_WIRE_LIMIT_RESIDENT_INACTIVE, 1 },
};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

/* A soft or fatal limit. client: as the user has named it. */
static int
limit_kind(struct ctl *ctl, const char *client_text, struct pager_req_limits *request,
    const char *size, const char *kind)
{
	struct pager_rep_limits reply;
	struct chan_call call = { CHAN_CALL(LIMITS, request, &reply) };
	struct json_object *object;
	int r = ctl_ask(ctl, &call);

	if (r == -ERANGE)
		return ctl_fail(ctl, r, "a client cannot run with %s", size);
	if (r != CTL_OK)
		return out_no_client(ctl, r, client_text);
	if (!ctl->json) {
		printf("%s ", kind);
		print_limit(ctl, client_text, reply.previous_bytes, request->bytes);
		return CTL_OK;
	}
	object = json_object_new_object();
	out_add_u64(object, request->session ? "session_id" : "pid",
	    request->session ? request->session : request->pid);
	out_add_text(object, "kind", kind);
	out_add_u64(object, "limit", request->bytes);
	out_add_u64(object, "previous_limit", reply.previous_bytes);
	json_object_object_add(
	    object, "previous_was_fatal", json_object_new_boolean(reply.was_fatal != 0));
	out_json(ctl, object);
	return CTL_OK;
}

/* --- all of them --- */

/* What the limit PAGER_WIRE_LIMIT_* is called. */
static const char *
kind_name(uint32_t which, uint32_t is_fatal)
{
	for (size_t i = 0; i < KINDS; i++)
		if (kinds[i].which == which && kinds[i].is_fatal == (is_fatal != 0))
			return kinds[i].name;
	return "?";
}

static void
print_row(const struct ctl *ctl, const char *kind, uint64_t limit, uint64_t has)
{
	char a[OUT_NUMBER], b[OUT_NUMBER];

	printf("  %-24s %9s %9s\n", kind, out_bytes(ctl, limit, a), out_bytes(ctl, has, b));
}

static void
print_limits(
    const struct ctl *ctl, const char *client_text, const struct pager_rep_process_limits *l)
{
	bool any = l->hard != 0;

	printf("%s %s, process %" PRIu32 ", band %" PRId32 " (%s)%s\n",
	    client_text[0] == 's' ? "session" : "process", client_text, l->pid, l->band,
	    band_text(l->band), l->is_there ? "" : ", without a session now");
	for (uint32_t i = 0; i < PAGER_WIRE_LIMITS; i++)
		any |= l->limits[i] != 0;
	if (!any) {
		printf("  it has no limit\n");
		return;
	}
	printf("  %-24s %9s %9s\n", "KIND", "LIMIT", "HAS");
	if (l->hard)
		print_row(ctl, "resident", l->hard, l->resident);
	for (uint32_t i = 0; i < PAGER_WIRE_LIMITS; i++)
		if (l->limits[i])
			print_row(ctl, kind_name(i, l->is_fatal[i]), l->limits[i],
			    i >= PAGER_WIRE_LIMIT_RESIDENT_ACTIVE ? l->resident : l->footprint);
}

static struct json_object *
limits_json(const struct pager_rep_process_limits *l)
{
	struct json_object *object = json_object_new_object(), *rows = json_object_new_object();

	out_add_u64(object, "pid", l->pid);
	out_add_i64(object, "band", l->band);
	out_add_u64(object, "footprint", l->footprint);
	out_add_u64(object, "resident", l->resident);
	json_object_object_add(object, "has_session", json_object_new_boolean(l->is_there != 0));
	if (l->hard)
		out_add_u64(rows, "resident", l->hard);
	for (uint32_t i = 0; i < PAGER_WIRE_LIMITS; i++)
		if (l->limits[i])
			out_add_u64(rows, kind_name(i, l->is_fatal[i]), l->limits[i]);
	json_object_object_add(object, "limits", rows);
	return object;
}

static int
show_limits(struct ctl *ctl, const char *client_text, struct ctl_client client)
{
	struct pager_req_process_limits request = { .pid = client.pid, .session = client.session };
	struct pager_rep_process_limits reply;
	struct chan_call call = { CHAN_CALL(PROCESS_LIMITS, &request, &reply) };
	int r = ctl_ask(ctl, &call);

	if (r != CTL_OK)
		return out_no_client(ctl, r, client_text);
	if (ctl->json)
		out_json(ctl, limits_json(&reply));
	else
		print_limits(ctl, client_text, &reply);
	return CTL_OK;
}

/* --- on an entry of the ledger --- */

static const struct {
	const char *name, *unit;
} entries[] = {
#define LEDGER(NAME, name, unit, kind, classes, text) { #name, unit },
#include "tbl/ledger.h"
};

/* => false, explained: they are no percentage, or no time */
static bool
take_conditions(
    struct ctl *ctl, const char *percent, const char *seconds, struct pager_req_ledger_limit *ret)
{
	uint64_t warn = 0;
	double refill = 0;
	char *end = NULL;

	if (percent && (size_parse(percent, &warn) < 0 || warn > 100)) {
		(void)ctl_usage(ctl, "\"%s\" is no percentage; say 80, or 0 for none", percent);
		return false;
	}
	if (seconds)
		refill = strtod(seconds, &end);
	if (seconds && (*end || end == seconds || !(refill >= 0.001) || refill > 4e6)) {
		(void)ctl_usage(ctl, "\"%s\" is no time in seconds; say 60, for example", seconds);
		return false;
	}
	ret->warn = (uint32_t)warn;
	ret->refill_ms = (uint32_t)(refill * 1000);
	return true;
}

static void
print_entry_limit(const struct ctl *ctl, const char *client, const char *unit,
    const struct pager_req_ledger_limit *in, uint64_t before)
{
	bool bytes = strcmp(unit, "bytes") == 0;
	char now[OUT_NUMBER], was[OUT_NUMBER];

	snprintf(now, sizeof(now), "%" PRIu64, in->limit);
	snprintf(was, sizeof(was), "%" PRIu64, before);
	if (bytes && in->limit)
		out_bytes(ctl, in->limit, now);
	if (bytes && before)
		out_bytes(ctl, before, was);
	printf("limit on %s of %s: %s", entries[in->entry].name, client, in->limit ? now : "none");
	if (in->warn)
		printf(", told at %" PRIu32 " percent", in->warn);
	if (in->refill_ms)
		printf(", each %.3f seconds", in->refill_ms / 1e3);
	printf(" (was %s)\n", before ? was : "none");
}

/* A limit on an entry of the ledger, of which the client is told. */
static int
limit_entry(struct ctl *ctl, const char *client_text, struct pager_req_ledger_limit *request)
{
	struct pager_rep_ledger_limit reply;
	struct chan_call call = { CHAN_CALL(LEDGER_LIMIT, request, &reply) };
	const char *name = entries[request->entry].name;
	struct json_object *object;
	int r = ctl_ask(ctl, &call);

	if (r == -ERANGE)
		return ctl_fail(ctl, r, "a limit on %s of less than a page", name);
	if (r == -EINVAL && request->refill_ms > 0)
		return ctl_fail(ctl, r,
		    "%s is a balance: only what grows without end has a limit for a time", name);
	if (r == -EINVAL)
		return ctl_fail(ctl, r, "there is nothing to tell of %s without a limit", name);
	if (r != CTL_OK)
		return out_no_client(ctl, r, client_text);
	if (!ctl->json) {
		print_entry_limit(
		    ctl, client_text, entries[request->entry].unit, request, reply.previous);
		return CTL_OK;
	}
	object = json_object_new_object();
	out_add_u64(object, request->session ? "session_id" : "pid",
	    request->session ? request->session : request->pid);
	out_add_text(object, "entry", name);
	out_add_u64(object, "limit", request->limit);
	out_add_u64(object, "previous_limit", reply.previous);
	out_add_u64(object, "warn", request->warn);
	out_add_u64(object, "refill_ms", request->refill_ms);
	out_add_u64(object, "sessions", reply.sessions);
	out_json(ctl, object);
	return CTL_OK;
}

int
cmd_limit(struct ctl *ctl, int argc, char **argv)
{
	struct pager_req_limit request = { 0 };
	struct pager_rep_limit reply;
	struct chan_call call = { CHAN_CALL(LIMIT, &request, &reply) };
	struct ctl_client client;
	struct json_object *object;
	int r;

	r = out_take_client(ctl, argv[0], &client);
	if (r != CTL_OK)
		return r;
	if (argc == 1)
		return show_limits(ctl, argv[0], client);
	request.pid = client.pid;
	request.session = client.session;
	if (strcmp(argv[1], "none") != 0 &&
	    (size_parse(argv[1], &request.bytes) < 0 || request.bytes == 0))
		return ctl_usage(
		    ctl, "\"%s\" is not a size; say 64M or 2G, for example, or none", argv[1]);
	for (size_t i = 0; argc == 3 && i < KINDS; i++) {
		struct pager_req_limits limits = { .pid = client.pid,
			.session = client.session,
			.bytes = request.bytes,
			.which = kinds[i].which,
			.is_fatal = kinds[i].is_fatal };

		if (strcmp(argv[2], kinds[i].name) == 0)
			return limit_kind(ctl, argv[0], &limits, argv[1], argv[2]);
	}
	for (uint32_t i = 0; argc > 2 && i < PAGER_LEDGER_COUNT; i++) {
		struct pager_req_ledger_limit limit = { .pid = client.pid,
			.session = client.session,
			.limit = request.bytes,
			.entry = i };

		if (strcmp(argv[2], entries[i].name) != 0)
			continue;
		if (!take_conditions(
			ctl, argc > 3 ? argv[3] : NULL, argc > 4 ? argv[4] : NULL, &limit))
			return CTL_USAGE;
		return limit_entry(ctl, argv[0], &limit);
	}
	if (argc > 3)
		return ctl_usage(ctl, "only a limit on an entry of the ledger has a percentage");
	if (argc > 2 && strcmp(argv[2], "resident") != 0)
		return ctl_usage(ctl,
		    "\"%s\" is no kind of limit and no entry of a ledger; say resident, footprint, "
		    "footprint-fatal, "
		    "inactive, inactive-fatal, resident-soft, resident-fatal, resident-inactive "
		    "or resident-inactive-fatal",
		    argv[2]);
	r = ctl_ask(ctl, &call);
	if (r == -ERANGE)
		return ctl_fail(ctl, r, "a client cannot run with %s", argv[1]);
	if (r != CTL_OK)
		return out_no_client(ctl, r, argv[0]);
	if (ctl->json) {
		object = json_object_new_object();
		out_add_u64(object, client.session ? "session_id" : "pid",
		    client.session ? client.session : client.pid);
		out_add_u64(object, "limit", request.bytes);
		out_add_u64(object, "previous_limit", reply.previous_bytes);
		out_json(ctl, object);
	} else {
		print_limit(ctl, argv[0], reply.previous_bytes, request.bytes);
	}
	return CTL_OK;
}
