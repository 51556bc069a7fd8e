/* SPDX-License-Identifier: MIT
 *
 * A submap that four processes map, one of which is stopped while regions come, change and go: the
 * others see each change when the call returns, and so does the fourth when it goes on; at no time
 * are there old bytes. With a content oracle, under page-outs.
 *
 * usage: e_submap_stopped stopped [page=SIZE] [memory=SIZE] [ratio=N]
 */
#include <fcntl.h>

#include "children.h"
#include "seer.h"

enum { CHANGES = 9, STOPPED = 3 };

/* What changes before stage `at`. An eighth of the submap is changed at a time. */
static void
stopped_change(struct seer *s, unsigned at)
{
	uint32_t part = s->book.count / 8, behind = s->book.count - 6 * part;

	switch (at) {
	case 1:
		seer_add(s, 0, 6 * part, WRITE);
		seer_write_some(s, 0, 6 * part, 1);
		break;
	/* From here on one is stopped. */
	case 2:
		seer_add(s, 6 * part, behind, WRITE);
		seer_write_some(s, 6 * part, behind, 2);
		break;
	case 3:
		seer_protect(s, 0, part, READ);
		break;
	case 4:
		seer_protect(s, part, part, NONE);
		break;
	case 5:
		seer_remove(s, 2 * part, part);
		break;
	case 6:
		seer_remove(s, 3 * part, part);
		seer_add(s, 3 * part, part, WRITE);
		seer_write_some(s, 3 * part, part, 2);
		break;
	case 7:
		seer_protect(s, 4 * part, part, NONE);
		seer_protect(s, 4 * part, part, WRITE);
		seer_write_some(s, 4 * part, part, 2);
		break;
	case 8:
		seer_remove(s, 5 * part, part);
		seer_add(s, 5 * part, part, READ);
		break;
	/* Here it goes on. */
	default:
		seer_protect(s, 0, 2 * part, WRITE);
		seer_write_some(s, 0, 2 * part, 2);
		seer_remove(s, 3 * part, part);
		break;
	}
}

static void
stopped_changer(struct live *d, void *argument)
{
	struct truth *t = argument;
	struct seer s = seer_make(d, t);

	for (unsigned at = 1; at <= CHANGES; at++) {
		stopped_change(&s, at);
		stage_meet(d, &t->c->stage[0], at);
		seer_verify_all(&s);
	}
	view_end(&s.view);
}

static void
stopped_other(struct live *d, struct truth *t, unsigned number)
{
	struct seer s = seer_join(d, t, number);

	for (unsigned at = 1; at <= CHANGES; at++) {
		stage_meet(d, &t->c->stage[number], at);
		seer_verify_all(&s);
	}
	stage_meet(d, &t->c->stage[number], CHANGES + 1);
	view_end(&s.view);
}

static void
stopped_other_1(struct live *d, void *argument)
{
	stopped_other(d, argument, 1);
}

static void
stopped_other_2(struct live *d, void *argument)
{
	stopped_other(d, argument, 2);
}

/* Reads while it is stopped and goes on: never what was removed before it looked. */
static void
stopped_loop(struct seer *s)
{
	struct truth *t = s->truth;
	uint32_t page, of_page, generation;
	uint64_t word = 0;

	while (!atomic_load(&t->loops_end)) {
		unsigned floor;

		page = (uint32_t)rng_below(&s->rng, s->book.count);
		floor = atomic_load(&t->floors[page]);
		if (guard_load_word(
			(const volatile uint64_t *)(const void *)view_page(&s->view, page),
			&word) == 0 &&
		    book_word_read(word, &of_page, &generation))
			REQUIRE(of_page == page && generation >= floor,
			    "page %u: page %u, generation %u, and %u was removed", page, of_page,
			    generation, floor);
		atomic_fetch_add(&t->loops, 1);
	}
}

