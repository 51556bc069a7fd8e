/* SPDX-License-Identifier: MIT
 *
 * A mapped file whose file system does not answer: who uses it waits, and nobody else does. It
 * goes on when the file system answers again, with nothing lost; or fails with it.
 *
 * usage: e_file_slow reads|writes|killed|gone [page=SIZE] [memory=SIZE]
 */
#include "file_touch.h"
#include "slow_file.h"

struct slow {
	struct slow_file *file;
	struct file_scene *scene, *other; /* of it, and of a file that answers */
	struct stage stage[4];
	_Atomic uint64_t turns; /* of the neighbour */
	atomic_bool stop;
	atomic_int result;
};

static struct slow *
slow_begin(struct live *d)
{
	struct slow *s = shared_alloc(sizeof(*s));
	uint64_t bytes;

	namespace_begin();
	daemon_start(d);
	bytes = d->memory_bytes / 2;
	s->file = slow_file_start(bytes);
	s->scene = file_scene_at(d, (uint32_t)(bytes / d->page_bytes), SLOW_FILE_PATH);
	s->other = file_scene_make(d, (uint32_t)(d->memory_bytes * 2 / d->page_bytes));
	return s;
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

	file_view_open(d, s->scene, PROT_READ | PROT_WRITE, &v);
	file_verify_all(&v);
	stage_meet(d, &s->stage[0], 1);
	for (uint32_t page = 0; page < s->scene->count; page++) {
		file_page_lock(&v, page);
		file_page_write(&v, page);
		file_page_unlock(&v, page);
	}
	OK(file_sync(&v, 0, s->scene->count, PAGER_MSYNC_SYNC));
	stage_meet(d, &s->stage[0], 2);
	file_view_close(&v);
}

/* Each word is the last generation, in the file's own memory. */
static void
slow_file_is_current(struct slow *s)
{
	for (uint32_t page = 0; page < s->scene->count; page++) {
		uint32_t written = atomic_load(&s->scene->pages[page].written);

		file_words_verify(s->file->bytes + page * s->scene->page_bytes, page,
		    s->scene->page_bytes, written, written, "in the file system");
	}
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
	slow_file_is_current(s);
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

static const struct live_test tests[] = { { "reads", reads }, { "writes", writes },
	{ "killed", killed }, { "gone", gone } };

int
main(int argc, char **argv)
{
	share_options_parse(argc, argv);
	live_init(argc, argv);
	return LIVE_RUN(argc, argv, tests);
}
