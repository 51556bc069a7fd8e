/* SPDX-License-Identifier: MIT
 *
 * The fake daemon's requests. Runs on: its control thread, with the lock held.
 */
#include "fake_priv.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "fake_inspect.h"
#include "pager/uffd_compat.h"

void
fake_session_close(struct fake_session *s)
{
	int *fds[] = { &s->fd, &s->uffd, &s->agent, &s->memfd };

	/* close alone would wait for the control thread's poll to let go. */
	shutdown(s->fd, SHUT_RDWR);
	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
		if (*fds[i] >= 0)
			close(*fds[i]);
		*fds[i] = -1;
	}
	range_set_fini(&s->ranges);
	s->used = false;
}

static void
fake_accept(struct fake *f)
{
	int fd = accept4(f->listen_fd, NULL, NULL, SOCK_CLOEXEC);

	if (fd < 0)
		return;
	for (size_t i = 0; i < FAKE_SESSIONS_MAX; i++) {
		struct fake_session *s = &f->sessions[i];

		if (s->used)
			continue;
		*s = (struct fake_session){
			.used = true, .fd = fd, .uffd = -1, .agent = -1, .memfd = -1
		};
		return;
	}
	close(fd);
}

void
fake_reply(struct fake *f, struct fake_session *s, const struct pager_msg_header *request,
    int error, const void *body, size_t bytes, int fd)
{
	enum fake_mangle mangle = f->mangle[request->type];
	struct pager_msg_header h = {
		.type = request->type, .sequence = request->sequence, .error = error
	};
	char extra[1] = { 0 };
	struct iovec iov[3] = { { &h, sizeof(h) }, { (void *)(uintptr_t)body, error ? 0 : bytes },
		{ extra, 0 } };
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct msghdr m = { .msg_iov = iov, .msg_iovlen = 3 };
	struct cmsghdr *c;

	f->mangle[request->type] = FAKE_MANGLE_NONE;
	h.length = (uint32_t)(iov[0].iov_len + iov[1].iov_len);
	if (mangle == FAKE_MANGLE_SEQUENCE)
		h.sequence++;
	if (mangle == FAKE_MANGLE_TYPE)
		h.type++;
	if (mangle == FAKE_MANGLE_LENGTH)
		h.length += 8;
	if (mangle == FAKE_MANGLE_POSITIVE)
		h.error = EINVAL;
	if (mangle == FAKE_MANGLE_SHORT)
		iov[0].iov_len = 10, iov[1].iov_len = 0;
	if (mangle == FAKE_MANGLE_BODY)
		iov[2].iov_len = 1, h.length++;
	if (mangle == FAKE_MANGLE_NO_FD || error)
		fd = -1;
	if (mangle == FAKE_MANGLE_FD)
		fd = f->listen_fd;
	if (mangle == FAKE_MANGLE_HANGUP) {
		shutdown(s->fd, SHUT_RDWR);
		return;
	}
	if (fd >= 0) {
		m.msg_control = control.bytes;
		m.msg_controllen = sizeof(control.bytes);
		c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	}
	/* A forked child that ends at once reads no answer. */
	if (sendmsg(s->fd, &m, MSG_NOSIGNAL) < 0 && errno != EPIPE)
		perror("fake daemon: sendmsg");
}

/* The probe must be absent and watched: one page of it is filled, as the daemon does. */
static int
fake_attach(struct fake *f, struct fake_session *s, const struct pager_req_attach *req,
    const int *fds, int *ret_agent)
{
	struct uffdio_zeropage zero = { .range = { req->probe_address, FAKE_PAGE_SIZE } };
	int pair[2];

	s->uffd = fds[0];
	if (req->probe_size != PAGER_PROBE_PAGES * (uint64_t)sysconf(_SC_PAGESIZE) ||
	    ioctl(s->uffd, UFFDIO_ZEROPAGE, &zero) < 0) {
		f->range_errors++;
		return -EINVAL;
	}
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	s->agent = pair[0];
	*ret_agent = pair[1];
	if (s->memfd >= 0)
		return 0;
	s->memfd = memfd_create("fake-object", MFD_CLOEXEC);
	if (s->memfd < 0 || ftruncate(s->memfd, (off_t)FAKE_OBJECT_BYTES) < 0)
		return -errno;
	return 0;
}