static void
stopped_one(struct live *d, void *argument)
{
	struct truth *t = argument;
	struct seer s = seer_join(d, t, STOPPED);

	atomic_store(&t->base, (uintptr_t)s.view.base);
	stage_meet(d, &t->c->stage[STOPPED], 1);
	seer_verify_all(&s);
	stopped_loop(&s);
	seer_verify_all(&s);
	stage_meet(d, &t->c->stage[STOPPED], 2);
	seer_verify_all(&s);
	view_end(&s.view);
}

/* A process that does nothing has none of these pages in its page tables. */
static void
expect_unmapped(struct live *d, struct truth *t, pid_t pid)
{
	size_t per_page = d->page_bytes / 4096;
	char path[64];
	uint64_t entry;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/pagemap", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	for (uint32_t i = 0; i < t->c->count; i++) {
		enum state state = atomic_load(&t->states[i]);

		for (size_t k = 0; k < per_page && (state == HOLE || state == NONE); k++) {
			uint64_t at = atomic_load(&t->base) / 4096 + i * per_page + k;

			REQUIRE(pread(fd, &entry, 8, (off_t)(at * 8)) == 8);
			REQUIRE(entry >> 63 == 0, "page %u is mapped, state %d", i, (int)state);
		}
	}
	close(fd);
}

/* The changer makes the change, and three look. */
static void
stopped_step(struct live *d, struct truth *t, unsigned at)
{
	if (at > 1)
		stage_allow(&t->c->stage[0], at - 1);
	stage_wait(d, &t->c->stage[0], at);
	for (unsigned i = 1; i < STOPPED; i++)
		stage_allow(&t->c->stage[i], at);
	for (unsigned i = 1; i < STOPPED; i++)
		stage_wait(d, &t->c->stage[i], at + 1);
}

static void
stopped(void)
{
	static client_body *const bodies[] = { stopped_changer, stopped_other_1, stopped_other_2,
		stopped_one };
	struct live d = { 0 };
	struct truth *t;
	unsigned loops;
	pid_t pids[4];

	daemon_start(&d);
	t = truth_make(&d);
	t->c->sharers = 4;
	for (unsigned i = 0; i < 4; i++)
		pids[i] = client_start(&d, bodies[i], t);
	stage_wait(&d, &t->c->stage[0], 1);
	stage_allow(&t->c->stage[STOPPED], 1);
	stopped_step(&d, t, 1);
	WAIT_UNTIL(&d, atomic_load(&t->loops) > 100);
	REQUIRE(kill(pids[STOPPED], SIGSTOP) == 0);
	WAIT_UNTIL(&d, is_stopped(pids[STOPPED]));
	loops = atomic_load(&t->loops);
	for (unsigned at = 2; at < CHANGES; at++) {
		stopped_step(&d, t, at);
		expect_unmapped(&d, t, pids[STOPPED]);
	}
	live_check(&d);
	REQUIRE(live_stat(&d, "pageouts") > 0);
	EQ(atomic_load(&t->loops), loops);
	REQUIRE(kill(pids[STOPPED], SIGCONT) == 0);
	WAIT_UNTIL(&d, atomic_load(&t->loops) > loops + 1000);
	atomic_store(&t->loops_end, true);
	stage_wait(&d, &t->c->stage[STOPPED], 2);
	stopped_step(&d, t, CHANGES);
	stage_allow(&t->c->stage[STOPPED], 2);
	client_join(&d, pids[STOPPED], false);
	stage_allow(&t->c->stage[0], CHANGES);
	client_join(&d, pids[0], false);
	live_check(&d);
	for (unsigned i = 1; i < STOPPED; i++) {
		stage_allow(&t->c->stage[i], CHANGES + 1);
		client_join(&d, pids[i], false);
	}
	WAIT_UNTIL(&d, live_stat(&d, "sessions") == 0);
	WAIT_UNTIL(&d, resident(&d) == 0);
	live_stop(&d);
}

static const struct live_test tests[] = { { "stopped", stopped } };

int
main(int argc, char **argv)
{
	share_options_parse(argc, argv);
	live_init(argc, argv);
	return LIVE_RUN(argc, argv, tests);
}
