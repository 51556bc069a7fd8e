/* SPDX-License-Identifier: MIT
 *
 * The content oracle on a mapped file, with several clients: each reads and writes any page of it,
 * syncs, advises, wires, leaves and comes back, and others read the file with read(2). Clients and
 * the daemon are killed in the midst of it.
 *
 * usage: e_file_oracle sharers|killed|daemon-killed|show [page=SIZE] [memory=SIZE] [ratio=N]
 * [clients=N] [ops=N]
 */
#include "file.h"

#include <fcntl.h>
#include <sys/stat.h>

struct client {
	struct file_scene *scene;
	unsigned number;
	uint64_t turns; /* 0: until it is killed, or told to stop */
};

static uint32_t
file_pages(struct live *d)
{
	return (uint32_t)(options.ratio * d->memory_bytes / d->page_bytes);
}

static void
client_leave_and_return(struct file_view *v)
{
	size_t half = v->s->count / 2 * v->s->page_bytes;

	if (rng_below(&v->rng, 2)) {
		OK(pager_deallocate(v->p, v->base + half, v->s->count * v->s->page_bytes - half));
		OK(pager_deallocate(v->p, v->base, half));
		file_view_map(v, PROT_READ | PROT_WRITE);
	} else {
		file_view_unmap(v);
		file_view_close(v);
		file_view_open(v->d, v->s, PROT_READ | PROT_WRITE, v);
	}
}

static void
client_body_run(struct live *d, void *argument)
{
	struct client *c = argument;
	struct file_scene *s = c->scene;
	struct file_view v;

	file_view_open(d, s, PROT_READ | PROT_WRITE, &v);
	for (uint64_t i = 0; c->turns ? i < c->turns : !atomic_load(&s->stop); i++) {
		if (rng_below(&v.rng, 40) == 0)
			file_advice(&v);
		if (rng_below(&v.rng, 500) == 0)
			client_leave_and_return(&v);
		file_turn(&v);
		file_read_verify(s, v.fd, (uint32_t)rng_below(&v.rng, s->count));
		atomic_fetch_add(&s->turns[c->number], 1);
	}
	file_verify_all(&v);
	stage_meet(d, &s->stage[c->number], 1);
	file_view_close(&v);
}

static pid_t
client_begin(struct live *d, struct file_scene *s, unsigned number, uint64_t turns)
{
	struct client *c = shared_alloc(sizeof(*c));

	*c = (struct client){ s, number, turns };
	return client_start(d, client_body_run, c);
}

/* After the last unmap the file has everything. */
static void
file_becomes_current(struct live *d, struct file_scene *s)
{
	int fd = open(s->path, O_RDONLY | O_CLOEXEC);
	struct stat st;

	REQUIRE(fd >= 0, "%s", strerror(errno));
	WAIT_UNTIL(d, file_read_is_current(s, fd));
	REQUIRE(fstat(fd, &st) == 0);
	EQ(st.st_size, s->count * s->page_bytes);
	close(fd);
}

/* --- sharers --- */

static void
sharers(void)
{
	pid_t pids[SHARERS_MAX];
	struct file_scene *s;
	struct live d = { 0 };
	uint64_t rng = live_seed;
	int fd;

	daemon_start(&d);
	s = file_scene_make(&d, file_pages(&d));
	for (unsigned i = 0; i < options.sharers; i++)
		pids[i] = client_begin(&d, s, i, live_scaled(options.ops));
	fd = open(s->path, O_RDONLY | O_CLOEXEC);
	for (unsigned i = 0; i < options.sharers; i++)
		while (atomic_load(&s->stage[i].reached) < 1) {
			file_read_verify(s, fd, (uint32_t)rng_below(&rng, s->count));
			live_tick(&d);
		}
	close(fd);
	REQUIRE(atomic_load(&s->syncs) > 0);
	live_check(&d);
	for (unsigned i = 0; i < options.sharers; i++) {
		stage_allow(&s->stage[i], 1);
		client_join(&d, pids[i], true);
	}
	file_becomes_current(&d, s);
	live_stop(&d);
}

/* --- killed: clients die in the midst of it, and others come --- */

static void
killed(void)
{
	pid_t pids[SHARERS_MAX];
	struct file_scene *s;
	struct live d = { 0 };
	uint64_t rng = live_seed;

	daemon_start(&d);
	s = file_scene_make(&d, file_pages(&d));
	for (unsigned i = 0; i < options.sharers; i++)
		pids[i] = client_begin(&d, s, i, 0);
	for (uint64_t round = 0; round < live_scaled(12); round++) {
		unsigned victim = (unsigned)rng_below(&rng, options.sharers);
		uint64_t until = atomic_load(&s->turns[victim]) + 20 + rng_below(&rng, 300);
		int fd = open(s->path, O_RDONLY | O_CLOEXEC);

		WAIT_UNTIL(&d, atomic_load(&s->turns[victim]) >= until);
		client_kill(pids[victim]);
		for (uint32_t page = 0; page < s->count; page++)
			file_read_verify(s, fd, page);
		close(fd);
		if (round % 4 == 0)
			live_check(&d);
		pids[victim] = client_begin(&d, s, victim, 0);
	}
	/* All but one die; that one finds everything. */
	for (unsigned i = 1; i < options.sharers; i++)
		client_kill(pids[i]);
	atomic_store(&s->stop, true);
	stage_wait(&d, &s->stage[0], 1);
	stage_allow(&s->stage[0], 1);
	client_join(&d, pids[0], true);
	file_becomes_current(&d, s);
	live_stop(&d);
}

