/* SPDX-License-Identifier: MIT
 *
 * Odd files: one that ends within a page, one with holes, one without a name; and descriptors that
 * do not allow what is asked for.
 *
 * usage: e_file_odd tail|holes|deleted|rights [page=SIZE] [memory=SIZE] [ops=N]
 */
#include "file_touch.h"

#include <sys/socket.h>
#include <sys/syscall.h>

/* Older headers have no name for it. */
enum { SYS_MEMFD_SECRET = 447 };

/* --- tail: the file ends within a page --- */

enum { TAIL_BYTES = 123 };

/* In a page of several blocks some are whole. */
static uint64_t
tail_end(const struct live *d)
{
	return 3 * d->page_bytes + d->page_bytes / 8192 * 4096 + TAIL_BYTES;
}

static void
tail_client(struct live *d, void *argument)
{
	struct file_scene *s = argument;
	uint64_t bytes = tail_end(d), all;
	struct file_view v;
	unsigned char byte;
	char copy[TAIL_BYTES];

	expect_bus();
	file_view_open(d, s, PROT_READ | PROT_WRITE, &v);
	EQ(file_size(v.fd), bytes);
	all = s->count * s->page_bytes;
	REQUIRE(range_is_zero(&v, bytes, all));
	/* Stores beyond the end are nobody's. */
	memset(view_page(&v, s->count - 1), 0x5a, s->page_bytes);
	OK(pager_msync(v.p, v.base, all, PAGER_MSYNC_SYNC));
	EQ(file_size(v.fd), bytes);
	REQUIRE(pread(v.fd, copy, sizeof(copy), (off_t)(bytes - TAIL_BYTES)) == TAIL_BYTES);
	for (unsigned i = 0; i < TAIL_BYTES; i++)
		EQ(copy[i], 0x5a);
	/* They do not come back either. */
	OK(pager_msync(v.p, v.base, all, PAGER_MSYNC_SYNC | PAGER_MSYNC_INVALIDATE));
	file_view_unmap(&v);
	file_view_map(&v, PROT_READ | PROT_WRITE);
	WAIT_UNTIL(d, byte_read(&v, bytes - 1, &byte) && byte == 0x5a);
	REQUIRE(range_is_zero(&v, bytes, all));
	/* The file grows: what follows is what was written, and zeroes. */
	memset(copy, 0x33, sizeof(copy));
	REQUIRE(pwrite(v.fd, copy, sizeof(copy), (off_t)bytes) == TAIL_BYTES);
	WAIT_UNTIL(d, byte_read(&v, bytes, &byte) && byte == 0x33);
	EQ(v.base[bytes + TAIL_BYTES - 1], 0x33);
	EQ(v.base[bytes - 1], 0x5a);
	REQUIRE(range_is_zero(&v, bytes + TAIL_BYTES, all));
	file_view_unmap(&v);
	/* Pages wholly beyond the end can be mapped, and are refused. */
	{
		void *base;

		OK(pager_map_file(v.p, v.fd, 0, all + 4 * s->page_bytes, PROT_READ | PROT_WRITE,
		    PAGER_MAP_SHARED, &base));
		v.base = base;
		REQUIRE(!byte_read(&v, all, &byte));
		REQUIRE(!byte_read(&v, all + 3 * s->page_bytes, &byte));
		REQUIRE(ftruncate(v.fd, (off_t)(all + 4 * s->page_bytes)) == 0);
		WAIT_UNTIL(d, byte_read(&v, all + 3 * s->page_bytes, &byte));
		EQ(byte, 0);
	}
	file_view_close(&v);
}

static void
tail(void)
{
	struct live d = { 0 };
	struct file_scene *s;

	daemon_start(&d);
	s = file_scene_make(&d, 4);
	REQUIRE(truncate(s->path, (off_t)tail_end(&d)) == 0);
	client_join(&d, client_start(&d, tail_client, s), true);
	live_stop(&d);
}

/* --- holes: are read without being filled --- */

static uint64_t
file_blocks(int fd)
{
	struct stat st;

	REQUIRE(fsync(fd) == 0 && fstat(fd, &st) == 0);
	return (uint64_t)st.st_blocks * 512;
}

