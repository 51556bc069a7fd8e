/* SPDX-License-Identifier: MIT
 *
 * pagerctl limit PID SIZE|none: a client's hard limit on its resident memory.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "out.h"

static void
print_limit(const struct ctl *ctl, uint32_t pid, uint64_t before, uint64_t now)
{
	char a[OUT_NUMBER], b[OUT_NUMBER];

	printf("limit of process %u: %s (was %s)\n", pid, now ? out_bytes(ctl, now, a) : "none",
	    before ? out_bytes(ctl, before, b) : "none");
}

int
cmd_limit(struct ctl *ctl, int argc, char **argv)
{
	struct pager_req_limit request = { 0 };
	struct pager_rep_limit reply;
	struct chan_call call = { CHAN_CALL(LIMIT, &request, &reply) };
	struct json_object *object;
	int r;

	(void)argc;
	r = out_parse_pid(ctl, argv[0], &request.pid);
	if (r != CTL_OK)
		return r;
	if (strcmp(argv[1], "none") != 0 &&
	    (out_parse_size(argv[1], &request.bytes) < 0 || request.bytes == 0))
		return ctl_usage(
		    ctl, "\"%s\" is no size; sizes are like 64M or 2G, or none", argv[1]);
	r = ctl_connect(ctl);
	if (r != CTL_OK)
		return r;
	r = chan_exchange(&ctl->chan, &call);
	if (r == -ERANGE)
		return ctl_fail(ctl, r, "%s is too little to run with", argv[1]);
	if (r < 0)
		return ctl_fail(ctl, r, "process %s%s", argv[0],
		    r == -ENOENT || r == -ESRCH ? " is no client" : "");
	if (ctl->json) {
		object = json_object_new_object();
		out_add_u64(object, "pid", request.pid);
		out_add_u64(object, "limit", request.bytes);
		out_add_u64(object, "previous_limit", reply.previous_bytes);
		out_json(ctl, object);
	} else {
		print_limit(ctl, request.pid, reply.previous_bytes, request.bytes);
	}
	return CTL_OK;
}
