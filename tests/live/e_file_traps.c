/* SPDX-License-Identifier: MIT
 *
 * Traps of shared objects that concern files, with the numbers that the design notes give them:
 * what a sharer does to the memfd of a file's pages reaches neither the file nor other clients as
 * content that nobody has written. Traps 4 and 16 are in e_file_sharers.c, 7 in e_file_beside.c, 8
 * in e_file.c, 10 in c_vnode.c, 14 in e_descriptor.c and e_pins.c, 15 of devices in
 * e_device_ends.c; those of copies are told in e_copy_traps.c.
 *
 * usage: e_file_traps trap-5-lied|trap-6-punched|trap-9-waiters|trap-13-cached|
 * trap-15-description|trap-18-late|trap-20-planted [page=SIZE] [memory=SIZE]
 */
#include "file_trap.h"

#include <pthread.h>
#include <sched.h>
#include <sys/syscall.h>

enum { TOUCHERS = 6 };

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

/* --- lied (trap 5): a client has mapped something else where the daemon believes the file to be.
 * What is read for it goes into that file's memory, and into nothing else --- */

struct lie {
	struct trap *of_file; /* the file that the daemon believes to be there */
	struct trap *other;   /* whose memory is there in truth, in the first half */
	int own;              /* in the second half: a memfd of the client's */
	atomic_uint touches;
};

static void *
lying_toucher(void *argument)
{
	volatile unsigned char *at = argument;

	/* It may never come back from this. */
	(void)*at;
	return NULL;
}

static void
liar(struct live *d, void *argument)
{
	struct lie *lie = argument;
	struct peer file, other;
	pthread_t thread;
	size_t half;

	peer_map_file(d, lie->of_file, PROT_READ | PROT_WRITE, &file);
	peer_map_file(d, lie->other, PROT_READ | PROT_WRITE, &other);
	half = file.bytes / 2;
	raw_map(&file.raw, file.base, half, other.memfd, (off_t)other.offset);
	raw_map(&file.raw, file.base + half, half, lie->own, 0);
	for (size_t at = 0; at < file.bytes; at += half / TOUCHERS * 2) {
		REQUIRE(pthread_create(&thread, NULL, lying_toucher, file.base + at) == 0);
		atomic_fetch_add(&lie->touches, 1);
	}
	for (;;)
		pause();
}

static void
lied(void)
{
	struct live d = { 0 };
	struct lie *lie = shared_alloc(sizeof(*lie));
	pid_t pid, clients[2];
	int64_t faults;
	char *copy;

	lie->of_file = trap_begin(&d, 1);
	lie->other = shared_alloc(sizeof(*lie->other));
	lie->other->scene = file_scene_make(&d, lie->of_file->scene->count);
	lie->own = memfd_create("own", MFD_CLOEXEC);
	REQUIRE(lie->own >= 0 &&
		ftruncate(lie->own, (off_t)(lie->of_file->scene->count * d.page_bytes)) == 0);
	copy = malloc(d.page_bytes);
	REQUIRE(copy != NULL);
	faults = live_stat(&d, "faults");
	pid = client_start(&d, liar, lie);
	WAIT_UNTIL(&d, atomic_load(&lie->touches) >= TOUCHERS);
	WAIT_UNTIL(&d, live_stat(&d, "faults") >= faults + TOUCHERS);
	clients[0] = client_start(&d, honest_client, lie->of_file);
	clients[1] = client_start(&d, honest_client, lie->other);
	for (unsigned at = 1; at <= 3; at++) {
		stage_wait(&d, &lie->of_file->stage[1], at);
		stage_wait(&d, &lie->other->stage[1], at);
		stage_allow(&lie->of_file->stage[1], at);
		stage_allow(&lie->other->stage[1], at);
	}
	for (unsigned i = 0; i < 2; i++)
		client_join(&d, clients[i], true);
	client_kill(pid);
	/* Nothing of either file has come there. As the process ended, its touches found zeroes. */
	for (uint32_t page = 0; page < lie->other->scene->count; page++) {
		REQUIRE(pread(lie->own, copy, d.page_bytes, (off_t)(page * d.page_bytes)) ==
			(ssize_t)d.page_bytes);
		for (uint64_t at = 0; at < d.page_bytes; at++)
			EQ(copy[at], 0);
	}
	free(copy);
	close(lie->own);
	WAIT_UNTIL(&d, live_stat(&d, "files") == 0);
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

/* --- late (trap 18): the writes of a daemon that has been killed do not end after those of the
 * next one --- */

enum { ROUNDS = 3 };

/* Whatever the daemon before had under way: each word is of one of its two last generations. */
static void
late_client(struct live *d, void *argument)
{
	struct trap *t = argument;
	struct file_scene *s = t->scene;
	uint32_t generation = atomic_load(&t->at);
	struct file_view v;

	file_view_open(d, s, PROT_READ | PROT_WRITE, &v);
	for (uint32_t page = 0; page < s->count; page++)
		file_words_verify(view_page(&v, page), page, s->page_bytes,
		    generation > 0 ? generation - 1 : 0, generation, "after a daemon's death");
	for (uint32_t page = 0; page < s->count; page++) {
		file_page_store(view_page(&v, page), page, s->page_bytes, generation + 1);
		atomic_store(&s->pages[page].written, generation + 1);
	}
	OK(file_sync(&v, 0, s->count, PAGER_MSYNC_SYNC));
	for (unsigned i = 0; i < 20; i++)
		REQUIRE(file_read_is_current(s, v.fd));
	for (uint32_t page = 0; page < s->count; page++) {
		file_page_store(view_page(&v, page), page, s->page_bytes, generation + 2);
		atomic_store(&s->pages[page].written, generation + 2);
	}
	OK(file_sync(&v, 0, s->count, PAGER_MSYNC_ASYNC));
	atomic_store(&t->at, generation + 2);
	/* Its writes are about to begin, or have begun. */
	for (;;)
		pause();
}

static void
late(void)
{
	struct trap *t = NULL;

	for (unsigned i = 0; i < ROUNDS; i++) {
		struct live d = { 0 };
		int64_t writes;
		pid_t pid;

		if (t)
			daemon_start(&d);
		else
			t = trap_begin(&d, 1);
		pid = client_start(&d, late_client, t);
		WAIT_UNTIL(&d, atomic_load(&t->at) == 2 * (i + 1));
		writes = live_stat(&d, "file_writes");
		WAIT_UNTIL(
		    &d, live_stat(&d, "file_writes") > writes || writes >= 2 * t->scene->count);
		live_kill(&d);
		client_kill(pid);
	}
}

static const struct live_test tests[] = { { "trap-5-lied", lied }, { "trap-6-punched", punched },
	{ "trap-9-waiters", waiters }, { "trap-13-cached", cached },
	{ "trap-15-description", description }, { "trap-18-late", late },
	{ "trap-20-planted", planted } };

int
main(int argc, char **argv)
{
	share_options_parse(argc, argv);
	live_init(argc, argv);
	return LIVE_RUN(argc, argv, tests);
}
