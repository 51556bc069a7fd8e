/* SPDX-License-Identifier: MIT
 *
 * Operations of an administrator: LIMIT, DEBUG, PARAM (control loop), CHECK, POLICY, TRACE (jobs).
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "audit/audit.h"
#include "control/clients.h"
#include "control/request.h"
#include "failpt.h"
#include "memorystatus/limits.h"
#include "pageq/exact.h"
#include "pageq/policies.h"
#include "pageq/switch.h"
#include "record/recording.h"

int
handle_limit(struct request *r)
{
	const struct pager_req_limit *in = r->body;
	struct pager_rep_limit *out = r->reply;
	struct daemon *d = r->daemon;
	uint64_t pages = in->bytes >> d->page_shift;
	struct process_named named;
	int error;

	CHECK(r->session->is_control);
	if (in->bytes && pages < LIMIT_PAGES_LEAST)
		return -ERANGE;
	error = process_limited_get(r, in->pid, in->session, &named);
	if (error)
		return error;
	out->previous_bytes = exchange_acq_rel(&named.process->limit_pages, pages) << d->page_shift;
	process_kept(d, named.process);
	if (named.task)
		limits_want(d, named.task);
	process_named_put(d, &named);
	return 0;
}

int
handle_check(struct request *r)
{
	struct pager_rep_check *out = r->reply;
	struct report report = report_begin(out->text, sizeof(out->text));

	CHECK(r->session->is_control);
	check_all(r->daemon, &report);
	out->failures = report.failures;
	out->checks = report.checks;
	out->notes = report.notes;
	out->clients = report.clients;
	out->clients_unseen = report.clients_unseen;
	out->regions = report.regions;
	out->pages = report.pages;
	out->pages_left_out = report.pages_left_out;
	return 0;
}

int
handle_debug(struct request *r)
{
	const struct pager_req_debug *in = r->body;
	struct pager_rep_debug *out = r->reply;
	enum log_level log_level;
	size_t used = 0;

	CHECK(r->session->is_control);
	if (memchr(in->argument, '\0', sizeof(in->argument)) == NULL)
		return -EINVAL;
	switch (in->op) {
	case PAGER_DEBUG_FAIL_ARM:
		return failpt_arm(in->argument);
	case PAGER_DEBUG_FAIL_DISARM:
		failpt_disarm_all();
		return 0;
	case PAGER_DEBUG_LOG_LEVEL:
		if (log_level_parse(in->argument, &log_level) != 0)
			return -EINVAL;
		log_set_level(log_level);
		return 0;
	case PAGER_DEBUG_SHOW:
		used += (size_t)snprintf(
		    out->text, sizeof(out->text), "fail points (name, times hit):\n");
#define FAIL(name, error, what)                                                                    \
	used += (size_t)snprintf(out->text + used, sizeof(out->text) - used, "  %-24s %llu  %s\n", \
	    #name, (unsigned long long)failpt_count(FAIL_##name), what);
#include "tbl/fail_point.h"
		return 0;
	default:
		return -EINVAL;
	}
}

/* Of a client, or (NULL) of the daemon. */
static int
policy_request(struct request *r, struct task *task)
{
	const struct pager_req_policy *in = r->body;
	struct pager_rep_policy *out = r->reply;
	struct daemon *d = r->daemon;
	int error = in->set ? policy_switch(d, task, in->policy) : 0;

	if (error)
		return error;
	if (in->set)
		kept_policy_note(d, task, in->policy);
	pageq_lock(d);
	policies_text_locked(d, task, out->text, sizeof(out->text));
	pageq_unlock(d);
	return 0;
}

int
handle_policy(struct request *r)
{
	const struct pager_req_policy *in = r->body;
	struct clients clients = clients_named(r, in->pid, in->session);
	struct task *task;
	int error = 0;

	CHECK_OBJ(r->session, SESSION_MAGIC);
	if (memchr(in->policy, '\0', sizeof(in->policy)) == NULL || in->set > 1)
		return -EINVAL;
	if (in->set && !r->session->is_control)
		return -EPERM;
	if (task_names_all(clients.name))
		return policy_request(r, NULL);
	while (!error && (task = clients_next(&clients)) != NULL) {
		error = policy_request(r, task);
		task_put(task);
	}
	return error ? error : clients.error;
}

int
handle_trace(struct request *r)
{
	const struct pager_req_trace *in = r->body;
	struct daemon *d = r->daemon;
	struct task_name name = { .id = in->session, .pid = (pid_t)in->pid };
	int error = 0;

	CHECK(r->session->is_control);
	if (in->flags & ~PAGER_TRACE_GROUP)
		return -EINVAL;
	if (in->flags & PAGER_TRACE_GROUP)
		name = (struct task_name){ .group = in->session };
	switch (in->op) {
	case PAGER_TRACE_START:
		error = trace_start(d, r->fd, name, in->window, r->stats);
		if (!error)
			r->fd = -1;
		break;
	case PAGER_TRACE_STOP:
		error = trace_stop(d);
		break;
	case PAGER_TRACE_SHOW:
		break;
	default:
		return -EINVAL;
	}
	trace_show(d, r->reply);
	return error;
}

int
handle_param(struct request *r)
{
	const struct pager_req_param *in = r->body;
	struct daemon *d = r->daemon;
	unsigned index;
	int error;

	CHECK_OBJ(r->session, SESSION_MAGIC);
	if (memchr(in->name, '\0', sizeof(in->name)) == NULL ||
	    memchr(in->value, '\0', sizeof(in->value)) == NULL)
		return -EINVAL;
	if (!in->set)
		return param_describe(&d->params, in->index, r->reply);
	if (!r->session->is_control)
		return -EPERM;
	error = param_index(in->name, &index);
	if (!error && !param_is_live(in->name))
		error = -EBUSY;
	if (!error)
		error = kept_param_check(d, in->name);
	if (!error)
		error = param_set(&d->params, in->name, in->value);
	if (error)
		return error;
	kept_param_note(d, in->name, param_get(&d->params, index));
	pageq_lock(d);
	frames_params_refresh(d);
	if (strcmp(in->name, "resident_frames") == 0)
		exact_resize_locked(d);
	pageq_unlock(d);
	return param_describe(&d->params, index, r->reply);
}