static void
holes_client(struct live *d, void *argument)
{
	struct file_scene *s = argument;
	uint64_t before;
	struct file_view v;

	file_view_open(d, s, PROT_READ | PROT_WRITE, &v);
	before = file_blocks(v.fd);
	REQUIRE(range_is_zero(&v, 0, s->count * s->page_bytes));
	OK(pager_msync(v.p, v.base, s->count * s->page_bytes, PAGER_MSYNC_SYNC));
	EQ(file_blocks(v.fd), before);
	file_page_write(&v, s->count / 2);
	OK(file_sync(&v, s->count / 2, 1, PAGER_MSYNC_SYNC));
	file_read_verify(s, v.fd, s->count / 2);
	/* Some blocks, and not all. */
	REQUIRE(file_blocks(v.fd) > before);
	REQUIRE(file_blocks(v.fd) < s->count * s->page_bytes / 2);
	file_view_close(&v);
}

static void
holes(void)
{
	struct live d = { 0 };
	struct file_scene *s;

	daemon_start(&d);
	s = file_scene_make(&d, (uint32_t)(d.memory_bytes / d.page_bytes / 2));
	REQUIRE(truncate(s->path, 0) == 0);
	REQUIRE(truncate(s->path, (off_t)(s->count * s->page_bytes)) == 0);
	client_join(&d, client_start(&d, holes_client, s), true);
	live_stop(&d);
}

/* --- deleted: a file without a name --- */

static void
deleted_client(struct live *d, void *argument)
{
	struct file_scene *s = argument;
	struct file_view v;

	file_view_open(d, s, PROT_READ | PROT_WRITE, &v);
	REQUIRE(unlink(s->path) == 0);
	for (uint64_t i = 0; i < live_scaled(options.ops); i++) {
		file_turn(&v);
		if (rng_below(&v.rng, 100) == 0)
			file_advice(&v);
	}
	OK(file_sync(&v, 0, s->count, PAGER_MSYNC_SYNC));
	REQUIRE(file_read_is_current(s, v.fd));
	file_view_unmap(&v);
	/* It can be mapped again by its descriptor. */
	file_view_map(&v, PROT_READ | PROT_WRITE);
	file_verify_all(&v);
	file_view_close(&v);
}

static void
deleted(void)
{
	struct live d = { 0 };
	struct file_scene *s;

	daemon_start(&d);
	s = file_scene_make(&d, (uint32_t)(2 * d.memory_bytes / d.page_bytes));
	client_join(&d, client_start(&d, deleted_client, s), true);
	/* No descriptor of it is left. */
	WAIT_UNTIL(&d, live_descriptors_count(d.pid, s->path) == 0);
	live_stop(&d);
}

/* --- rights: what the descriptor does not allow, and what cannot be mapped --- */

static int
map_result(struct file_view *v, int fd, int protection)
{
	void *base = NULL;
	int r = pager_map_file(v->p, fd, 0, v->s->page_bytes, protection, PAGER_MAP_SHARED, &base);

	REQUIRE(r == 0 || base == NULL);
	if (r == 0)
		OK(pager_deallocate(v->p, base, v->s->page_bytes));
	return r;
}

static void
refused(struct file_view *v, const char *what, int fd, int protection)
{
	int r;

	REQUIRE(fd >= 0, "%s: %s", what, strerror(errno));
	r = map_result(v, fd, protection);
	REQUIRE(r < 0, "%s was mapped", what);
	printf("%s: %s\n", what, strerror(-r));
	close(fd);
}

