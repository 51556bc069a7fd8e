/* SPDX-License-Identifier: MIT
 *
 * pagerctl policy: shows or switches the page-out policy, the daemon's or one client's own.
 */
#include <errno.h>
#include <string.h>

#include "out.h"
#include "text_reply.h"

int
cmd_policy(struct ctl *ctl, int argc, char **argv)
{
	struct pager_req_policy request = {
		.pid = ctl->client.pid, .session = ctl->client.session, .set = argc > 0
	};
	struct pager_rep_policy reply;
	struct chan_call call = { CHAN_CALL(POLICY, &request, &reply) };
	int r;

	if (argc > 0 && strcmp(argv[0], "none") == 0) {
		if (!ctl->client_text)
			return ctl_usage(ctl,
			    "\"none\" removes a client's own policy: it needs --client CLIENT");
	} else if (argc > 0) {
		r = text_reply_argument(ctl, request.policy, sizeof(request.policy), argv[0]);
		if (r != CTL_OK)
			return r;
	}
	r = ctl_ask(ctl, &call);
	if (argc > 0 && r == -ENOENT)
		return ctl_fail(ctl, r, "pagerd knows no policy \"%s\"", argv[0]);
	if (r == -ESRCH)
		return out_no_client(ctl, r, ctl->client_text);
	if (r != CTL_OK)
		return ctl_fail(ctl, r, "%s", argc ? argv[0] : "cannot show the policy");
	text_reply_print(ctl, reply.text, sizeof(reply.text));
	return CTL_OK;
}
