/* SPDX-License-Identifier: MIT
 *
 * Devices' ends: in every order, killed or not, nothing is left behind. And devices that clients
 * make of descriptors of their own.
 *
 * usage: e_device_ends ends|trap-15-memfd|udmabuf [4K|16K|64K]
 */
#include <fcntl.h>
#include <linux/udmabuf.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "device.h"

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

static const char *page_size = "4K";

/* --- ends --- */

struct end {
	struct common *common;
	unsigned number;
	int name; /* to map; -1: by the device's name */
};

static void
holder(struct live *d, void *argument)
{
	struct end *e = argument;
	struct stage *s = &e->common->stage[e->number];
	struct pager *p = client_connect(d);
	unsigned char *base;
	int name;

	if (e->number == 2) {
		/* Holds a name only. */
		base = device_map(p, "ends", DEVICE_BYTES, PROT_READ | PROT_WRITE);
		OK(pager_make_entry(p, base, DEVICE_BYTES, PROT_READ | PROT_WRITE, 0, &name));
		OK(pager_deallocate(p, base, DEVICE_BYTES));
	} else {
		base = device_map(p, "ends", DEVICE_BYTES, PROT_READ | PROT_WRITE);
		base[e->number] = (unsigned char)e->number;
	}
	stage_meet(d, s, 1);
	if (e->number == 0)
		OK(pager_deallocate(p, base, DEVICE_BYTES));
	OK(pager_disconnect(p));
}

/* They end in the order given, by themselves or killed. */
static void
ends_once(struct live *d, struct common *c, const unsigned *order, unsigned killed)
{
	struct end *e = shared_alloc(3 * sizeof(*e));
	int64_t free_before, left = 2 * DEVICE_BYTES / (int64_t)d->page_bytes;
	pid_t pids[3];

	live_rest(d);
	free_before = live_stat(d, "wired");
	for (unsigned i = 0; i < 3; i++) {
		stage_reset(&c->stage[i]);
		e[i] = (struct end){ .common = c, .number = i };
		pids[i] = client_start(d, holder, &e[i]);
	}
	for (unsigned i = 0; i < 3; i++)
		stage_wait(d, &c->stage[i], 1);
	EQ(live_stat(d, "iokit_mapped"), left);
	for (unsigned i = 0; i < 3; i++) {
		unsigned n = order[i];

		if (killed & 1u << n) {
			client_kill(pids[n]);
		} else {
			stage_allow(&c->stage[n], 1);
			client_join(d, pids[n], false);
		}
		left -= n < 2 ? DEVICE_BYTES / (int64_t)d->page_bytes : 0;
		WAIT_UNTIL(d, live_stat(d, "iokit_mapped") == left);
		EQ(live_stat(d, "wired"), free_before);
	}
	live_check(d);
	munmap(e, 3 * sizeof(*e));
}

static void
run_ends(void)
{
	struct live d;
	struct common *c;

	live_start(&d, "32M", "--page-size", page_size, "--device", "ends=2M", NULL);
	c = common_make(&d);
	for (unsigned i = 0; i < ORDERS; i++)
		ends_once(&d, c, ending_orders[i], i * 3 % 8);
	ends_once(&d, c, ending_orders[0], 7);
	live_stop(&d);
}

/* --- memfd: a device that a client makes --- */

