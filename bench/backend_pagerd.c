/* SPDX-License-Identifier: MIT
 *
 * Memory from pagerd, through libpager.
 */
#include "backend.h"

#include <errno.h>
#include <pager/pager.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "statread.h"

struct pagerd_state {
	struct pager *pager;
	pid_t daemon;
	struct chan chan; /* a second connection, as a tool */
	struct statread stats;
	int64_t *values; /* of the statistics */
};

/* Runs on libpager's agent thread. A thread that faults will never go on, so nothing can be
 * measured any more. */
static void
pagerd_event(void *context, enum pager_event event, uint64_t value)
{
	(void)context;
	(void)value;
	if (event != PAGER_EVENT_DAEMON_DIED)
		return;
	fputs("pagerbench: the daemon died\n", stderr);
	_exit(4);
}

/* => the process that listens on the socket; 0: it cannot be found out. */
static pid_t
peer_pid(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct ucred peer = { 0 };
	socklen_t size = sizeof(peer);
	int fd;

	if (!path || strlen(path) >= sizeof(address.sun_path))
		return 0;
	memcpy(address.sun_path, path, strlen(path) + 1);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return 0;
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) && errno == EPROTOTYPE) {
		close(fd);
		fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address))) {
			close(fd);
			return 0;
		}
	}
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size))
		peer.pid = 0;
	close(fd);
	return peer.pid;
}

static int
stats_open(struct pagerd_state *s, const char *socket)
{
	struct pager_rep_hello hello;
	int error;

	chan_init(&s->chan);
	error = chan_open(&s->chan, socket);
	if (!error)
		error = chan_hello(&s->chan, PAGER_ROLE_TOOL, "pagerbench", &hello, NULL);
	if (!error)
		error = statread_open(&s->chan, &s->stats);
	if (error) {
		chan_close(&s->chan);
		return error;
	}
	s->values = calloc(s->stats.count, sizeof(*s->values));
	if (s->values)
		return 0;
	statread_close(&s->stats);
	chan_close(&s->chan);
	return -ENOMEM;
}

static int
pagerd_open(const char *socket, void **ret_state)
{
	const struct pager_options options = {
		.size = sizeof(options), .event = pagerd_event, .name = "pagerbench"
	};
	struct pagerd_state *s = calloc(1, sizeof(*s));
	int error;

	if (!s)
		return -ENOMEM;
	error = pager_connect(socket, &options, &s->pager);
	if (!error) {
		error = stats_open(s, socket);
		if (error)
			pager_disconnect(s->pager);
	}
	if (error) {
		free(s);
		return error;
	}
	s->daemon = peer_pid(socket ? socket : getenv("PAGERD_SOCKET"));
	*ret_state = s;
	return 0;
}

static void
pagerd_close(void *state)
{
	struct pagerd_state *s = state;

	statread_close(&s->stats);
	chan_close(&s->chan);
	pager_disconnect(s->pager);
	free(s->values);
	free(s);
}

static int
pagerd_allocate(void *state, size_t bytes, unsigned flags, void **ret_addr)
{
	struct pagerd_state *s = state;

	(void)flags;
	return pager_allocate(s->pager, bytes, 0, ret_addr);
}

static int
pagerd_map_file(void *state, int fd, size_t bytes, unsigned flags, void **ret_addr)
{
	struct pagerd_state *s = state;

	return pager_map_file(s->pager, fd, 0, bytes,
	    PROT_READ | (flags & BACKEND_WRITE ? PROT_WRITE : 0), PAGER_MAP_SHARED, ret_addr);
}

static int
pagerd_sync(void *state, void *addr, size_t bytes)
{
	struct pagerd_state *s = state;

	return pager_msync(s->pager, addr, bytes, PAGER_MSYNC_SYNC);
}

static int
pagerd_deallocate(void *state, void *addr, size_t bytes)
{
	struct pagerd_state *s = state;

	return pager_deallocate(s->pager, addr, bytes);
}

static int
pagerd_cool(void *state, void *addr, size_t bytes)
{
	struct pagerd_state *s = state;

	return pager_behavior(s->pager, addr, bytes, PAGER_BEHAVIOR_DONTNEED);
}

static int
pagerd_page_out(void *state, void *addr, size_t bytes)
{
	struct pagerd_state *s = state;
	int held = statread_find(&s->stats, "compressor"),
	    limit = statread_find(&s->stats, "compressor_limit");
	int error = pager_behavior(s->pager, addr, bytes, PAGER_BEHAVIOR_PAGEOUT);

	if (!error && (held < 0 || limit < 0))
		error = -ENOENT;
	/* The compressor writes pages to disk until it is within its limit. */
	while (!error) {
		error = statread_snapshot(&s->stats, s->values);
		if (!error && s->values[held] <= s->values[limit])
			break;
		if (error == -EAGAIN)
			error = 0;
		sched_yield();
	}
	return error;
}

static int
pagerd_expect_random(void *state, void *addr, size_t bytes)
{
	struct pagerd_state *s = state;

	return pager_behavior(s->pager, addr, bytes, PAGER_BEHAVIOR_RANDOM);
}

static int
pagerd_is_stored(void *state, void *addr)
{
	struct pagerd_state *s = state;
	unsigned disposition;
	int error = pager_page_query(s->pager, addr, &disposition);

	return error ? error : (disposition & PAGER_PAGE_SWAPPED) != 0;
}

static int
pagerd_counts(void *state, struct fault_counts *ret)
{
	struct pagerd_state *s = state;
	struct pager_statistics st;
	int error = backend_plain.counts(NULL, ret);

	if (!error)
		error = pager_statistics(s->pager, &st);
	if (error)
		return error;
	ret->faults = st.faults;
	ret->zero_fills = st.zero_fills;
	ret->soft_faults = st.soft_faults;
	ret->decompressions = st.decompressions;
	ret->swapins = st.swapins;
	ret->write_protect_faults = st.write_protect_faults;
	ret->stall_fill_ns = st.stall_fill_ns;
	ret->stall_swap_ns = st.stall_swap_ns;
	ret->stall_frame_ns = st.stall_frame_ns;
	ret->stall_limit_ns = st.stall_limit_ns;
	ret->pages_lost = st.pages_lost;
	return 0;
}

static pid_t
pagerd_daemon_pid(void *state)
{
	struct pagerd_state *s = state;

	return s->daemon;
}

const struct backend_ops backend_pagerd = {
	.name = "pagerd",
	.open = pagerd_open,
	.close = pagerd_close,
	.allocate = pagerd_allocate,
	.map_file = pagerd_map_file,
	.sync = pagerd_sync,
	.deallocate = pagerd_deallocate,
	.cool = pagerd_cool,
	.page_out = pagerd_page_out,
	.expect_random = pagerd_expect_random,
	.is_stored = pagerd_is_stored,
	.counts = pagerd_counts,
	.daemon_pid = pagerd_daemon_pid,
};
