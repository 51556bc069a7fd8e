/* SPDX-License-Identifier: MIT
 *
 * Files that cannot be written, of which the daemon lets go: because pagerctl asks for it, or
 * because nobody has mapped them for long. What is given up is told to everybody, and what the file
 * has is seen again; nobody waits for it.
 *
 * usage: e_file_forget failing|hanging|stored|ended [page=SIZE] [memory=SIZE]
 */
#include "file_touch.h"

#include <pthread.h>

#include "forget.h"

struct forget {
	struct file_scene *scene;
	struct stage stage[2];
};

static struct forget *
forget_begin(struct live *d, unsigned sixteenths)
{
	struct forget *f = shared_alloc(sizeof(*f));

	daemon_start(d);
	live_param(d, "file_patience_ms", "5000");
	f->scene =
	    file_scene_make(d, (uint32_t)(sixteenths * d->memory_bytes / d->page_bytes / 16));
	return f;
}

/* A large page that was refused may come back part by part. => whether all of it can be read */
static bool
page_copy(struct file_view *v, uint32_t page, unsigned char *copy)
{
	if (sigsetjmp(bus_jump, 1) != 0)
		return false;
	bus_expected = 1;
	memcpy(copy, view_page(v, page), v->s->page_bytes);
	bus_expected = 0;
	return true;
}

/* Every page of the mapping can be read, and is what the file has. => how many are of generation 0
 */
static uint32_t
view_is_of_file(struct file_view *v)
{
	uint64_t bytes = v->s->page_bytes;
	unsigned char *page = malloc(bytes), *seen = malloc(bytes);
	uint32_t old = 0;

	for (uint32_t i = 0; i < v->s->count; i++) {
		WAIT_UNTIL(v->d, page_copy(v, i, seen));
		REQUIRE(pread(v->fd, page, bytes, (off_t)(i * bytes)) == (ssize_t)bytes);
		REQUIRE(memcmp(page, seen, bytes) == 0, "page %u", i);
		file_words_verify(
		    page, i, bytes, 0, atomic_load(&v->s->pages[i].written), "in the file");
		old += *(const uint64_t *)page == file_word(i, 0, 0);
	}
	free(page);
	free(seen);
	return old;
}

/* The file is as if nothing had happened: what is stored reaches it. */
static void
view_goes_on(struct file_view *v)
{
	pages_store_all(v);
	/* A write that failed meanwhile may have to be told yet. */
	WAIT_UNTIL(v->d, file_sync(v, 0, v->s->count, PAGER_MSYNC_SYNC) == 0);
	REQUIRE(file_read_is_current(v->s, v->fd));
}

/* How many pages the log says were given up. Those that are in transit when the daemon lets go of
 * the others follow, and are told apart. */
static uint64_t
told_lost(struct live *d)
{
	static const char text[] = " pages of a client's file were given up unwritten and are lost";
	char path[160], line[4096];
	uint64_t pages = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s/log", d->directory);
	f = fopen(path, "re");
	REQUIRE(f, "%s: %s", path, strerror(errno));
	while (fgets(line, sizeof(line), f)) {
		const char *at = strstr(line, text);

		while (at && at > line && at[-1] >= '0' && at[-1] <= '9')
			at--;
		pages += at ? strtoull(at, NULL, 10) : 0;
	}
	fclose(f);
	return pages;
}

/* --- failing: writes fail; two clients map the file --- */

static void
other_reader(struct live *d, void *argument)
{
	struct forget *f = argument;
	struct file_view v;

	expect_bus();
	file_view_open(d, f->scene, PROT_READ, &v);
	stage_meet(d, &f->stage[0], 1);
	file_verify_all(&v);
	stage_meet(d, &f->stage[0], 2);
	(void)view_is_of_file(&v);
	stage_meet(d, &f->stage[0], 3);
	file_view_close(&v);
}

