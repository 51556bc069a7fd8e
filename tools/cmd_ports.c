/* SPDX-License-Identifier: MIT
 *
 * pagerctl ports: ports, whose they are, and what is in their queues.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "out.h"

static const char *
senders_text(uint32_t senders)
{
	static const char *const names[] = { "user", "group", "all" };

	return senders < sizeof(names) / sizeof(names[0]) ? names[senders] : "?";
}

static struct json_object *
port_json(const struct pager_wire_port *v)
{
	struct json_object *object = json_object_new_object();
	char name[PAGER_PORT_NAME];

	out_add_text(object, "name", out_text(name, sizeof(name), v->name, sizeof(v->name)));
	out_add_u64(object, "id", v->id);
	out_add_u64(object, "pid", v->pid);
	out_add_u64(object, "uid", v->uid);
	out_add_u64(object, "gid", v->gid);
	out_add_text(object, "senders", senders_text(v->senders));
	out_add_u64(object, "queue_limit", v->queue_limit);
	out_add_u64(object, "messages", v->messages);
	out_add_u64(object, "queued_bytes", v->bytes);
	out_add_u64(object, "open", v->open);
	out_add_u64(object, "senders_waiting", v->waiting);
	out_add_u64(object, "receiver_waiting", v->receiver_waits);
	return object;
}

static void
port_print(const struct ctl *ctl, const struct pager_wire_port *v)
{
	char bytes[OUT_NUMBER], name[PAGER_PORT_NAME];

	printf("%7" PRIu32 " %6" PRIu32 " %6" PRIu32 " %-7s %8" PRIu32 " %6" PRIu32 " %8s %5" PRIu32
	       " %7" PRIu32 " %-8s %s\n",
	    v->pid, v->uid, v->gid, senders_text(v->senders), v->messages, v->queue_limit,
	    out_bytes(ctl, v->bytes, bytes), v->open, v->waiting, v->receiver_waits ? "yes" : "no",
	    out_text(name, sizeof(name), v->name, sizeof(v->name)));
}

int
cmd_ports(struct ctl *ctl, int argc, char **argv)
{
	struct json_object *array = NULL;
	struct pager_req_ports request = { 0 };
	struct pager_rep_ports reply;
	struct chan_call call = { CHAN_CALL(PORTS, &request, &reply) };

	(void)argc;
	(void)argv;
	call.reply_bytes_min = offsetof(struct pager_rep_ports, ports);
	if (ctl->json)
		array = json_object_new_array();
	else
		printf("%7s %6s %6s %-7s %8s %6s %8s %5s %7s %-8s %s\n", "PID", "UID", "GID",
		    "SENDERS", "MESSAGES", "LIMIT", "QUEUED", "OPEN", "WAITING", "RECEIVER",
		    "NAME");
	do {
		int r = ctl_ask(ctl, &call);

		if (r == CTL_OK && (reply.count > PAGER_PORTS_PER_REPLY ||
				       call.reply_bytes < call.reply_bytes_min +
							      reply.count * sizeof(reply.ports[0])))
			r = -EPROTO;
		if (r != CTL_OK) {
			json_object_put(array);
			return ctl_fail(ctl, r, "cannot list the ports");
		}
		for (uint32_t i = 0; i < reply.count; i++) {
			if (ctl->json)
				json_object_array_add(array, port_json(&reply.ports[i]));
			else
				port_print(ctl, &reply.ports[i]);
		}
		request.cursor = reply.next_cursor;
	} while (request.cursor != 0);
	if (ctl->json)
		out_json(ctl, array);
	return CTL_OK;
}
