/* SPDX-License-Identifier: MIT
 *
 * What pager_behavior does to pages of files: WILLNEED reads them before they are touched, as far
 * as memory is free; DONTNEED and FREE take no content away, PAGEOUT takes pages out; RANDOM keeps
 * a fault to its page. What is wired is written when somebody has stored to it. And a run is read
 * ahead of as far as that has been worth it.
 *
 * usage: e_file_advice willneed|bounded|keeps|random|wired|ahead [page=SIZE] [memory=SIZE]
 */
#include "file_touch.h"
#include "slow_file.h"

struct role {
	struct file_scene *scene, *other;
	struct slow_file *slow;
};

static void
scene_begin(struct live *d, struct role *role, unsigned parts_of_memory)
{
	daemon_start(d);
	*role = (struct role){ 0 };
	role->scene =
	    file_scene_make(d, (uint32_t)(d->memory_bytes / d->page_bytes * 4 / parts_of_memory));
}

static void
advise(struct file_view *v, enum pager_behavior behavior)
{
	OK(pager_behavior(v->p, v->base, v->s->count * v->s->page_bytes, behavior));
}

/* A client in a process of its own; the daemon has nothing left of it. */
static void
in_client(struct live *d, client_body *body, struct role *role)
{
	client_join(d, client_start(d, body, role), true);
	WAIT_UNTIL(d, live_stat(d, "files") == 0);
	live_stop(d);
}

/* --- willneed: all is read, nothing of it by a touch --- */

static void
willneed_client(struct live *d, void *argument)
{
	struct role *role = argument;
	uint32_t count = role->scene->count;
	struct file_view v;

	file_view_open(d, role->scene, PROT_READ | PROT_WRITE, &v);
	EQ(live_stat(d, "file_reads"), 0);
	advise(&v, PAGER_BEHAVIOR_WILLNEED);
	WAIT_UNTIL(d, live_stat(d, "prefetches") >= count);
	EQ(live_stat(d, "prefetches"), count);
	WAIT_UNTIL(d, live_stat(d, "speculative") == count);
	live_check(d);
	/* Once more: there is nothing to read. */
	advise(&v, PAGER_BEHAVIOR_WILLNEED);
	file_verify_all(&v);
	for (uint32_t page = 0; page < count; page += 3) {
		file_page_lock(&v, page);
		file_page_write(&v, page);
		file_page_unlock(&v, page);
	}
	file_verify_all(&v);
	live_rest(d);
	EQ(live_stat(d, "file_reads"), count);
	EQ(live_stat(d, "prefetches"), count);
	file_view_close(&v);
}

static void
willneed(void)
{
	struct role role;
	struct live d = { 0 };

	scene_begin(&d, &role, 8);
	in_client(&d, willneed_client, &role);
}

/* --- bounded: a file larger than memory, a file that does not answer --- */

static void
bounded_client(struct live *d, void *argument)
{
	struct role *role = argument;
	int64_t frames = (int64_t)(d->memory_bytes / d->page_bytes), left;
	struct file_view v, slow;

	file_view_open(d, role->scene, PROT_READ | PROT_WRITE, &v);
	advise(&v, PAGER_BEHAVIOR_WILLNEED);
	WAIT_UNTIL(d, live_stat(d, "prefetches") >= frames / 2);
	live_rest(d);
	/* Nothing has left for it. */
	REQUIRE(live_stat(d, "prefetches") < frames);
	EQ(live_stat(d, "evictions"), 0);
	EQ(live_stat(d, "speculative"), live_stat(d, "prefetches"));
	/* They are the first to leave. */
	left = live_stat(d, "prefetches");
	file_verify_all(&v);
	REQUIRE(live_stat(d, "file_reads") > left);
	file_view_open(d, role->other, PROT_READ, &slow);
	stage_meet(d, &role->scene->stage[0], 1);
	/* It does not answer. */
	for (unsigned i = 0; i < 100; i++)
		advise(&slow, PAGER_BEHAVIOR_WILLNEED);
	/* Other requests go on. */
	advise(&v, PAGER_BEHAVIOR_PAGEOUT);
	file_verify_all(&v);
	stage_meet(d, &role->scene->stage[0], 2);
	file_verify_all(&slow);
	file_view_close(&slow);
	file_view_close(&v);
}

static void
bounded(void)
{
	struct role role;
	struct live d = { 0 };
	pid_t pid;

	namespace_begin();
	scene_begin(&d, &role, 1);
	role.slow = slow_file_start(16 * d.page_bytes);
	role.other = file_scene_at(&d, 16, SLOW_FILE_PATH);
	pid = client_start(&d, bounded_client, &role);
	stage_wait(&d, &role.scene->stage[0], 1);
	slow_file_stop_answering(role.slow);
	stage_allow(&role.scene->stage[0], 1);
	stage_wait(&d, &role.scene->stage[0], 2);
	slow_file_go_on(role.slow);
	stage_allow(&role.scene->stage[0], 2);
	client_join(&d, pid, true);
	WAIT_UNTIL(&d, live_stat(&d, "files") == 0);
	live_stop(&d);
	slow_file_end(role.slow);
}

