/* SPDX-License-Identifier: MIT
 *
 * Requests that begin a session: HELLO and ATTACH. Runs on: the control loop.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/control.h"
#include "fault/fault.h"
#include "pmap/uffd.h"
#include "text.h"

int
handle_hello(struct request *r)
{
	const struct pager_req_hello *in = r->body;
	struct pager_rep_hello *out = r->reply;
	struct session *s = r->session;

	if (in->version_min > PAGER_PROTO_VERSION || in->version_max < PAGER_PROTO_VERSION)
		return -EPROTONOSUPPORT;
	if (in->features != 0 || in->reserved != 0 || memchr(in->name, '\0', sizeof(in->name)) == NULL ||
	    (in->role != PAGER_ROLE_CLIENT && in->role != PAGER_ROLE_TOOL))
		return -EINVAL;
	snprintf(s->name, sizeof(s->name), "%s", in->name);
	/* It is shown on terminals. */
	text_clean(s->name);
	store_release(&s->state, in->role == PAGER_ROLE_CLIENT ? SESSION_ATTACHING : SESSION_TOOL);
	if (in->role == PAGER_ROLE_CLIENT)
		r->reply_fd = r->daemon->uffd_device;
	*out = (struct pager_rep_hello){
		.version = PAGER_PROTO_VERSION,
		.daemon_pid = (uint32_t)getpid(),
		.page_size = r->daemon->page_bytes,
		.session_id = s->id,
	};
	return 0;
}

static bool
is_userfaultfd(int fd)
{
	char path[64], target[64];
	ssize_t length;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	length = readlink(path, target, sizeof(target) - 1);
	if (length < 0)
		return false;
	target[length] = '\0';
	return strcmp(target, "anon_inode:[userfaultfd]") == 0;
}

static bool
is_socket(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode);
}

int
handle_attach(struct request *r)
{
	struct pager_rep_attach *out = r->reply;
	struct session *s = r->session;
	int error;

	if (load_acquire(&s->state) != SESSION_ATTACHING)
		return -EALREADY;
	if (!is_userfaultfd(r->fds[0]) || !is_socket(r->fds[1]))
		return -EBADF;
	error = uffd_handshake(r->fds[0], &out->uffd_features);
	if (error)
		return error;
	/* Servers must never sleep in a read. */
	error = uffd_never_wait(r->fds[0]);
	if (error)
		return error;
	s->uffd = r->fds[0];
	s->agent = r->fds[1];
	r->fds[0] = r->fds[1] = -1;
	error = fault_servers_add(r->daemon, s);
	if (error)
		return error;
	store_release(&s->state, SESSION_CLIENT);
	return 0;
}