static bool
fake_overlaps(const struct fake_session *s, uint64_t start, uint64_t end)
{
	const struct range *range = range_set_above(&s->ranges, start);

	return range && range->start < end;
}

static int
fake_allocate(struct fake *f, struct fake_session *s, const struct pager_req_allocate *req,
    struct pager_rep_allocate *rep)
{
	uint64_t end = req->address + req->size;

	if (req->size == 0 || (req->address | req->size) % FAKE_PAGE_SIZE != 0 ||
	    fake_overlaps(s, req->address, end)) {
		f->range_errors++;
		return -EINVAL;
	}
	if (s->object_next + req->size > FAKE_OBJECT_BYTES)
		return -ENOMEM;
	if (range_set_reserve(&s->ranges, 1) < 0)
		return -ENOMEM;
	range_set_add(&s->ranges, req->address, end);
	rep->object_id = 7;
	rep->object_offset = s->object_next;
	s->object_next += req->size;
	return 0;
}

static int
fake_deallocate(struct fake *f, struct fake_session *s, const struct pager_req_deallocate *req)
{
	if (!range_set_contains(&s->ranges, req->address, req->address + req->size)) {
		f->range_errors++;
		return -EINVAL;
	}
	if (range_set_reserve(&s->ranges, 1) < 0)
		return -ENOMEM;
	range_set_remove(&s->ranges, req->address, req->address + req->size);
	return 0;
}

static int
fake_protect(struct fake *f, struct fake_session *s, const struct pager_req_protect *req)
{
	if (!range_set_contains(&s->ranges, req->address, req->address + req->size)) {
		f->range_errors++;
		return -EINVAL;
	}
	s->protect = *req;
	return 0;
}

/* The part of the region that contains the address, or begins behind it, and is, or is not, the
 * range with a protection of its own. */
static void
fake_region_clip(
    const struct pager_req_protect *own, uint64_t address, struct pager_wire_region *region)
{
	uint64_t end = region->address + region->size, own_end = own->address + own->size;

	if (address < region->address)
		address = region->address;
	if (own->size == 0 || own_end <= address || own->address >= end) {
		if (own->size > 0 && own_end > region->address && own_end <= address)
			region->address = own_end;
		region->size = end - region->address;
		return;
	}
	if (own->address > address) {
		region->size = own->address - region->address;
		return;
	}
	region->address = own->address;
	region->size = (own_end < end ? own_end : end) - own->address;
	region->protection = own->protection & ~(uint32_t)PAGER_PROT_MAXIMUM;
}

static int
fake_region(
    struct fake_session *s, const struct pager_req_region *req, struct pager_wire_region *ret)
{
	const struct range *range = range_set_above(&s->ranges, req->address);

	if (!range)
		return -ENOENT;
	*ret = (struct pager_wire_region){
		.address = range->start,
		.size = range->end - range->start,
		.object_id = 7,
		.protection = PROT_READ | PROT_WRITE,
		.max_protection = PROT_READ | PROT_WRITE,
		.share_mode = PAGER_SHARE_SHARED,
		.ref_count = 2,
		.billed = 1,
		.depth = req->depth,
	};
	fake_region_clip(&s->protect, req->address, ret);
	if (req->flags & PAGER_REGION_EXTENDED) {
		ret->pages_resident = 3;
		ret->proportional_resident = 3 * FAKE_PAGE_SIZE / 2;
		ret->proportional_stored = 5;
	}
	return 0;
}

