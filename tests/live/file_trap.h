/* SPDX-License-Identifier: MIT
 *
 * What tests of the traps of shared files have in common.
 */
#ifndef LIVE_FILE_TRAP_H
#define LIVE_FILE_TRAP_H

#include "file_touch.h"

struct trap {
	struct file_scene *scene;
	struct stage stage[2];
	atomic_uint at, arrived; /* of the waiters: the page, and how many are there */
};

static inline struct trap *
trap_begin(struct live *d, unsigned quarters)
{
	struct trap *t = shared_alloc(sizeof(*t));

	daemon_start(d);
	t->scene = file_scene_make(d, (uint32_t)(quarters * d->memory_bytes / d->page_bytes / 4));
	return t;
}

/* A client that speaks the protocol itself, and has the memfd of the file's pages. */
static inline void
peer_map_file(struct live *d, struct trap *t, int protection, struct peer *peer)
{
	struct pager_req_map_file request = { .size = t->scene->count * d->page_bytes,
		.protection = (uint32_t)protection };
	struct pager_rep_map_file reply;
	int fd = open(t->scene->path, (protection & PROT_WRITE ? O_RDWR : O_RDONLY) | O_CLOEXEC);
	struct chan_call call = { CHAN_CALL(MAP_FILE, &request, &reply), .ret_fd = &peer->memfd,
		.fds_out = &fd, .fds_out_count = 1 };

	REQUIRE(fd >= 0, "%s", strerror(errno));
	peer->memfd = -1;
	raw_connect(d, &peer->raw);
	peer->bytes = request.size;
	peer->base = raw_reserve(peer->bytes);
	request.address = (uintptr_t)peer->base;
	OK(chan_exchange(&peer->raw.chan, &call));
	EQ(reply.size, peer->bytes);
	peer->offset = reply.object_offset;
	close(fd);
}

#endif
