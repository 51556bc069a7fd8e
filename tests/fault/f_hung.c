/* SPDX-License-Identifier: MIT
 *
 * A file whose file system stops answering an fdatasync, or reads, and that is given up then
 * (pagerctl files --forget): who waits for it is told at once, and nothing of it is in the way of
 * others. When the file system answers again, the file is as if nothing had happened.
 *
 * usage: f_hung sync|killed|reads [page=SIZE] [memory=SIZE]
 */
#include "file_touch.h"

#include <pthread.h>

#include "forget.h"
#include "slow_file.h"

/* Threads that touch at a time, each a part of the file. */
enum { TOUCHERS = 3 };

struct hung {
	struct slow_file *file;
	struct file_scene *scene;
	struct stage stage;
};

static struct hung *
hung_begin(struct live *d)
{
	struct hung *h = shared_alloc(sizeof(*h));
	uint64_t bytes;

	namespace_begin();
	daemon_start(d);
	live_param(d, "file_patience_ms", "5000");
	bytes = d->memory_bytes / 4;
	h->file = slow_file_start(bytes);
	h->scene = file_scene_at(d, (uint32_t)(bytes / d->page_bytes), SLOW_FILE_PATH);
	return h;
}

static void
hung_end(struct live *d, struct hung *h, pid_t client)
{
	client_join(d, client, true);
	WAIT_UNTIL(d, live_stat(d, "files") == 0);
	live_check(d);
	live_stop(d);
	slow_file_end(h->file);
}

/* Starts a client, which is at its first stage; from then on requests of a kind hang, and that many
 * of its do. */
static pid_t
hung_client(struct live *d, struct hung *h, client_body *body, atomic_bool *kind, unsigned count)
{
	pid_t pid = client_start(d, body, h);

	stage_wait(d, &h->stage, 1);
	atomic_store(kind, true);
	stage_allow(&h->stage, 1);
	WAIT_UNTIL(d, atomic_load(&h->file->held) >= count);
	return pid;
}

static int
msync_all(struct file_view *v)
{
	return pager_msync(v->p, v->base, v->s->count * v->s->page_bytes, PAGER_MSYNC_SYNC);
}

/* --- sync: the writes come back, the fdatasync behind them does not --- */

static void
sync_client(struct live *d, void *argument)
{
	struct hung *h = argument;
	struct file_view v;

	expect_bus();
	file_view_open(d, h->scene, PROT_READ | PROT_WRITE, &v);
	pages_store_all(&v);
	stage_meet(d, &h->stage, 1);
	EQ(msync_all(&v), -EIO);
	/* Nothing was dirty any more, so nothing is lost, and all can be read. */
	file_verify_all(&v);
	EQ(live_stat(d, "file_forgotten"), 0);
	stage_meet(d, &h->stage, 2);
	OK(msync_all(&v));
	pages_store_all(&v);
	OK(msync_all(&v));
	slow_file_is_current(h->file, h->scene);
	file_view_close(&v);
}

static void
sync_hangs(void)
{
	struct live d = { 0 };
	struct hung *h = hung_begin(&d);
	pid_t pid = hung_client(&d, h, sync_client, &h->file->holds_syncs, 1);

	EQ(atomic_load(&h->file->held), 1);
	EQ(atomic_load(&h->stage.reached), 1);
	slow_file_is_current(h->file, h->scene);
	file_forget(&d, SLOW_FILE_PATH);
	stage_wait(&d, &h->stage, 2);
	/* It is still under way. */
	EQ(atomic_load(&h->file->held), 1);
	live_check(&d);
	atomic_store(&h->file->holds_syncs, false);
	stage_allow(&h->stage, 2);
	hung_end(&d, h, pid);
}

/* --- killed: so is the client that waits, and its session ends --- */

static void
waiting_client(struct live *d, void *argument)
{
	struct hung *h = argument;
	struct file_view v;

	expect_bus();
	file_view_open(d, h->scene, PROT_READ | PROT_WRITE, &v);
	pages_store_all(&v);
	stage_meet(d, &h->stage, 1);
	(void)msync_all(&v);
	REQUIRE(false, "an msync that hangs has returned");
}

static void
killed(void)
{
	struct live d = { 0 };
	struct hung *h = hung_begin(&d);
	pid_t pid = hung_client(&d, h, waiting_client, &h->file->holds_syncs, 1);

	client_kill(pid);
	WAIT_UNTIL(&d, live_stat(&d, "sessions") == 0);
	slow_file_is_current(h->file, h->scene);
	live_check(&d);
	/* The file stays for as long as it has not come back. */
	WAIT_UNTIL(&d, live_stat(&d, "files") == 1);
	atomic_store(&h->file->holds_syncs, false);
	WAIT_UNTIL(&d, live_stat(&d, "files") == 0);
	live_stop(&d);
	slow_file_end(h->file);
}

/* --- reads: threads wait for pages that do not come --- */

struct toucher {
	pthread_t thread;
	struct file_view *view;
	uint32_t page;
};

/* => whether the page could be read */
static void *
touch_one(void *argument)
{
	struct toucher *t = argument;
	unsigned char byte;

	return (void *)(intptr_t)byte_read(t->view, t->page * t->view->s->page_bytes, &byte);
}

static void
reads_client(struct live *d, void *argument)
{
	struct hung *h = argument;
	struct toucher touchers[TOUCHERS];
	struct file_view v;
	unsigned char byte;
	void *could;

	expect_bus();
	file_view_open(d, h->scene, PROT_READ | PROT_WRITE, &v);
	stage_meet(d, &h->stage, 1);
	for (uint32_t i = 0; i < TOUCHERS; i++) {
		touchers[i] = (struct toucher){ .view = &v,
			.page = h->scene->count / TOUCHERS * (i + 1) - 1 };
		REQUIRE(pthread_create(&touchers[i].thread, NULL, touch_one, &touchers[i]) == 0);
	}
	for (unsigned i = 0; i < TOUCHERS; i++) {
		pthread_join(touchers[i].thread, &could);
		REQUIRE(!could, "page %u could be read", touchers[i].page);
	}
	/* Who comes later does not wait either, before they have come back. */
	for (unsigned i = 0; i < TOUCHERS; i++)
		REQUIRE(!byte_read(&v, touchers[i].page * h->scene->page_bytes, &byte));
	stage_meet(d, &h->stage, 2);
	for (uint32_t page = 0; page < h->scene->count; page++)
		WAIT_UNTIL(d, byte_read(&v, page * h->scene->page_bytes, &byte));
	file_verify_all(&v);
	pages_store_all(&v);
	OK(msync_all(&v));
	slow_file_is_current(h->file, h->scene);
	file_view_close(&v);
}

static void
reads_hang(void)
{
	struct live d = { 0 };
	struct hung *h = hung_begin(&d);
	pid_t pid = hung_client(&d, h, reads_client, &h->file->holds_reads, TOUCHERS);

	file_forget(&d, SLOW_FILE_PATH);
	stage_wait(&d, &h->stage, 2);
	REQUIRE(atomic_load(&h->file->held) >= TOUCHERS);
	live_check(&d);
	atomic_store(&h->file->holds_reads, false);
	stage_allow(&h->stage, 2);
	hung_end(&d, h, pid);
}

static const struct live_test tests[] = { { "sync", sync_hangs }, { "killed", killed },
	{ "reads", reads_hang } };

int
main(int argc, char **argv)
{
	share_options_parse(argc, argv);
	live_init(argc, argv);
	return LIVE_RUN(argc, argv, tests);
}
