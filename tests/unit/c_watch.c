/* SPDX-License-Identifier: MIT
 *
 * The watcher, one look at a time: the threads that it takes for held up, the fate of their
 * clients, and the threads that take over.
 */
#include "c_unit.h"

#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>

#include "fault/fault.h"
#include "pageout/pageout.h"
#include "pageq/side.h"

#define HELD_LOOKS 3u /* looks until a thread is taken for held up */

/* A thread that the test controls, inside and outside of calls. */
struct actor {
	struct watch watch;
	pthread_t thread;
	sem_t orders, done;
	enum { ENTER, LEAVE, SPIN, END } order;
	enum watch_call call;
	uint64_t client;
	atomic_bool spins, is_relieved;
	unsigned relieved; /* times that the watcher asked for it */
	bool refuses;      /* no thread stands by to take over */
};

static void *
act(void *argument)
{
	struct actor *a = argument;

	watch_begin(&a->watch);
	/* As a fault server does when it has been relieved and is given another seat. */
	watch_begin(&a->watch);
	watch_on_duty(&a->watch, LANE_COMMON);
	sem_post(&a->done);
	for (;;) {
		sem_wait(&a->orders);
		switch (a->order) {
		case ENTER:
			watch_client(a->client);
			watch_enter(a->call, -1);
			break;
		case LEAVE:
			watch_leave();
			atomic_store(&a->is_relieved, watch_is_relieved());
			break;
		case SPIN:
			sem_post(&a->done);
			while (atomic_load(&a->spins))
				continue;
			continue;
		case END:
			return NULL;
		}
		sem_post(&a->done);
	}
}

static void
relieve(struct daemon *d, struct watch *w)
{
	struct actor *a = container_of(w, struct actor, watch);

	(void)d;
	if (!a->refuses && watch_relieved(w))
		a->relieved++;
}

/* => it waits for the next order: asleep, as the watcher sees it */
static void
wait_until_asleep(struct actor *a)
{
	char path[64], line[256];

	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", (int)load_acquire(&a->watch.tid));
	for (;;) {
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		ssize_t length = read(fd, line, sizeof(line) - 1);

		close(fd);
		assert_true(length > 0);
		line[length] = '\0';
		if (strrchr(line, ')')[2] == 'S')
			return;
		sched_yield();
	}
}

static void
tell(struct actor *a, int order)
{
	a->order = order;
	sem_post(&a->orders);
	sem_wait(&a->done);
	if (order != SPIN)
		wait_until_asleep(a);
}

/* Enters the call and runs in it, until spin_end. */
static void
spin(struct actor *a)
{
	tell(a, ENTER);
	atomic_store(&a->spins, true);
	tell(a, SPIN);
}

static void
spin_end(struct actor *a)
{
	atomic_store(&a->spins, false);
	wait_until_asleep(a);
	tell(a, LEAVE);
}

static void
begin(struct unit *u, struct actor *a, enum watch_call call)
{
	memset(a, 0, sizeof(*a));
	a->call = call;
	a->client = task_cookie(u->task);
	sem_init(&a->orders, 0, 0);
	sem_init(&a->done, 0, 0);
	watch_add(u->daemon, &a->watch, relieve);
	assert_int_equal(pthread_create(&a->thread, NULL, act, a), 0);
	sem_wait(&a->done);
	wait_until_asleep(a);
}

static void
finish(struct actor *a)
{
	a->order = END;
	sem_post(&a->orders);
	pthread_join(a->thread, NULL);
}