/* --- keeps: no advice takes content away; PAGEOUT writes, and takes out --- */

static void
keeps_client(struct live *d, void *argument)
{
	static const enum pager_behavior behaviors[] = { PAGER_BEHAVIOR_DONTNEED,
		PAGER_BEHAVIOR_FREE, PAGER_BEHAVIOR_WILLNEED, PAGER_BEHAVIOR_PAGEOUT };
	struct role *role = argument;
	struct file_scene *s = role->scene;
	struct file_view v;
	int64_t writes, pinned, stay;

	file_view_open(d, s, PROT_READ | PROT_WRITE, &v);
	for (unsigned i = 0; i < sizeof(behaviors) / sizeof(behaviors[0]); i++) {
		for (uint32_t page = 0; page < s->count; page += 2) {
			file_page_lock(&v, page);
			file_page_write(&v, page);
			file_page_unlock(&v, page);
		}
		file_verify_all(&v);
		writes = live_stat(d, "file_writes");
		pinned = live_stat(d, "pinned");
		advise(&v, behaviors[i]);
		/* Pages in transit are passed over: servers and the cleaner have some. */
		if (behaviors[i] == PAGER_BEHAVIOR_DONTNEED)
			WAIT_UNTIL(
			    d, (advise(&v, behaviors[i]), live_stat(d, "inactive") == s->count));
		if (behaviors[i] == PAGER_BEHAVIOR_PAGEOUT) {
			REQUIRE(live_stat(d, "file_writes") >= writes);
			/* When the call returns. On a page on its way between two of the kernel's
			 * lists there is a reference, as on a pinned one: those stay. */
			stay = live_stat(d, "external");
			pinned = live_stat(d, "pinned") - pinned;
			REQUIRE(stay <= pinned, "%lld stay, %lld are pinned", (long long)stay,
			    (long long)pinned);
			/* It is in the file, as others read it. */
			REQUIRE(file_read_is_current(s, v.fd));
		}
		file_verify_all(&v);
	}
	file_view_close(&v);
}

static void
keeps(void)
{
	struct role role;
	struct live d = { 0 };

	scene_begin(&d, &role, 8);
	in_client(&d, keeps_client, &role);
}

/* --- random: a fault reads its page, and no other --- */

static void
random_client(struct live *d, void *argument)
{
	struct role *role = argument;
	struct file_view v;

	file_view_open(d, role->scene, PROT_READ, &v);
	advise(&v, PAGER_BEHAVIOR_RANDOM);
	for (uint32_t page = 0; page < 32; page++) {
		file_page_lock(&v, page);
		file_page_unlock(&v, page);
		live_rest(d);
		EQ(live_stat(d, "file_reads"), page + 1);
	}
	EQ(live_stat(d, "file_ahead"), 0);
	advise(&v, PAGER_BEHAVIOR_SEQUENTIAL);
	file_page_lock(&v, 40);
	file_page_unlock(&v, 40);
	live_rest(d);
	REQUIRE(live_stat(d, "file_reads") > 33, "%lld", (long long)live_stat(d, "file_reads"));
	file_view_close(&v);
}

static void
random_faults(void)
{
	struct role role;
	struct live d = { 0 };

	scene_begin(&d, &role, 8);
	in_client(&d, random_client, &role);
}

/* --- wired: pages that stay in memory are written when somebody has stored to them --- */

/* msync of all. => pages written since then in all, which the cleaner may have begun before */
static int64_t
written_since(struct live *d, struct file_view *v, int64_t then)
{
	OK(file_sync(v, 0, v->s->count, PAGER_MSYNC_SYNC));
	REQUIRE(file_read_is_current(v->s, v->fd));
	return live_stat(d, "file_writes") - then;
}