static int
memory_make(struct live *d, size_t bytes, unsigned seals)
{
	int fd = memfd_create("e_device", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	unsigned char *base;

	REQUIRE(fd >= 0 && ftruncate(fd, (off_t)bytes) == 0);
	base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	REQUIRE(base != MAP_FAILED);
	pattern_write(d, base, bytes, 21);
	munmap(base, bytes);
	REQUIRE(seals == 0 || fcntl(fd, F_ADD_SEALS, seals) == 0);
	return fd;
}

/* Files whose names claim to be a dma-buf's, and descriptors of other kinds: what a dma-buf is, the
 * kernel alone says. */
static void
claims_are_refused(struct live *d, struct pager *p)
{
	char directory[128], path[200];
	size_t page = d->page_bytes;
	int name, fds[8];
	unsigned count = 0;

	live_directory_make(directory, sizeof(directory));
	snprintf(path, sizeof(path), "%s/\nexp_name:\tclaim", directory);
	fds[count++] = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	REQUIRE(ftruncate(fds[0], (off_t)page) == 0);
	fds[count++] = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	fds[count++] = open("/dev/zero", O_RDWR | O_CLOEXEC);
	fds[count++] = eventfd(0, EFD_CLOEXEC);
	fds[count++] = epoll_create1(EPOLL_CLOEXEC);
	fds[count++] = inotify_init1(IN_CLOEXEC);
	REQUIRE(inotify_add_watch(fds[count - 1], path, IN_MODIFY) >= 0);
	fds[count++] = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	for (unsigned i = 0; i < count; i++) {
		REQUIRE(fds[i] >= 0, "%u: %s", i, strerror(errno));
		EQ(pager_make_device(p, fds[i], 0, page, 0, &name), -ENODEV);
		close(fds[i]);
	}
	/* A memfd of that name is taken for what it is: it could shrink. */
	fds[0] = memfd_create("\nexp_name:\tclaim", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	REQUIRE(ftruncate(fds[0], (off_t)page) == 0);
	EQ(pager_make_device(p, fds[0], 0, page, 0, &name), -EPERM);
	close(fds[0]);
}

static void
maker_is_refused(struct live *d, struct pager *p)
{
	size_t page = d->page_bytes;
	int fd, name, ends[2];

	/* It could shrink under the mapper. */
	fd = memory_make(d, DEVICE_BYTES, 0);
	EQ(pager_make_device(p, fd, 0, DEVICE_BYTES, 0, &name), -EPERM);
	REQUIRE(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) == 0);
	EQ(pager_make_device(p, fd, 0, DEVICE_BYTES + page, 0, &name), -ERANGE);
	EQ(pager_make_device(p, fd, page, DEVICE_BYTES, 0, &name), -ERANGE);
	EQ(pager_make_device(p, fd, 1, page, 0, &name), -EINVAL);
	EQ(pager_make_device(p, fd, 0, 0, 0, &name), -EINVAL);
	EQ(pager_make_device(p, fd, 0, page, PAGER_CACHE_COPY_BACK + 1, &name), -EINVAL);
	EQ(pager_make_device(p, -1, 0, page, 0, &name), -EINVAL);
	close(fd);
	EQ(pager_make_device(p, fd, 0, page, 0, &name), -EBADF);
	/* They cannot be mapped, or somebody else says what they are. */
	REQUIRE(pipe(ends) == 0);
	EQ(pager_make_device(p, ends[0], 0, page, 0, &name), -ENODEV);
	close(ends[0]);
	close(ends[1]);
	fd = open("/proc/self/exe", O_RDONLY);
	EQ(pager_make_device(p, fd, 0, page, 0, &name), -ENODEV);
	close(fd);
	fd = open("/proc/self/exe", O_PATH);
	EQ(pager_make_device(p, fd, 0, page, 0, &name), -EBADF);
	close(fd);
	claims_are_refused(d, p);
}

/* Trap 15: the memfd is born with mode 0666, so whoever may only read could open it again. */
static void
reader_of_memfd(struct live *d, void *argument)
{
	struct common *c = argument;
	int name = name_receive(c->sockets[1][1]);
	struct pager_req_map_entry request = { .size = DEVICE_BYTES, .protection = PROT_READ };
	struct pager_rep_map_entry reply;
	int memfd = -1;
	struct chan_call call = { CHAN_CALL(MAP_ENTRY, &request, &reply), .ret_fd = &memfd,
		.fds_out = &name, .fds_out_count = 1 };
	struct pager *p = client_connect(d);
	unsigned char *base;
	char path[64];
	struct raw r;
	void *other;

	OK(pager_map_entry(p, name, 0, DEVICE_BYTES, PROT_READ, 0, (void **)&base));
	pattern_verify(d, base, DEVICE_BYTES, 22);
	EQ(statistics(p).iokit_mapped, DEVICE_BYTES);
	EQ(pager_map_entry(p, name, 0, DEVICE_BYTES, PROT_READ | PROT_WRITE, 0, &other), -EACCES);
	raw_connect(d, &r);
	request.address = (uintptr_t)raw_reserve(request.size);
	OK(chan_exchange(&r.chan, &call));
	EQ(reply.flags, PAGER_WIRE_MAP_DEVICE);
	REQUIRE(mmap(NULL, DEVICE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, memfd,
		    (off_t)reply.object_offset) == MAP_FAILED);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", memfd);
	REQUIRE(open(path, O_RDWR) < 0 && errno == EACCES);
	raw_close(&r);
	stage_meet(d, &c->stage[1], 1);
	/* The maker has gone, and its bill with it. */
	pattern_verify(d, base, DEVICE_BYTES, 22);
	EQ(statistics(p).phys_footprint, DEVICE_BYTES);
	OK(pager_disconnect(p));
}

static void
maker_of_memfd(struct live *d, void *argument)
{
	const int both = PROT_READ | PROT_WRITE;
	struct common *c = argument;
	struct pager *p = client_connect(d);
	int fd, name, read_only;
	unsigned char *base;
	struct stat st;
	void *other;

	maker_is_refused(d, p);
	fd = memory_make(d, DEVICE_BYTES + d->page_bytes, F_SEAL_SHRINK);
	OK(pager_make_device(p, fd, d->page_bytes, DEVICE_BYTES, PAGER_CACHE_UNCACHED, &name));
	REQUIRE(fstat(fd, &st) == 0 && (st.st_mode & 077) == 0);
	/* Only mapped and billed: no frames, and nothing before it is mapped. */
	EQ(statistics(p).phys_footprint, 0);
	OK(pager_map_entry(p, name, 0, DEVICE_BYTES, both, 0, (void **)&base));
	pattern_verify(d, base, DEVICE_BYTES, 22);
	EQ(statistics(p).phys_footprint, DEVICE_BYTES);
	EQ(pager_map_entry(p, name, d->page_bytes, DEVICE_BYTES, both, 0, &other), -EINVAL);
	/* By a description that can only be read, and by a seal. */
	read_only = memory_make(d, DEVICE_BYTES, F_SEAL_SHRINK | F_SEAL_FUTURE_WRITE);
	close(fd);
	OK(pager_make_device(p, read_only, 0, DEVICE_BYTES, 0, &fd));
	EQ(pager_map_entry(p, fd, 0, DEVICE_BYTES, both, 0, &other), -EACCES);
	OK(pager_map_entry(p, fd, 0, DEVICE_BYTES, PROT_READ, 0, &other));
	pattern_verify(d, other, DEVICE_BYTES, 21);
	OK(pager_deallocate(p, other, DEVICE_BYTES));
	close(fd);
	close(read_only);
	close(name);
	OK(pager_make_entry(p, base, DEVICE_BYTES, PROT_READ, 0, &name));
	name_send(c->sockets[1][0], name);
	close(name);
	stage_meet(d, &c->stage[0], 1);
	OK(pager_disconnect(p));
}

/* --- udmabuf: a dma-buf that the kernel makes of a memfd, where it can --- */

static void
maker_of_dma_buf(struct live *d, void *argument)
{
	struct udmabuf_create create = { .flags = UDMABUF_FLAGS_CLOEXEC, .size = DEVICE_BYTES };
	int device = open("/dev/udmabuf", O_RDWR | O_CLOEXEC), buffer, name;
	struct pager *p = client_connect(d);
	unsigned char *base;

	(void)argument;
	create.memfd = (uint32_t)memory_make(d, DEVICE_BYTES, F_SEAL_SHRINK);
	buffer = ioctl(device, UDMABUF_CREATE, &create);
	REQUIRE(buffer >= 0, "%s", strerror(errno));
	EQ(pager_make_device(p, buffer, 0, DEVICE_BYTES + d->page_bytes, 0, &name), -ERANGE);
	OK(pager_make_device(p, buffer, 0, DEVICE_BYTES, PAGER_CACHE_DEFAULT, &name));
	OK(pager_map_entry(p, name, 0, DEVICE_BYTES, PROT_READ | PROT_WRITE, 0, (void **)&base));
	EQ(statistics(p).iokit_mapped, DEVICE_BYTES);
	pattern_verify(d, base, DEVICE_BYTES, 21);
	pattern_write(d, base, DEVICE_BYTES, 23);
	OK(pager_deallocate(p, base, DEVICE_BYTES));
	base = mmap(NULL, DEVICE_BYTES, PROT_READ, MAP_SHARED, (int)create.memfd, 0);
	pattern_verify(d, base, DEVICE_BYTES, 23);
	OK(pager_disconnect(p));
}

static void
run_udmabuf(void)
{
	struct live d;

	if (access("/dev/udmabuf", R_OK | W_OK) != 0) {
		fprintf(stderr, "skipped: there is no /dev/udmabuf\n");
		exit(77);
	}
	live_start(&d, "16M", "--page-size", page_size, NULL);
	client_join(&d, client_start(&d, maker_of_dma_buf, NULL), false);
	live_check(&d);
	live_stop(&d);
}

static void
run_memfd(void)
{
	struct live d;
	struct common *c;
	pid_t maker, reader;

	live_start(&d, "16M", "--page-size", page_size, NULL);
	c = common_make(&d);
	maker = client_start(&d, maker_of_memfd, c);
	stage_wait(&d, &c->stage[0], 1);
	reader = client_start_as(&d, READER_UID, reader_of_memfd, c);
	stage_wait(&d, &c->stage[1], 1);
	live_check(&d);
	stage_allow(&c->stage[0], 1);
	client_join(&d, maker, false);
	live_check(&d);
	stage_allow(&c->stage[1], 1);
	client_join(&d, reader, false);
	live_stop(&d);
}

int
main(int argc, char **argv)
{
	static const struct live_test tests[] = { { "ends", run_ends },
		{ "trap-15-memfd", run_memfd }, { "udmabuf", run_udmabuf } };

	live_init(argc, argv);
	if (argc > 2)
		page_size = argv[2];
	return LIVE_RUN(argc, argv, tests);
}
