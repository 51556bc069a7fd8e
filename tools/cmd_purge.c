/* SPDX-License-Identifier: MIT
 *
 * pagerctl purge CLIENT|all: volatile memory is thrown away now.
 */
#include <stdio.h>
#include <string.h>

#include "out.h"

int
cmd_purge(struct ctl *ctl, int argc, char **argv)
{
	struct pager_req_purge request = { 0 };
	struct pager_rep_purge reply;
	struct chan_call call = { CHAN_CALL(PURGE, &request, &reply) };
	bool all = strcmp(argv[0], "all") == 0;
	struct ctl_client client = { 0 };
	struct json_object *object;
	char n[OUT_NUMBER];
	int r;

	(void)argc;
	r = all ? CTL_OK : out_take_client(ctl, argv[0], &client);
	if (r != CTL_OK)
		return r;
	request.pid = client.pid;
	request.session = client.session;
	r = ctl_ask(ctl, &call);
	if (r != CTL_OK)
		return all ? ctl_fail(ctl, r, "cannot purge the memory of all clients")
			   : out_no_client(ctl, r, argv[0]);
	if (ctl->json) {
		object = json_object_new_object();
		out_add_u64(object, "objects", reply.objects);
		out_add_u64(object, "bytes", reply.bytes);
		out_add_u64(object, "left", reply.left);
		out_json(ctl, object);
		return CTL_OK;
	}
	printf("purged %s of %llu objects\n", out_bytes(ctl, reply.bytes, n),
	    (unsigned long long)reply.objects);
	if (reply.left > 0)
		printf("left alone %llu objects of clients that delay pagerd's calls\n",
		    (unsigned long long)reply.left);
	return CTL_OK;
}