static void
wired_client(struct live *d, void *argument)
{
	struct role *role = argument;
	struct file_scene *s = role->scene;
	int64_t count = s->count, then, writes;
	struct file_view v;
	uint32_t page;

	file_view_open(d, s, PROT_READ | PROT_WRITE, &v);
	/* Some are there when they are wired, one of them dirty. */
	for (page = 0; page < 20; page += 2) {
		file_page_lock(&v, page);
		file_page_unlock(&v, page);
	}
	file_page_lock(&v, 4);
	file_page_write(&v, 4);
	file_page_unlock(&v, 4);
	OK(pager_wire(v.p, v.base, s->count * s->page_bytes));
	WAIT_UNTIL(d, live_stat(d, "wired") == count);
	writes = written_since(d, &v, 0);
	REQUIRE(writes > 0 && writes < 4, "%lld", (long long)writes);
	then = live_stat(d, "file_writes");
	file_verify_all(&v);
	EQ(written_since(d, &v, then), 0);
	for (page = 1; page < s->count; page += 3)
		file_page_write(&v, page);
	writes = written_since(d, &v, then);
	REQUIRE(writes >= (count + 1) / 3 && writes < count, "%lld", (long long)writes);
	then = live_stat(d, "file_writes");
	EQ(written_since(d, &v, then), 0);
	stage_meet(d, &s->stage[0], 1);
	/* Somebody has changed the file: what is wired wins. */
	WAIT_UNTIL(d, live_stat(d, "file_changes") > 0);
	/* A change is counted before the pages are looked at for it. */
	live_rest(d);
	REQUIRE(written_since(d, &v, then) >= count);
	then = live_stat(d, "file_writes");
	EQ(written_since(d, &v, then), 0);
	OK(pager_unwire(v.p, v.base, s->count * s->page_bytes));
	file_page_write(&v, 3);
	file_verify_all(&v);
	(void)written_since(d, &v, then);
	file_view_close(&v);
}

static void
wired(void)
{
	struct role role;
	struct live d = { 0 };
	char byte = 0;
	pid_t pid;
	int fd;

	scene_begin(&d, &role, 16);
	pid = client_start(&d, wired_client, &role);
	stage_wait(&d, &role.scene->stage[0], 1);
	live_check(&d);
	fd = file_open(role.scene, O_RDWR);
	REQUIRE(pwrite(fd, &byte, 1, 0) == 1);
	close(fd);
	stage_allow(&role.scene->stage[0], 1);
	client_join(&d, pid, true);
	WAIT_UNTIL(&d, live_stat(&d, "files") == 0);
	live_stop(&d);
}

/* --- ahead: what is read ahead in vain makes read-ahead short, what is touched makes it long ---
 */

/* Begins a run of faults at the page, and goes no further. => pages that were read ahead of it */
static int64_t
run_begin(struct live *d, struct file_view *v, uint32_t page)
{
	int64_t before = live_stat(d, "file_ahead");

	/* The faults bring in 1, 1, 2, 4 and 8 pages; at the last one it is a run. */
	for (uint32_t i = 0; i < 9; i++) {
		file_page_lock(v, page + i);
		file_page_unlock(v, page + i);
	}
	live_rest(d);
	return live_stat(d, "file_ahead") - before;
}

static void
ahead_client(struct live *d, void *argument)
{
	struct role *role = argument;
	uint32_t count = role->scene->count, least = (uint32_t)(32768 / d->page_bytes), runs;
	struct file_view v;
	int64_t wasted = 0;

	file_view_open(d, role->scene, PROT_READ, &v);
	for (runs = 0; wasted < 40 * least; runs++) {
		int64_t ahead = run_begin(d, &v, runs * 200 % (count - 200));

		REQUIRE(runs > 0 || ahead >= 4 * least, "%lld", (long long)ahead);
		advise(&v, PAGER_BEHAVIOR_PAGEOUT);
		wasted = live_stat(d, "file_ahead_wasted");
		/* But for pages that look pinned for a moment. */
		REQUIRE(wasted <= live_stat(d, "file_ahead"));
	}
	for (unsigned i = 0; i < 3; i++) {
		EQ(run_begin(d, &v, 100 + i * 200), least);
		advise(&v, PAGER_BEHAVIOR_PAGEOUT);
	}
	/* A program's word holds. */
	advise(&v, PAGER_BEHAVIOR_SEQUENTIAL);
	REQUIRE(run_begin(d, &v, 900) >= 4 * least);
	advise(&v, PAGER_BEHAVIOR_DEFAULT);
	advise(&v, PAGER_BEHAVIOR_PAGEOUT);
	wasted = live_stat(d, "file_ahead_wasted");
	for (unsigned i = 0; i < 3; i++)
		file_verify_all(&v);
	advise(&v, PAGER_BEHAVIOR_PAGEOUT);
	REQUIRE(run_begin(d, &v, 100) >= 4 * least, "%lld of %lld, %lld wasted before",
	    (long long)live_stat(d, "file_ahead_wasted"), (long long)live_stat(d, "file_ahead"),
	    (long long)wasted);
	file_view_close(&v);
}

static void
ahead(void)
{
	struct role role;
	struct live d = { 0 };

	scene_begin(&d, &role, 2);
	in_client(&d, ahead_client, &role);
}

static const struct live_test tests[] = { { "wired", wired }, { "ahead", ahead },
	{ "willneed", willneed }, { "bounded", bounded }, { "keeps", keeps },
	{ "random", random_faults } };

int
main(int argc, char **argv)
{
	share_options_parse(argc, argv);
	live_init(argc, argv);
	return LIVE_RUN(argc, argv, tests);
}
