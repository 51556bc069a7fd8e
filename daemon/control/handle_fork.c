/* SPDX-License-Identifier: MIT
 *
 * Requests about fork(2): FORK_BEGIN (jobs), FORK_CHILD and FORK_STEP (control loop).
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "control/forked.h"
#include "control/handle_entry.h"
#include "control/kept.h"
#include "descriptors.h"
#include "memorystatus/host_room.h"
#include "pmap/barrier.h"
#include "pmap/uffd.h"
#include "region/fork.h"
#include "region/shared.h"
#include "vm/lineage.h"
#include "vm/vm_map.h"
#include "watch/watcher.h"

/* The regions from the cursor on that are of one object and seen in one way. => a reference on its
 * mapping, or NULL: there is none; M held */
static struct vm_mapping *
regions_locked(struct vm_map *m, uint64_t cursor, struct pager_rep_fork_step *out)
{
	uint32_t i = vm_map_index(m, cursor);
	struct vm_mapping *first = NULL;

	lock_assert_held(&m->lock);
	for (; i < m->count && out->count < PAGER_FORK_REGIONS_PER_REPLY; i++) {
		const struct vm_entry *e = &m->entries[i];

		if (!first)
			first = vm_mapping_get(e->mapping);
		if (e->mapping->object != first->object ||
		    e->mapping->is_read_only != first->is_read_only)
			break;
		out->regions[out->count++] = (struct pager_wire_fork_region){ .address = e->start,
			.size = e->end - e->start,
			.object_offset = e->offset,
			.protection = e->protection,
			.is_private = e->mapping->is_read_only };
	}
	out->next_cursor = i < m->count ? m->entries[i].start : 0;
	return first;
}

/* *ret: zeroed. => 0 or -errno; -ENOENT: there are none from the cursor on */
static int
regions_view(struct task *task, uint64_t cursor, struct pager_rep_fork_step *ret, int *ret_fd,
    bool *ret_given)
{
	struct vm_mapping *mapping;
	int error;

	lock_acquire(&task->map.lock);
	mapping = regions_locked(&task->map, cursor, ret);
	lock_release(&task->map.lock);
	if (!mapping)
		return -ENOENT;
	error = view_descriptor(mapping->object, mapping->is_read_only, ret_fd, ret_given);
	/* Not the last reference: the entry has one. */
	vm_mapping_put(mapping);
	return error;
}

/* Puts a message into the child's socket, as an answer to what it need not ask. */
static bool
child_put(const struct forked *f, struct pager_msg_header *header, enum pager_msg_type type,
    size_t body_bytes, int fd)
{
	*header = (struct pager_msg_header){ .length = (uint32_t)(sizeof(*header) + body_bytes),
		.type = (uint16_t)type };
	return descriptors_send(f->socket, header, header->length, &fd, 1, MSG_DONTWAIT);
}

static void
child_identity(const struct daemon *d, struct task *task, struct pager_rep_fork_child *ret)
{
	*ret = (struct pager_rep_fork_child){
		.session_id = task->id, .page_size = d->page_bytes, .uffd_features = uffd_features()
	};
	lock_acquire(&task->map.lock);
	ret->regions = task->map.count;
	lock_release(&task->map.lock);
}

/* What does not go into the socket the child asks for. => 0 or -errno */
static int
child_tell(const struct daemon *d, struct forked *f)
{
	struct {
		struct pager_msg_header header;
		union {
			struct pager_rep_fork_child child;
			struct pager_rep_fork_step step;
		} body;
	} told;
	uint64_t cursor = 0;
	bool given = false, sent = true;
	int fd;

	child_identity(d, f->task, &told.body.child);
	if (!child_put(
		f, &told.header, PAGER_MSG_FORK_CHILD, sizeof(told.body.child), d->uffd_device))
		return -ENOBUFS;
	for (unsigned i = 0; i < PAGER_FORK_TOLD && sent && (i == 0 || cursor); i++) {
		memset(&told.body.step, 0, offsetof(struct pager_rep_fork_step, regions));
		if (regions_view(f->task, cursor, &told.body.step, &fd, &given))
			break;
		sent = child_put(f, &told.header, PAGER_MSG_FORK_STEP,
		    offsetof(struct pager_rep_fork_step, regions) +
			told.body.step.count * sizeof(told.body.step.regions[0]),
		    fd);
		if (given)
			close(fd);
		cursor = told.body.step.next_cursor;
	}
	return 0;
}

/* Whether the child is to see what its parent has in memory where that is. */
static bool
child_shares(struct task *parent, struct task *child)
{
	const struct daemon *d = parent->daemon;
	uint64_t least = param(d, fork_share_bytes);
	int64_t resident = load_relaxed(&parent->bill.process->resident);

	if (least == 0 || resident < 0 || (uint64_t)resident << d->page_shift < least)
		return false;
	if (!parent->lineage)
		parent->lineage = lineage_create();
	child->lineage = lineage_get(parent->lineage);
	return parent->lineage && lineage_reads(parent->lineage);
}

