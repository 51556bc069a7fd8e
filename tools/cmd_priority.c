/* SPDX-License-Identifier: MIT
 *
 * pagerctl priority CLIENT [BAND|none]: the jetsam band of a client's process.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bands.h"
#include "out.h"

static const char *
number_text(int32_t band, char buf[OUT_NUMBER])
{
	if (band < 0)
		return "none";
	snprintf(buf, OUT_NUMBER, "%" PRId32 " (%s)", band, band_text(band));
	return buf;
}

static void
print(const struct pager_req_priority *request, const struct pager_rep_priority *reply,
    const char *client)
{
	const char *what = client[0] == 's' ? "the process of session" : "process";
	char a[OUT_NUMBER], b[OUT_NUMBER];

	if (request->band == PAGER_WIRE_BAND_SHOW)
		printf("band of %s %s: %s", what, client, number_text(reply->previous, a));
	else
		printf("band of %s %s: %s (was %s)", what, client, number_text(request->band, a),
		    number_text(reply->previous, b));
	printf("; it counts as %s now\n", number_text(reply->now, a));
}

int
cmd_priority(struct ctl *ctl, int argc, char **argv)
{
	struct pager_req_priority request = { .band = PAGER_WIRE_BAND_SHOW };
	struct pager_rep_priority reply;
	struct chan_call call = { CHAN_CALL(PRIORITY, &request, &reply) };
	struct ctl_client client;
	struct json_object *object;
	int r = out_take_client(ctl, argv[0], &client);

	if (r != CTL_OK)
		return r;
	request.pid = client.pid;
	request.session = client.session;
	if (argc > 1 && strcmp(argv[1], "none") == 0)
		request.band = PAGER_WIRE_BAND_NONE;
	else if (argc > 1 && band_parse(argv[1], &request.band) < 0)
		return ctl_usage(ctl,
		    "\"%s\" is no band; say idle, background, foreground or important, for "
		    "example, or a number of those in the manual; or none",
		    argv[1]);
	r = ctl_ask(ctl, &call);
	if (r != CTL_OK)
		return out_no_client(ctl, r, argv[0]);
	if (!ctl->json) {
		print(&request, &reply, argv[0]);
		return CTL_OK;
	}
	object = json_object_new_object();
	out_add_u64(object, client.session ? "session_id" : "pid",
	    client.session ? client.session : client.pid);
	if (request.band != PAGER_WIRE_BAND_SHOW)
		out_add_i64(object, "band", request.band);
	out_add_i64(object, "previous_band", reply.previous);
	out_add_i64(object, "band_now", reply.now);
	out_json(ctl, object);
	return CTL_OK;
}
