/* SPDX-License-Identifier: MIT
 *
 * pagerctl freeze CLIENT, pagerctl thaw CLIENT: a client's process is frozen or thawed, and the
 * command waits until it is. pagerctl freeze: how far clients are with it, and what has happened.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "out.h"

/* Between two looks at a process that is on its way. */
#define LOOK_NS 20000000

static const char *
state_text(uint32_t state)
{
	static const char *const names[] = {
#define FREEZE_STATE(number, NAME, name, text) [number] = name,
#include "tbl/freeze_state.h"
	};

	return state < sizeof(names) / sizeof(names[0]) ? names[state] : "?";
}

static bool
is_under_way(uint32_t state)
{
	enum {
#define FREEZE_STATE(number, NAME, name, text) NAME = number,
#include "tbl/freeze_state.h"
	};

	return state != NONE && state != FROZEN;
}

static const char *
event_text(uint32_t what, const char **ret_why)
{
	static const struct {
		const char *name, *text;
	} rows[] = {
#define FREEZE_EVENT(number, NAME, name, text) [number] = { name, text },
#include "tbl/freeze_event.h"
	};
	bool known = what < sizeof(rows) / sizeof(rows[0]) && rows[what].name;

	*ret_why = known ? rows[what].text : "";
	return known ? rows[what].name : "?";
}

static struct json_object *
client_json(const struct pager_wire_frozen *f)
{
	struct json_object *object = json_object_new_object();
	char name[sizeof(f->name) + 1];

	out_add_u64(object, "session_id", f->session_id);
	out_add_u64(object, "pid", f->pid);
	out_add_text(object, "name", out_text(name, sizeof(name), f->name, sizeof(f->name)));
	out_add_text(object, "state", state_text(f->state));
	out_add_i64(object, "band", f->band);
	out_add_u64(object, "times_frozen", f->times);
	out_add_u64(object, "times_touched", f->thaws);
	out_add_u64(object, "footprint", f->footprint);
	out_add_u64(object, "resident", f->resident);
	if (f->times == 0)
		return object;
	out_add_u64(object, "age_ns", f->age_ns);
	out_add_u64(object, "out", f->out);
	out_add_u64(object, "gathered", f->gathered);
	out_add_u64(object, "shared", f->shared);
	out_add_u64(object, "held", f->held);
	return object;
}

static void
client_print(const struct ctl *ctl, const struct pager_wire_frozen *f)
{
	char n[6][OUT_NUMBER], session[24], name[sizeof(f->name) + 1];
	bool any = f->times > 0;

	snprintf(session, sizeof(session), "s%" PRIu64, f->session_id);
	printf("%8s %8" PRIu32 " %5" PRId32 " %-11s %5" PRIu32 " %7" PRIu32
	       " %9s %9s %9s %9s %9s %9s  %s\n",
	    session, f->pid, f->band, state_text(f->state), f->times, f->thaws,
	    out_bytes(ctl, f->footprint, n[0]), out_bytes(ctl, f->resident, n[1]),
	    any ? out_bytes(ctl, f->out, n[2]) : "-", any ? out_bytes(ctl, f->gathered, n[3]) : "-",
	    any ? out_bytes(ctl, f->shared, n[4]) : "-", any ? out_bytes(ctl, f->held, n[5]) : "-",
	    out_text(name, sizeof(name), f->name, sizeof(f->name)));
}

static struct json_object *
event_json(const struct pager_wire_freeze_event *e)
{
	struct json_object *object = json_object_new_object();
	char name[sizeof(e->name) + 1];
	const char *why;

	out_add_u64(object, "number", e->number);
	out_add_u64(object, "time_ns", e->time_ns);
	out_add_text(object, "what", event_text(e->what, &why));
	out_add_text(object, "why", why);
	out_add_u64(object, "pid", e->pid);
	out_add_u64(object, "uid", e->uid);
	out_add_u64(object, "bytes", e->bytes);
	out_add_text(object, "name", out_text(name, sizeof(name), e->name, sizeof(e->name)));
	return object;
}

static void
event_print(const struct ctl *ctl, const struct pager_wire_freeze_event *e)
{
	char name[sizeof(e->name) + 1], bytes[OUT_NUMBER];
	time_t seconds = (time_t)(e->time_ns / 1000000000u);
	const char *why, *what = event_text(e->what, &why);
	char when[32] = "?";
	struct tm tm;

	if (localtime_r(&seconds, &tm))
		strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", &tm);
	printf("%s  process %" PRIu32 " (%s): %s %s", when, e->pid,
	    out_text(name, sizeof(name), e->name, sizeof(e->name)), what, why);
	if (e->bytes > 0)
		printf("; %s", out_bytes(ctl, e->bytes, bytes));
	putchar('\n');
}

