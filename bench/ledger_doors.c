/* SPDX-License-Identifier: MIT */
#include "ledger_doors.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define PORT_NAME "pagerbench/ledger"

/* What the other client and the child are told to do. */
enum order { ORDER_RECEIVE = 1, ORDER_WRITE, ORDER_MAP_NAME, ORDER_FREE };
/* Pages that they write, of what they have. */
#define PART 8u

static bool
order_send(int socket, enum order order, int fd)
{
	unsigned char byte = (unsigned char)order;
	char room[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec part = { &byte, 1 };
	struct msghdr m = { .msg_iov = &part, .msg_iovlen = 1 };

	if (fd >= 0) {
		struct cmsghdr *c = (struct cmsghdr *)(void *)room;

		m.msg_control = room;
		m.msg_controllen = sizeof(room);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	}
	return sendmsg(socket, &m, MSG_NOSIGNAL) == 1 && read(socket, &byte, 1) == 1 && byte == 1;
}

/* => the order, 0: the other end is gone; *ret_fd: -1 without one */
static int
order_receive(int socket, int *ret_fd)
{
	char room[CMSG_SPACE(sizeof(int))] = { 0 };
	unsigned char byte = 0;
	struct iovec part = { &byte, 1 };
	struct msghdr m = { .msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = room,
		.msg_controllen = sizeof(room) };
	struct cmsghdr *c;

	*ret_fd = -1;
	if (recvmsg(socket, &m, MSG_CMSG_CLOEXEC) != 1)
		return 0;
	c = CMSG_FIRSTHDR(&m);
	if (c && c->cmsg_type == SCM_RIGHTS)
		memcpy(ret_fd, CMSG_DATA(c), sizeof(*ret_fd));
	return byte;
}

static void
write_pages(const struct doors *d, unsigned char *at, unsigned first, unsigned count)
{
	for (unsigned i = first; i < first + count; i++)
		at[i * d->page_bytes] = (unsigned char)(i + 1);
}

/* Memory in which a touch brings in one page. */
static bool
memory(struct doors *d, unsigned pages, unsigned flags, unsigned char **ret)
{
	void *at;

	if (pager_allocate(d->pager, pages * d->page_bytes, flags, &at) != 0)
		return false;
	*ret = at;
	return pager_behavior(d->pager, at, pages * d->page_bytes, PAGER_BEHAVIOR_RANDOM) == 0;
}

/* --- the other client --- */

static bool
other_do(struct doors *d, int order, int fd, struct pager_message *m, void **ret_mapped)
{
	switch (order) {
	case ORDER_RECEIVE:
		return pager_receive(d->port, 0, -1, m) == 0 &&
		       pager_behavior(d->pager, m->addr, m->size, PAGER_BEHAVIOR_RANDOM) == 0;
	case ORDER_WRITE:
		write_pages(d, m->addr, 0, PART);
		return true;
	case ORDER_MAP_NAME:
		if (pager_map_entry(d->pager, fd, 0, DOOR_PAGES * d->page_bytes,
			PROT_READ | PROT_WRITE, 0, ret_mapped) != 0)
			return false;
		close(fd);
		write_pages(d, *ret_mapped, 0, DOOR_PAGES);
		return true;
	case ORDER_FREE:
		return pager_deallocate(d->pager, m->addr, m->size) == 0;
	default:
		return false;
	}
}

static void
other_main(struct doors *d, const char *path, int socket)
{
	struct pager_message m = { 0 };
	struct pager_statistics s;
	void *mapped = NULL;
	int order, fd;
	unsigned char done = 1;

	if (pager_connect(path, NULL, &d->pager) != 0 || pager_statistics(d->pager, &s) != 0 ||
	    pager_port_create(d->pager, PORT_NAME, PAGER_PORT_SENDERS_USER, 0, &d->port) != 0)
		_exit(EXIT_FAILURE);
	d->page_bytes = s.page_size;
	if (write(socket, &done, 1) != 1)
		_exit(EXIT_FAILURE);
	while ((order = order_receive(socket, &fd)) != 0) {
		done = other_do(d, order, fd, &m, &mapped);
		if (write(socket, &done, 1) != 1)
			break;
	}
	_exit(EXIT_SUCCESS);
}

bool
doors_other_start(struct doors *d, const char *path)
{
	unsigned char byte;
	int pair[2];

	d->other = d->child = -1;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return false;
	d->pids[CLIENT_OTHER] = fork();
	if (d->pids[CLIENT_OTHER] == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(pair[0]);
		other_main(d, path, pair[1]);
	}
	close(pair[1]);
	d->other = pair[0];
	d->pids[CLIENT_MAIN] = getpid();
	return d->pids[CLIENT_OTHER] > 0 && read(d->other, &byte, 1) == 1;
}

static void
client_end(struct doors *d, enum client client, int *socket)
{
	if (*socket >= 0)
		close(*socket);
	*socket = -1;
	if (d->pids[client] > 0)
		waitpid(d->pids[client], NULL, 0);
	d->pids[client] = 0;
}

void
doors_end(struct doors *d)
{
	client_end(d, CLIENT_CHILD, &d->child);
	client_end(d, CLIENT_OTHER, &d->other);
}

/* --- steps --- */

static bool
fault_write(struct doors *d)
{
	if (!memory(d, DOOR_PAGES, 0, &d->touched))
		return false;
	write_pages(d, d->touched, 0, DOOR_PAGES);
	d->expected[CLIENT_MAIN] = DOOR_PAGES;
	return true;
}

static bool
fault_read(struct doors *d)
{
	unsigned char *at, sum = 0;

	if (!memory(d, DOOR_PAGES, 0, &at))
		return false;
	for (unsigned i = 0; i < DOOR_PAGES; i++)
		sum |= ((volatile unsigned char *)at)[i * d->page_bytes];
	d->expected[CLIENT_MAIN] = DOOR_PAGES;
	return sum == 0;
}

static bool
fault_neighbours(struct doors *d)
{
	unsigned char *at;

	if (!memory(d, DOOR_PAGES, 0, &at) ||
	    pager_behavior(d->pager, at, DOOR_PAGES * d->page_bytes, PAGER_BEHAVIOR_SEQUENTIAL) !=
		0)
		return false;
	write_pages(d, at, 0, DOOR_PAGES);
	d->expected[CLIENT_MAIN] = DOOR_PAGES;
	return true;
}

static bool
kernel_write(struct doors *d)
{
	uint64_t bytes = DOOR_PAGES * d->page_bytes, have = 0;
	int fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	unsigned char *at;

	if (fd < 0 || !memory(d, DOOR_PAGES, 0, &at))
		return false;
	while (have < bytes) {
		ssize_t got = read(fd, at + have, bytes - have);

		if (got <= 0)
			break;
		have += (uint64_t)got;
	}
	close(fd);
	d->expected[CLIENT_MAIN] = DOOR_PAGES;
	return have == bytes;
}

static bool
wire(struct doors *d)
{
	d->expected[CLIENT_MAIN] = DOOR_PAGES;
	return memory(d, DOOR_PAGES, 0, &d->wired) &&
	       pager_wire(d->pager, d->wired, DOOR_PAGES * d->page_bytes) == 0;
}

static bool
unwire(struct doors *d)
{
	return pager_unwire(d->pager, d->wired, DOOR_PAGES * d->page_bytes) == 0;
}

static bool
page_list(struct doors *d)
{
	uint64_t bytes = DOOR_PAGES * d->page_bytes;
	struct pager_upl *upl;
	unsigned char *at;
	bool good;

	if (!memory(d, DOOR_PAGES, 0, &at) || pager_upl_create(d->pager, at, bytes, 0, &upl) != 0)
		return false;
	good = pager_upl_write(upl, 0, "x", 1) == 0 && pager_upl_commit(upl, 0, NULL) == 0;
	d->expected[CLIENT_MAIN] = DOOR_PAGES;
	return pager_upl_destroy(upl) == 0 && good && at[0] == 'x';
}

static bool
page_out(struct doors *d)
{
	return pager_behavior(
		   d->pager, d->touched, DOOR_PAGES * d->page_bytes, PAGER_BEHAVIOR_PAGEOUT) == 0;
}

static bool
prefault(struct doors *d)
{
	return pager_behavior(
		   d->pager, d->touched, DOOR_PAGES * d->page_bytes, PAGER_BEHAVIOR_WILLNEED) == 0;
}

static bool
touch_again(struct doors *d)
{
	for (unsigned i = 0; i < DOOR_PAGES; i++)
		if (d->touched[i * d->page_bytes] != (unsigned char)(i + 1))
			return false;
	write_pages(d, d->touched, 0, DOOR_PAGES);
	return true;
}

static bool
copy_make(struct doors *d)
{
	uint64_t bytes = DOOR_PAGES * d->page_bytes;

	if (!memory(d, DOOR_PAGES, 0, &d->source) || !memory(d, DOOR_PAGES, 0, &d->copy))
		return false;
	write_pages(d, d->source, 0, DOOR_PAGES);
	d->expected[CLIENT_MAIN] = DOOR_PAGES;
	return pager_copy(d->pager, d->source, bytes, d->copy) == 0;
}

/* The copy gets what the source is about to lose. */
static bool
copy_source_written(struct doors *d)
{
	write_pages(d, d->source, 0, PART);
	d->expected[CLIENT_MAIN] = PART;
	return true;
}

static bool
copy_written(struct doors *d)
{
	write_pages(d, d->copy, PART, PART);
	d->expected[CLIENT_MAIN] = PART;
	return true;
}

static bool
fork_child(struct doors *d)
{
	struct pager_statistics statistics;
	int pair[2], fd, order;
	unsigned char done = 1;

	if (!memory(d, DOOR_PAGES, 0, &d->inherited) ||
	    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return false;
	write_pages(d, d->inherited, 0, DOOR_PAGES);
	d->expected[CLIENT_MAIN] = DOOR_PAGES;
	d->pids[CLIENT_CHILD] = fork();
	if (d->pids[CLIENT_CHILD] == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(pair[0]);
		/* When this is answered the daemon knows which process it is, and has its ledger.
		 */
		if (pager_statistics(d->pager, &statistics) != 0 || write(pair[1], &done, 1) != 1)
			_exit(EXIT_FAILURE);
		while ((order = order_receive(pair[1], &fd)) != 0) {
			if (order == ORDER_WRITE)
				write_pages(d, d->inherited, 0, PART);
			if (write(pair[1], &done, 1) != 1)
				break;
		}
		_exit(EXIT_SUCCESS);
	}
	close(pair[1]);
	d->child = pair[0];
	return d->pids[CLIENT_CHILD] > 0 && read(d->child, &done, 1) == 1;
}

static bool
fork_child_writes(struct doors *d)
{
	d->expected[CLIENT_CHILD] = PART;
	return order_send(d->child, ORDER_WRITE, -1);
}

/* The child gets what the parent is about to change. */
static bool
fork_parent_writes(struct doors *d)
{
	write_pages(d, d->inherited, PART, PART);
	d->expected[CLIENT_CHILD] = PART;
	return true;
}

static bool
fork_child_ends(struct doors *d)
{
	client_end(d, CLIENT_CHILD, &d->child);
	return true;
}

static bool
send_pages(struct doors *d, unsigned flags)
{
	enum pager_transfer done;
	unsigned char *at;

	if (!memory(d, DOOR_PAGES, PAGER_ALLOC_SHAREABLE, &at))
		return false;
	write_pages(d, at, 0, DOOR_PAGES);
	d->sent = at;
	return pager_send(d->port, at, DOOR_PAGES * d->page_bytes, flags, 0, -1, &done) == 0 &&
	       order_send(d->other, ORDER_RECEIVE, -1);
}

static bool
send_virtual(struct doors *d)
{
	d->expected[CLIENT_MAIN] = DOOR_PAGES;
	return send_pages(d, PAGER_SEND_VIRTUAL);
}

static bool
receiver_writes(struct doors *d)
{
	d->expected[CLIENT_OTHER] = PART;
	return order_send(d->other, ORDER_WRITE, -1);
}

static bool
receiver_frees(struct doors *d)
{
	d->expected[CLIENT_OTHER] = -(int64_t)PART;
	return order_send(d->other, ORDER_FREE, -1);
}

static bool
send_physical(struct doors *d)
{
	d->expected[CLIENT_MAIN] = DOOR_PAGES;
	d->expected[CLIENT_OTHER] = DOOR_PAGES;
	return send_pages(d, PAGER_SEND_PHYSICAL);
}

static bool
receiver_frees_all(struct doors *d)
{
	d->expected[CLIENT_OTHER] = -(int64_t)DOOR_PAGES;
	return order_send(d->other, ORDER_FREE, -1);
}

/* What the sender gives away is the receiver's, who pays for it from then on. */
static bool
send_moved(struct doors *d)
{
	d->expected[CLIENT_OTHER] = DOOR_PAGES;
	return send_pages(d, PAGER_SEND_VIRTUAL | PAGER_SEND_DEALLOCATE);
}

/* Others bring pages in; the one who has made the memory pays. */
static bool
named_entry(struct doors *d)
{
	int fd;
	bool good;

	if (!memory(d, DOOR_PAGES, PAGER_ALLOC_SHAREABLE, &d->shared) ||
	    pager_make_entry(d->pager, d->shared, DOOR_PAGES * d->page_bytes,
		PROT_READ | PROT_WRITE, 0, &fd) != 0)
		return false;
	good = order_send(d->other, ORDER_MAP_NAME, fd);
	close(fd);
	d->expected[CLIENT_MAIN] = DOOR_PAGES;
	return good && d->shared[d->page_bytes] == 2;
}

/* Pages of files are in external, not in the footprint. */
static bool
file(struct doors *d)
{
	uint64_t bytes = DOOR_PAGES * d->page_bytes;
	char path[400];
	void *at;
	int fd, error;

	snprintf(path, sizeof(path), "%s/pagerbench-ledger.XXXXXX", d->directory);
	fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0)
		return false;
	unlink(path);
	error = ftruncate(fd, (off_t)bytes) < 0
		    ? -1
		    : pager_map_file(
			  d->pager, fd, 0, bytes, PROT_READ | PROT_WRITE, PAGER_MAP_SHARED, &at);
	close(fd);
	if (error)
		return false;
	d->file = at;
	write_pages(d, d->file, 0, DOOR_PAGES);
	return true;
}

static bool
device_map(struct doors *d)
{
	uint64_t bytes = DOOR_PAGES * d->page_bytes;
	int memfd = memfd_create("pagerbench-device", MFD_CLOEXEC | MFD_ALLOW_SEALING), fd = -1;
	void *at = NULL;
	bool good;

	good = memfd >= 0 && ftruncate(memfd, (off_t)bytes) == 0 &&
	       fcntl(memfd, F_ADD_SEALS, F_SEAL_SHRINK) == 0 &&
	       pager_make_device(d->pager, memfd, 0, bytes, PAGER_CACHE_DEFAULT, &fd) == 0 &&
	       pager_map_entry(d->pager, fd, 0, bytes, PROT_READ | PROT_WRITE, 0, &at) == 0;
	if (fd >= 0)
		close(fd);
	if (memfd >= 0)
		close(memfd);
	d->device = at;
	/* All of it, before it is touched. */
	d->expected[CLIENT_MAIN] = DOOR_PAGES;
	return good;
}

static bool
device_touched(struct doors *d)
{
	write_pages(d, d->device, 0, DOOR_PAGES);
	return true;
}

static bool
device_unmapped(struct doors *d)
{
	d->expected[CLIENT_MAIN] = -(int64_t)DOOR_PAGES;
	return pager_deallocate(d->pager, d->device, DOOR_PAGES * d->page_bytes) == 0;
}

static bool
discard(struct doors *d)
{
	d->expected[CLIENT_MAIN] = -(int64_t)DOOR_PAGES;
	return pager_behavior(
		   d->pager, d->touched, DOOR_PAGES * d->page_bytes, PAGER_BEHAVIOR_FREE) == 0;
}

static bool
give_back(struct doors *d)
{
	d->expected[CLIENT_MAIN] = -(int64_t)DOOR_PAGES;
	return pager_deallocate(d->pager, d->wired, DOOR_PAGES * d->page_bytes) == 0;
}

const struct door doors[] = {
	{ "fault-write", "stores into fresh memory", fault_write },
	{ "fault-read", "loads from fresh memory", fault_read },
	{ "fault-neighbours", "stores on a run, which bring in what follows", fault_neighbours },
	{ "kernel-write", "read(2) into fresh memory", kernel_write },
	{ "wire", "fresh memory is wired", wire },
	{ "unwire", "and unwired", unwire },
	{ "upl", "a page list of fresh memory is written through and committed", page_list },
	{ "pageout", "what the first step stored is paged out", page_out },
	{ "prefault", "WILLNEED of it", prefault },
	{ "touch-again", "stores into it", touch_again },
	{ "copy", "memory is stored into, and copied", copy_make },
	{ "copy-push", "some of the source is changed", copy_source_written },
	{ "copy-write", "some of the copy is changed", copy_written },
	{ "fork", "memory is stored into, and inherited by a child", fork_child },
	{ "fork-child", "the child changes some of it", fork_child_writes },
	{ "fork-parent", "the parent changes other pages", fork_parent_writes },
	{ "fork-end", "the child ends", fork_child_ends },
	{ "send-virtual", "memory is stored into, sent and received", send_virtual },
	{ "receiver-writes", "the receiver changes some of it", receiver_writes },
	{ "receiver-frees", "and gives it back", receiver_frees },
	{ "send-physical", "as send-virtual, copied at once", send_physical },
	{ "receiver-frees", "the receiver gives it back", receiver_frees_all },
	{ "send-moved", "as send-virtual, given away", send_moved },
	{ "receiver-frees", "the receiver gives it back", receiver_frees_all },
	{ "named-entry", "another client stores into memory through its name", named_entry },
	{ "file", "stores into a mapped file", file },
	{ "device", "a device is mapped", device_map },
	{ "device-touched", "and stored into", device_touched },
	{ "device-unmapped", "and given back", device_unmapped },
	{ "free", "what the first step stored is discarded (FREE)", discard },
	{ "deallocate", "what was wired is given back", give_back },
};
const unsigned door_count = sizeof(doors) / sizeof(doors[0]);