static void
start(struct unit *u, struct actor *a, enum watch_call call)
{
	struct daemon *d;

	unit_start(u);
	d = u->daemon;
	d->seats = calloc(seat_count(d), sizeof(*d->seats));
	d->servers = calloc(fault_thread_count(d), sizeof(*d->servers));
	for (unsigned i = 0; i < seat_count(d); i++)
		d->seats[i] = (struct fault_seat){ .magic = FAULT_SEAT_MAGIC,
			.lane = i < d->server_count ? LANE_COMMON : i - d->server_count + 1,
			.epoll = epoll_create1(EPOLL_CLOEXEC),
			.bell = &d->bells.bells[i] };
	lock_init(&d->direct_lock, RANK_DIRECT);
	assert_int_equal(side_create(d), 0);
	u->task->uffd = eventfd(0, EFD_CLOEXEC); /* it can be polled */
	store_release(&u->task->state, TASK_ATTACHED);
	begin(u, a, call);
}

static void
stop(struct unit *u, struct actor *a)
{
	struct daemon *d = u->daemon;

	finish(a);
	/* The watcher lets go of whom it has observed. */
	store_release(&u->task->state, TASK_DEAD);
	for (unsigned i = 0; i < 64; i++)
		watch_look(d);
	store_release(&u->task->state, TASK_ATTACHING);
	side_destroy(d);
	lock_fini(&d->direct_lock);
	close(u->task->uffd);
	u->task->uffd = -1;
	for (unsigned i = 0; i < seat_count(d); i++)
		close(d->seats[i].epoll);
	free(d->seats);
	free(d->servers);
	unit_stop(u);
}

static void
look(struct unit *u, unsigned times)
{
	while (times-- > 0)
		watch_look(u->daemon);
}

/* A look finds the thread in each of its calls, and in none of them twice. */
static void
short_calls(struct unit *u, struct actor *a, unsigned times)
{
	while (times-- > 0) {
		tell(a, ENTER);
		look(u, 1);
		tell(a, LEAVE);
	}
}

static uint64_t
counted(struct unit *u, enum stat_index index)
{
	return stats_counter(&u->daemon->stats, index);
}

/* Held up: relieved once, for good; the client is apart. The thread learns of it when it comes
 * back. */
static void
held_up(void **state)
{
	struct actor a;
	struct unit u;
	(void)state;

	start(&u, &a, WATCH_ADDRESS_SPACE);
	tell(&a, ENTER);
	look(&u, HELD_LOOKS - 1);
	assert_int_equal(a.relieved, 0);
	assert_int_equal(load_relaxed(&u.task->lane), LANE_COMMON);
	look(&u, 1);
	assert_int_equal(a.relieved, 1);
	assert_int_equal(counted(&u, STAT_HELD_CALLS), 1);
	assert_int_equal(counted(&u, STAT_RELIEVED_THREADS), 1);
	assert_int_equal(counted(&u, STAT_CLIENTS_APART), 1);
	assert_int_not_equal(load_relaxed(&u.task->lane), LANE_COMMON);
	tell(&a, LEAVE);
	assert_true(atomic_load(&a.is_relieved));
	/* A relieved thread that is held up again in a later call is not relieved twice. */
	tell(&a, ENTER);
	look(&u, 2 * HELD_LOOKS);
	assert_int_equal(a.relieved, 1);
	tell(&a, LEAVE);
	assert_true(atomic_load(&a.is_relieved));
	assert_int_equal(counted(&u, STAT_HOLDERS_ENDED), 0);
	stop(&u, &a);
}

/* No thread stands by: it keeps its duty, and is tried again. */
static void
nobody_stands_by(void **state)
{
	struct actor a;
	struct unit u;
	(void)state;

	start(&u, &a, WATCH_ADDRESS_SPACE);
	a.refuses = true;
	tell(&a, ENTER);
	look(&u, HELD_LOOKS + 2);
	assert_int_equal(counted(&u, STAT_RELIEVED_THREADS), 0);
	a.refuses = false;
	look(&u, 1);
	assert_int_equal(a.relieved, 1);
	tell(&a, LEAVE);
	assert_true(atomic_load(&a.is_relieved));
	stop(&u, &a);
}

/* Calls that come back in time, however many; and a thread that runs, or waits for a processor,
 * inside of one. */
