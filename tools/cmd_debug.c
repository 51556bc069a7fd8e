/* SPDX-License-Identifier: MIT
 *
 * pagerctl debug: fail points and the log level of the running daemon.
 */
#include <errno.h>
#include <string.h>

#include "text_reply.h"

static const struct operation {
	const char *name;
	enum pager_debug_op op;
	int arguments;
	const char *wants;
} operations[] = {
	{ "fail", PAGER_DEBUG_FAIL_ARM, 1, "fail NAME:after[:times]" },
	{ "nofail", PAGER_DEBUG_FAIL_DISARM, 0, "nofail, without arguments" },
	{ "log", PAGER_DEBUG_LOG_LEVEL, 1, "log error|warning|notice|info|debug" },
	{ "show", PAGER_DEBUG_SHOW, 0, "show, without arguments" },
};

static const struct operation *
operation_find(const char *name)
{
	for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++) {
		if (strcmp(operations[i].name, name) == 0)
			return &operations[i];
	}
	return NULL;
}

int
cmd_debug(struct ctl *ctl, int argc, char **argv)
{
	const struct operation *operation = operation_find(argc ? argv[0] : "show");
	struct pager_req_debug request = { 0 };
	struct pager_rep_debug reply;
	struct chan_call call = { CHAN_CALL(DEBUG, &request, &reply) };
	int arguments = argc ? argc - 1 : 0, r;

	if (!operation)
		return ctl_usage(ctl, "\"%s\" is none of fail, nofail, log, show", argv[0]);
	if (arguments != operation->arguments)
		return ctl_usage(ctl, "expected: %s", operation->wants);
	request.op = operation->op;
	if (arguments == 1) {
		r = text_reply_argument(ctl, request.argument, sizeof(request.argument), argv[1]);
		if (r != CTL_OK)
			return r;
	}
	r = ctl_ask(ctl, &call);
	if (r == -EINVAL || r == -ENOENT)
		return ctl_fail(ctl, r, "pagerd does not know \"%s\" (expected: %s)",
		    request.argument, operation->wants);
	if (r != CTL_OK)
		return ctl_fail(ctl, r, "%s", operation->name);
	text_reply_print(ctl, reply.text, sizeof(reply.text));
	return CTL_OK;
}
