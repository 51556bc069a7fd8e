/* SPDX-License-Identifier: MIT
 *
 * pagerctl pressure: the level of memory pressure, what it follows from, and what clients have
 * given back after notices. pagerctl pressure --simulate LEVEL: announces a level.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "out.h"

static const char *const names[] = { "normal", "warning", "urgent", "critical" };
#define LEVELS (sizeof(names) / sizeof(names[0]))

static const char *
level_text(uint32_t level)
{
	return level < LEVELS ? names[level] : "?";
}

static uint64_t
less(uint64_t before, uint64_t now)
{
	return before > now ? before - now : 0;
}

static struct json_object *
client_json(const struct pager_wire_notice *n)
{
	struct json_object *object = json_object_new_object(), *levels = json_object_new_array();
	char name[sizeof(n->name) + 1];

	out_add_u64(object, "session_id", n->session_id);
	out_add_u64(object, "pid", n->pid);
	out_add_text(object, "name", out_text(name, sizeof(name), n->name, sizeof(n->name)));
	out_add_i64(object, "band", n->band);
	for (uint32_t i = 0; i < LEVELS; i++)
		if (n->levels & 1u << i)
			json_object_array_add(levels, json_object_new_string(names[i]));
	json_object_object_add(object, "levels", levels);
	out_add_u64(object, "footprint", n->now);
	out_add_u64(object, "notice", n->number);
	if (n->number == 0)
		return object;
	out_add_text(object, "told", level_text(n->told));
	out_add_u64(object, "age_ns", n->age_ns);
	out_add_u64(object, "footprint_before", n->before);
	out_add_u64(object, "footprint_least", n->least);
	out_add_u64(object, "freed", less(n->before, n->least));
	json_object_object_add(object, "done", json_object_new_boolean(n->is_done != 0));
	if (n->is_done)
		out_add_u64(object, "freed_when_done", less(n->before, n->after));
	return object;
}

static void
client_print(const struct ctl *ctl, const struct pager_wire_notice *n)
{
	char b[4][OUT_NUMBER], session[24], age[24], name[sizeof(n->name) + 1];
	bool any = n->number != 0;

	snprintf(session, sizeof(session), "s%" PRIu64, n->session_id);
	snprintf(age, sizeof(age), "%" PRIu64 " s", n->age_ns / 1000000000u);
	printf("%8s %8" PRIu32 " %5" PRId32 " %9s %-8s %8s %9s %9s %9s  %s\n", session, n->pid,
	    n->band, out_bytes(ctl, n->now, b[0]),
	    any         ? level_text(n->told)
	    : n->levels ? "waits"
			: "-",
	    any ? age : "-", any ? out_bytes(ctl, n->before, b[1]) : "-",
	    any ? out_bytes(ctl, less(n->before, n->least), b[2]) : "-",
	    any && n->is_done ? out_bytes(ctl, less(n->before, n->after), b[3]) : "-",
	    out_text(name, sizeof(name), n->name, sizeof(n->name)));
}

static struct json_object *
head_json(const struct pager_rep_pressure *p)
{
	struct json_object *object = json_object_new_object(), *below = json_object_new_object();

	out_add_text(object, "announced", level_text(p->announced));
	out_add_text(object, "measured", level_text(p->level));
	out_add_text(object, "host", level_text(p->host));
	if (p->simulated >= 0)
		out_add_text(object, "simulated", level_text((uint32_t)p->simulated));
	out_add_u64(object, "available_permille", p->available);
	for (uint32_t i = 1; i < LEVELS; i++)
		out_add_u64(below, names[i], p->below[i]);
	json_object_object_add(object, "below_permille", below);
	out_add_u64(object, "movable", p->movable);
	out_add_u64(object, "free", p->free_above);
	out_add_u64(object, "files", p->files);
	out_add_u64(object, "compressible", p->compressible);
	out_add_u64(object, "swap_room", p->swap_room);
	return object;
}

static void
head_print(const struct ctl *ctl, const struct pager_rep_pressure *p)
{
	char n[5][OUT_NUMBER];

	printf("pressure: %s%s (measured %s; the machine's %s)\n", level_text(p->announced),
	    p->simulated >= 0 ? ", simulated" : "", level_text(p->level), level_text(p->host));
	printf("available: %u.%u %% of %s: free %s, files %s, by compression %s, swap %s\n",
	    p->available / 10, p->available % 10, out_bytes(ctl, p->movable, n[0]),
	    out_bytes(ctl, p->free_above, n[1]), out_bytes(ctl, p->files, n[2]),
	    out_bytes(ctl, p->compressible, n[3]), out_bytes(ctl, p->swap_room, n[4]));
	printf("levels: warning below %u.%u %%, urgent below %u.%u %%, critical below %u.%u %%\n\n",
	    p->below[1] / 10, p->below[1] % 10, p->below[2] / 10, p->below[2] % 10,
	    p->below[3] / 10, p->below[3] % 10);
	printf("%8s %8s %5s %9s %-8s %8s %9s %9s %9s  %s\n", "SESSION", "PID", "BAND", "FOOTPRINT",
	    "TOLD", "AGO", "HAD THEN", "FREED", "WHEN DONE", "NAME");
}

/* => CTL_OK or CTL_USAGE, explained */
static int
simulation(const struct ctl *ctl, uint32_t *ret)
{
	*ret = PAGER_WIRE_SIMULATE_KEEP;
	if (!ctl->simulate)
		return CTL_OK;
	*ret = PAGER_WIRE_SIMULATE_MEASURED;
	if (strcmp(ctl->simulate, "none") == 0)
		return CTL_OK;
	for (uint32_t i = 0; i < LEVELS; i++) {
		*ret = PAGER_WIRE_SIMULATE_LEVEL + i;
		if (strcmp(ctl->simulate, names[i]) == 0)
			return CTL_OK;
	}
	return ctl_usage(ctl,
	    "\"%s\" is not a level: say normal, warning, urgent or critical; or none, to go by "
	    "what is measured",
	    ctl->simulate);
}

