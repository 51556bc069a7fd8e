/* SPDX-License-Identifier: MIT
 *
 * A mapped file whose file system does not answer: who uses it waits, and nobody else does. It
 * goes on when the file system answers again, with nothing lost; or fails with it.
 *
 * usage: e_file_slow reads|writes|killed|gone|hung|stopped [page=SIZE] [memory=SIZE]
 */
#include <json-c/json.h>

#include "file_touch.h"

#include <pthread.h>
#include <sys/wait.h>

#include "slow_file.h"

struct slow {
	struct slow_file *file;
	struct file_scene *scene, *other; /* of it, and of a file that answers */
	struct file_scene *third;         /* likewise */
	struct stage stage[4];
	_Atomic uint64_t turns; /* of the neighbour */
	atomic_bool stop;
	atomic_int result;
};

static struct slow *
slow_begin_of(struct live *d, unsigned halves)
{
	struct slow *s = shared_alloc(sizeof(*s));
	uint64_t bytes;

	namespace_begin();
	daemon_start(d);
	bytes = d->memory_bytes / 2 * halves;
	s->file = slow_file_start(bytes);
	s->scene = file_scene_at(d, (uint32_t)(bytes / d->page_bytes), SLOW_FILE_PATH);
	s->other = file_scene_make(d, (uint32_t)(d->memory_bytes * 2 / d->page_bytes));
	return s;
}

static struct slow *
slow_begin(struct live *d)
{
	return slow_begin_of(d, 1);
}

/* Works in memory and in a file of its own, beyond what fits. */
static void
neighbour(struct live *d, void *argument)
{
	struct slow *s = argument;
	uint32_t count = s->other->count;
	struct file_view v;
	struct book book;

	file_view_open(d, s->other, PROT_READ | PROT_WRITE, &v);
	book_open(&book, client_allocate(v.p, count * d->page_bytes), d->page_bytes, count, 3);
	while (!atomic_load(&s->stop)) {
		uint32_t page = (uint32_t)rng_below(&v.rng, count);

		book_verify(&book, page);
		book_write(&book, page, mixture_draw(&mixture_usual, &v.rng));
		file_turn(&v);
		if (rng_below(&v.rng, 50) == 0)
			file_advice(&v);
		/* Also comes and goes. */
		if (rng_below(&v.rng, 200) == 0) {
			file_view_unmap(&v);
			file_view_map(&v, PROT_READ | PROT_WRITE);
		}
		atomic_fetch_add(&s->turns, 1);
	}
	book_verify_all(&book);
	file_verify_all(&v);
	OK(file_sync(&v, 0, count, PAGER_MSYNC_SYNC));
	REQUIRE(file_read_is_current(s->other, v.fd));
	file_view_close(&v);
}

static void
neighbour_goes_on(struct live *d, struct slow *s, uint64_t turns)
{
	uint64_t until = atomic_load(&s->turns) + live_scaled(turns);

	WAIT_UNTIL(d, atomic_load(&s->turns) >= until);
}

/* --- reads: a fault, a mapping, an msync that wait --- */

static void
reader(struct live *d, void *argument)
{
	struct slow *s = argument;
	struct file_view v;

	file_view_open(d, s->scene, PROT_READ | PROT_WRITE, &v);
	stage_meet(d, &s->stage[0], 1);
	file_verify_all(&v);
	stage_meet(d, &s->stage[0], 2);
	file_view_close(&v);
}

static void
mapper(struct live *d, void *argument)
{
	struct slow *s = argument;
	struct file_view v;

	v = (struct file_view){ .d = d, .s = s->scene, .p = client_connect(d) };
	v.fd = open(s->scene->path, O_RDWR | O_CLOEXEC);
	REQUIRE(v.fd >= 0, "%s", strerror(errno));
	stage_meet(d, &s->stage[1], 1);
	file_view_map(&v, PROT_READ | PROT_WRITE);
	file_verify_all(&v);
	stage_meet(d, &s->stage[1], 2);
	file_view_close(&v);
}

static void
waiting_ends_well(struct live *d, struct slow *s, pid_t other)
{
	atomic_store(&s->stop, true);
	client_join(d, other, true);
	live_check(d);
	live_stop(d);
	slow_file_end(s->file);
}

