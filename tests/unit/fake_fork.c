/* SPDX-License-Identifier: MIT
 *
 * The fake daemon's answers about fork(2): a child's session has its parent's ranges, in an object
 * of its own, and their content is left to the client. Runs on: its control thread, with the lock
 * held.
 */
#include "fake_priv.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

static struct fake_session *
session_blank(struct fake *f)
{
	for (size_t i = 0; i < FAKE_SESSIONS_MAX; i++)
		if (!f->sessions[i].used)
			return &f->sessions[i];
	return NULL;
}

/* At most `most` regions. */
static int
fork_map(struct fake_session *s, uint64_t cursor, uint32_t most, struct pager_rep_fork_step *rep,
    int *fd)
{
	for (size_t i = 0; i < s->ranges.count && rep->count < most; i++) {
		const struct range *range = &s->ranges.ranges[i];

		if (range->start < cursor)
			continue;
		rep->regions[rep->count++] =
		    (struct pager_wire_fork_region){ .address = range->start,
			    .size = range->end - range->start,
			    .object_offset = s->object_next,
			    .protection = PROT_READ | PROT_WRITE };
		s->object_next += range->end - range->start;
		rep->next_cursor = i + 1 < s->ranges.count ? range[1].start : 0;
	}
	*fd = s->memfd;
	return rep->count > 0 ? 0 : -ENOENT;
}

static void
child_identity(struct fake *f, const struct fake_session *s, struct pager_rep_fork_child *ret)
{
	*ret = (struct pager_rep_fork_child){ .session_id = (uint64_t)(s - f->sessions) + 1,
		.page_size = FAKE_PAGE_SIZE,
		.uffd_features = FAKE_UFFD_FEATURES,
		.regions = (uint32_t)s->ranges.count };
}

/* What lies in the child's socket: of the regions the first one, so that it asks for the rest. */
static void
child_tell(struct fake *f, struct fake_session *s)
{
	static struct pager_rep_fork_step step;
	const struct pager_msg_header child_asks = { .type = PAGER_MSG_FORK_CHILD },
				      map_asks = { .type = PAGER_MSG_FORK_STEP };
	struct pager_rep_fork_child child;
	int error = f->fail[PAGER_MSG_FORK_CHILD], fd;

	f->fail[PAGER_MSG_FORK_CHILD] = 0;
	child_identity(f, s, &child);
	fake_reply(f, s, &child_asks, error, &child, sizeof(child), f->dev_fd);
	memset(&step, 0, sizeof(step));
	if (!error && fork_map(s, 0, 1, &step, &fd) == 0)
		fake_reply(f, s, &map_asks, 0, &step,
		    offsetof(struct pager_rep_fork_step, regions) + sizeof(step.regions[0]), fd);
}

static int
fork_begin(
    struct fake *f, const struct fake_session *parent, struct pager_rep_fork_begin *rep, int *fd)
{
	struct fake_session *s = session_blank(f);
	int pair[2];

	if (!s || parent->ranges.count > PAGER_FORK_PHYSICAL_MAX)
		return -ENFILE;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	*s = (struct fake_session){
		.used = true, .fd = pair[0], .uffd = -1, .agent = -1, .memfd = -1
	};
	s->memfd = memfd_create("fake-child", MFD_CLOEXEC);
	if (s->memfd < 0 || ftruncate(s->memfd, (off_t)FAKE_OBJECT_BYTES) < 0)
		return -errno;
	for (size_t i = 0; i < parent->ranges.count; i++) {
		const struct range *range = &parent->ranges.ranges[i];

		if (range_set_reserve(&s->ranges, 1) < 0)
			return -ENOMEM;
		range_set_add(&s->ranges, range->start, range->end);
		rep->physical[i] =
		    (struct pager_wire_range){ range->start, range->end - range->start };
	}
	rep->count = (uint32_t)parent->ranges.count;
	rep->session_id = (uint64_t)(s - f->sessions) + 1;
	*fd = pair[1];
	child_tell(f, s);
	return 0;
}

int
fake_fork(struct fake *f, struct fake_session *s, const struct pager_msg_header *h, void *reply,
    size_t *bytes, int *fd)
{
	const struct pager_req_fork_step *step = (const void *)(h + 1);
	struct pager_rep_fork_begin *begun = reply;
	struct pager_rep_fork_child *child = reply;
	struct pager_rep_fork_step *rep = reply;
	int error = 0;

	if (h->type == PAGER_MSG_FORK_BEGIN) {
		error = fork_begin(f, s, begun, fd);
		*bytes = offsetof(struct pager_rep_fork_begin, physical) +
			 begun->count * sizeof(begun->physical[0]);
	} else if (h->type == PAGER_MSG_FORK_CHILD) {
		child_identity(f, s, child);
		*bytes = sizeof(*child);
	} else {
		if (step->step == PAGER_FORK_MAP)
			error = fork_map(s, step->cursor, PAGER_FORK_REGIONS_PER_REPLY, rep, fd);
		*bytes = offsetof(struct pager_rep_fork_step, regions) +
			 rep->count * sizeof(rep->regions[0]);
	}
	return error;
}