int
cmd_pressure(struct ctl *ctl, int argc, char **argv)
{
	struct json_object *object = NULL, *array = NULL;
	struct pager_req_pressure request = { 0 };
	struct pager_rep_pressure reply;
	struct chan_call call = { CHAN_CALL(PRESSURE, &request, &reply) };
	int r = simulation(ctl, &request.simulate);

	(void)argc;
	(void)argv;
	if (r != CTL_OK)
		return r;
	call.reply_bytes_min = offsetof(struct pager_rep_pressure, clients);
	do {
		bool first = request.cursor == 0;

		r = ctl_ask(ctl, &call);
		if (r == CTL_OK &&
		    (reply.count > PAGER_NOTICES_PER_REPLY ||
			call.reply_bytes <
			    call.reply_bytes_min + reply.count * sizeof(reply.clients[0])))
			r = -EPROTO;
		if (r != CTL_OK) {
			json_object_put(object);
			return ctl_fail(ctl, r, "cannot %s",
			    request.simulate ? "simulate pressure" : "ask for the pressure");
		}
		if (first && ctl->json) {
			object = head_json(&reply);
			array = json_object_new_array();
			json_object_object_add(object, "clients", array);
		} else if (first) {
			head_print(ctl, &reply);
		}
		for (uint32_t i = 0; i < reply.count; i++) {
			if (ctl->json)
				json_object_array_add(array, client_json(&reply.clients[i]));
			else
				client_print(ctl, &reply.clients[i]);
		}
		request.simulate = PAGER_WIRE_SIMULATE_KEEP;
		request.cursor = reply.next_cursor;
	} while (request.cursor != 0);
	if (ctl->json)
		out_json(ctl, object);
	return CTL_OK;
}
