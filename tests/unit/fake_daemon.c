/* SPDX-License-Identifier: MIT
 *
 * Runs on: the test's thread, and a thread that answers faults.
 */
#include "fake_priv.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "pager/uffd_compat.h"

static void
fake_fault(struct fake *f, struct fake_session *s, const struct uffd_msg *msg)
{
	uint64_t address = msg->arg.pagefault.address & ~(uint64_t)(FAKE_PAGE_SIZE - 1);
	uint64_t flags = msg->arg.pagefault.flags;
	struct uffdio_zeropage zero = { .range = { address, FAKE_PAGE_SIZE } };
	struct uffdio_continue cont = { .range = { address, FAKE_PAGE_SIZE } };
	struct uffdio_writeprotect wp = { .range = { address, FAKE_PAGE_SIZE } };
	struct uffdio_range range = { address, FAKE_PAGE_SIZE };
	int r;

	if (!range_set_contains(&s->ranges, address, address + FAKE_PAGE_SIZE))
		f->strays++;
	if (flags & UFFD_PAGEFAULT_FLAG_WP) {
		r = ioctl(s->uffd, UFFDIO_WRITEPROTECT, &wp);
	} else if (flags & UFFD_PAGEFAULT_FLAG_MINOR) {
		f->minor++;
		r = ioctl(s->uffd, UFFDIO_CONTINUE, &cont);
	} else {
		f->missing++;
		r = ioctl(s->uffd, UFFDIO_ZEROPAGE, &zero);
	}
	if (r < 0) /* EEXIST, EAGAIN: the thread comes back with another fault if it still must */
		ioctl(s->uffd, UFFDIO_WAKE, &range);
}

/* Held faults stay unread: the next reader of the userfaultfd gets them. */
static void *
fake_fault_run(void *arg)
{
	struct fake *f = arg;
	struct pollfd fds[FAKE_SESSIONS_MAX];
	struct uffd_msg msg;
	bool idle = false;

	for (;;) {
		if (idle)
			usleep(200);
		pthread_mutex_lock(&f->lock);
		if (f->stopping) {
			pthread_mutex_unlock(&f->lock);
			return NULL;
		}
		for (size_t i = 0; i < FAKE_SESSIONS_MAX; i++) {
			int fd = f->sessions[i].used ? f->sessions[i].uffd : -1;

			fds[i] = (struct pollfd){ .fd = fd, .events = POLLIN };
		}
		idle = poll(fds, FAKE_SESSIONS_MAX, 0) <= 0 || f->hold;
		for (size_t i = 0; i < FAKE_SESSIONS_MAX; i++) {
			if (!(fds[i].revents & POLLIN))
				continue;
			if (f->hold)
				f->held++;
			else if (read(fds[i].fd, &msg, sizeof(msg)) == sizeof(msg) &&
				 msg.event == UFFD_EVENT_PAGEFAULT)
				fake_fault(f, &f->sessions[i], &msg);
		}
		pthread_mutex_unlock(&f->lock);
	}
}

struct fake *
fake_start(void)
{
	struct fake *f = calloc(1, sizeof(*f));
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	f->port_bell = -1;
	f->dev_fd = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);
	if (f->dev_fd < 0) {
		perror("fake daemon: /dev/userfaultfd");
		free(f);
		return NULL;
	}
	pthread_mutex_init(&f->lock, NULL);
	strcpy(f->directory, "/tmp/fake-pagerd-XXXXXX");
	if (!mkdtemp(f->directory) || chmod(f->directory, 0755) < 0)
		abort();
	snprintf(f->socket, sizeof(f->socket), "%s/socket", f->directory);
	strcpy(address.sun_path, f->socket);
	f->wake_fd = eventfd(0, EFD_CLOEXEC);
	f->listen_fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (bind(f->listen_fd, (struct sockaddr *)&address, sizeof(address)) < 0 ||
	    listen(f->listen_fd, 64) < 0 || chmod(f->socket, 0777) < 0)
		abort();
	pthread_create(&f->control, NULL, fake_control_run, f);
	pthread_create(&f->faults, NULL, fake_fault_run, f);
	return f;
}

static void
fake_close_all(struct fake *f)
{
	for (size_t i = 0; i < FAKE_SESSIONS_MAX; i++) {
		if (f->sessions[i].used)
			fake_session_close(&f->sessions[i]);
	}
	if (f->port_bell >= 0)
		close(f->port_bell);
	f->port_bell = -1;
}

void
fake_kill(struct fake *f)
{
	pthread_mutex_lock(&f->lock);
	f->killed = true;
	fake_close_all(f);
	pthread_mutex_unlock(&f->lock);
}

void
fake_stop(struct fake *f)
{
	uint64_t one = 1;

	pthread_mutex_lock(&f->lock);
	f->stopping = true;
	pthread_mutex_unlock(&f->lock);
	if (write(f->wake_fd, &one, sizeof(one)) < 0)
		abort();
	pthread_join(f->control, NULL);
	pthread_join(f->faults, NULL);
	fake_close_all(f);
	close(f->listen_fd);
	close(f->dev_fd);
	close(f->wake_fd);
	unlink(f->socket);
	rmdir(f->directory);
	pthread_mutex_destroy(&f->lock);
	free(f);
}