/* Asks for the next of the clients that the request names. => CTL_OK or another, explained */
static int
frozen_ask(struct ctl *ctl, struct pager_req_frozen *request, struct pager_rep_frozen *reply)
{
	struct chan_call call = { CHAN_CALL(FROZEN, request, reply) };
	int r;

	call.reply_bytes_min = offsetof(struct pager_rep_frozen, clients);
	r = ctl_ask(ctl, &call);
	if (r == CTL_OK &&
	    (reply->count > PAGER_FROZEN_PER_REPLY ||
		reply->event_count > PAGER_FREEZE_EVENTS_PER_REPLY ||
		call.reply_bytes < call.reply_bytes_min + reply->count * sizeof(reply->clients[0])))
		r = -EPROTO;
	request->cursor = reply->next_cursor;
	return r == CTL_OK ? r : ctl_fail(ctl, r, "cannot ask which clients are frozen");
}

static int
list(struct ctl *ctl)
{
	struct json_object *object = NULL, *clients = NULL, *events = NULL;
	static struct pager_rep_frozen first, reply;
	struct pager_req_frozen request = { 0 };
	int r;

	if (ctl->json) {
		object = json_object_new_object();
		clients = json_object_new_array();
		events = json_object_new_array();
		json_object_object_add(object, "clients", clients);
		json_object_object_add(object, "events", events);
	} else {
		printf("%8s %8s %5s %-11s %5s %7s %9s %9s %9s %9s %9s %9s  %s\n", "SESSION", "PID",
		    "BAND", "STATE", "TIMES", "TOUCHED", "FOOTPRINT", "RESIDENT", "OUT", "GATHERED",
		    "SHARED", "HELD", "NAME");
	}
	do {
		bool is_first = request.cursor == 0;

		r = frozen_ask(ctl, &request, &reply);
		if (r != CTL_OK) {
			json_object_put(object);
			return r;
		}
		if (is_first)
			first = reply;
		for (uint32_t i = 0; i < reply.count; i++) {
			if (ctl->json)
				json_object_array_add(clients, client_json(&reply.clients[i]));
			else
				client_print(ctl, &reply.clients[i]);
		}
	} while (request.cursor != 0);
	if (!ctl->json && first.event_count > 0)
		putchar('\n');
	for (uint32_t i = 0; i < first.event_count; i++) {
		if (ctl->json)
			json_object_array_add(events, event_json(&first.events[i]));
		else
			event_print(ctl, &first.events[i]);
	}
	if (ctl->json)
		out_json(ctl, object);
	return CTL_OK;
}

static void
result_print(const struct ctl *ctl, const struct pager_wire_frozen *f, const char *client,
    bool thaws, bool has_begun)
{
	char n[5][OUT_NUMBER];

	if (!has_begun) {
		printf("client %s: nothing to do; frozen: %s\n", client, state_text(f->state));
		return;
	}
	if (thaws) {
		printf("client %s is thawed: %s resident\n", client,
		    out_bytes(ctl, f->resident, n[0]));
		return;
	}
	printf("client %s is frozen: %s left memory, %s that had left before put beside it; %s "
	       "shared and %s wired, listed or in use stay\n",
	    client, out_bytes(ctl, f->out, n[0]), out_bytes(ctl, f->gathered, n[1]),
	    out_bytes(ctl, f->shared, n[2]), out_bytes(ctl, f->held, n[3]));
	if (!is_under_way(f->state) && strcmp(state_text(f->state), "frozen") != 0)
		puts("it has touched its memory since, and is thawed");
}

static int
change(struct ctl *ctl, const char *name, uint32_t what)
{
	const struct timespec pause = { .tv_nsec = LOOK_NS };
	struct pager_req_freeze request = { .what = what };
	struct pager_rep_freeze reply;
	struct chan_call call = { CHAN_CALL(FREEZE, &request, &reply) };
	static struct pager_rep_frozen frozen;
	struct pager_req_frozen look = { 0 };
	struct ctl_client client;
	int r = out_take_client(ctl, name, &client);

	if (r != CTL_OK)
		return r;
	look.pid = request.pid = client.pid;
	look.session = request.session = client.session;
	r = ctl_ask(ctl, &call);
	if (r != CTL_OK)
		return out_no_client(ctl, r, name);
	for (;;) {
		frozen.count = 0;
		do
			r = frozen_ask(ctl, &look, &frozen);
		while (r == CTL_OK && frozen.count == 0 && look.cursor != 0);
		if (r != CTL_OK)
			return r;
		if (frozen.count == 0)
			return ctl_fail(ctl, -ESRCH, "client %s has ended meanwhile", name);
		if (!is_under_way(frozen.clients[0].state))
			break;
		look.cursor = 0;
		nanosleep(&pause, NULL);
	}
	if (ctl->json)
		out_json(ctl, client_json(&frozen.clients[0]));
	else
		result_print(
		    ctl, &frozen.clients[0], name, what == PAGER_WIRE_THAW, reply.has_begun != 0);
	return CTL_OK;
}

int
cmd_freeze(struct ctl *ctl, int argc, char **argv)
{
	return argc == 0 ? list(ctl) : change(ctl, argv[0], PAGER_WIRE_FREEZE);
}

int
cmd_thaw(struct ctl *ctl, int argc, char **argv)
{
	(void)argc;
	return change(ctl, argv[0], PAGER_WIRE_THAW);
}
