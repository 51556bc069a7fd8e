/* SPDX-License-Identifier: MIT
 *
 * pagerctl limit CLIENT SIZE|none: the hard limit on a client process's resident memory.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

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

int
cmd_limit(struct ctl *ctl, int argc, char **argv)
{
	struct pager_req_limit request = { 0 };
	struct pager_rep_limit reply;
	struct chan_call call = { CHAN_CALL(LIMIT, &request, &reply) };
	struct ctl_client client;
	struct json_object *object;
	int r;

	(void)argc;
	r = out_take_client(ctl, argv[0], &client);
	if (r != CTL_OK)
		return r;
	request.pid = client.pid;
	request.session = client.session;
	if (strcmp(argv[1], "none") != 0 &&
	    (size_parse(argv[1], &request.bytes) < 0 || request.bytes == 0))
		return ctl_usage(
		    ctl, "\"%s\" is not a size; say 64M or 2G, for example, or none", argv[1]);
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
