/* SPDX-License-Identifier: MIT
 *
 * The service manager as the keeper, by systemd's protocol: what is sent to $NOTIFY_SOCKET with
 * FDSTORE=1 is given to the process that is started next (sd_notify(3), sd_listen_fds(3)). A name
 * is "pagerd-KIND-NUMBER". Runs on: as link.c.
 *
 * The manager does not read what a process has sent that has died since. So each descriptor is
 * followed by a barrier: the manager closes its end of a pipe when it has read all that came
 * before.
 */
#include "keeper/manager.h"

#include <errno.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <fcntl.h>
#include <unistd.h>

#include "atomics.h"
#include "base.h"
#include "check.h"
#include "clock.h"
#include "descriptors.h"
#include "log.h"

#define FIRST      3 /* the first descriptor that is passed */
#define BARRIER_MS 5000
#define NAME_BYTES 48u
#define NAME       "pagerd-%u-%llu"

/* What a process that comes after this one is to know. */
struct counts {
	uint64_t takeovers, waited_ns;
};

static struct {
	struct counts *counts; /* in a memfd that is kept */
	unsigned most;         /* descriptors that the manager takes */
	_Atomic unsigned kept; /* of these */
} store;

static bool
send_text(const struct keeper_link *link, const char *text, int fd)
{
	bool is_sent;

	do
		is_sent = descriptors_send(link->store, text, strlen(text), &fd, fd >= 0, 0);
	while (!is_sent && errno == EINTR);
	return is_sent;
}

/* => whether the manager has read all that was sent */
static bool
barrier(const struct keeper_link *link)
{
	int ends[2], ready;
	bool is_sent;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return false;
	is_sent = send_text(link, "BARRIER=1", ends[1]);
	close(ends[1]);
	do
		ready = is_sent ? poll(&(struct pollfd){ .fd = ends[0] }, 1, BARRIER_MS) : 0;
	while (ready < 0 && errno == EINTR);
	close(ends[0]);
	return ready > 0;
}

static void
name_drop(const struct keeper_link *link, uint32_t kind, uint64_t id)
{
	char text[128];

	CHECK(link->store >= 0);
	snprintf(text, sizeof(text), "FDSTOREREMOVE=1\nFDNAME=" NAME, kind, (unsigned long long)id);
	(void)send_text(link, text, -1);
}

void
manager_keep(struct keeper_link *link, uint32_t kind, uint64_t id, int fd)
{
	char text[128];

	name_drop(link, kind, id);
	snprintf(text, sizeof(text), "FDSTORE=1\nFDNAME=" NAME "\nFDPOLL=0", kind,
	    (unsigned long long)id);
	fetch_add_relaxed(&store.kept, 1);
	if (!send_text(link, text, fd) || !barrier(link))
		log_warning_limited("the service manager does not keep a descriptor (%s): if this "
				    "process dies, a client's memory is lost",
		    strerror(errno));
}

void
manager_drop(struct keeper_link *link, uint32_t kind, uint64_t id)
{
	unsigned kept = load_relaxed(&store.kept);

	name_drop(link, kind, id);
	while (kept > 0 && !cas_acq_rel(&store.kept, &kept, kept - 1))
		continue;
}

bool
manager_has_room(unsigned count)
{
	return load_relaxed(&store.kept) + count <= store.most;
}

void
manager_ready(struct keeper_link *link, uint64_t waited_ns)
{
	store.counts->waited_ns += waited_ns;
	(void)send_text(link, "READY=1", -1);
}

/* --- what the process before has left --------------------------------------------------------- */

static int
manager_connect(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t length = strlen(path);
	int fd;

	if (length < 2 || length >= sizeof(address.sun_path) || (path[0] != '/' && path[0] != '@'))
		return -1;
	memcpy(address.sun_path, path, length);
	if (path[0] == '@')
		address.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address,
			  (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length)) == 0)
		return fd;
	close(fd);
	return -1;
}

/* => how many descriptors were passed to this process */
static unsigned
passed_count(void)
{
	const char *process = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
	char own[16];

	snprintf(own, sizeof(own), "%d", (int)getpid());
	return process && count && strcmp(process, own) == 0 ? (unsigned)strtoul(count, NULL, 10)
							     : 0;
}

