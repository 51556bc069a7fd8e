/* SPDX-License-Identifier: MIT
 *
 * pagerctl memory [SIZE]: how much memory the daemon is to hold, and holds at most now.
 */
#include <stdio.h>

#include "out.h"
#include "size.h"

static int
refused(const struct ctl *ctl, const struct pager_rep_memory *reply, const char *size)
{
	char n[4][OUT_NUMBER];

	fprintf(stderr,
	    "pagerctl memory: memory cannot be %s: it can be %s to %s now (%s are wired, and the "
	    "daemon needs some to work with)\n",
	    size, out_bytes(ctl, reply->least, n[0]), out_bytes(ctl, reply->most, n[1]),
	    out_bytes(ctl, reply->wired, n[2]));
	return CTL_FAILED;
}

int
cmd_memory(struct ctl *ctl, int argc, char **argv)
{
	struct pager_req_memory request = { 0 };
	struct pager_rep_memory reply;
	struct chan_call call = { CHAN_CALL(MEMORY, &request, &reply) };
	struct json_object *object;
	char n[3][OUT_NUMBER];
	int r;

	if (argc > 0 && (size_parse(argv[0], &request.bytes) < 0 || request.bytes == 0))
		return ctl_usage(ctl, "\"%s\" is not a size; say 64M or 2G, for example", argv[0]);
	r = ctl_ask(ctl, &call);
	if (r != CTL_OK)
		return ctl_fail(ctl, r, "cannot %s",
		    argc > 0 ? "change the size of memory" : "ask for the size of memory");
	if (reply.is_refused)
		return refused(ctl, &reply, argv[0]);
	if (ctl->json) {
		object = json_object_new_object();
		out_add_u64(object, "wanted", reply.wanted);
		out_add_u64(object, "previous", reply.previous);
		out_add_u64(object, "total", reply.total);
		out_add_u64(object, "least", reply.least);
		out_add_u64(object, "most", reply.most);
		out_add_u64(object, "wired", reply.wired);
		out_json(ctl, object);
		return CTL_OK;
	}
	printf("memory: %s", out_bytes(ctl, reply.wanted, n[0]));
	if (argc > 0)
		printf(" (was %s)", out_bytes(ctl, reply.previous, n[1]));
	if (reply.total > reply.wanted)
		printf(
		    "; %s are still to be freed", out_bytes(ctl, reply.total - reply.wanted, n[2]));
	printf("\ncan be %s to %s\n", out_bytes(ctl, reply.least, n[0]),
	    out_bytes(ctl, reply.most, n[1]));
	return CTL_OK;
}
