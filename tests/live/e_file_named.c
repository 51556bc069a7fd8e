/* SPDX-License-Identifier: MIT
 *
 * Names of parts of mapped files: whoever maps one sees the file's memory, and may do no more than
 * the descriptor allowed that the file was mapped with, a client of another user included.
 *
 * usage: e_file_named rights|ends [page=SIZE] [memory=SIZE]
 */
#include "file_touch.h"
#include "guard.h"
#include "raw.h"

#include <sys/socket.h>

enum { FIRST = 3, COUNT = 4 }; /* pages of the file that get a name */

struct named {
	struct file_scene *scene;
	int sockets[2][2];
};

static struct named *
named_make(struct live *d)
{
	struct named *n = shared_alloc(sizeof(*n));

	n->scene = file_scene_make(d, 16);
	for (unsigned i = 0; i < 2; i++)
		REQUIRE(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, n->sockets[i]) == 0);
	return n;
}

/* What a name that is PROT_READ does not allow, to any of its holders. */
static void
try_to_write(struct live *d, struct file_scene *s, int fd)
{
	struct pager_req_map_entry request = { .size = COUNT * d->page_bytes,
		.protection = PROT_READ };
	struct pager *p = client_connect(d);
	struct pager_rep_map_entry reply;
	int memfd = -1, name;
	struct chan_call call = { CHAN_CALL(MAP_ENTRY, &request, &reply), .ret_fd = &memfd,
		.fds_out = &fd, .fds_out_count = 1 };
	char path[64], byte = 1;
	struct raw r;
	void *base;

	EQ(pager_map_entry(p, fd, 0, d->page_bytes, PROT_READ | PROT_WRITE, 0, &base), -EACCES);
	EQ(pager_map_entry(p, fd, 0, (COUNT + 1) * d->page_bytes, PROT_READ, 0, &base), -EINVAL);
	OK(pager_map_entry(p, fd, 0, COUNT * d->page_bytes, PROT_READ, 0, &base));
	for (uint32_t i = 0; i < COUNT; i++)
		file_words_verify((char *)base + i * d->page_bytes, FIRST + i, d->page_bytes, 0, 0,
		    "under a name");
	EQ(pager_make_entry(p, base, d->page_bytes, PROT_READ | PROT_WRITE, 0, &name), -EACCES);
	EQ(pager_wire(p, base, d->page_bytes), -EACCES);
	guard_begin();
	EQ(guard_store(base, 0x5a), SIGSEGV);
	REQUIRE(mprotect(base, d->page_bytes, PROT_READ | PROT_WRITE) == 0);
	EQ(guard_store((unsigned char *)base + 1, 0x5a), SIGSEGV);
	/* A name made of a name. */
	OK(pager_make_entry(p, base, d->page_bytes, PROT_READ, 0, &name));
	EQ(pager_map_entry(p, name, 0, d->page_bytes, PROT_READ | PROT_WRITE, 0, &base), -EACCES);
	close(name);
	raw_connect(d, &r);
	request.address = (uintptr_t)raw_reserve(request.size);
	OK(chan_exchange(&r.chan, &call));
	REQUIRE(pwrite(memfd, &byte, 1, 0) < 0 && errno == EBADF);
	REQUIRE(
	    mmap(NULL, d->page_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, memfd, 0) == MAP_FAILED &&
	    errno == EACCES);
	if (geteuid() == READER_UID) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", memfd);
		REQUIRE(open(path, O_RDWR) < 0 && errno == EACCES);
	}
	close(memfd);
	raw_close(&r);
	OK(pager_disconnect(p));
	(void)s;
}

static void
reader(struct live *d, void *argument)
{
	struct named *n = argument;
	int fd;

	/* Of a file that was opened for reading, and of one that was mapped for reading. */
	for (unsigned i = 0; i < 2; i++) {
		fd = name_receive(n->sockets[0][1]);
		try_to_write(d, n->scene, fd);
		close(fd);
	}
	stage_meet(d, &n->scene->stage[1], 1);
}

static void
maker(struct live *d, void *argument)
{
	struct named *n = argument;
	struct file_view v;

	for (unsigned i = 0; i < 2; i++) {
		unsigned char *base;
		int fd;

		file_view_open(d, n->scene, PROT_READ, &v);
		if (i == 1) {
			/* The descriptor would allow more than the mapping. */
			file_view_unmap(&v);
			close(v.fd);
			v.fd = file_open(n->scene, O_RDWR);
			file_view_map(&v, PROT_READ);
		}
		base = view_page(&v, FIRST);
		EQ(pager_make_entry(
		       v.p, base, COUNT * d->page_bytes, PROT_READ | PROT_WRITE, 0, &fd),
		    -EACCES);
		OK(pager_make_entry(v.p, base, COUNT * d->page_bytes, PROT_READ, 0, &fd));
		name_send(n->sockets[0][0], fd);
		close(fd);
		file_view_close(&v);
	}
}

