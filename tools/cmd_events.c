/* SPDX-License-Identifier: MIT
 *
 * pagerctl events: the processes that were ended, and what led to each.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "bands.h"
#include "out.h"

static struct json_object *
process_json(const struct pager_wire_event_process *p)
{
	struct json_object *object = json_object_new_object();
	char name[sizeof(p->name) + 1];

	out_add_u64(object, "pid", p->pid);
	out_add_u64(object, "uid", p->uid);
	out_add_text(object, "name", out_text(name, sizeof(name), p->name, sizeof(p->name)));
	out_add_i64(object, "band", p->band);
	out_add_u64(object, "moved", p->moved);
	out_add_u64(object, "band_ns", p->band_ns);
	out_add_u64(object, "footprint", p->footprint);
	json_object_object_add(
	    object, "chosen", json_object_new_boolean((p->flags & PAGER_PROCESS_CHOSEN) != 0));
	json_object_object_add(
	    object, "dying", json_object_new_boolean((p->flags & PAGER_PROCESS_DYING) != 0));
	json_object_object_add(object, "could_be_ended",
	    json_object_new_boolean((p->flags & PAGER_PROCESS_ENDABLE) != 0));
	json_object_object_add(object, "over_soft_limit",
	    json_object_new_boolean((p->flags & PAGER_PROCESS_OVER_SOFT) != 0));
	return object;
}

static struct json_object *
event_json(const struct pager_wire_event *e)
{
	static const char *const levels[] = { "normal", "warning", "urgent", "critical" };
	struct json_object *object = json_object_new_object(), *array = json_object_new_array(),
			   *below = json_object_new_object();
	char name[sizeof(e->name) + 1];

	out_add_u64(object, "number", e->number);
	out_add_u64(object, "time_ns", e->time_ns);
	out_add_text(object, "cause", cause_text(e->cause));
	out_add_u64(object, "cause_number", e->cause);
	out_add_u64(object, "pid", e->pid);
	out_add_u64(object, "uid", e->uid);
	out_add_u64(object, "session_id", e->session_id);
	out_add_text(object, "name", out_text(name, sizeof(name), e->name, sizeof(e->name)));
	out_add_i64(object, "band", e->band);
	out_add_u64(object, "footprint", e->footprint);
	out_add_u64(object, "limit", e->limit);
	out_add_u64(object, "available_permille", e->available);
	for (unsigned i = 1; i < 4; i++)
		out_add_u64(below, levels[i], e->below[i]);
	json_object_object_add(object, "below_permille", below);
	out_add_text(object, "announced", e->announced < 4 ? levels[e->announced] : "?");
	json_object_object_add(object, "squeezed", json_object_new_boolean(e->is_squeezed != 0));
	out_add_u64(object, "short_seconds", e->short_seconds);
#define SIZE(name) out_add_u64(object, #name, e->name)
	SIZE(movable), SIZE(free_above), SIZE(files), SIZE(compressible), SIZE(swap_room);
	SIZE(total), SIZE(free), SIZE(active), SIZE(inactive), SIZE(laundry), SIZE(wired);
	SIZE(speculative), SIZE(compressor);
#undef SIZE
	out_add_u64(object, "process_count", e->process_count);
	for (uint32_t i = 0; i < e->count; i++)
		json_object_array_add(array, process_json(&e->processes[i]));
	json_object_object_add(object, "processes", array);
	return object;
}

static void
event_print(const struct ctl *ctl, const struct pager_wire_event *e)
{
	char n[6][OUT_NUMBER], name[sizeof(e->name) + 1], when[32] = "?";
	time_t seconds = (time_t)(e->time_ns / 1000000000u);
	struct tm tm;

	if (localtime_r(&seconds, &tm))
		strftime(when, sizeof(when), "%F %T", &tm);
	printf("%" PRIu64 "  %s  process %" PRIu32 " (%s) ended: %s; band %" PRId32
	       " (%s), footprint %s\n",
	    e->number, when, e->pid, out_text(name, sizeof(name), e->name, sizeof(e->name)),
	    cause_text(e->cause), e->band, band_text(e->band), out_bytes(ctl, e->footprint, n[0]));
	if (e->limit)
		printf("   limit %s\n", out_bytes(ctl, e->limit, n[0]));
	printf("   available %u.%u %% of %s%s: free %s, files %s, by compression %s, swap %s\n",
	    e->available / 10, e->available % 10, out_bytes(ctl, e->movable, n[0]),
	    e->is_squeezed ? " (nothing could leave)" : "", out_bytes(ctl, e->free_above, n[1]),
	    out_bytes(ctl, e->files, n[2]), out_bytes(ctl, e->compressible, n[3]),
	    out_bytes(ctl, e->swap_room, n[4]));
	printf("   %8s %5s %9s %8s  %s\n", "PID", "BAND", "FOOTPRINT", "MOVED", "NAME");
	for (uint32_t i = 0; i < e->count; i++) {
		const struct pager_wire_event_process *p = &e->processes[i];

		printf(" %c %8" PRIu32 " %5" PRId32 " %9s %8" PRIu64 "  %s%s%s%s\n",
		    p->flags & PAGER_PROCESS_CHOSEN ? '*' : ' ', p->pid, p->band,
		    out_bytes(ctl, p->footprint, n[0]), p->moved,
		    out_text(name, sizeof(name), p->name, sizeof(p->name)),
		    p->flags & PAGER_PROCESS_DYING ? " (dying)" : "",
		    p->flags & PAGER_PROCESS_OVER_SOFT ? " (over its soft limit)" : "",
		    p->flags & PAGER_PROCESS_ENDABLE ? "" : " (not to be ended)");
	}
	if (e->count < e->process_count)
		printf("   and %" PRIu32 " more\n", e->process_count - e->count);
}

int
cmd_events(struct ctl *ctl, int argc, char **argv)
{
	struct json_object *array = ctl->json ? json_object_new_array() : NULL;
	struct pager_req_events request = { 0 };
	struct pager_rep_events reply;
	struct chan_call call = { CHAN_CALL(EVENTS, &request, &reply) };

	(void)argc;
	(void)argv;
	for (;;) {
		int r = ctl_ask(ctl, &call);

		if (r == CTL_OK && reply.is_there && reply.event.count > PAGER_EVENT_PROCESSES)
			r = -EPROTO;
		if (r != CTL_OK) {
			json_object_put(array);
			return ctl_fail(ctl, r, "cannot list the events");
		}
		if (!reply.is_there)
			break;
		if (ctl->json)
			json_object_array_add(array, event_json(&reply.event));
		else
			event_print(ctl, &reply.event);
		request.after = reply.event.number;
	}
	if (ctl->json)
		out_json(ctl, array);
	return CTL_OK;
}
