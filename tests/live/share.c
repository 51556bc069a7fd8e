/* SPDX-License-Identifier: MIT */
#include "share.h"

#include <sys/socket.h>

#include "descriptors.h"

struct share_options options = { "4K", "16M", 4, 4, 12000 };

void
name_send(int socket, int fd)
{
	REQUIRE(descriptor_give(socket, fd));
}

int
name_receive(int socket)
{
	int fd = descriptor_take(socket);

	REQUIRE(fd >= 0);
	return fd;
}

struct common *
common_make(struct live *d)
{
	struct common *c = shared_alloc(sizeof(*c));

	c->count = (uint32_t)(options.ratio * d->memory_bytes / d->page_bytes);
	c->sharers = options.sharers;
	c->ops = options.ops;
	c->notes = shared_alloc(c->count * sizeof(*c->notes));
	c->locks = shared_alloc(c->count * sizeof(*c->locks));
	for (unsigned i = 0; i < SHARERS_MAX; i++)
		REQUIRE(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, c->sockets[i]) == 0);
	return c;
}

struct common *
common_make_pages(struct live *d, uint32_t pages)
{
	struct common *c = common_make(d);

	REQUIRE(pages <= c->count);
	c->count = pages;
	return c;
}

struct book
book_of(struct live *d, struct common *c, void *base)
{
	return (struct book){ .base = base,
		.page_bytes = d->page_bytes,
		.object = 7,
		.count = c->count,
		.notes = c->notes };
}

void *
share_make(struct live *d, struct common *c, struct pager *p)
{
	void *base;

	OK(pager_allocate(p, c->count * d->page_bytes, PAGER_ALLOC_SHAREABLE, &base));
	return base;
}

int
share_name(struct live *d, struct common *c, struct pager *p, void *base, int protection)
{
	int fd = -1;

	OK(pager_make_entry(p, base, c->count * d->page_bytes, protection, 0, &fd));
	return fd;
}

void *
share_map(struct live *d, struct common *c, struct pager *p, int fd, int protection)
{
	void *base;

	OK(pager_map_entry(p, fd, 0, c->count * d->page_bytes, protection, 0, &base));
	return base;
}

bool
page_lock(struct live *d, struct common *c, uint32_t page)
{
	int self = getpid();

	for (;;) {
		int owner = 0;

		if (atomic_compare_exchange_strong(&c->locks[page], &owner, self))
			return true;
		if (kill(owner, 0) < 0 && errno == ESRCH &&
		    atomic_compare_exchange_strong(&c->locks[page], &owner, self)) {
			atomic_fetch_add(&c->taken_over, 1);
			return false;
		}
		live_tick(d);
	}
}

void
page_unlock(struct common *c, uint32_t page)
{
	atomic_store(&c->locks[page], 0);
}

void
peer_join(struct live *d, struct common *c, unsigned number, int protection, struct peer *peer)
{
	int fd = name_receive(c->sockets[number][1]);
	struct pager_req_map_entry request = { .size = c->count * d->page_bytes,
		.protection = (uint32_t)protection };
	struct pager_rep_map_entry reply;
	struct chan_call call = { CHAN_CALL(MAP_ENTRY, &request, &reply), .ret_fd = &peer->memfd,
		.fds_out = &fd, .fds_out_count = 1 };

	peer->memfd = -1;
	raw_connect(d, &peer->raw);
	peer->bytes = request.size;
	peer->base = raw_reserve(peer->bytes);
	request.address = (uintptr_t)peer->base;
	OK(chan_exchange(&peer->raw.chan, &call));
	peer->offset = reply.object_offset;
	close(fd);
}

void
daemon_start(struct live *d)
{
	live_start(d, options.memory, "--page-size", options.page, "--socket-mode", "0666", NULL);
}

void
sharers_begin(struct live *d, struct common *c, client_body *const *bodies, unsigned count,
    uid_t last, pid_t *pids)
{
	for (unsigned i = 0; i < count; i++)
		pids[i] = client_start_as(d, i == count - 1 ? last : 0, bodies[i], c);
	for (unsigned i = 0; i < count; i++)
		stage_wait(d, &c->stage[i], 1);
}

int64_t
resident(struct live *d)
{
	live_rest(d);
	return live_stat(d, "internal") + live_stat(d, "internal_compressed");
}

void
share_options_parse(int argc, char **argv)
{
	for (int i = 2; i < argc; i++) {
		const char *value = strchr(argv[i], '=');

		if (!value)
			continue;
		value++;
		if (strncmp(argv[i], "page=", 5) == 0)
			options.page = value;
		else if (strncmp(argv[i], "memory=", 7) == 0)
			options.memory = value;
		else if (strncmp(argv[i], "ratio=", 6) == 0)
			options.ratio = (unsigned)atoi(value);
		else if (strncmp(argv[i], "clients=", 8) == 0)
			options.sharers = (unsigned)atoi(value);
		else if (strncmp(argv[i], "ops=", 4) == 0)
			options.ops = (unsigned)atoi(value);
	}
}

unsigned
clients_descriptors(struct live *d)
{
	return live_descriptors_count(d->pid, "socket:") + live_descriptors_count(d->pid, "pipe:") +
	       live_descriptors_count(d->pid, "pagerd-object") +
	       live_descriptors_count(d->pid, "userfaultfd") +
	       live_descriptors_count(d->pid, "pagemap");
}

const unsigned ending_orders[ORDERS][3] = { { 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 }, { 1, 2, 0 },
	{ 2, 0, 1 }, { 2, 1, 0 } };

void
sharers_end(struct live *d, struct common *c, const pid_t *pids, const unsigned *order,
    unsigned descriptors)
{
	for (unsigned k = 0; k < 3; k++) {
		stage_allow(&c->stage[order[k]], 2);
		client_join(d, pids[order[k]], false);
		live_check(d);
		if (k < 2)
			REQUIRE(resident(d) > 0);
	}
	WAIT_UNTIL(d, live_stat(d, "sessions") == 0);
	WAIT_UNTIL(d, resident(d) == 0);
	WAIT_UNTIL(d, clients_descriptors(d) == descriptors);
}
