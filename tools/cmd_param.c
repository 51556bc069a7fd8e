/* SPDX-License-Identifier: MIT
 *
 * pagerctl param: lists the daemon's parameters, shows one, changes one while the daemon runs.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "out.h"
#include "text_reply.h"

#define PARAMS_MAX 4096

/* A parameter's texts, each ended by NUL and fit to be printed. */
struct param {
	char name[65], value[65], unit[33], minimum[33], maximum[33], text[257];
	bool live;
};

static int
param_exchange(struct ctl *ctl, const struct pager_req_param *request, struct param *ret)
{
	struct pager_rep_param reply;
	struct chan_call call = { CHAN_CALL(PARAM, request, &reply) };
	int r = ctl_ask(ctl, &call);

	if (r != CTL_OK)
		return r;
	out_text(ret->name, sizeof(ret->name), reply.name, sizeof(reply.name));
	out_text(ret->value, sizeof(ret->value), reply.value, sizeof(reply.value));
	out_text(ret->unit, sizeof(ret->unit), reply.unit, sizeof(reply.unit));
	out_text(ret->minimum, sizeof(ret->minimum), reply.minimum, sizeof(reply.minimum));
	out_text(ret->maximum, sizeof(ret->maximum), reply.maximum, sizeof(reply.maximum));
	out_text(ret->text, sizeof(ret->text), reply.text, sizeof(reply.text));
	ret->live = reply.live != 0;
	return 0;
}

static struct json_object *
param_json(const struct param *p)
{
	struct json_object *object = json_object_new_object();

	out_add_text(object, "name", p->name);
	out_add_text(object, "value", p->value);
	out_add_text(object, "unit", p->unit);
	out_add_text(object, "minimum", p->minimum);
	out_add_text(object, "maximum", p->maximum);
	json_object_object_add(object, "live", json_object_new_boolean(p->live));
	out_add_text(object, "text", p->text);
	return object;
}

static void
param_print(const struct param *p, bool header)
{
	char range[80];

	if (header)
		printf("%-26s %14s  %-20s %-24s %-4s %s\n", "NAME", "VALUE", "UNIT", "RANGE",
		    "LIVE", "WHAT");
	snprintf(range, sizeof(range), "%s..%s", p->minimum, p->maximum);
	printf("%-26s %14s  %-20s %-24s %-4s %s\n", p->name, p->value, p->unit, range,
	    p->live ? "yes" : "no", p->text);
}

/* Finds the first parameter, from request->index on, whose name is `name` (NULL: any name), and
 * sets request->index to it. => as ctl_ask; -ENOENT: there is none. */
static int
param_find(struct ctl *ctl, struct pager_req_param *request, const char *name, struct param *ret)
{
	int r;

	for (; request->index < PARAMS_MAX; request->index++) {
		r = param_exchange(ctl, request, ret);
		if (r != CTL_OK)
			return r;
		if (!name || strcmp(ret->name, name) == 0)
			return 0;
	}
	return -ENOENT;
}

static int
param_fail(const struct ctl *ctl, int error, const char *name)
{
	if (error == -ENOENT)
		return ctl_fail(
		    ctl, error, "no parameter \"%s\" (`pagerctl param list` shows all)", name);
	return ctl_fail(ctl, error, "%s", name);
}

static int
param_list(struct ctl *ctl)
{
	struct json_object *array = ctl->json ? json_object_new_array() : NULL;
	struct pager_req_param request = { 0 };
	struct param p;
	int r;

	while ((r = param_find(ctl, &request, NULL, &p)) == 0) {
		if (array)
			json_object_array_add(array, param_json(&p));
		else
			param_print(&p, request.index == 0);
		request.index++;
	}
	if (r != -ENOENT) {
		json_object_put(array);
		return ctl_fail(ctl, r, "cannot list the parameters");
	}
	if (array)
		out_json(ctl, array);
	return CTL_OK;
}

static int
param_get(struct ctl *ctl, const char *name)
{
	struct pager_req_param request = { 0 };
	struct param p;
	int r;

	r = param_find(ctl, &request, name, &p);
	if (r != CTL_OK)
		return param_fail(ctl, r, name);
	if (ctl->json)
		out_json(ctl, param_json(&p));
	else
		puts(p.value);
	return CTL_OK;
}

static int
param_set(struct ctl *ctl, const char *name, const char *value)
{
	struct pager_req_param request = { 0 };
	struct param p;
	int r;

	r = text_reply_argument(ctl, request.name, sizeof(request.name), name);
	if (r == CTL_OK)
		r = text_reply_argument(ctl, request.value, sizeof(request.value), value);
	if (r != CTL_OK)
		return r;
	r = param_find(ctl, &request, name, &p);
	if (r != CTL_OK)
		return param_fail(ctl, r, name);
	if (!p.live)
		return ctl_fail(ctl, -EBUSY,
		    "%s cannot change while pagerd runs; set it in the configuration file", name);
	request.set = 1;
	r = param_exchange(ctl, &request, &p);
	if (r == -ERANGE || r == -EINVAL)
		return ctl_fail(ctl, r,
		    "%s cannot be \"%s\" (`pagerctl param list` shows its range)", name, value);
	if (r != CTL_OK)
		return param_fail(ctl, r, name);
	if (ctl->json)
		out_json(ctl, param_json(&p));
	else
		printf("%s = %s\n", p.name, p.value);
	return CTL_OK;
}

int
cmd_param(struct ctl *ctl, int argc, char **argv)
{
	const char *verb = argc ? argv[0] : "list";
	int wanted = strcmp(verb, "set") == 0 ? 3 : strcmp(verb, "get") == 0 ? 2 : 1;

	if (wanted == 1 && strcmp(verb, "list") != 0)
		return ctl_usage(ctl, "\"%s\" is none of list, get, set", verb);
	if (argc != wanted && argc != 0)
		return ctl_usage(ctl, "expected: list, get NAME, or set NAME VALUE");
	if (wanted == 1)
		return param_list(ctl);
	return wanted == 2 ? param_get(ctl, argv[1]) : param_set(ctl, argv[1], argv[2]);
}