static void
reads(void)
{
	struct live d = { 0 };
	struct slow *s = slow_begin(&d);
	pid_t pids[2] = { client_start(&d, reader, s), client_start(&d, mapper, s) };
	pid_t other = client_start(&d, neighbour, s);

	for (unsigned i = 0; i < 2; i++)
		stage_wait(&d, &s->stage[i], 1);
	neighbour_goes_on(&d, s, 100);
	slow_file_stop_answering(s->file);
	for (unsigned i = 0; i < 2; i++)
		stage_allow(&s->stage[i], 1);
	neighbour_goes_on(&d, s, 3000);
	for (unsigned i = 0; i < 2; i++)
		EQ(atomic_load(&s->stage[i].reached), 1);
	live_check(&d);
	slow_file_go_on(s->file);
	for (unsigned i = 0; i < 2; i++) {
		stage_wait(&d, &s->stage[i], 2);
		stage_allow(&s->stage[i], 2);
		client_join(&d, pids[i], true);
	}
	waiting_ends_well(&d, s, other);
}

/* --- writes: what cannot be written stays in memory, and is not lost --- */

static void
writer(struct live *d, void *argument)
{
	struct slow *s = argument;
	struct file_view v;

	expect_bus();
	file_view_open(d, s->scene, PROT_READ | PROT_WRITE, &v);
	file_verify_all(&v);
	stage_meet(d, &s->stage[0], 1);
	for (uint32_t page = 0; page < s->scene->count; page++) {
		file_page_lock(&v, page);
		/* Refused where too much waits to be written already. */
		WAIT_UNTIL(d, page_store(&v, page));
		file_page_unlock(&v, page);
	}
	OK(file_sync(&v, 0, s->scene->count, PAGER_MSYNC_SYNC));
	stage_meet(d, &s->stage[0], 2);
	file_view_close(&v);
}

static void
writes(void)
{
	struct live d = { 0 };
	struct slow *s = slow_begin(&d);
	pid_t pid = client_start(&d, writer, s), other = client_start(&d, neighbour, s);

	stage_wait(&d, &s->stage[0], 1);
	neighbour_goes_on(&d, s, 100);
	slow_file_stop_answering(s->file);
	stage_allow(&s->stage[0], 1);
	neighbour_goes_on(&d, s, 5000);
	EQ(atomic_load(&s->stage[0].reached), 1);
	live_check(&d);
	slow_file_go_on(s->file);
	stage_wait(&d, &s->stage[0], 2);
	slow_file_is_current(s->file, s->scene);
	stage_allow(&s->stage[0], 2);
	client_join(&d, pid, true);
	waiting_ends_well(&d, s, other);
}

/* --- killed: those who wait are killed; what they have stored is written when it can be --- */

static void
killed(void)
{
	struct live d = { 0 };
	struct slow *s = slow_begin(&d);
	pid_t pids[2] = { client_start(&d, writer, s), client_start(&d, mapper, s) };
	pid_t other = client_start(&d, neighbour, s);

	for (unsigned i = 0; i < 2; i++)
		stage_wait(&d, &s->stage[i], 1);
	slow_file_stop_answering(s->file);
	for (unsigned i = 0; i < 2; i++)
		stage_allow(&s->stage[i], 1);
	neighbour_goes_on(&d, s, 1000);
	for (unsigned i = 0; i < 2; i++)
		client_kill(pids[i]);
	neighbour_goes_on(&d, s, 3000);
	live_check(&d);
	slow_file_go_on(s->file);
	WAIT_UNTIL(&d, live_stat(&d, "sessions") == 1);
	/* All that was stored, and what was being stored. */
	for (uint32_t page = 0; page < s->scene->count; page++) {
		struct file_page *own = &s->scene->pages[page];
		volatile uint64_t *word =
		    (volatile uint64_t *)(s->file->bytes + page * d.page_bytes);

		if (atomic_load(&own->owner) == 0)
			WAIT_UNTIL(&d, *word == file_word(page, 0, atomic_load(&own->written)));
	}
	waiting_ends_well(&d, s, other);
}

/* --- gone: the file system ends while it is used --- */

