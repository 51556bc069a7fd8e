/* SPDX-License-Identifier: MIT
 *
 * Jobs: which threads run them, in which order, and which of them at the same time.
 */
#include "c_unit.h"

#include <semaphore.h>

static struct unit u;

static int
start(void **state)
{
	(void)state;
	unit_jobs_start(&u);
	return 0;
}

static int
stop(void **state)
{
	(void)state;
	jobs_fini(u.daemon);
	unit_stop(&u);
	return 0;
}

/* --- pieces --- */

struct piece_job {
	struct job job;
	char name;
	unsigned pieces;
};
static char order[16];
static unsigned order_count;
static sem_t started, go_on;

static void
piece_run(struct job *job, const struct jobs_place *place)
{
	struct piece_job *p = container_of(job, struct piece_job, job);

	(void)place;
	if (order_count == 0) {
		sem_post(&started);
		sem_wait(&go_on);
	}
	order[order_count++] = p->name;
	job->again = --p->pieces > 0;
}

static void
submit(struct job *job, struct task *task, void (*run)(struct job *, const struct jobs_place *))
{
	job->run = run;
	job->task = task;
	list_init(&job->node);
	jobs_submit(u.daemon, job);
}

/* In a lane with one thread another client's job runs between two pieces of the first one's. */
static void
others_pass_between_pieces(void **state)
{
	struct piece_job a = { .name = 'a', .pieces = 3 }, b = { .name = 'b', .pieces = 1 };
	struct task *other = unit_task(u.daemon);

	(void)state;
	memset(order, 0, sizeof(order));
	order_count = 0;
	sem_init(&started, 0, 0);
	sem_init(&go_on, 0, 0);
	store_relaxed(&u.task->lane_before, 1);
	store_relaxed(&other->lane_before, 1);
	submit(&a.job, u.task, piece_run);
	sem_wait(&started);
	submit(&b.job, other, piece_run);
	sem_post(&go_on);
	unit_jobs_stop(&u);
	assert_string_equal(order, "abaa");
	/* Each is collected once. */
	assert_true(jobs_collect(u.daemon) != NULL);
	assert_true(jobs_collect(u.daemon) != NULL);
	assert_null(jobs_collect(u.daemon));
	task_put(other);
}

/* --- lanes --- */

static void
number_run(struct job *job, const struct jobs_place *place)
{
	container_of(job, struct piece_job, job)->pieces = place->number;
}

/* Each side lane has a thread of its own; a client that is not attached yet has its user's lane. */
static void
lanes_have_their_threads(void **state)
{
	static const struct {
		enum task_state state;
		unsigned number;
	} rows[] = { { TASK_ATTACHING, JOBS_COMMON }, { TASK_ATTACHED, JOBS_COMMON + 1 },
		{ TASK_DEAD, JOBS_COMMON + 1 } };

	(void)state;
	store_relaxed(&u.task->lane_before, 1);
	store_relaxed(&u.task->lane, 2);
	for (unsigned i = 0; i < ARRAY_LEN(rows); i++) {
		struct piece_job a = { .pieces = 99 };
		struct job *done;

		store_relaxed(&u.task->state, rows[i].state);
		submit(&a.job, u.task, number_run);
		while ((done = jobs_collect(u.daemon)) == NULL)
			sched_yield();
		assert_ptr_equal(done, &a.job);
		assert_int_equal(a.pieces, rows[i].number);
	}
	unit_jobs_stop(&u);
}

/* --- the common lane --- */

static sem_t released;

static void
wait_run(struct job *job, const struct jobs_place *place)
{
	(void)job, (void)place;
	sem_wait(&released);
}

static void
release_run(struct job *job, const struct jobs_place *place)
{
	(void)job, (void)place;
	for (unsigned i = 1; i < JOBS_COMMON; i++)
		sem_post(&released);
}

/* While long jobs of others wait for something, a client's request is carried out: here they wait
 * for it. */
static void
long_jobs_do_not_hold_up_others(void **state)
{
	struct piece_job waiting[JOBS_COMMON - 1] = { 0 }, other = { 0 };
	struct task *tasks[JOBS_COMMON - 1];

	(void)state;
	sem_init(&released, 0, 0);
	for (unsigned i = 0; i < ARRAY_LEN(waiting); i++) {
		tasks[i] = unit_task(u.daemon);
		submit(&waiting[i].job, tasks[i], wait_run);
	}
	/* A tool's: of no client. */
	submit(&other.job, NULL, release_run);
	unit_jobs_stop(&u);
	for (unsigned i = 0; i < JOBS_COMMON; i++)
		assert_non_null(jobs_collect(u.daemon));
	assert_null(jobs_collect(u.daemon));
	for (unsigned i = 0; i < ARRAY_LEN(waiting); i++)
		task_put(tasks[i]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(others_pass_between_pieces, start, stop),
		cmocka_unit_test_setup_teardown(lanes_have_their_threads, start, stop),
		cmocka_unit_test_setup_teardown(long_jobs_do_not_hold_up_others, start, stop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