/* --- daemon-killed: what msync has confirmed is in the file --- */

static void
daemon_killed(void)
{
	pid_t pids[SHARERS_MAX];
	struct file_scene *s;
	struct live d = { 0 };
	uint64_t rng = live_seed;
	uint32_t synced = 0;
	int fd;

	daemon_start(&d);
	s = file_scene_make(&d, file_pages(&d));
	for (unsigned i = 0; i < options.sharers; i++)
		pids[i] = client_begin(&d, s, i, 0);
	for (uint64_t until = 20 + rng_below(&rng, 200); atomic_load(&s->syncs) < until;)
		live_tick(&d);
	/* It is stopped first, so that it takes no notice of the clients' ends. */
	REQUIRE(kill(d.pid, SIGSTOP) == 0);
	for (unsigned i = 0; i < options.sharers; i++)
		client_kill(pids[i]);
	live_kill(&d);
	fd = open(s->path, O_RDONLY | O_CLOEXEC);
	for (uint32_t page = 0; page < s->count; page++) {
		file_read_verify(s, fd, page);
		synced += atomic_load(&s->pages[page].synced) > 0;
	}
	close(fd);
	REQUIRE(synced > 0);
}

/* --- show: two clients, one of which writes and is killed; read(2) and the other see all --- */

struct show {
	struct file_scene *scene;
	atomic_uint confirmed; /* pages, from the beginning */
	struct stage stage;    /* of the reader */
};

static void
show_writer(struct live *d, void *argument)
{
	struct show *show = argument;
	struct file_scene *s = show->scene;
	uint32_t step = s->count / 16;
	struct file_view v;

	file_view_open(d, s, PROT_READ | PROT_WRITE, &v);
	for (uint32_t from = atomic_load(&show->confirmed); from < s->count; from += step) {
		uint32_t count = s->count - from < step ? s->count - from : step;

		for (uint32_t page = from; page < from + count; page++) {
			file_page_lock(&v, page);
			file_page_write(&v, page);
			file_page_unlock(&v, page);
		}
		OK(file_sync(&v, from, count, PAGER_MSYNC_SYNC));
		atomic_store(&show->confirmed, from + count);
	}
	file_view_close(&v);
}

static void
show_reader(struct live *d, void *argument)
{
	struct show *show = argument;
	struct file_view v;

	file_view_open(d, show->scene, PROT_READ, &v);
	for (unsigned step = 1; step <= 2; step++) {
		stage_meet(d, &show->stage, step);
		for (uint32_t page = 0; page < atomic_load(&show->confirmed); page++) {
			file_page_lock(&v, page);
			file_page_unlock(&v, page);
		}
	}
	stage_meet(d, &show->stage, 3);
	file_view_close(&v);
}

/* => the digest that sha256sum prints */
static void
sha256(const char *path, char ret[65])
{
	char command[300];
	FILE *f;

	snprintf(command, sizeof(command), "sha256sum '%s'", path);
	f = popen(command, "r");
	REQUIRE(f && fgets(ret, 65, f) && strlen(ret) == 64, "sha256sum: %s", strerror(errno));
	pclose(f);
}

static void
show_run(void)
{
	struct show *show = shared_alloc(sizeof(*show));
	char expected[220], sums[2][65];
	uint32_t at_kill;
	struct live d = { 0 };
	struct file_scene *s;
	pid_t writer, reader;
	int fd;

	daemon_start(&d);
	s = show->scene = file_scene_make(&d, file_pages(&d));
	writer = client_start(&d, show_writer, show);
	reader = client_start(&d, show_reader, show);
	stage_wait(&d, &show->stage, 1);
	WAIT_UNTIL(&d, atomic_load(&show->confirmed) >= s->count / 4);
	client_kill(writer);
	at_kill = atomic_load(&show->confirmed);
	fd = open(s->path, O_RDONLY | O_CLOEXEC);
	for (uint32_t page = 0; page < s->count; page++)
		file_read_verify(s, fd, page);
	stage_allow(&show->stage, 1);
	stage_wait(&d, &show->stage, 2);
	/* Another one goes on where the killed one has been confirmed. */
	client_join(&d, client_start(&d, show_writer, show), true);
	EQ(atomic_load(&show->confirmed), s->count);
	REQUIRE(file_read_is_current(s, fd));
	close(fd);
	stage_allow(&show->stage, 2);
	stage_wait(&d, &show->stage, 3);
	live_check(&d);
	stage_allow(&show->stage, 3);
	client_join(&d, reader, true);
	snprintf(expected, sizeof(expected), "%s.expected", s->path);
	file_scene_copy(s, expected);
	sha256(s->path, sums[0]);
	sha256(expected, sums[1]);
	REQUIRE(strcmp(sums[0], sums[1]) == 0, "%s, not %s", sums[0], sums[1]);
	printf("%u pages of %zu bytes in a file, through %llu bytes of memory: the writer was "
	       "killed when msync had confirmed %u, and none of them was lost; the other client "
	       "and read(2) saw every page; sha256 of the file and of the pattern: %s\n",
	    s->count, s->page_bytes, (unsigned long long)d.memory_bytes, at_kill, sums[0]);
	live_stop(&d);
}

static const struct live_test tests[] = { { "sharers", sharers }, { "killed", killed },
	{ "daemon-killed", daemon_killed }, { "show", show_run } };

int
main(int argc, char **argv)
{
	share_options_parse(argc, argv);
	live_init(argc, argv);
	return LIVE_RUN(argc, argv, tests);
}