const char *
fake_socket(const struct fake *f)
{
	return f->socket;
}

void
fake_fail_next(struct fake *f, enum pager_msg_type type, int error)
{
	pthread_mutex_lock(&f->lock);
	f->fail[type] = error;
	pthread_mutex_unlock(&f->lock);
}

void
fake_mangle_next(struct fake *f, enum pager_msg_type type, enum fake_mangle mangle)
{
	pthread_mutex_lock(&f->lock);
	f->mangle[type] = mangle;
	pthread_mutex_unlock(&f->lock);
}

void
fake_hold_faults(struct fake *f, bool hold)
{
	pthread_mutex_lock(&f->lock);
	f->hold = hold;
	f->held = 0;
	pthread_mutex_unlock(&f->lock);
}

void
fake_agent_send(struct fake *f, const void *message, size_t bytes)
{
	pthread_mutex_lock(&f->lock);
	if (send(f->sessions[f->last].agent, message, bytes, MSG_NOSIGNAL) < 0)
		perror("fake daemon: send to the agent");
	pthread_mutex_unlock(&f->lock);
}

void
fake_agent_zap(struct fake *f, const struct pager_agent_range *ranges, uint32_t count)
{
	struct pager_agent_message message = { .op = PAGER_AGENT_ZAP, .count = count };

	memcpy(message.ranges, ranges, count * sizeof(ranges[0]));
	fake_agent_send(
	    f, &message, offsetof(struct pager_agent_message, ranges) + count * sizeof(ranges[0]));
}

#define FAKE_GETTER(type, name, parameter, value)                                                  \
	type name parameter                                                                        \
	{                                                                                          \
		type result;                                                                       \
		pthread_mutex_lock(&f->lock);                                                      \
		result = (value);                                                                  \
		pthread_mutex_unlock(&f->lock);                                                    \
		return result;                                                                     \
	}

FAKE_GETTER(unsigned, fake_requests, (struct fake * f, enum pager_msg_type type), f->requests[type])
FAKE_GETTER(unsigned, fake_malformed, (struct fake * f), f->malformed)
FAKE_GETTER(unsigned, fake_missing, (struct fake * f), f->missing)
FAKE_GETTER(unsigned, fake_minor, (struct fake * f), f->minor)
FAKE_GETTER(unsigned, fake_held, (struct fake * f), f->held)
FAKE_GETTER(unsigned, fake_strays, (struct fake * f), f->strays)
FAKE_GETTER(unsigned, fake_range_errors, (struct fake * f), f->range_errors)

uint64_t
fake_allocated_bytes(struct fake *f)
{
	uint64_t bytes = 0;

	pthread_mutex_lock(&f->lock);
	for (size_t i = 0; i < FAKE_SESSIONS_MAX; i++) {
		for (size_t k = 0; f->sessions[i].used && k < f->sessions[i].ranges.count; k++)
			bytes += f->sessions[i].ranges.ranges[k].end -
				 f->sessions[i].ranges.ranges[k].start;
	}
	pthread_mutex_unlock(&f->lock);
	return bytes;
}

unsigned
fake_sessions(struct fake *f)
{
	unsigned count = 0;

	pthread_mutex_lock(&f->lock);
	for (size_t i = 0; i < FAKE_SESSIONS_MAX; i++)
		count += f->sessions[i].used;
	pthread_mutex_unlock(&f->lock);
	return count;
}

struct pager_req_submap_change
fake_submap_changed(struct fake *f)
{
	struct pager_req_submap_change changed;

	pthread_mutex_lock(&f->lock);
	changed = f->changed;
	pthread_mutex_unlock(&f->lock);
	return changed;
}

struct pager_req_upl_finish
fake_list_finished(struct fake *f)
{
	struct pager_req_upl_finish finished;

	pthread_mutex_lock(&f->lock);
	finished = f->finished;
	pthread_mutex_unlock(&f->lock);
	return finished;
}

struct pager_req_descriptor
fake_descriptor_asked(struct fake *f)
{
	struct pager_req_descriptor asked;

	pthread_mutex_lock(&f->lock);
	asked = f->descriptor;
	pthread_mutex_unlock(&f->lock);
	return asked;
}

unsigned
fake_descriptor_ops(struct fake *f, enum pager_descriptor_op op)
{
	unsigned count;

	pthread_mutex_lock(&f->lock);
	count = f->descriptor_ops[op];
	pthread_mutex_unlock(&f->lock);
	return count;
}

void
fake_descriptor_spoil(struct fake *f, unsigned number, uint64_t size)
{
	pthread_mutex_lock(&f->lock);
	f->descriptor_bad_piece = f->descriptor_ops[PAGER_DESCRIPTOR_PIECE] + number;
	f->descriptor_bad_size = size;
	pthread_mutex_unlock(&f->lock);
}

uint32_t
fake_submap_rights(struct fake *f)
{
	uint32_t rights;

	pthread_mutex_lock(&f->lock);
	rights = f->rights;
	pthread_mutex_unlock(&f->lock);
	return rights;
}

void
fake_last_name(struct fake *f, char name[64])
{
	pthread_mutex_lock(&f->lock);
	memcpy(name, f->last_name, 64);
	pthread_mutex_unlock(&f->lock);
}
