/* SPDX-License-Identifier: MIT
 *
 * Letting go of a connection:
 *
 *   RELEASE        the daemon is asked to, by a tool or by pager_release, and tells the agent
 *   BEGIN          the daemon looks whether it can be, and takes nothing more into its books
 *   rooms          of all ranges, so that nothing that may fail is left; else CANCEL
 *   take           range by range (take.c)
 *   END            the daemon has nothing of the client's any more
 *   the keeper     ends the threads, unmaps what was reserved, and hangs up
 *
 * Up to "take" nothing has changed. From there on each chunk is either managed or ordinary, both of
 * which are right; if the process dies or stops there, or the daemon does, that is what it is then.
 *
 * change_lock is held throughout: whoever gives memory back or changes it waits. An allocation is
 * refused by the daemon (-ESHUTDOWN) and waits for that lock. Runs on: the agent; the public call
 * on the caller's thread.
 */
#include "release.h"

#include "pager_priv.h"

#include <errno.h>
#include <sched.h>
#include <sys/mman.h>

#include "ordinary.h"
#include "own_pages.h"
#include "pager/release.h"
#include "take.h"

/* Looks for pins that stay, one each millisecond. */
#define PIN_LOOKS 500u

struct rooms {
	struct room *rooms; /* own pages */
	size_t bytes, count;
};

/* --- before anything has changed --- */

/* Copies that share reads get memory of their own where it is not. */
static int
windows_open(struct pager *p)
{
	uint64_t at = 0, start, end;
	int r = 0;

	while (r == 0 && p->shows && space_managed_part(p, at, UINT64_MAX, &start, &end)) {
		r = show_open_range(p, start, end - start);
		at = end;
	}
	return r;
}

static int
step(struct pager *p, enum pager_wire_step what, int error, struct pager_rep_release_step *reply)
{
	struct pager_req_release_step request = { .what = (uint32_t)what, .error = error };
	struct chan_call call = { CHAN_CALL(RELEASE_STEP, &request, reply) };

	return chan_exchange(&p->chan, &call);
}

/* => 0; -ECANCELED: the daemon knows why; -errno */
static int
begin(struct pager *p)
{
	struct pager_rep_release_step reply;
	int r;

	for (unsigned looks = 0;; looks++) {
		r = step(p, PAGER_WIRE_STEP_BEGIN, 0, &reply);
		if (r < 0 || reply.refusal.why == RELEASE_WHY_NONE)
			return r;
		if (reply.refusal.why != RELEASE_WHY_PINNED)
			return -ECANCELED;
		if (looks == PIN_LOOKS)
			break;
		take_nap();
	}
	r = step(p, PAGER_WIRE_STEP_CANCEL, 0, &reply);
	return r < 0 ? r : -ECANCELED;
}

static void
rooms_end(struct rooms *rooms)
{
	for (size_t i = 0; i < rooms->count; i++)
		room_end(&rooms->rooms[i]);
	own_pages_free(rooms->rooms, rooms->bytes);
	*rooms = (struct rooms){ 0 };
}

/* For all that is managed. => 0 or -ENOMEM: there are none */
static int
rooms_make(struct pager *p, struct rooms *rooms)
{
	uint64_t at = 0, start, end;
	struct room *more;
	int r = 0;

	while (r == 0 && space_managed_part(p, at, UINT64_MAX, &start, &end)) {
		more = own_pages_grow(
		    rooms->rooms, &rooms->bytes, (rooms->count + 1) * sizeof(*rooms->rooms), 4096);
		if (more)
			rooms->rooms = more;
		r = more ? room_make(start, end, &rooms->rooms[rooms->count]) : -ENOMEM;
		rooms->count += r == 0;
		at = end;
	}
	if (r < 0)
		rooms_end(rooms);
	return r;
}

/* --- from here on there is no way back --- */

/* => 0 or -ENOTCONN */
static int
take_all(struct pager *p, struct rooms *rooms)
{
	struct pager_rep_release_step reply;
	int r = 0;

	for (;;) {
		for (size_t i = 0; r == 0 && i < rooms->count; i++)
			r = room_take(p, &rooms->rooms[i]);
		rooms_end(rooms);
		if (r < 0)
			return r;
		region_settle(p);
		/* What another thread was allocating when it began is not taken yet. */
		r = step(p, PAGER_WIRE_STEP_END, 0, &reply);
		if (r != -EBUSY)
			return r;
		do
			take_nap();
		while ((r = rooms_make(p, rooms)) < 0);
	}
}

void
release_run(struct pager *p)
{
	struct pager_rep_release_step reply;
	struct rooms rooms = { 0 };
	int r = windows_open(p);

	hold_lock(&p->change_lock);
	if (r == 0)
		r = begin(p);
	if (r == 0)
		r = rooms_make(p, &rooms);
	if (r < 0 && r != -ECANCELED)
		(void)step(p, PAGER_WIRE_STEP_CANCEL, r, &reply);
	else if (r == 0)
		r = take_all(p, &rooms);
	if (r == 0) {
		atomic_store_explicit(&p->released, true, memory_order_release);
		keeper_end(p);
	}
	hold_unlock(&p->change_lock);
}

/* --- the call --- */

static int
why_error(const struct pager_wire_release_refusal *refusal)
{
	switch (refusal->why) {
	case RELEASE_WHY_MACHINE:
	case RELEASE_WHY_CGROUP:
		return -ENOSPC;
	case RELEASE_WHY_PINNED:
	case RELEASE_WHY_LISTED:
	case RELEASE_WHY_WINDOW:
	case RELEASE_WHY_DEAF:
	case RELEASE_WHY_TAKEN_BACK:
		return -EAGAIN;
	case RELEASE_WHY_CLIENT:
		return refusal->error < 0 ? refusal->error : -EAGAIN;
	default:
		return -ENOTSUP;
	}
}

int
pager_release(struct pager *p, struct pager_refusal *ret)
{
	struct pager_req_release request = { .what = PAGER_WIRE_RELEASE_ASK };
	struct pager_rep_release reply;
	struct chan_call call = { CHAN_CALL(RELEASE, &request, &reply) };
	int r = pager_check(p);

	if (r < 0)
		return r;
	request.session = p->session;
	do {
		if (release_is_done(p))
			return 0;
		r = pager_check_descriptors(p);
		if (r == 0)
			r = chan_exchange(&p->chan, &call);
		if (r < 0)
			return release_is_done(p) ? 0 : r;
		request.what = PAGER_WIRE_RELEASE_LOOK;
		if (reply.state == PAGER_WIRE_RELEASE_ASKED)
			take_nap();
		else if (reply.state == PAGER_WIRE_RELEASE_RUNS)
			release_wait(p);
	} while (reply.state != PAGER_WIRE_RELEASE_REFUSED);
	if (ret)
		*ret = (struct pager_refusal){ .reason = release_why_text(reply.refusal.why),
			.addr = (void *)(uintptr_t)reply.refusal.address,
			.away_bytes = reply.refusal.away,
			.available_bytes = reply.refusal.available };
	return why_error(&reply.refusal);
}
