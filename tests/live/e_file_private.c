/* SPDX-License-Identifier: MIT
 *
 * Private mappings of files (PAGER_MAP_PRIVATE), beside mappings that mmap(2) has made of the same
 * file: the same operations on both leave the same bytes in both, and none in the file.
 *
 * usage: e_file_private oracle|killed|truncated|changed|rights|shown|ahead|limited [page=SIZE]
 * [memory=SIZE] [ratio=N] [clients=N] [ops=N]
 */
#include "file_touch.h"

#include "children.h"
#include "guard.h"

/* One file, mapped by both. */
struct twin {
	struct live *d;
	struct file_scene *s;
	struct pager *p;
	unsigned char *ours, *kernels;
	bool *writable; /* of each page, in both */
	uint64_t rng;
	unsigned depth; /* of forks */
};

static size_t
bytes_of(const struct file_scene *s)
{
	return s->count * s->page_bytes;
}

static void
twin_open(struct live *d, struct file_scene *s, struct twin *t)
{
	int fd = file_open(s, O_RDONLY);
	void *ours;

	*t = (struct twin){
		.d = d, .s = s, .p = client_connect(d), .rng = live_seed ^ mix64((uint64_t)getpid())
	};
	t->kernels = mmap(NULL, bytes_of(s), PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	REQUIRE(t->kernels != MAP_FAILED, "%s", strerror(errno));
	OK(pager_map_file(
	    t->p, fd, 0, bytes_of(s), PROT_READ | PROT_WRITE, PAGER_MAP_PRIVATE, &ours));
	t->ours = ours;
	close(fd);
	t->writable = malloc(s->count);
	REQUIRE(t->writable != NULL);
	memset(t->writable, true, s->count);
}

static void
twin_close(struct twin *t)
{
	OK(pager_deallocate(t->p, t->ours, bytes_of(t->s)));
	OK(pager_disconnect(t->p));
	munmap(t->kernels, bytes_of(t->s));
	free(t->writable);
}

static void
twin_verify(const struct twin *t, uint32_t page)
{
	size_t at = page * t->s->page_bytes;

	REQUIRE(memcmp(t->ours + at, t->kernels + at, t->s->page_bytes) == 0,
	    "page %u differs from mmap(2)'s, fork %u", page, t->depth);
}

static void
twin_verify_all(const struct twin *t)
{
	for (uint32_t page = 0; page < t->s->count; page++)
		twin_verify(t, page);
}

/* A part of a page, or all of it. */
static void
twin_write(struct twin *t, uint32_t page)
{
	size_t bytes = t->s->page_bytes, from = (size_t)rng_below(&t->rng, bytes),
	       count = 1 + (size_t)rng_below(&t->rng, bytes - from), at = page * bytes;
	int value = (int)rng_below(&t->rng, 256);

	if (!t->writable[page])
		return;
	if (rng_below(&t->rng, 4) == 0) {
		from = 0;
		count = bytes;
	}
	memset(t->ours + at + from, value, count);
	memset(t->kernels + at + from, value, count);
}

static void
twin_protect(struct twin *t, uint32_t page, uint32_t count)
{
	bool writable = rng_below(&t->rng, 2);
	int protection = writable ? PROT_READ | PROT_WRITE : PROT_READ;
	size_t at = page * t->s->page_bytes, bytes = count * t->s->page_bytes;

	OK(pager_protect(t->p, t->ours + at, bytes, protection));
	REQUIRE(mprotect(t->kernels + at, bytes, protection) == 0);
	memset(t->writable + page, writable, count);
}

/* None of it changes content. */
static void
twin_advice(struct twin *t, uint32_t page, uint32_t count)
{
	static const enum pager_behavior advice[] = { PAGER_BEHAVIOR_WILLNEED,
		PAGER_BEHAVIOR_DONTNEED, PAGER_BEHAVIOR_PAGEOUT, PAGER_BEHAVIOR_SEQUENTIAL,
		PAGER_BEHAVIOR_DEFAULT };
	unsigned char *at = t->ours + page * t->s->page_bytes;
	size_t bytes = count * t->s->page_bytes;
	uint64_t what = rng_below(&t->rng, 8);
	int r;

	if (what < 5) {
		OK(pager_behavior(t->p, at, bytes, advice[what]));
	} else if (what < 7) {
		OK(pager_msync(t->p, at, bytes,
		    what == 5 ? PAGER_MSYNC_SYNC : PAGER_MSYNC_ASYNC | PAGER_MSYNC_INVALIDATE));
	} else if (t->writable[page]) {
		r = pager_wire(t->p, at, t->s->page_bytes);
		REQUIRE(r == 0 || r == -EAGAIN, "%d", r);
		twin_verify(t, page);
		if (r == 0)
			OK(pager_unwire(t->p, at, t->s->page_bytes));
	}
}

static void twin_turns(struct twin *t, uint64_t turns);

/* Parent and child have the same bytes, and each their own from then on. */
static void
twin_fork(struct twin *t, uint64_t turns)
{
	pid_t pid = fork_sure();

	if (pid == 0) {
		t->depth++;
		t->rng ^= mix64((uint64_t)getpid());
		twin_turns(t, turns);
		twin_verify_all(t);
		_exit(0);
	}
	twin_turns(t, turns);
	EQ(status_of(pid), 0);
}

static void
twin_turns(struct twin *t, uint64_t turns)
{
	for (uint64_t i = 0; i < turns; i++) {
		uint32_t page = (uint32_t)rng_below(&t->rng, t->s->count),
			 count = 1 + (uint32_t)rng_below(&t->rng, 32), run;

		if (count > t->s->count - page)
			count = t->s->count - page;
		switch (rng_below(&t->rng, 16)) {
		case 0:
			twin_protect(t, page, count);
			break;
		case 1:
			twin_advice(t, page, count);
			break;
		case 2:
			for (run = 0; run < count; run++)
				twin_verify(t, page + run);
			break;
		case 3:
			for (run = 0; run < count; run++)
				twin_write(t, page + run);
			break;
		case 4:
			if (t->depth < 2 && rng_below(&t->rng, 64) == 0)
				twin_fork(t, turns / 8);
			break;
		case 5:
		case 6:
		case 7:
			twin_write(t, page);
			break;
		default:
			twin_verify(t, page);
			break;
		}
	}
}

static void
twin_client(struct live *d, void *argument)
{
	struct twin t;

	twin_open(d, argument, &t);
	twin_verify_all(&t);
	twin_turns(&t, live_scaled(options.ops));
	twin_fork(&t, live_scaled(options.ops) / 16);
	twin_verify_all(&t);
	twin_close(&t);
}

/* Nobody has written to the file, and the daemon has let go of it. */
static void
file_is_left(struct live *d, struct file_scene *s)
{
	int fd = file_open(s, O_RDONLY);

	REQUIRE(file_read_is_current(s, fd));
	close(fd);
	EQ(live_stat(d, "file_writes"), 0);
	WAIT_UNTIL(d, live_stat(d, "files") == 0);
	live_stop(d);
}

static struct file_scene *
scene_begin(struct live *d)
{
	daemon_start(d);
	return file_scene_make(d, (uint32_t)(options.ratio * d->memory_bytes / d->page_bytes));
}

static void
oracle(void)
{
	struct live d = { 0 };
	struct file_scene *s = scene_begin(&d);
	pid_t pids[SHARERS_MAX];

	for (unsigned i = 0; i < options.sharers; i++)
		pids[i] = client_start(&d, twin_client, s);
	for (unsigned i = 0; i < options.sharers; i++)
		client_join(&d, pids[i], i == 0);
	file_is_left(&d, s);
}

static void
endless_client(struct live *d, void *argument)
{
	struct twin t;

	twin_open(d, argument, &t);
	for (;;) {
		twin_turns(&t, 100);
		atomic_fetch_add(&t.s->turns[0], 1);
	}
}

/* Killed in the midst of anything, beside one that goes on. */
static void
killed(void)
{
	struct live d = { 0 };
	struct file_scene *s = scene_begin(&d);
	pid_t other = client_start(&d, twin_client, s);
	uint64_t rng = live_seed;

	for (unsigned i = 0; i < 8; i++) {
		pid_t pid = client_start(&d, endless_client, s);
		uint64_t turns = atomic_load(&s->turns[0]) + rng_below(&rng, 8);

		WAIT_UNTIL(&d, atomic_load(&s->turns[0]) > turns);
		client_kill(pid);
	}
	client_join(&d, other, false);
	file_is_left(&d, s);
}

/* --- truncated --- */

static void
truncated_client(struct live *d, void *argument)
{
	struct file_scene *s = argument;
	int fd = file_open(s, O_RDWR);
	uint64_t end = s->page_bytes + 100;
	unsigned char byte;
	struct twin t;

	guard_begin();
	twin_open(d, s, &t);
	/* Written before the file ends before it: the process's own. */
	t.ours[3 * s->page_bytes] = 0x5a;
	REQUIRE(ftruncate(fd, (off_t)end) == 0);
	EQ(t.ours[3 * s->page_bytes], 0x5a);
	EQ(t.ours[0], t.kernels[0]);
	EQ(t.ours[end - 1], t.kernels[end - 1]);
	EQ(t.ours[end], 0);
	EQ(guard_load(t.ours + 2 * s->page_bytes, &byte), SIGBUS);
	EQ(guard_store(t.ours + 4 * s->page_bytes, 1), SIGBUS);
	EQ(guard_load(t.ours + (s->count - 1) * s->page_bytes, &byte), SIGBUS);
	/* It grows again. */
	REQUIRE(ftruncate(fd, (off_t)bytes_of(s)) == 0);
	WAIT_UNTIL(d, guard_load(t.ours + 2 * s->page_bytes, &byte) == 0 && byte == 0);
	WAIT_UNTIL(d, guard_store(t.ours + 4 * s->page_bytes, 7) == 0);
	EQ(t.ours[4 * s->page_bytes], 7);
	EQ(t.ours[4 * s->page_bytes + 1], 0);
	EQ(t.ours[3 * s->page_bytes], 0x5a);
	REQUIRE(pread(fd, &byte, 1, (off_t)(3 * s->page_bytes)) == 1 && byte == 0);
	close(fd);
	twin_close(&t);
}

static void
truncated(void)
{
	struct live d = { 0 };
	struct file_scene *s = scene_begin(&d);

	client_join(&d, client_start(&d, truncated_client, s), false);
	WAIT_UNTIL(&d, live_stat(&d, "files") == 0);
	live_stop(&d);
}

/* --- changed: by one who has mapped it with us, and by write(2) --- */

static void
changed_client(struct live *d, void *argument)
{
	struct file_scene *s = argument;
	struct file_view v;
	struct twin t;

	twin_open(d, s, &t);
	file_view_open(d, s, PROT_READ | PROT_WRITE, &v);
	file_words_verify(t.ours, 0, s->page_bytes, 0, 0, "in a private mapping");
	t.ours[s->page_bytes] = 0x77;
	for (uint32_t page = 0; page < 4; page++) {
		file_page_lock(&v, page);
		file_page_write(&v, page);
		file_page_unlock(&v, page);
	}
	/* What was read may be either, what was not is what the file has, what was written is the
	 * process's own. */
	file_words_verify(t.ours, 0, s->page_bytes, 0, 1, "in a private mapping");
	file_words_verify(
	    t.ours + 2 * s->page_bytes, 2, s->page_bytes, 1, 1, "in a private mapping");
	EQ(t.ours[s->page_bytes], 0x77);
	t.ours[3 * s->page_bytes] = 0x66;
	file_page_verify(&v, 3);
	/* What leaves without having been written comes back as the file is. */
	OK(pager_behavior(t.p, t.ours, s->page_bytes, PAGER_BEHAVIOR_PAGEOUT));
	file_words_verify(t.ours, 0, s->page_bytes, 1, 1, "in a private mapping");
	file_plain_write(s, v.fd, 5);
	file_words_verify(
	    t.ours + 5 * s->page_bytes, 5, s->page_bytes, 1, 1, "in a private mapping");
	OK(file_sync(&v, 0, s->count, PAGER_MSYNC_SYNC));
	REQUIRE(file_read_is_current(s, v.fd));
	file_view_unmap(&v);
	EQ(t.ours[s->page_bytes], 0x77);
	EQ(t.ours[3 * s->page_bytes], 0x66);
	file_view_close(&v);
	twin_close(&t);
}

static void
changed(void)
{
	struct live d = { 0 };
	struct file_scene *s = scene_begin(&d);
	int fd;

	client_join(&d, client_start(&d, changed_client, s), false);
	fd = file_open(s, O_RDONLY);
	REQUIRE(file_read_is_current(s, fd));
	close(fd);
	WAIT_UNTIL(&d, live_stat(&d, "files") == 0);
	live_stop(&d);
}

/* --- rights --- */

static void
rights_client(struct live *d, void *argument)
{
	struct file_scene *s = argument;
	struct pager *p = client_connect(d);
	size_t page = s->page_bytes;
	unsigned char *at, byte;
	void *base = NULL, *fixed;
	int fd = file_open(s, O_WRONLY);

	guard_begin();
	EQ(pager_map_file(p, fd, 0, page, PROT_READ, PAGER_MAP_PRIVATE, &base), -EACCES);
	close(fd);
	fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	EQ(pager_map_file(p, fd, 0, page, PROT_READ, PAGER_MAP_PRIVATE, &base), -ENODEV);
	close(fd);
	fd = file_open(s, O_RDONLY);
	EQ(pager_map_file(p, fd, 1, page, PROT_READ, PAGER_MAP_PRIVATE, &base), -EINVAL);
	EQ(pager_map_file(p, fd, 0, page, PROT_READ, PAGER_MAP_PRIVATE | PAGER_MAP_SHARED, &base),
	    -EINVAL);
	REQUIRE(base == NULL);
	/* For reading only, until it says otherwise: no right to the file is needed for that. */
	OK(pager_map_file(p, fd, page, 4 * page, PROT_READ, PAGER_MAP_PRIVATE, &base));
	at = base;
	EQ(guard_store(at, 1), SIGSEGV);
	file_words_verify(at, 1, page, 0, 0, "in a private mapping");
	OK(pager_protect(p, at, page, PROT_READ | PROT_WRITE));
	EQ(guard_store(at, 1), 0);
	EQ(guard_store(at + page, 1), SIGSEGV);
	fixed = base;
	EQ(pager_map_file(p, fd, 0, page, PROT_READ, PAGER_MAP_PRIVATE | PAGER_ALLOC_FIXED, &fixed),
	    -EEXIST);
	/* Descriptor and name may go. */
	close(fd);
	REQUIRE(unlink(s->path) == 0);
	for (uint32_t i = 1; i < 4; i++)
		file_words_verify(at + i * page, i + 1, page, 0, 0, "in a private mapping");
	EQ(guard_load(at, &byte), 0);
	EQ(byte, 1);
	/* Discarded pages are zeroes. */
	OK(pager_behavior(p, at + page, page, PAGER_BEHAVIOR_FREE));
	EQ(at[page], 0);
	file_words_verify(at + 2 * page, 3, page, 0, 0, "in a private mapping");
	OK(pager_deallocate(p, at, 4 * page));
	OK(pager_disconnect(p));
}

static void
rights(void)
{
	struct live d = { 0 };
	struct file_scene *s = scene_begin(&d);

	client_join(&d, client_start(&d, rights_client, s), false);
	WAIT_UNTIL(&d, live_stat(&d, "files") == 0);
	live_stop(&d);
}

/* --- shown: what is only read costs no swap, and what the calls say of a mapping --- */

static void
shown_client(struct live *d, void *argument)
{
	struct file_scene *s = argument;
	struct pager_region_query q = { .size = sizeof(q) };
	struct pager_statistics before, after;
	struct twin t;

	twin_open(d, s, &t);
	OK(pager_statistics(t.p, &before));
	twin_verify_all(&t);
	OK(pager_region_query(t.p, t.ours, PAGER_REGION_EXTENDED, &q));
	EQ(q.info.size_bytes, bytes_of(s));
	EQ(q.share_mode, PAGER_SHARE_COW);
	EQ(q.shadow_depth, 1);
	EQ(q.ref_count, 2);
	EQ(q.external_pager, 1);
	EQ(q.info.pages_dirty, 0);
	EQ(q.info.pages_compressed, 0);
	EQ(q.info.pages_swapped, 0);
	OK(pager_statistics(t.p, &after));
	EQ(after.internal_compressed, before.internal_compressed);
	t.ours[0] ^= 1;
	EQ(t.ours[0], t.kernels[0] ^ 1);
	t.ours[0] ^= 1;
	/* It is a copy of what it was, whatever becomes of the file. */
	{
		size_t bytes = 16 * s->page_bytes;
		unsigned char *copy = client_allocate(t.p, bytes);
		int fd = file_open(s, O_RDWR);

		t.ours[s->page_bytes] = 0x31;
		OK(pager_copy(t.p, t.ours, bytes, copy));
		for (uint32_t page = 8; page < 16; page++)
			file_plain_write(s, fd, page);
		EQ(copy[s->page_bytes], 0x31);
		for (uint32_t page = 2; page < 16; page++)
			file_words_verify(
			    copy + page * s->page_bytes, page, s->page_bytes, 0, 0, "in a copy");
		close(fd);
		OK(pager_deallocate(t.p, copy, bytes));
	}
	twin_close(&t);
}

static void
shown(void)
{
	struct live d = { 0 };
	struct file_scene *s = scene_begin(&d);

	client_join(&d, client_start(&d, shown_client, s), false);
	file_is_left(&d, s);
}

/* --- ahead: what is asked for is read before it is touched --- */

static void
ahead_client(struct live *d, void *argument)
{
	struct file_scene *s = argument;
	uint32_t count = s->count / 4;
	struct twin t;

	twin_open(d, s, &t);
	OK(pager_behavior(t.p, t.ours, count * s->page_bytes, PAGER_BEHAVIOR_WILLNEED));
	WAIT_UNTIL(d, live_stat(d, "file_reads") == (int64_t)count);
	live_rest(d);
	EQ(live_stat(d, "external"), count);
	EQ(live_stat(d, "internal"), 0);
	for (uint32_t page = 0; page < count; page++)
		twin_verify(&t, page);
	EQ(live_stat(d, "file_reads"), count);
	twin_close(&t);
}

static void
ahead(void)
{
	struct live d = { 0 };
	struct file_scene *s = scene_begin(&d);

	client_join(&d, client_start(&d, ahead_client, s), false);
	file_is_left(&d, s);
}

/* --- limited: with a limit that is a small part of the file --- */

static void
limited_client(struct live *d, void *argument)
{
	struct twin t;

	twin_open(d, argument, &t);
	stage_meet(d, &t.s->stage[0], 1);
	twin_verify_all(&t);
	for (uint32_t page = 0; page < t.s->count; page += 2)
		twin_write(&t, page);
	twin_verify_all(&t);
	twin_turns(&t, live_scaled(options.ops));
	twin_close(&t);
}

static void
limited(void)
{
	struct live d = { 0 };
	struct file_scene *s = scene_begin(&d);
	pid_t pid = client_start(&d, limited_client, s);

	stage_wait(&d, &s->stage[0], 1);
	live_limit(&d, pid, d.memory_bytes / 8);
	stage_allow(&s->stage[0], 1);
	client_join(&d, pid, false);
	file_is_left(&d, s);
}

static const struct live_test tests[] = { { "oracle", oracle }, { "killed", killed },
	{ "truncated", truncated }, { "changed", changed }, { "rights", rights },
	{ "shown", shown }, { "ahead", ahead }, { "limited", limited } };

int
main(int argc, char **argv)
{
	share_options_parse(argc, argv);
	live_init(argc, argv);
	return LIVE_RUN(argc, argv, tests);
}