union fake_body {
	struct pager_rep_hello hello;
	struct pager_rep_attach attach;
	struct pager_rep_allocate allocate;
	struct pager_rep_region region;
	struct pager_rep_page_query page_query;
	struct pager_rep_statistics statistics;
	struct pager_rep_submap_change submap_change;
	struct pager_rep_upl_create upl_create;
	struct pager_rep_upl_finish upl_finish;
	struct pager_rep_descriptor descriptor;
	char bytes[PAGER_MSG_BYTES_MAX];
};

/* => bytes of the reply */
static size_t
fake_submap(struct fake *f, const struct pager_msg_header *h, const int *fds, union fake_body *rep,
    int *ret_fd)
{
	const void *req = h + 1;

	if (h->type != PAGER_MSG_SUBMAP_CREATE)
		close(fds[0]);
	if (h->type != PAGER_MSG_SUBMAP_CHANGE) {
		if (h->type == PAGER_MSG_SUBMAP_NAME)
			f->rights = ((const struct pager_req_submap_name *)req)->rights;
		*ret_fd = f->dev_fd;
		return sizeof(struct pager_rep_submap_name);
	}
	f->changed = *(const struct pager_req_submap_change *)req;
	rep->submap_change.offset = f->changed.offset + FAKE_PAGE_SIZE;
	return sizeof(rep->submap_change);
}

/* Memory descriptors: the memory lies in pieces of two pages, every third of which is of another
 * object. => bytes of the reply */
static size_t
fake_descriptor(struct fake *f, struct fake_session *s, const struct pager_msg_header *h,
    union fake_body *rep, int *ret_fd)
{
	const struct pager_req_descriptor *req = (const void *)(h + 1);
	uint64_t most = 2 * FAKE_PAGE_SIZE, number = req->address / most;

	f->descriptor = *req;
	f->descriptor_ops[req->op]++;
	if (req->op != PAGER_DESCRIPTOR_PIECE)
		return sizeof(rep->descriptor);
	rep->descriptor = (struct pager_rep_descriptor){ .object_id = 1 + (number % 3 == 0),
		.object_offset = req->address % FAKE_OBJECT_BYTES,
		.size = req->size < most ? req->size : most,
		.protection =
		    req->direction & PAGER_DIRECTION_IN ? PROT_READ | PROT_WRITE : PROT_READ };
	if (f->descriptor_ops[req->op] == f->descriptor_bad_piece)
		rep->descriptor.size = f->descriptor_bad_size;
	*ret_fd = s->memfd;
	return sizeof(rep->descriptor);
}

/* Lists of absent pages, all held until the whole list is handed back; and memory descriptors. =>
 * bytes of the reply */
static size_t
fake_list(struct fake *f, struct fake_session *s, const struct pager_msg_header *h,
    union fake_body *rep, int *ret_fd)
{
	const struct pager_req_upl_create *req = (const void *)(h + 1);
	size_t head = offsetof(struct pager_rep_upl_create, pages);
	uint32_t pages = (uint32_t)(req->size / FAKE_PAGE_SIZE);

	if (h->type == PAGER_MSG_DESCRIPTOR)
		return fake_descriptor(f, s, h, rep, ret_fd);
	if (h->type == PAGER_MSG_UPL_FINISH) {
		f->finished = *(const struct pager_req_upl_finish *)(const void *)(h + 1);
		rep->upl_finish.ended = f->finished.what == PAGER_WIRE_UPL_DESTROY ||
					f->finished.flags & PAGER_UPL_COMMIT_FREE_ON_EMPTY;
		return sizeof(rep->upl_finish);
	}
	rep->upl_create.size = req->size;
	if (req->flags & PAGER_UPL_QUERY_OBJECT_TYPE) {
		rep->upl_create.object_type = PAGER_UPL_PHYS_CONTIG;
		return head;
	}
	rep->upl_create.id = 7 + f->requests[PAGER_MSG_UPL_CREATE];
	rep->upl_create.held = pages;
	memset(
	    rep->upl_create.pages, PAGER_WIRE_UPL_HELD | PAGER_WIRE_UPL_HELD << 4, (pages + 1) / 2);
	*ret_fd = s->memfd;
	return head + (pages + 1) / 2;
}