static void
not_held_up(void **state)
{
	struct actor a;
	struct unit u;
	(void)state;

	start(&u, &a, WATCH_ADDRESS_SPACE);
	for (unsigned i = 0; i < 4; i++) {
		tell(&a, ENTER);
		look(&u, 1);
		tell(&a, LEAVE);
		look(&u, 1);
	}
	spin(&a);
	look(&u, 4 * HELD_LOOKS);
	spin_end(&a);
	assert_int_equal(a.relieved, 0);
	assert_false(atomic_load(&a.is_relieved));
	assert_int_equal(counted(&u, STAT_HELD_CALLS), 0);
	assert_int_equal(counted(&u, STAT_CLIENTS_APART), 0);
	assert_int_equal(load_relaxed(&u.task->lane), LANE_COMMON);
	stop(&u, &a);
}

/* No call is long, but every look finds one: the client goes to a side lane, no thread is
 * relieved. After a while the client is back; the second time that takes longer. */
static void
often(void **state)
{
	unsigned looks[2] = { 0 };
	struct actor a;
	struct unit u;
	(void)state;

	start(&u, &a, WATCH_ADDRESS_SPACE);
	for (unsigned time = 0; time < 2; time++) {
		short_calls(&u, &a, 8);
		assert_int_equal(counted(&u, STAT_CLIENTS_APART), time + 1);
		assert_int_not_equal(load_relaxed(&u.task->lane), LANE_COMMON);
		for (; load_relaxed(&u.task->lane) != LANE_COMMON; looks[time]++)
			look(&u, 1);
		assert_true(looks[time] > 0);
	}
	assert_true(looks[1] > looks[0]);
	assert_int_equal(a.relieved, 0);
	stop(&u, &a);
}

/* The lock of a memfd: three looks are enough, because an honest client never holds it; but not
 * while another thread of the daemon may hold it. */
static void
memfd_often(void **state)
{
	struct actor a, b;
	struct unit u;
	(void)state;

	start(&u, &a, WATCH_MEMFD);
	begin(&u, &b, WATCH_MEMFD);
	spin(&b);
	short_calls(&u, &a, 5);
	assert_int_equal(counted(&u, STAT_CLIENTS_APART), 0);
	spin_end(&b);
	look(&u, 32);
	short_calls(&u, &a, 3);
	assert_int_equal(counted(&u, STAT_CLIENTS_APART), 1);
	finish(&b);
	stop(&u, &a);
}

/* A lock that an honest client never holds is held for long: the task is ended, and its user's
 * next clients begin in a side lane for a while. */
static void
ended(void **state)
{
	struct actor a;
	struct unit u;
	uid_t uid;
	(void)state;

	start(&u, &a, WATCH_MEMFD);
	uid = u.task->uid;
	assert_int_equal(watch_lane_of(u.daemon, uid), LANE_COMMON);
	tell(&a, ENTER);
	look(&u, HELD_LOOKS);
	assert_false(load_relaxed(&u.task->end_wanted));
	look(&u, 200 / WATCH_TICK_MS);
	assert_true(load_relaxed(&u.task->end_wanted));
	assert_true(load_relaxed(&u.daemon->tasks_end_wanted));
	assert_int_equal(counted(&u, STAT_HOLDERS_ENDED), 1);
	assert_int_not_equal(watch_lane_of(u.daemon, uid), LANE_COMMON);
	assert_int_equal(watch_lane_of(u.daemon, uid + 1), LANE_COMMON);
	tell(&a, LEAVE);
	look(&u, 60000 / WATCH_TICK_MS + 1);
	assert_int_equal(watch_lane_of(u.daemon, uid), LANE_COMMON);
	stop(&u, &a);
}