static void
sufferer(struct live *d, void *argument)
{
	struct slow *s = argument;
	struct file_view v;
	unsigned char byte;

	expect_bus();
	file_view_open(d, s->scene, PROT_READ | PROT_WRITE, &v);
	for (uint32_t page = 0; page < s->scene->count / 2; page++) {
		file_page_lock(&v, page);
		file_page_write(&v, page);
		file_page_unlock(&v, page);
	}
	OK(file_sync(&v, 0, s->scene->count / 2, PAGER_MSYNC_SYNC));
	stage_meet(d, &s->stage[0], 1);
	/* What is absent cannot be read. */
	for (uint32_t page = s->scene->count / 2; page < s->scene->count; page++)
		if (!byte_read(&v, page * v.s->page_bytes, &byte))
			atomic_fetch_add(&s->result, 1);
	stage_meet(d, &s->stage[0], 2);
	file_view_close(&v);
}

static void
gone(void)
{
	struct live d = { 0 };
	struct slow *s = slow_begin(&d);
	pid_t pid = client_start(&d, sufferer, s), other = client_start(&d, neighbour, s);

	stage_wait(&d, &s->stage[0], 1);
	slow_file_stop_answering(s->file);
	stage_allow(&s->stage[0], 1);
	neighbour_goes_on(&d, s, 500);
	slow_file_end(s->file);
	stage_wait(&d, &s->stage[0], 2);
	REQUIRE(atomic_load(&s->result) > 0, "nothing was refused");
	neighbour_goes_on(&d, s, 500);
	live_check(&d);
	stage_allow(&s->stage[0], 2);
	client_join(&d, pid, true);
	atomic_store(&s->stop, true);
	client_join(&d, other, true);
	live_stop(&d);
}

/* --- hung: four times as much as memory holds is stored while no write comes back --- */

/* What a system call stores there waits. */
static void *
call_stores(void *argument)
{
	struct file_view *v = argument;
	unsigned char *page = view_page(v, v->s->count - 1);
	int fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);

	EQ(pread(fd, page, 1, 0), 1);
	close(fd);
	return NULL;
}

/* Another file, of the same session, that answers. */
static void
work_beside(struct live *d, struct slow *s, struct pager *p)
{
	struct file_view v = { .d = d, .s = s->third, .p = p, .fd = file_open(s->third, O_RDWR) };

	file_view_map(&v, PROT_READ | PROT_WRITE);
	pages_store_all(&v);
	OK(file_sync(&v, 0, v.s->count, PAGER_MSYNC_SYNC));
	REQUIRE(file_read_is_current(v.s, v.fd));
	file_view_unmap(&v);
	close(v.fd);
}

static void
hog(struct live *d, void *argument)
{
	struct slow *s = argument;
	uint32_t stored, refused;
	struct file_view v;
	pthread_t thread;

	expect_bus();
	file_view_open(d, s->scene, PROT_READ | PROT_WRITE, &v);
	stage_meet(d, &s->stage[0], 1);
	stored = pages_store(&v, &refused);
	printf("%u of %u pages could be stored, %u stores were refused\n", stored, s->scene->count,
	    refused);
	REQUIRE(stored > 0 && refused > 0);
	file_verify_all(&v);
	REQUIRE(pthread_create(&thread, NULL, call_stores, &v) == 0);
	work_beside(d, s, v.p);
	stage_meet(d, &s->stage[0], 2);
	pthread_join(thread, NULL);
	pages_store_all(&v);
	OK(file_sync(&v, 0, s->scene->count, PAGER_MSYNC_SYNC));
	stage_meet(d, &s->stage[0], 3);
	file_view_close(&v);
}

/* Stores in one page after the other until it is killed. */
static void
hog_killed(struct live *d, void *argument)
{
	struct slow *s = argument;
	struct file_view v;

	expect_bus();
	file_view_open(d, s->scene, PROT_READ | PROT_WRITE, &v);
	for (volatile uint32_t page = 0;; page = (page + 1) % v.s->count) {
		volatile unsigned char *byte = view_page(&v, page);

		if (sigsetjmp(bus_jump, 1) != 0) {
			atomic_fetch_add(&s->result, 1);
			continue;
		}
		bus_expected = 1;
		*byte = *byte;
		bus_expected = 0;
	}
}