static size_t
fake_hello(struct fake *f, struct fake_session *s, const struct pager_req_hello *req,
    struct pager_rep_hello *rep, int *ret_fd)
{
	*rep = (struct pager_rep_hello){ .version = PAGER_PROTO_VERSION,
		.daemon_pid = (uint32_t)getpid(),
		.page_size = FAKE_PAGE_SIZE,
		.session_id = (uint64_t)(s - f->sessions) + 1,
		.uffd_features = FAKE_UFFD_FEATURES };
	memcpy(s->name, req->name, sizeof(s->name));
	memcpy(f->last_name, s->name, sizeof(s->name));
	if (req->role == PAGER_ROLE_CLIENT)
		*ret_fd = f->dev_fd;
	return sizeof(*rep);
}

/* What is answered in other files. => 0 or -errno */
static int
fake_others(struct fake *f, struct fake_session *s, const struct pager_msg_header *h,
    const int *fds, union fake_body *rep, size_t *bytes, int *fd)
{
	switch (h->type) {
	case PAGER_MSG_FORK_BEGIN:
	case PAGER_MSG_FORK_CHILD:
	case PAGER_MSG_FORK_STEP:
		return fake_fork(f, s, h, rep, bytes, fd);
	case PAGER_MSG_PORT_OPEN:
	case PAGER_MSG_PORT_CLOSE:
	case PAGER_MSG_PORT_SEND:
	case PAGER_MSG_PORT_RECEIVE:
		return fake_port(f, s, h, rep, bytes, fd);
	default:
		return fake_inspect(h, rep->bytes, bytes, fd, fds);
	}
}

static void
fake_handle(
    struct fake *f, struct fake_session *s, const struct pager_msg_header *h, const int *fds)
{
	/* Not malloc: a thread of this process that forks has its locks while it asks. */
	static union fake_body body;
	union fake_body *rep = memset(&body, 0, sizeof(body));
	const void *req = h + 1;
	size_t bytes = 8; /* of the replies that are one number */
	int error = f->fail[h->type], fd = -1;

	f->requests[h->type]++;
	f->fail[h->type] = 0;
	if (error != 0) {
		for (unsigned i = 0; i < 4 && fds[i] >= 0; i++)
			close(fds[i]);
		goto out;
	}
	switch (h->type) {
	case PAGER_MSG_HELLO:
		bytes = fake_hello(f, s, req, &rep->hello, &fd);
		break;
	case PAGER_MSG_ATTACH:
		error = fake_attach(f, s, req, fds, &fd);
		bytes = sizeof(rep->attach);
		f->last = (int)(s - f->sessions);
		break;
	case PAGER_MSG_ALLOCATE:
		error = fake_allocate(f, s, req, &rep->allocate);
		bytes = sizeof(rep->allocate);
		fd = s->memfd;
		break;
	case PAGER_MSG_DEALLOCATE:
		error = fake_deallocate(f, s, req);
		break;
	case PAGER_MSG_PROTECT:
		error = fake_protect(f, s, req);
		break;
	case PAGER_MSG_SUBMAP_CREATE:
	case PAGER_MSG_SUBMAP_NAME:
	case PAGER_MSG_SUBMAP_CHANGE:
		bytes = fake_submap(f, h, fds, rep, &fd);
		break;
	case PAGER_MSG_UPL_CREATE:
	case PAGER_MSG_UPL_FINISH:
	case PAGER_MSG_DESCRIPTOR:
		bytes = fake_list(f, s, h, rep, &fd);
		break;
	case PAGER_MSG_INHERIT:
	case PAGER_MSG_TAG:
	case PAGER_MSG_WIRE:
	case PAGER_MSG_UNWIRE:
	case PAGER_MSG_BEHAVIOR:
		break;
	case PAGER_MSG_REGION:
		error = fake_region(s, req, &rep->region.region);
		bytes = sizeof(rep->region);
		break;
	case PAGER_MSG_PAGE_QUERY:
		rep->page_query.disposition = PAGER_PAGE_PRESENT | PAGER_PAGE_DIRTY;
		break;
	case PAGER_MSG_STATISTICS:
		rep->statistics.statistics.page_size = FAKE_PAGE_SIZE;
		rep->statistics.statistics.faults = f->missing + f->minor;
		bytes = sizeof(rep->statistics);
		break;
	default:
		error = fake_others(f, s, h, fds, rep, &bytes, &fd);
		break;
	}
out:
	fake_reply(f, s, h, error, rep, bytes, fd);
	if ((h->type == PAGER_MSG_STAT_SEGMENT || h->type == PAGER_MSG_ATTACH ||
		h->type == PAGER_MSG_FORK_BEGIN || h->type == PAGER_MSG_PORT_OPEN) &&
	    fd >= 0)
		close(fd);
}

