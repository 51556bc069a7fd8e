/* SPDX-License-Identifier: MIT
 *
 * Requests about shared regions: SHARED_LOAD, SHARED_CHANGE. Runs on: jobs.
 */
#include <errno.h>

#include "control/request.h"
#include "region/shared.h"

int
handle_shared_load(struct request *r)
{
	const struct pager_req_shared_load *in = r->body;
	struct pager_rep_shared_load *out = r->reply;
	bool is_loaded = false;
	uint64_t size = 0;
	int error = shared_parts_check(r->daemon, in->parts, in->count, &size);

	CHECK(r->task);
	if (!error && (in->flags & ~(uint32_t)(PAGER_SHARED_AT | PAGER_SHARED_ALTERNATE)) != 0)
		error = -EINVAL;
	if (!error && in->flags & PAGER_SHARED_AT &&
	    (in->address % r->daemon->page_bytes != 0 || in->address < PAGER_SHARED_BASE ||
		in->address > PAGER_SHARED_BASE + PAGER_SHARED_BYTES - size))
		error = -EINVAL;
	if (!error && r->fd < 0)
		error = -EBADF;
	if (!error)
		error = shared_file_load(r->task, r->fd, in, size, &out->address, &is_loaded);
	out->status = is_loaded ? PAGER_SHARED_WAS_LOADED : 0;
	return error;
}

static int
reset(struct request *r, uint64_t address)
{
	struct range job = { .task = r->task, .stats = r->stats, .place = r->place };

	return shared_file_reset(&job, address, &r->progress, &r->again);
}

int
handle_shared_change(struct request *r)
{
	const struct pager_req_shared_change *in = r->body;

	CHECK(r->task);
	if (in->reserved != 0)
		return -EINVAL;
	switch (in->what) {
	case PAGER_SHARED_UNLOAD:
		return shared_file_unload(r->task, in->address);
	case PAGER_SHARED_RESET:
		return reset(r, in->address);
	case PAGER_SHARED_NEW:
		return in->address == 0 ? shared_regions_new(r->task, false) : -EINVAL;
	case PAGER_SHARED_NEW_FOR_ALL:
		if (in->address != 0)
			return -EINVAL;
		return r->session->is_control ? shared_regions_new(r->task, true) : -EPERM;
	default:
		return -EINVAL;
	}
}