/* The lock of a memfd that several see: no client is blamed, the thread is relieved. */
static void
nobody(void **state)
{
	struct actor a, b;
	struct unit u;
	(void)state;

	start(&u, &a, WATCH_MEMFD);
	begin(&u, &b, WATCH_MEMFD);
	a.client = b.client = 0;
	spin(&b);
	tell(&a, ENTER);
	look(&u, HELD_LOOKS);
	assert_int_equal(counted(&u, STAT_HELD_CALLS), 1);
	assert_int_equal(a.relieved, 1);
	spin_end(&b);
	look(&u, 1000 / WATCH_TICK_MS);
	assert_int_equal(counted(&u, STAT_HELD_CALLS), 1);
	assert_int_equal(counted(&u, STAT_HOLDERS_ENDED), 0);
	assert_int_equal(counted(&u, STAT_CLIENTS_APART), 0);
	assert_false(load_relaxed(&u.task->end_wanted));
	assert_int_equal(watch_lane_of(u.daemon, u.task->uid), LANE_COMMON);
	tell(&a, LEAVE);
	assert_true(atomic_load(&a.is_relieved));
	finish(&b);
	stop(&u, &a);
}

static void
end_one(struct unit *u, struct actor *a)
{
	uint64_t before = counted(u, STAT_HOLDERS_ENDED);

	store_relaxed(&u->task->end_wanted, false);
	tell(a, ENTER);
	for (unsigned looks = 0; counted(u, STAT_HOLDERS_ENDED) == before; looks++) {
		assert_in_range(looks, 0, 400 / WATCH_TICK_MS);
		look(u, 1);
	}
	tell(a, LEAVE);
}

/* => for how many looks the user's connections are refused */
static unsigned
refused_looks(struct unit *u, uid_t uid)
{
	unsigned looks = 0;

	for (; watch_refuses(u->daemon, uid); looks++)
		look(u, 1);
	return looks;
}

/* One client after the other is ended: from the third on the user is refused connections, each time
 * for longer; when it has been good for a while all is forgotten. Clients that are ended while it
 * is refused were there before. */
static void
ended_often(void **state)
{
	unsigned looks, last = 0;
	struct actor a;
	struct unit u;
	uid_t uid;
	(void)state;

	start(&u, &a, WATCH_MEMFD);
	uid = u.task->uid;
	for (unsigned round = 0; round < 2; round++) {
		end_one(&u, &a);
		end_one(&u, &a);
		assert_false(watch_refuses(u.daemon, uid));
		end_one(&u, &a);
		assert_true(watch_refuses(u.daemon, uid));
		assert_false(watch_refuses(u.daemon, uid + 1));
		looks = refused_looks(&u, uid);
		assert_int_equal(looks, 1000 / WATCH_TICK_MS);
		for (unsigned i = 0; i < 8; i++) {
			last = looks;
			end_one(&u, &a);
			looks = refused_looks(&u, uid);
			assert_int_equal(looks, i < 6 ? 2 * last : last);
		}
		end_one(&u, &a);
		end_one(&u, &a);
		assert_true(refused_looks(&u, uid) < last);
		assert_int_not_equal(watch_lane_of(u.daemon, uid), LANE_COMMON);
		look(&u, 60000 / WATCH_TICK_MS + 1);
		assert_int_equal(watch_lane_of(u.daemon, uid), LANE_COMMON);
	}
	stop(&u, &a);
}

/* The lock is with another thread of ours that has no processor: that is not the client's doing,
 * however long it lasts. */
static void
ours_is_excused(void **state)
{
	struct actor a, b;
	struct unit u;
	(void)state;

	start(&u, &a, WATCH_MEMFD);
	begin(&u, &b, WATCH_MEMFD);
	spin(&b);
	tell(&a, ENTER);
	look(&u, 2 * 200 / WATCH_TICK_MS);
	assert_int_equal(a.relieved, 1);
	assert_false(load_relaxed(&u.task->end_wanted));
	spin_end(&b);
	look(&u, 200 / WATCH_TICK_MS - 1);
	assert_false(load_relaxed(&u.task->end_wanted));
	look(&u, 1);
	assert_true(load_relaxed(&u.task->end_wanted));
	tell(&a, LEAVE);
	finish(&b);
	stop(&u, &a);
}

