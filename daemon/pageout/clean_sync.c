/* SPDX-License-Identifier: MIT
 *
 * What was written to files goes to the disk, for requests that ask for that. Runs on: the cleaner.
 * No thread waits in fdatasync: its file system may never answer. Who waits for one can be let go,
 * and the entry stays in use until it has come back. Allocates nothing.
 */
#include "pageout/cleaner_priv.h"

#include "clock.h"
#include "pagers/pager.h"

/* => a free entry, or NULL: those that the object or the user may have are in use. A user may have
 * fewer than are left, as of runs. */
static struct clean_sync *
sync_get(struct cleaner *c, const struct vm_object *o, uid_t uid)
{
	struct clean_sync *unused = NULL;
	unsigned of_user = 0, left = 0;

	for (unsigned i = 0; i < SYNCS_MAX; i++) {
		if (!c->syncs[i].object) {
			unused = &c->syncs[i];
			left++;
		} else {
			of_user += c->syncs[i].uid == uid;
		}
	}
	if (o->external->syncing >= SYNCS_OBJECT_MAX || of_user >= SYNCS_USER_MAX ||
	    of_user >= left)
		return NULL;
	return unused;
}

static void
request_answer(struct clean_request *r, int error)
{
	CHECK(r->syncs);
	r->sync_error = pager_sync_result(r->object, error);
	r->syncs = false;
}

static struct clean_sync *
sync_of(struct cleaner *c, const struct clean_request *r)
{
	for (unsigned i = 0; i < SYNCS_MAX; i++)
		if (c->syncs[i].object && c->syncs[i].request == r)
			return &c->syncs[i];
	return NULL;
}

bool
clean_sync_request(struct cleaner *c, struct clean_request *r)
{
	struct vm_object *o = r->object;
	struct clean_sync *s;
	uid_t uid;

	locks_assert_none();
	if (!r->syncs)
		return true;
	if (sync_of(c, r))
		return false;
	lock_acquire(&o->lock);
	uid = o->owner->uid;
	lock_release(&o->lock);
	s = sync_get(c, o, uid);
	if (!s)
		return false;
	if (!pager_sync_submit(o, c->channel, SYNC_COOKIES + (uint64_t)(s - c->syncs))) {
		request_answer(r, 0);
		return true;
	}
	*s = (struct clean_sync){
		.object = o, .request = r, .uid = uid, .start_ns = clock_now_ns()
	};
	vm_object_get(o);
	c->syncing++;
	o->external->syncing++;
	return false;
}

void
clean_sync_leave(struct cleaner *c, const struct clean_request *r)
{
	struct clean_sync *s = sync_of(c, r);

	CHECK(r->object->external);
	if (s)
		s->request = NULL;
}

void
clean_sync_end(struct cleaner *c, const struct swap_completion *done)
{
	struct clean_sync *s = &c->syncs[done->cookie - SYNC_COOKIES];
	struct vm_object *o = s->object;

	locks_assert_none();
	CHECK(o && c->syncing > 0 && o->external->syncing > 0);
	if (s->request)
		request_answer(s->request, done->result);
	else if (done->result)
		pager_write_end(o, done->result);
	if (s->is_late)
		fetch_sub_relaxed(&o->external->late, 1);
	s->object = NULL;
	c->syncing--;
	o->external->syncing--;
	vm_object_put(o);
}

void
clean_syncs_look(struct cleaner *c, uint64_t now_ns)
{
	uint64_t late_ns = dirty_patience_ns(c->daemon);

	for (unsigned i = 0; i < SYNCS_MAX; i++) {
		struct clean_sync *s = &c->syncs[i];

		if (!s->object || s->is_late || now_ns - s->start_ns < late_ns)
			continue;
		s->is_late = true;
		fetch_add_relaxed(&s->object->external->late, 1);
	}
}
