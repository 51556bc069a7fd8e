/* SPDX-License-Identifier: MIT
 *
 * Traps of shared objects that concern files, with the numbers that the design notes give them:
 * what a sharer does to the memfd of a file's pages reaches neither the file nor other clients as
 * content that nobody has written.
 *
 * usage: e_file_traps planted|punched|description|waiters|cached [page=SIZE] [memory=SIZE]
 */
#include "file_touch.h"

#include <sched.h>
#include <sys/syscall.h>

enum { TOUCHERS = 6 };

struct trap {
	struct file_scene *scene;
	struct stage stage[2];
	atomic_uint at, arrived; /* of the waiters: the page, and how many are there */
};

static struct trap *
trap_begin(struct live *d, unsigned quarters)
{
	struct trap *t = shared_alloc(sizeof(*t));

	daemon_start(d);
	t->scene = file_scene_make(d, (uint32_t)(quarters * d->memory_bytes / d->page_bytes / 4));
	return t;
}

/* A client that speaks the protocol itself, and has the memfd of the file's pages. */
static void
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

/* --- planted (trap 20): a reader's own mapping plants zeroes where pages are away --- */

static void
planting_reader(struct live *d, void *argument)
{
	struct trap *t = argument;
	volatile unsigned char *plain;
	struct peer peer;

	peer_map_file(d, t, PROT_READ, &peer);
	plain = mmap(NULL, peer.bytes, PROT_READ, MAP_PRIVATE, peer.memfd, (off_t)peer.offset);
	REQUIRE(plain != MAP_FAILED);
	for (uint32_t i = 0; i < t->scene->count; i++)
		EQ(plain[i * d->page_bytes], 0);
	stage_meet(d, &t->stage[0], 1);
	raw_close(&peer.raw);
}

static void
honest_client(struct live *d, void *argument)
{
	struct trap *t = argument;
	struct file_scene *s = t->scene;
	struct file_view v;

	file_view_open(d, s, PROT_READ | PROT_WRITE, &v);
	stage_meet(d, &t->stage[1], 1);
	file_verify_all(&v);
	for (uint32_t page = 0; page < s->count; page += 2) {
		file_page_lock(&v, page);
		file_page_write(&v, page);
		file_page_unlock(&v, page);
	}
	OK(file_sync(&v, 0, s->count, PAGER_MSYNC_SYNC));
	REQUIRE(file_read_is_current(s, v.fd));
	stage_meet(d, &t->stage[1], 2);
	file_verify_all(&v);
	OK(file_sync(&v, 0, s->count, PAGER_MSYNC_SYNC | PAGER_MSYNC_INVALIDATE));
	file_verify_all(&v);
	REQUIRE(file_read_is_current(s, v.fd));
	stage_meet(d, &t->stage[1], 3);
	file_view_close(&v);
}

static void
planted(void)
{
	struct live d = { 0 };
	struct trap *t = trap_begin(&d, 1);
	pid_t reader = client_start(&d, planting_reader, t),
	      client = client_start(&d, honest_client, t);

	stage_wait(&d, &t->stage[0], 1);
	stage_wait(&d, &t->stage[1], 1);
	for (unsigned at = 1; at <= 2; at++) {
		stage_allow(&t->stage[1], at);
		stage_wait(&d, &t->stage[1], at + 1);
	}
	stage_allow(&t->stage[0], 1);
	client_join(&d, reader, true);
	live_check(&d);
	stage_allow(&t->stage[1], 3);
	client_join(&d, client, true);
	live_stop(&d);
}

/* --- punched (trap 6): a hole in a clean page is filled from the file --- */

static void
punching_sharer(struct live *d, void *argument)
{
	struct trap *t = argument;
	struct peer peer;

	peer_map_file(d, t, PROT_READ | PROT_WRITE, &peer);
	stage_meet(d, &t->stage[0], 1);
	REQUIRE(fallocate(peer.memfd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		    (off_t)peer.offset, (off_t)peer.bytes) == 0);
	stage_meet(d, &t->stage[0], 2);
	raw_close(&peer.raw);
}

static void
punched(void)
{
	struct live d = { 0 };
	struct trap *t = trap_begin(&d, 1);
	pid_t sharer = client_start(&d, punching_sharer, t),
	      client = client_start(&d, honest_client, t);

	stage_wait(&d, &t->stage[0], 1);
	stage_wait(&d, &t->stage[1], 1);
	stage_allow(&t->stage[1], 1);
	/* All pages are there, and clean. */
	stage_wait(&d, &t->stage[1], 2);
	stage_allow(&t->stage[0], 1);
	stage_wait(&d, &t->stage[0], 2);
	stage_allow(&t->stage[1], 2);
	stage_wait(&d, &t->stage[1], 3);
	stage_allow(&t->stage[0], 2);
	client_join(&d, sharer, true);
	stage_allow(&t->stage[1], 3);
	client_join(&d, client, true);
	live_stop(&d);
}

/* --- description (trap 15): a reader's descriptor of the pages cannot become one to write --- */