/* Whether the machine has room for all that the client is about to read, and an eighth more. */
static bool
physical_fits(const struct request *r, const struct fork_physical *physical)
{
	struct host_room room = host_room(r->daemon->options.host_directory, r->task->pid);
	uint64_t bytes = 0;

	for (unsigned i = 0; i < physical->count; i++)
		if (!(physical->ranges[i].address & PAGER_FORK_ZEROES))
			bytes += physical->ranges[i].size;
	return bytes + bytes / 8 <= min_u64(room.machine, room.cgroup);
}

static int
child_make(struct request *r, struct forked *f)
{
	struct pager_rep_fork_begin *out = r->reply;
	struct fork_physical physical = { .ranges = out->physical };
	int error;

	barrier_begin(r->task, f->task->id);
	error = region_fork(r->task, f->task, &physical);
	if (!error && r->daemon->keeper && !physical_fits(r, &physical))
		error = -ENOMEM;
	if (!error)
		error = shared_inherit(r->task, f->task);
	if (!error)
		error = child_tell(r->daemon, f);
	if (error) {
		barrier_end(r->task, f->task->id);
		return error == -ENOSPC ? -ENOMEM : error;
	}
	out->session_id = f->task->id;
	out->count = physical.count;
	if (r->daemon->keeper)
		out->flags = PAGER_FORK_PHYSICAL;
	else if (child_shares(r->task, f->task))
		out->flags = PAGER_FORK_SHARES_READS;
	stat_add(r->stats, STAT_FORKS_SHARING, out->flags == PAGER_FORK_SHARES_READS);
	r->reply_bytes = offsetof(struct pager_rep_fork_begin, physical) +
			 physical.count * sizeof(out->physical[0]);
	return 0;
}

/* Each region of the child's may be an object of its own. */
static bool
has_keepers_room(struct task *task)
{
	uint32_t regions;

	lock_acquire(&task->map.lock);
	regions = task->map.count;
	lock_release(&task->map.lock);
	return keeper_has_room(task->daemon->keeper, regions + KEPT_OF_CLIENT);
}

int
handle_fork_begin(struct request *r)
{
	const struct pager_req_fork_begin *in = r->body;
	struct forked *f;
	int error, childs = -1;

	CHECK(r->task && !r->forked);
	if (in->flags != 0 || in->reserved != 0)
		return -EINVAL;
	if (!has_keepers_room(r->task))
		return -ENFILE;
	error = forked_create(r->session, &f, &childs);
	if (!error) {
		error = child_make(r, f);
		if (error) {
			close(childs);
			forked_destroy(f);
		}
	}
	stat_add(r->stats, error ? STAT_FORKS_BARE : STAT_FORKS, 1);
	if (error) {
		log_warning_limited("process %d of user %u forks, and the child has none of its "
				    "memory: %s; touching it is SIGBUS there",
		    (int)r->task->pid, (unsigned)r->task->uid, strerror(-error));
		return error;
	}
	r->forked = f;
	r->reply_fd = childs;
	r->reply_fd_given = true;
	return 0;
}

int
handle_fork_child(struct request *r)
{
	struct pager_rep_fork_child *out = r->reply;
	struct session *session = r->session;

	loop_assert(r->daemon);
	/* Without a process it has been accepted, and is nobody's child. */
	if (!session->fork_parent || session->pidfd < 0)
		return -EALREADY;
	/* It has forked. */
	barrier_end(session->fork_parent, session->id);
	task_put(session->fork_parent);
	session->fork_parent = NULL;
	process_keep_inherited(r->daemon, session->task->bill.process);
	session_commit(session, SESSION_NEW, SESSION_CLIENT);
	child_identity(r->daemon, session->task, out);
	return session->fork_is_void ? -ETIMEDOUT : 0;
}

static int
map_tell(struct request *r, uint64_t cursor)
{
	struct pager_rep_fork_step *out = r->reply;
	int error;

	if (!r->task || !load_acquire(&r->task->is_unborn))
		return -EALREADY;
	error = regions_view(r->task, cursor, out, &r->reply_fd, &r->reply_fd_given);
	r->reply_bytes =
	    offsetof(struct pager_rep_fork_step, regions) + out->count * sizeof(out->regions[0]);
	return error;
}

int
handle_fork_step(struct request *r)
{
	const struct pager_req_fork_step *in = r->body;

	loop_assert(r->daemon);
	r->reply_bytes = offsetof(struct pager_rep_fork_step, regions);
	if (in->reserved != 0 || (in->cursor != 0 && in->step != PAGER_FORK_MAP))
		return -EINVAL;
	switch (in->step) {
	case PAGER_FORK_END:
		if (r->task)
			barrier_end(r->task, 0);
		return 0;
	case PAGER_FORK_MAP:
		return map_tell(r, in->cursor);
	case PAGER_FORK_SETTLED:
		r->session->outlives_socket = false;
		kept_outlives(r->session);
		return 0;
	case PAGER_FORK_LIGHT:
		if (!r->task || load_acquire(&r->task->state) != TASK_ATTACHED)
			return -EINVAL;
		r->session->outlives_socket = true;
		kept_outlives(r->session);
		return 0;
	default:
		return -EINVAL;
	}
}
