/* SPDX-License-Identifier: MIT
 *
 * The cleaner's hands: a client that holds a call on its memory up delays nobody else's pages. The
 * cleaner's thread is the daemon's own.
 */
#include "vnode_fixture.h"

#include <stdlib.h>
#include <unistd.h>

#include "control/teardown.h"
#include "pageout/clean_hand.h"
#include "pageout/cleaner.h"
#include "pagers/returns.h"

/* Numbers of no descriptor. */
#define UFFD_HOLDS  1000000
#define UFFD_HONEST 1000001

static atomic_uint held;
static atomic_bool is_released;

static void
protect(int uffd)
{
	if (uffd != UFFD_HOLDS)
		return;
	fetch_add_acq_rel(&held, 1);
	while (!load_acquire(&is_released))
		usleep(1000);
}

struct asked {
	struct clean_request request;
	atomic_bool is_done;
};

static void
done(struct clean_request *r)
{
	store_release(&((struct asked *)r)->is_done, true);
}

static void
ask(struct asked *a, struct vm_object *o, struct task *task)
{
	store_release(&a->is_done, false);
	a->request = (struct clean_request){
		.object = o, .task = task, .high = o->page_count, .done = done
	};
	returns_ask(vf.u.daemon, &a->request);
}

static void
wait_for(struct asked *a)
{
	while (!load_acquire(&a->is_done))
		usleep(1000);
	assert_int_equal(a->request.error, 0);
}

static void
begin(void)
{
	store_release(&is_released, false);
	store_release(&held, 0);
	vf.on_protect = protect;
	vf.tasks[0]->uffd = UFFD_HOLDS;
	vf.tasks[1]->uffd = UFFD_HONEST;
	assert_int_equal(cleaner_start(vf.u.daemon), 0);
}

/* All files end with their clients. */
static void
end(void)
{
	for (unsigned i = 0; i < ARRAY_LEN(vf.tasks); i++) {
		store_release(&vf.tasks[i]->state, TASK_DEAD);
		while (task_teardown(vf.tasks[i]))
			continue;
	}
	cleaner_stop(vf.u.daemon);
	cleaner_fini(vf.u.daemon);
}

static int
another_file(void)
{
	char path[] = "/tmp/c_clean_hand.XXXXXX";
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	unlink(path);
	assert_int_equal(ftruncate(fd, 8 * PAGE), 0);
	return fd;
}

static void
make_dirty_again(struct vm_page *p)
{
	assert_true(vm_page_busy_only(p));
	p->cref = 0;
	vm_page_make_dirty(vf.u.daemon->objects.objects[p->object], p, vf.tasks[1]);
	vm_page_unbusy(p);
}

/* A client holds up the protection of its pages: those of another are written all the same, again
 * and again. */
static void
holder_delays_nobody_else(void **state)
{
	struct asked holder = { 0 }, honest = { 0 };
	struct vm_page *held_page, *page;
	struct vm_entry a, b;
	int fd = another_file();

	(void)state;
	file_set(8 * PAGE);
	file_map(vf.tasks[0], vf.file, UNIT_BASE, 0, 8 * PAGE, &a);
	file_map(vf.tasks[1], fd, UNIT_BASE, 0, 8 * PAGE, &b);
	held_page = page_make(a.mapping->object, 0, 0x40);
	page = page_make(b.mapping->object, 0, 0x41);
	begin();
	ask(&holder, a.mapping->object, vf.tasks[0]);
	while (load_acquire(&held) == 0)
		usleep(1000);
	for (unsigned n = 0; n < 8; n++) {
		ask(&honest, b.mapping->object, vf.tasks[1]);
		wait_for(&honest);
		assert_true(page_is_clean(page));
		make_dirty_again(page);
	}
	assert_false(load_acquire(&holder.is_done));
	assert_int_equal(load_acquire(&held), 1);
	store_release(&is_released, true);
	wait_for(&holder);
	assert_true(page_is_clean(held_page));
	assert_int_equal(byte_of(0), 0x40);
	end();
	close(fd);
}

/* A client ends while its pages are held: its request is over, and nobody waits. */
static void
requests_of_the_dead_are_over(void **state)
{
	struct asked holder = { 0 };
	struct vm_entry a;

	(void)state;
	file_set(8 * PAGE);
	file_map(vf.tasks[0], vf.file, UNIT_BASE, 0, 8 * PAGE, &a);
	page_make(a.mapping->object, 0, 0x40);
	begin();
	ask(&holder, a.mapping->object, vf.tasks[0]);
	while (load_acquire(&held) == 0)
		usleep(1000);
	store_release(&vf.tasks[0]->state, TASK_DEAD);
	wait_for(&holder);
	store_release(&is_released, true);
	end();
	assert_int_equal(byte_of(0), 0x40);
}

/* Users whose files do not answer leave runs to others: each may have fewer than are left. */
static void
runs_are_left_to_others(void **state)
{
	struct clean_request r;
	struct vm_entry b;

	(void)state;
	file_set(8 * PAGE);
	file_map(vf.tasks[1], vf.file, UNIT_BASE, 0, 8 * PAGE, &b);
	page_make(b.mapping->object, 0, 0x41);
	/* Two others have as many as they may. */
	for (unsigned i = 0; i < RUNS_MAX; i++) {
		vf.cleaner.runs[i].stage = i < 12 ? RUN_WRITES : RUN_FREE;
		vf.cleaner.runs[i].uid = i < 8 ? 70001 : 70002;
	}
	r = (struct clean_request){ .object = b.mapping->object, .high = 8 };
	/* The second of them has four of eight. */
	vf.tasks[1]->uid = 70002;
	assert_null(clean_run_begin(&vf.cleaner, &r));
	vf.tasks[1]->uid = getuid() + 1;
	for (unsigned i = 0; i < RUNS_MAX; i++)
		if (i != 0)
			vf.cleaner.runs[i].stage = i < 15 ? RUN_WRITES : RUN_FREE;
	runs_begin(&r);
	assert_int_equal(vf.cleaner.in_flight, 1);
	for (unsigned i = 0; i < 15; i++)
		vf.cleaner.runs[i].stage = RUN_FREE;
	pages_clean(b.mapping->object, NULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    holder_delays_nobody_else, vnodes_begin, vnodes_end),
		cmocka_unit_test_setup_teardown(runs_are_left_to_others, vnodes_begin, vnodes_end),
		cmocka_unit_test_setup_teardown(
		    requests_of_the_dead_are_over, vnodes_begin, vnodes_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