/* The i-th of names with colons between them; "" if there is none. */
static void
name_of(const char *names, unsigned i, char name[NAME_BYTES])
{
	size_t length;

	for (; names && i > 0; i--) {
		names = strchr(names, ':');
		names = names ? names + 1 : NULL;
	}
	length = names ? strcspn(names, ":") : 0;
	length = length < NAME_BYTES ? length : 0;
	memcpy(name, names ? names : "", length);
	name[length] = '\0';
}

/* Of what the daemon has one of. => -1: it is not there */
static int
row_take(struct keeper_link *link, uint32_t kind)
{
	for (unsigned i = 0; i < link->count; i++) {
		int fd = link->found[i].fd;

		if (link->found[i].kind != kind || fd < 0)
			continue;
		link->found[i].fd = -1;
		return fd;
	}
	return -1;
}

/* Rows of what is the store's; what else was passed, a socket to listen on, stays, from FIRST on.
 * => whether there is memory for them */
static bool
passed_take(struct keeper_link *link)
{
	const char *names = getenv("LISTEN_FDNAMES");
	unsigned count = passed_count(), others = 0;
	char number[16];

	link->found = calloc(count + 1, sizeof(*link->found));
	if (!link->found)
		return false;
	for (unsigned i = 0; i < count; i++) {
		unsigned long long id;
		char name[NAME_BYTES];
		unsigned kind;
		int fd = FIRST + (int)i, end = 0;

		name_of(names, i, name);
		if (sscanf(name, NAME "%n", &kind, &id, &end) == 2 && name[end] == '\0') {
			int own = fcntl(fd, F_DUPFD_CLOEXEC, FIRST + (int)count);

			if (own < 0)
				return false;
			close(fd);
			link->found[link->count++] = (struct kept){ kind, own, id };
		} else if (fd != FIRST + (int)others++) {
			dup2(fd, FIRST + (int)others - 1);
			close(fd);
		}
	}
	store_relaxed(&store.kept, link->count);
	snprintf(number, sizeof(number), "%u", others);
	if (others > 0) {
		int listener = row_take(link, KEPT_LISTENER);

		/* It comes by that way each time. */
		setenv("LISTEN_FDS", number, 1);
		if (listener >= 0) {
			close(listener);
			manager_drop(link, KEPT_LISTENER, 0);
		}
	} else {
		unsetenv("LISTEN_PID");
		unsetenv("LISTEN_FDS");
	}
	unsetenv("LISTEN_FDNAMES");
	return true;
}

/* => whether they can be had */
static bool
counts_open(struct keeper_link *link)
{
	int fd = row_take(link, KEPT_COUNTS);
	bool was_there = fd >= 0;

	if (!was_there)
		fd = memfd_create("pagerd-counts", MFD_CLOEXEC);
	if (fd < 0 || ftruncate(fd, sizeof(struct counts)) < 0)
		return false;
	store.counts = mmap(NULL, sizeof(struct counts), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (store.counts == MAP_FAILED)
		return false;
	if (was_there) {
		store.counts->takeovers++;
		/* When the one before died the manager does not say. */
		link->died_ns = clock_now_ns();
	} else {
		manager_keep(link, KEPT_COUNTS, 0, fd);
	}
	close(fd);
	link->takeovers = store.counts->takeovers;
	link->waited_ns = store.counts->waited_ns;
	return true;
}

bool
manager_is_there(void)
{
	const char *most = getenv("FDSTORE");

	return getenv("NOTIFY_SOCKET") && most && strtoul(most, NULL, 10) > 0;
}

int
manager_open(struct keeper_link *ret)
{
	*ret = (struct keeper_link){ .channel = -1, .store = -1 };
	CHECK(manager_is_there());
	store.most = (unsigned)strtoul(getenv("FDSTORE"), NULL, 10);
	ret->store = manager_connect(getenv("NOTIFY_SOCKET"));
	if (ret->store < 0)
		return errno ? -errno : -EINVAL;
	unsetenv("NOTIFY_SOCKET");
	unsetenv("FDSTORE");
	if (!passed_take(ret) || !counts_open(ret))
		return -ENOMEM;
	return 0;
}