static void
reading_peer(struct live *d, void *argument)
{
	struct trap *t = argument;
	struct pager_req_map_file request = { .size = d->page_bytes,
		.protection = PROT_READ | PROT_WRITE };
	struct pager_rep_map_file reply;
	int fd = open(t->scene->path, O_RDONLY | O_CLOEXEC), memfd = -1;
	struct chan_call call = { CHAN_CALL(MAP_FILE, &request, &reply), .ret_fd = &memfd,
		.fds_out = &fd, .fds_out_count = 1 };
	struct peer peer;
	char path[64];

	peer_map_file(d, t, PROT_READ, &peer);
	REQUIRE(pwrite(peer.memfd, "x", 1, (off_t)peer.offset) < 0);
	REQUIRE(mmap(NULL, d->page_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, peer.memfd,
		    (off_t)peer.offset) == MAP_FAILED);
	REQUIRE(fallocate(peer.memfd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		    (off_t)peer.offset, (off_t)d->page_bytes) < 0);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", peer.memfd);
	REQUIRE(open(path, O_RDWR | O_CLOEXEC) < 0);
	/* Another one has it open for both: that does not help. */
	request.address = (uintptr_t)raw_reserve(d->page_bytes);
	EQ(chan_exchange(&peer.raw.chan, &call), -EACCES);
	raw_close(&peer.raw);
}

static void
description(void)
{
	struct live d = { 0 };
	struct trap *t;
	pid_t client;

	if (geteuid() != 0) {
		printf("skipped: needs root, to be two users\n");
		exit(77);
	}
	t = trap_begin(&d, 1);
	REQUIRE(chmod(t->scene->path, 0644) == 0);
	client = client_start(&d, honest_client, t);
	stage_wait(&d, &t->stage[1], 1);
	client_join(&d, client_start_as(&d, READER_UID, reading_peer, t), true);
	for (unsigned at = 1; at <= 3; at++) {
		stage_wait(&d, &t->stage[1], at);
		stage_allow(&t->stage[1], at);
	}
	client_join(&d, client, true);
	live_stop(&d);
}

/* --- waiters (trap 9): all who wait for a page are woken --- */

static void
toucher(struct live *d, void *argument)
{
	struct trap *t = argument;
	struct file_scene *s = t->scene;
	struct file_view v;
	unsigned char byte;

	expect_bus();
	file_view_open(d, s, PROT_READ, &v);
	for (uint32_t page = 0; page < s->count; page++) {
		atomic_fetch_add(&t->arrived, 1);
		while (atomic_load(&t->at) <= page)
			sched_yield();
		REQUIRE(byte_read(&v, page * s->page_bytes, &byte));
		file_words_verify(view_page(&v, page), page, s->page_bytes, 0, 0, "by many");
	}
	file_view_close(&v);
}

static void
waiters(void)
{
	struct live d = { 0 };
	struct trap *t = trap_begin(&d, 8);
	pid_t pids[TOUCHERS];

	t->scene->count = (uint32_t)live_scaled(t->scene->count / 16);
	for (unsigned i = 0; i < TOUCHERS; i++)
		pids[i] = client_start(&d, toucher, t);
	for (uint32_t page = 0; page < t->scene->count; page++) {
		WAIT_UNTIL(&d, atomic_load(&t->arrived) == TOUCHERS * (page + 1));
		atomic_store(&t->at, page + 1);
	}
	for (unsigned i = 0; i < TOUCHERS; i++)
		client_join(&d, pids[i], true);
	live_stop(&d);
}

/* --- cached (trap 13): the kernel does not keep what the daemon has read and written --- */

/* As the system call has them since Linux 6.5. */
static uint64_t
cached_bytes(int fd)
{
	struct {
		uint64_t offset, bytes;
	} all = { 0, 0 };
	struct {
		uint64_t cached, dirty, writeback, evicted, recently_evicted;
	} answer;

	if (syscall(451, fd, &all, &answer, 0) != 0) {
		printf("skipped: the kernel does not say what it caches: %s\n", strerror(errno));
		exit(77);
	}
	return answer.cached * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void
scanner(struct live *d, void *argument)
{
	struct trap *t = argument;
	struct file_scene *s = t->scene;
	struct file_view v;

	file_view_open(d, s, PROT_READ | PROT_WRITE, &v);
	for (uint32_t page = 0; page < s->count; page++) {
		file_page_lock(&v, page);
		if (page % 2)
			file_page_write(&v, page);
		file_page_unlock(&v, page);
	}
	OK(file_sync(&v, 0, s->count, PAGER_MSYNC_SYNC));
	file_verify_all(&v);
	stage_meet(d, &t->stage[0], 1);
	file_view_close(&v);
}

static void
cached(void)
{
	struct live d = { 0 };
	struct trap *t = trap_begin(&d, 8);
	int fd = open(t->scene->path, O_RDONLY | O_CLOEXEC),
	    direct = open(t->scene->path, O_RDONLY | O_DIRECT | O_CLOEXEC);
	pid_t client;

	if (direct < 0) {
		printf("skipped: no O_DIRECT here: %s\n", strerror(errno));
		exit(77);
	}
	close(direct);
	REQUIRE(fsync(fd) == 0 && posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) == 0);
	client = client_start(&d, scanner, t);
	stage_wait(&d, &t->stage[0], 1);
	REQUIRE(cached_bytes(fd) < t->scene->count * d.page_bytes / 20, "%llu bytes",
	    (unsigned long long)cached_bytes(fd));
	REQUIRE(file_read_is_current(t->scene, fd));
	stage_allow(&t->stage[0], 1);
	client_join(&d, client, true);
	close(fd);
	live_stop(&d);
}

static const struct live_test tests[] = { { "planted", planted }, { "punched", punched },
	{ "description", description }, { "waiters", waiters }, { "cached", cached } };

int
main(int argc, char **argv)
{
	share_options_parse(argc, argv);
	live_init(argc, argv);
	return LIVE_RUN(argc, argv, tests);
}