/* One request; a malformed one ends the session, as the daemon does it. => false: the session is
 * over. */
static bool
fake_receive(struct fake *f, struct fake_session *s)
{
	union {
		struct pager_msg_header header;
		char bytes[PAGER_MSG_BYTES_MAX];
	} in;
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int) * 4)];
	} control;
	struct iovec iov = { &in, sizeof(in) };
	struct msghdr m = { .msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.bytes,
		.msg_controllen = sizeof(control.bytes) };
	struct cmsghdr *c;
	int fds[4] = { -1, -1, -1, -1 };
	unsigned fd_count = 0;
	ssize_t n = recvmsg(s->fd, &m, MSG_CMSG_CLOEXEC);

	if (n <= 0)
		return false;
	c = CMSG_FIRSTHDR(&m);
	if (c && c->cmsg_type == SCM_RIGHTS) {
		fd_count = (unsigned)((c->cmsg_len - CMSG_LEN(0)) / sizeof(int));
		memcpy(fds, CMSG_DATA(c), fd_count * sizeof(int));
	}
	if (pager_msg_request_check(&in, (size_t)n, fd_count) == NULL) {
		fake_handle(f, s, &in.header, fds);
		return true;
	}
	f->malformed++;
	for (unsigned i = 0; i < fd_count; i++)
		close(fds[i]);
	return false;
}

void *
fake_control_run(void *arg)
{
	struct fake *f = arg;
	struct pollfd fds[FAKE_SESSIONS_MAX + 2];

	for (;;) {
		pthread_mutex_lock(&f->lock);
		fds[0] = (struct pollfd){ .fd = f->listen_fd, .events = POLLIN };
		fds[1] = (struct pollfd){ .fd = f->wake_fd, .events = POLLIN };
		for (size_t i = 0; i < FAKE_SESSIONS_MAX; i++) {
			int fd = f->sessions[i].used ? f->sessions[i].fd : -1;

			fds[i + 2] = (struct pollfd){ .fd = fd, .events = POLLIN };
		}
		pthread_mutex_unlock(&f->lock);
		if (poll(fds, FAKE_SESSIONS_MAX + 2, -1) < 0)
			continue;
		pthread_mutex_lock(&f->lock);
		if (f->stopping) {
			pthread_mutex_unlock(&f->lock);
			return NULL;
		}
		if (fds[0].revents && !f->killed)
			fake_accept(f);
		for (size_t i = 0; i < FAKE_SESSIONS_MAX; i++) {
			struct fake_session *s = &f->sessions[i];

			if (fds[i + 2].revents && s->used && !fake_receive(f, s))
				fake_session_close(s);
		}
		pthread_mutex_unlock(&f->lock);
	}
}