static void
rights(void)
{
	struct live d = { 0 };
	struct named *n;
	pid_t pid;

	daemon_start(&d);
	n = named_make(&d);
	client_join(&d, client_start(&d, maker, n), true);
	pid = client_start_as(&d, geteuid() == 0 ? READER_UID : 0, reader, n);
	stage_wait(&d, &n->scene->stage[1], 1);
	live_check(&d);
	stage_allow(&n->scene->stage[1], 1);
	client_join(&d, pid, true);
	WAIT_UNTIL(&d, live_stat(&d, "files") == 0);
	live_stop(&d);
}

/* --- ends: a name keeps a file that nobody maps; what is stored through it is in the file --- */

static void
writer_maker(struct live *d, void *argument)
{
	struct named *n = argument;
	struct file_view v;
	int fd;

	file_view_open(d, n->scene, PROT_READ | PROT_WRITE, &v);
	file_page_lock(&v, FIRST);
	file_page_write(&v, FIRST);
	file_page_unlock(&v, FIRST);
	OK(pager_make_entry(
	    v.p, view_page(&v, FIRST), COUNT * d->page_bytes, PROT_READ | PROT_WRITE, 0, &fd));
	name_send(n->sockets[0][0], fd);
	close(fd);
	stage_meet(d, &n->scene->stage[0], 1);
	file_view_close(&v);
}

static void
writer(struct live *d, void *argument)
{
	struct named *n = argument;
	struct pager *p = client_connect(d);
	int fd = name_receive(n->sockets[0][1]);
	struct file_scene *s = n->scene;
	unsigned char *base;
	void *at;

	OK(pager_map_entry(
	    p, fd, d->page_bytes, (COUNT - 1) * d->page_bytes, PROT_READ | PROT_WRITE, 0, &at));
	base = at;
	for (uint32_t i = 1; i < COUNT; i++) {
		file_page_store(base + (i - 1) * d->page_bytes, FIRST + i, s->page_bytes, 1);
		atomic_store(&s->pages[FIRST + i].written, 1);
	}
	stage_meet(d, &s->stage[1], 1);
	/* The maker, and its mapping, are gone. */
	file_words_verify(base, FIRST + 1, s->page_bytes, 1, 1, "in a mapping");
	OK(pager_msync(p, base, (COUNT - 1) * d->page_bytes, PAGER_MSYNC_SYNC));
	for (uint32_t i = 1; i < COUNT; i++)
		atomic_store(&s->pages[FIRST + i].synced, 1);
	/* All that is left is the name. */
	OK(pager_deallocate(p, base, (COUNT - 1) * d->page_bytes));
	stage_meet(d, &s->stage[1], 2);
	OK(pager_map_entry(p, fd, 0, COUNT * d->page_bytes, PROT_READ | PROT_WRITE, 0, &at));
	base = at;
	for (uint32_t i = 0; i < COUNT; i++) {
		file_words_verify(
		    base + i * d->page_bytes, FIRST + i, s->page_bytes, 1, 1, "in a mapping");
		file_page_store(base + i * d->page_bytes, FIRST + i, s->page_bytes, 2);
		atomic_store(&s->pages[FIRST + i].written, 2);
	}
	/* Its end writes them. */
	OK(pager_disconnect(p));
}

static void
ends(void)
{
	struct live d = { 0 };
	pid_t pids[2];
	struct named *n;
	int fd;

	daemon_start(&d);
	n = named_make(&d);
	fd = file_open(n->scene, O_RDONLY);
	pids[0] = client_start(&d, writer_maker, n);
	pids[1] = client_start(&d, writer, n);
	for (unsigned i = 0; i < 2; i++)
		stage_wait(&d, &n->scene->stage[i], 1);
	live_check(&d);
	stage_allow(&n->scene->stage[0], 1);
	client_join(&d, pids[0], true);
	stage_allow(&n->scene->stage[1], 1);
	stage_wait(&d, &n->scene->stage[1], 2);
	live_check(&d);
	WAIT_UNTIL(&d, live_stat(&d, "files") == 1);
	stage_allow(&n->scene->stage[1], 2);
	client_join(&d, pids[1], false);
	/* The copy in flight was the last: this process has never received it. */
	WAIT_UNTIL(&d, live_stat(&d, "files") == 0);
	REQUIRE(file_read_is_current(n->scene, fd));
	close(fd);
	live_stop(&d);
}

static const struct live_test tests[] = { { "rights", rights }, { "ends", ends } };

int
main(int argc, char **argv)
{
	share_options_parse(argc, argv);
	live_init(argc, argv);
	return LIVE_RUN(argc, argv, tests);
}
