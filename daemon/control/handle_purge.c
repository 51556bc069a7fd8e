/* SPDX-License-Identifier: MIT
 *
 * Requests about purgeable memory: PURGEABLE, PURGE (jobs).
 */
#include <errno.h>

#include "control/clients.h"
#include "control/request.h"
#include "core/watch.h"
#include "region/purgeable.h"
#include "transit/purge.h"

/* Objects that PURGE looks at before others' jobs pass. */
#define PURGE_LOOKS 256u

int
handle_purgeable(struct request *r)
{
	const struct pager_req_purgeable *in = r->body;
	struct pager_rep_purgeable *out = r->reply;

	CHECK(r->task);
	switch (in->control) {
	case PAGER_PURGEABLE_SET_STATE:
		return region_purgeable(r->task, r->stats, in->address, &in->state, &out->state);
	case PAGER_PURGEABLE_GET_STATE:
		return in->state != 0
			   ? -EINVAL
			   : region_purgeable(r->task, r->stats, in->address, NULL, &out->state);
	case PAGER_PURGEABLE_PURGE_ALL:
		if (in->state != 0 || in->address != 0)
			return -EINVAL;
		r->again = region_purge_all(r->task, r->stats, &r->progress);
		return 0;
	default:
		return -EINVAL;
	}
}

/* Whether the caller may throw away what the object's owner has, and has named it. */
static bool
is_meant(struct request *r, struct vm_object *o, struct task_name name)
{
	const struct session *session = r->session;
	bool meant;

	lock_acquire(&o->lock);
	meant = (task_names_all(name) || task_is_named(o->owner, name)) &&
		(session->is_control || session->uid == o->owner->uid);
	lock_release(&o->lock);
	return meant;
}

static void
purge_one(struct request *r, struct vm_object *o, struct pager_rep_purge *out)
{
	struct hole hole;
	uint64_t pages;

	/* A thread of this lane makes no call for a client that delays such calls. */
	if (vm_object_lane(o) != watch_lane()) {
		out->left++;
		return;
	}
	watch_client(vm_object_cookie(o));
	if (vm_object_purge(r->stats, &hole, o, true, &pages) != PURGE_DONE || pages == 0)
		return;
	out->objects++;
	out->bytes += pages << r->daemon->page_shift;
}

int
handle_purge(struct request *r)
{
	const struct pager_req_purge *in = r->body;
	struct pager_rep_purge *out = r->reply;
	struct clients clients = clients_named(r, in->pid, in->session);
	uint32_t cursor = (uint32_t)r->progress;
	struct vm_object *o;
	struct task *task;

	if (in->reserved != 0)
		return -EINVAL;
	if (task_names_all(clients.name) && !r->session->is_control)
		return -EPERM;
	if (!r->resumed && !task_names_all(clients.name)) {
		task = clients_next(&clients);
		if (!task)
			return clients.error;
		task_put(task);
	}
	for (unsigned looks = 0; looks < PURGE_LOOKS; looks++) {
		o = vm_object_next(r->daemon, &cursor);
		r->progress = cursor;
		if (!o)
			return 0;
		if (o->is_purgeable && is_meant(r, o, clients.name))
			purge_one(r, o, out);
		vm_object_put(o);
	}
	r->again = true;
	return 0;
}