/* Whether `pagerctl files` says that the file of that name is stuck. */
static bool
is_told_stuck(struct live *d, const char *name, bool *ret_dirty)
{
	static char text[1 << 16];
	struct json_object *array;
	bool is_stuck = false, is_there = false;

	REQUIRE(live_pagerctl(d, text, sizeof(text), "files", "--json", NULL) == 0, "%s", text);
	array = json_tokener_parse(text);
	REQUIRE(array, "%s", text);
	for (size_t i = 0; i < json_object_array_length(array); i++) {
		struct json_object *f = json_object_array_get_idx(array, i);

		if (strcmp(json_object_get_string(json_object_object_get(f, "path")), name) != 0)
			continue;
		is_there = true;
		is_stuck |= json_object_get_int64(json_object_object_get(f, "late")) > 0;
		*ret_dirty = json_object_get_int64(json_object_object_get(f, "dirty")) > 0;
	}
	REQUIRE(is_there, "no %s in %s", name, text);
	json_object_put(array);
	return is_stuck;
}

static void
hung(void)
{
	bool dirty = false;
	struct live d = { 0 };
	struct slow *s = slow_begin_of(&d, 8);
	pid_t other = client_start(&d, neighbour, s), pid, second;
	uint64_t refused;

	live_param(&d, "file_patience_ms", "5000");
	s->third = file_scene_make(&d, (uint32_t)(d.memory_bytes / d.page_bytes / 8));
	pid = client_start(&d, hog, s);
	stage_wait(&d, &s->stage[0], 1);
	neighbour_goes_on(&d, s, 100);
	atomic_store(&s->file->holds_writes, true);
	stage_allow(&s->stage[0], 1);
	stage_wait(&d, &s->stage[0], 2);
	REQUIRE(live_stat(&d, "dirty_parks") > 0);
	neighbour_goes_on(&d, s, 3000);
	refused = live_stat(&d, "refused_stores");
	REQUIRE(refused > 0);
	REQUIRE(live_stat(&d, "file_dirty") <= live_stat(&d, "dirty_user_limit") + 64);
	WAIT_UNTIL(&d, is_told_stuck(&d, SLOW_FILE_PATH, &dirty));
	REQUIRE(dirty);
	/* Another client of that user, which ends as it waits or is refused. */
	second = client_start(&d, hog_killed, s);
	WAIT_UNTIL(&d, atomic_load(&s->result) > 3);
	client_kill(second);
	live_check(&d);
	atomic_store(&s->file->holds_writes, false);
	stage_allow(&s->stage[0], 2);
	stage_wait(&d, &s->stage[0], 3);
	slow_file_is_current(s->file, s->scene);
	stage_allow(&s->stage[0], 3);
	client_join(&d, pid, true);
	EQ(live_stat(&d, "refused_zero_fills") + live_stat(&d, "refused_refills"), 0);
	waiting_ends_well(&d, s, other);
}

/* --- stopped: the daemon ends though a file does not answer, and says what is lost --- */

static void
stopped(void)
{
	struct live d = { 0 };
	struct slow *s = slow_begin(&d);
	pid_t pid = client_start(&d, hog, s);
	siginfo_t info;

	stage_wait(&d, &s->stage[0], 1);
	atomic_store(&s->file->holds_writes, true);
	stage_allow(&s->stage[0], 1);
	WAIT_UNTIL(&d, live_stat(&d, "dirty_parks") > 0);
	client_kill(pid);
	REQUIRE(kill(d.pid, SIGTERM) == 0);
	/* Its threads that wait for the file end with it. */
	WAIT_UNTIL(&d, live_log_count(&d, "without waiting for them") == 1);
	EQ(live_log_count(&d, SLOW_FILE_PATH), 1);
	REQUIRE(live_log_count(&d, "could not be written and are lost") == 1);
	slow_file_end(s->file);
	while (waitid(P_PID, (id_t)d.pid, &info, WEXITED | WNOWAIT) < 0 && errno == EINTR)
		continue;
	REQUIRE(info.si_code == CLD_EXITED && info.si_status == 0, "code %d status %d",
	    info.si_code, info.si_status);
	live_kill(&d);
}

static const struct live_test tests[] = { { "reads", reads }, { "writes", writes },
	{ "killed", killed }, { "gone", gone }, { "hung", hung }, { "stopped", stopped } };

int
main(int argc, char **argv)
{
	share_options_parse(argc, argv);
	live_init(argc, argv);
	return LIVE_RUN(argc, argv, tests);
}
