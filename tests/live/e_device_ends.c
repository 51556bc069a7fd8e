/* SPDX-License-Identifier: MIT
 *
 * Devices' ends: in every order, killed or not, nothing is left behind. And devices that clients
 * make of descriptors of their own.
 *
 * usage: e_device_ends ends|memfd [4K|16K|64K]
 */
#include <fcntl.h>
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
}

/* Trap: the memfd is born with mode 0666, so whoever may only read could open it again. */
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
	static const struct live_test tests[] = { { "ends", run_ends }, { "memfd", run_memfd } };

	live_init(argc, argv);
	if (argc > 2)
		page_size = argv[2];
	return LIVE_RUN(argc, argv, tests);
}