static void
failing_client(struct live *d, void *argument)
{
	struct forget *f = argument;
	struct file_scene *s = f->scene;
	struct file_view v;

	expect_bus();
	file_view_open(d, s, PROT_READ | PROT_WRITE, &v);
	live_debug_fail(d, "FILE_WRITE_EIO:0:0");
	for (uint32_t page = 0; page < s->count; page++)
		REQUIRE(page_store(&v, page));
	stage_wait(d, &f->stage[0], 1);
	EQ(pager_msync(v.p, v.base, s->count * s->page_bytes, PAGER_MSYNC_SYNC), -EIO);
	stage_allow(&f->stage[0], 1);
	stage_wait(d, &f->stage[0], 2);
	WAIT_UNTIL(d, live_stat(d, "file_dirty") == s->count);
	stage_meet(d, &f->stage[1], 1);
	WAIT_UNTIL(d, live_stat(d, "file_forgotten") == s->count && live_stat(d, "external") == 0);
	WAIT_UNTIL(d, live_stat(d, "file_dirty") == 0);
	(void)view_is_of_file(&v);
	/* Whoever has not been told yet is told, once. */
	EQ(pager_msync(v.p, v.base, s->page_bytes, PAGER_MSYNC_SYNC), -EIO);
	EQ(pager_msync(v.p, v.base, s->page_bytes, PAGER_MSYNC_SYNC), 0);
	stage_allow(&f->stage[0], 2);
	stage_wait(d, &f->stage[0], 3);
	live_check(d);
	live_debug_fail(d, NULL);
	view_goes_on(&v);
	stage_allow(&f->stage[0], 3);
	file_view_close(&v);
}

static void
failing(void)
{
	struct live d = { 0 };
	struct forget *f = forget_begin(&d, 3);
	pid_t pids[] = { client_start(&d, other_reader, f), client_start(&d, failing_client, f) };
	char text[1024];

	stage_wait(&d, &f->stage[1], 1);
	REQUIRE(forget_ask(&d, 1ull << 60, text, sizeof(text)) != 0);
	REQUIRE(strstr(text, "no file has object"), "%s", text);
	file_forget(&d, f->scene->path);
	stage_allow(&f->stage[1], 1);
	for (unsigned i = 0; i < 2; i++)
		client_join(&d, pids[i], true);
	EQ(told_lost(&d), f->scene->count);
	EQ(live_log_count(&d, "asked to give up"), 1);
	WAIT_UNTIL(&d, live_stat(&d, "files") == 0);
	live_check(&d);
	live_stop(&d);
}

/* --- hanging: writes do not come back; an msync waits for them --- */

static void *
call_msync(void *argument)
{
	struct file_view *v = argument;
	struct pager *p = v->p;

	return (void *)(intptr_t)pager_msync(
	    p, v->base, v->s->count * v->s->page_bytes, PAGER_MSYNC_SYNC);
}

/* Has an msync wait for writes that hang; the test has the file forgotten, since a client that
 * forks waits for its own requests. */
static void
msync_ends(struct live *d, struct stage *stage, struct file_view *v)
{
	pthread_t thread;
	void *result;

	REQUIRE(pthread_create(&thread, NULL, call_msync, v) == 0);
	WAIT_UNTIL(d, live_fail_count(d, "FILE_WRITE_HANGS") > 0);
	stage_meet(d, stage, 1);
	pthread_join(thread, &result);
	EQ((intptr_t)result, -EIO);
	WAIT_UNTIL(d, live_stat(d, "external") == 0);
	WAIT_UNTIL(d, live_stat(d, "file_dirty") == 0);
	WAIT_UNTIL(d, live_stat(d, "file_forgotten") >= v->s->count);
	EQ(live_stat(d, "file_forgotten"), v->s->count);
}

/* Has the file forgotten when the client is at stage 1. */
static void
forgotten_beside(struct live *d, struct forget *f, pid_t pid)
{
	stage_wait(d, &f->stage[0], 1);
	file_forget(d, f->scene->path);
	stage_allow(&f->stage[0], 1);
	client_join(d, pid, true);
}

static void
hanging_client(struct live *d, void *argument)
{
	struct forget *f = argument;
	struct file_scene *s = f->scene;
	struct file_view v;
	unsigned char byte;
	uint32_t old;

	expect_bus();
	file_view_open(d, s, PROT_READ | PROT_WRITE, &v);
	live_debug_fail(d, "FILE_WRITE_HANGS:0:0");
	for (uint32_t page = 0; page < s->count; page++)
		REQUIRE(page_store(&v, page));
	msync_ends(d, &f->stage[0], &v);
	/* What the file has is not known while writes are under way. */
	for (uint32_t page = 0; page < s->count; page++)
		REQUIRE(!byte_read(&v, page * s->page_bytes, &byte));
	live_check(d);
	live_debug_fail(d, NULL);
	/* They end: what they had is in the file after all, and the rest is not. */
	old = view_is_of_file(&v);
	REQUIRE(old > 0 && old < s->count, "%u", old);
	view_goes_on(&v);
	file_view_close(&v);
}

static void
hanging(void)
{
	struct live d = { 0 };
	struct forget *f = forget_begin(&d, 3);

	forgotten_beside(&d, f, client_start(&d, hanging_client, f));
	EQ(told_lost(&d), f->scene->count);
	WAIT_UNTIL(&d, live_stat(&d, "files") == 0);
	live_check(&d);
	live_stop(&d);
}

