/* SPDX-License-Identifier: MIT
 *
 * pagerctl check: has the daemon check every invariant. The exit status is the result.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "out.h"

static void
print_json(const struct ctl *ctl, const struct pager_rep_check *reply, char *text)
{
	struct json_object *object = json_object_new_object(), *lines = json_object_new_array();
	char *rest = text, *line;

	out_add_u64(object, "checks", reply->checks);
	out_add_u64(object, "failures", reply->failures);
	out_add_u64(object, "notes", reply->notes);
	out_add_u64(object, "clients", reply->clients);
	out_add_u64(object, "clients_unseen", reply->clients_unseen);
	out_add_u64(object, "regions", reply->regions);
	out_add_u64(object, "pages", reply->pages);
	out_add_u64(object, "pages_left_out", reply->pages_left_out);
	while ((line = strsep(&rest, "\n")) != NULL) {
		if (line[0] != '\0')
			json_object_array_add(lines, json_object_new_string(line));
	}
	json_object_object_add(object, "text", lines);
	out_json(ctl, object);
}

int
cmd_check(struct ctl *ctl, int argc, char **argv)
{
	struct pager_req_check request = { 0 };
	struct pager_rep_check reply;
	struct chan_call call = { CHAN_CALL(CHECK, &request, &reply) };
	char text[sizeof(reply.text) + 1];
	int r;

	(void)argc;
	(void)argv;
	r = ctl_ask(ctl, &call);
	if (r != CTL_OK)
		return ctl_fail(ctl, r, "cannot check");
	out_lines(text, sizeof(text), reply.text, sizeof(reply.text));
	if (ctl->json) {
		print_json(ctl, &reply, text);
	} else {
		printf("%s%s%u checks, %u failed\n", text,
		    text[0] && text[strlen(text) - 1] != '\n' ? "\n" : "", reply.checks,
		    reply.failures);
		printf("clients: %u looked at (%" PRIu64 " regions, %" PRIu64
		       " mapped pages), %u not; %" PRIu64 " pages left out; %u notes\n",
		    reply.clients, reply.regions, reply.pages, reply.clients_unseen,
		    reply.pages_left_out, reply.notes);
	}
	return reply.failures == 0 ? CTL_OK : CTL_FAILED;
}