/* Faults of a side lane wait for a thread that waits there for one of the lane's clients, but
 * not for a client that was ended in vain. */
static void
waits_without_end(void **state)
{
	struct actor a;
	struct unit u;
	(void)state;

	start(&u, &a, WATCH_WAIT);
	store_relaxed(&a.watch.lane, 1);
	store_relaxed(&u.task->lane, 1);
	tell(&a, ENTER);
	look(&u, 100);
	assert_int_equal(a.relieved, 0);
	tell(&a, LEAVE);
	tell(&a, ENTER);
	store_relaxed(&u.task->end_wanted, true);
	look(&u, HELD_LOOKS);
	assert_int_equal(a.relieved, 0);
	look(&u, 500 / WATCH_TICK_MS);
	assert_int_equal(a.relieved, 1);
	tell(&a, LEAVE);
	store_relaxed(&u.task->lane, LANE_COMMON);
	stop(&u, &a);
}

/* No descriptor is left: a running thread is not taken for asleep, and threads whose files are
 * open are seen as before. */
static void
without_descriptors(void **state)
{
	struct rlimit limit, none;
	struct actor a, b;
	struct unit u;
	(void)state;

	start(&u, &a, WATCH_ADDRESS_SPACE);
	begin(&u, &b, WATCH_ADDRESS_SPACE);
	tell(&a, ENTER);
	look(&u, 1);
	tell(&a, LEAVE);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	none = (struct rlimit){ 0, limit.rlim_max };
	spin(&b);
	tell(&a, ENTER);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	look(&u, 2 * HELD_LOOKS);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_int_equal(a.relieved, 1);
	assert_int_equal(b.relieved, 0);
	spin_end(&b);
	tell(&a, LEAVE);
	finish(&b);
	stop(&u, &a);
}

/* Clients that hold threads up before they are attached: from the third one on, present and new
 * clients of the same user wait in a side lane. */
static void
held_before_attached(void **state)
{
	struct task *tasks[4];
	struct actor a[3];
	struct unit u;
	(void)state;

	start(&u, &a[0], WATCH_PAGEMAP);
	begin(&u, &a[1], WATCH_PAGEMAP);
	begin(&u, &a[2], WATCH_PAGEMAP);
	for (unsigned i = 0; i < 4; i++) {
		tasks[i] = unit_task(u.daemon);
	}
	for (unsigned i = 0; i < 3; i++) {
		a[i].client = task_cookie(tasks[i]);
		tell(&a[i], ENTER);
		assert_int_equal(watch_lane_of(u.daemon, getuid()), LANE_COMMON);
		look(&u, HELD_LOOKS);
		assert_int_equal(a[i].relieved, 1);
	}
	assert_int_not_equal(watch_lane_of(u.daemon, getuid()), LANE_COMMON);
	assert_int_equal(load_relaxed(&tasks[3]->lane_before), watch_lane_of(u.daemon, getuid()));
	for (unsigned i = 0; i < 3; i++)
		tell(&a[i], LEAVE);
	for (unsigned i = 0; i < 4; i++) {
		store_release(&tasks[i]->state, TASK_DEAD);
		look(&u, 64);
		task_put(tasks[i]);
	}
	finish(&a[2]);
	finish(&a[1]);
	stop(&u, &a[0]);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(held_up),
		cmocka_unit_test(nobody_stands_by),
		cmocka_unit_test(not_held_up),
		cmocka_unit_test(often),
		cmocka_unit_test(memfd_often),
		cmocka_unit_test(ours_is_excused),
		cmocka_unit_test(waits_without_end),
		cmocka_unit_test(without_descriptors),
		cmocka_unit_test(held_before_attached),
		cmocka_unit_test(ended),
		cmocka_unit_test(nobody),
		cmocka_unit_test(ended_often),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