static void
rights_client(struct live *d, void *argument)
{
	struct file_scene *s = argument;
	char fifo[220];
	int sockets[2], pipes[2], fd;
	struct file_view v;
	void *base;

	file_view_open(d, s, PROT_READ, &v);
	file_verify_all(&v);
	EQ(map_result(&v, v.fd, PROT_READ | PROT_WRITE), -EACCES);
	fd = file_open(s, O_WRONLY);
	EQ(map_result(&v, fd, PROT_READ), -EACCES);
	EQ(map_result(&v, fd, PROT_READ | PROT_WRITE), -EACCES);
	close(fd);
	/* Never faked. */
	fd = file_open(s, O_RDWR);
	EQ(pager_map_file(v.p, fd, 0, s->page_bytes, PROT_READ, 0, &base) < 0, true);
	EQ(pager_map_file(v.p, fd, 1, s->page_bytes, PROT_READ, PAGER_MAP_SHARED, &base), -EINVAL);
	EQ(pager_map_file(v.p, fd, 0, 0, PROT_READ, PAGER_MAP_SHARED, &base), -EINVAL);
	EQ(pager_map_file(v.p, fd, UINT64_MAX & ~(s->page_bytes - 1), s->page_bytes, PROT_READ,
	       PAGER_MAP_SHARED, &base) < 0,
	    true);
	EQ(pager_map_file(v.p, -1, 0, s->page_bytes, PROT_READ, PAGER_MAP_SHARED, &base), -EBADF);
	close(fd);
	refused(&v, "a directory", open("/", O_RDONLY | O_CLOEXEC), PROT_READ);
	refused(&v, "a path", open(s->path, O_PATH | O_CLOEXEC), PROT_READ);
	refused(&v, "/dev/zero", open("/dev/zero", O_RDWR | O_CLOEXEC), PROT_READ);
	refused(&v, "/dev/userfaultfd", open("/dev/userfaultfd", O_RDWR | O_CLOEXEC), PROT_READ);
	/* What is made when it is read, by who has opened it: the daemon may be allowed more. */
	refused(&v, "/proc/self/mem", open("/proc/self/mem", O_RDWR | O_CLOEXEC),
	    PROT_READ | PROT_WRITE);
	refused(
	    &v, "/proc/self/environ", open("/proc/self/environ", O_RDONLY | O_CLOEXEC), PROT_READ);
	refused(&v, "/proc/kallsyms", open("/proc/kallsyms", O_RDONLY | O_CLOEXEC), PROT_READ);
	refused(&v, "/sys/kernel/uevent_seqnum",
	    open("/sys/kernel/uevent_seqnum", O_RDONLY | O_CLOEXEC), PROT_READ);
	fd = memfd_create("sealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	REQUIRE(ftruncate(fd, 65536) == 0 && fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE) == 0);
	refused(&v, "a sealed file", fd, PROT_READ | PROT_WRITE);
	/* What mmap(2) takes, and read(2) or write(2) do not. */
	fd = (int)syscall(SYS_MEMFD_SECRET, 0);
	if (fd >= 0) {
		REQUIRE(ftruncate(fd, 65536) == 0);
		EQ(map_result(&v, fd, PROT_READ | PROT_WRITE), -ENODEV);
		close(fd);
	}
	fd = memfd_create("huge", MFD_CLOEXEC | MFD_HUGETLB);
	if (fd >= 0) {
		EQ(map_result(&v, fd, PROT_READ | PROT_WRITE), -ENODEV);
		close(fd);
	}
	REQUIRE(pipe2(pipes, O_CLOEXEC) == 0 && socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) == 0);
	refused(&v, "a pipe", pipes[0], PROT_READ);
	refused(&v, "a socket", sockets[0], PROT_READ);
	snprintf(fifo, sizeof(fifo), "%s.fifo", s->path);
	REQUIRE(mkfifo(fifo, 0600) == 0);
	refused(&v, "a FIFO", open(fifo, O_RDWR | O_NONBLOCK | O_CLOEXEC), PROT_READ);
	close(pipes[1]);
	close(sockets[1]);
	/* The connection goes on. */
	file_verify_all(&v);
	file_view_close(&v);
}

static void
rights(void)
{
	struct live d = { 0 };
	struct file_scene *s;

	daemon_start(&d);
	s = file_scene_make(&d, 16);
	client_join(&d, client_start(&d, rights_client, s), true);
	live_stop(&d);
}

static const struct live_test tests[] = { { "tail", tail }, { "holes", holes },
	{ "deleted", deleted }, { "rights", rights } };

int
main(int argc, char **argv)
{
	share_options_parse(argc, argv);
	live_init(argc, argv);
	return LIVE_RUN(argc, argv, tests);
}