/* --- stored: pages are stored to again while their writes hang; the newest content wins --- */

static void
stored_client(struct live *d, void *argument)
{
	struct forget *f = argument;
	struct file_scene *s = f->scene;
	struct file_view v;
	pthread_t thread;
	void *result;

	expect_bus();
	file_view_open(d, s, PROT_READ | PROT_WRITE, &v);
	live_debug_fail(d, "FILE_WRITE_HANGS:0:0");
	pages_store_all(&v);
	REQUIRE(pthread_create(&thread, NULL, call_msync, &v) == 0);
	WAIT_UNTIL(d, live_fail_count(d, "FILE_WRITE_HANGS") > 0);
	pages_store_all(&v);
	/* The cleaner waits for them, and does not try again and again. */
	live_rest(d);
	stage_meet(d, &f->stage[0], 1);
	pthread_join(thread, &result);
	EQ((intptr_t)result, -EIO);
	WAIT_UNTIL(d, live_stat(d, "external") == 0);
	live_debug_fail(d, NULL);
	(void)view_is_of_file(&v);
	/* The writes of old content that were on their way are no later than these. */
	view_goes_on(&v);
	file_view_close(&v);
}

static void
stored(void)
{
	struct live d = { 0 };
	struct forget *f = forget_begin(&d, 3);

	forgotten_beside(&d, f, client_start(&d, stored_client, f));
	WAIT_UNTIL(&d, live_stat(&d, "files") == 0);
	REQUIRE(file_read_is_current(f->scene, file_open(f->scene, O_RDONLY)));
	live_check(&d);
	live_stop(&d);
}

/* --- ended: clients end one after the other and leave what cannot be written --- */

static void
leaver(struct live *d, void *argument)
{
	struct forget *f = argument;
	struct file_view v;
	uint32_t refused;

	expect_bus();
	file_view_open(d, f->scene, PROT_READ | PROT_WRITE, &v);
	atomic_fetch_add(&f->scene->turns[0], pages_store(&v, &refused));
	stage_meet(d, &f->stage[1], 1);
}

static void
memory_user(struct live *d, void *argument)
{
	struct book book;
	uint32_t count = (uint32_t)(d->memory_bytes / d->page_bytes / 4);

	(void)argument;
	expect_bus();
	book_open(&book, client_allocate(client_connect(d), count * d->page_bytes), d->page_bytes,
	    count, 3);
	for (uint32_t page = 0; page < count; page++)
		book_write(&book, page, KIND_NOISE);
	book_verify_all(&book);
}

static void
ended(void)
{
	struct live d = { 0 };
	struct forget *f = forget_begin(&d, 16);
	uint64_t kept = 0;

	live_debug_fail(&d, "FILE_WRITE_EIO:0:0");
	WAIT_UNTIL(&d, live_stat(&d, "dirty_user_limit") > 0);
	for (unsigned i = 0; i < 3; i++) {
		pid_t pid = client_start(&d, leaver, f);

		stage_wait(&d, &f->stage[1], 1);
		client_kill(pid);
		stage_reset(&f->stage[1]);
		kept = listed(&d, "dirty") / d.page_bytes;
		REQUIRE(kept > 0 && kept <= (uint64_t)live_stat(&d, "dirty_user_limit") * 5 / 4,
		    "%llu", (unsigned long long)kept);
	}
	WAIT_UNTIL(&d, live_stat(&d, "sessions") == 0);
	kept = listed(&d, "dirty") / d.page_bytes;
	/* Others have the rest. */
	client_join(&d, client_start(&d, memory_user, f), true);
	EQ(listed(&d, "dirty") / d.page_bytes, kept);
	EQ(live_stat(&d, "file_forgotten"), 0);
	live_check(&d);
	live_param(&d, "file_keep_s", "1");
	WAIT_UNTIL(&d, live_stat(&d, "files") == 0);
	WAIT_UNTIL(&d, (uint64_t)live_stat(&d, "file_forgotten") >= kept);
	EQ(live_stat(&d, "file_forgotten"), kept);
	WAIT_UNTIL(&d, live_stat(&d, "file_dirty") == 0);
	REQUIRE(live_log_count(&d, "were given up unwritten and are lost") > 0);
	live_check(&d);
	live_stop(&d);
}

static const struct live_test tests[] = { { "failing", failing }, { "hanging", hanging },
	{ "stored", stored }, { "ended", ended } };

int
main(int argc, char **argv)
{
	share_options_parse(argc, argv);
	live_init(argc, argv);
	return LIVE_RUN(argc, argv, tests);
}
