/* SPDX-License-Identifier: MIT
 *
 * Threads that the test controls, and looks of the watcher.
 */
#include "watch_fixture.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

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
			watch_enter(a->call, a->memfd);
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

void
actor_tell(struct actor *a, int order)
{
	a->order = order;
	sem_post(&a->orders);
	sem_wait(&a->done);
	if (order != SPIN)
		wait_until_asleep(a);
}

void
actor_spin(struct actor *a)
{
	actor_tell(a, ENTER);
	atomic_store(&a->spins, true);
	actor_tell(a, SPIN);
}

void
actor_spin_end(struct actor *a)
{
	atomic_store(&a->spins, false);
	wait_until_asleep(a);
	actor_tell(a, LEAVE);
}

void
actor_begin(struct unit *u, struct actor *a, enum watch_call call)
{
	memset(a, 0, sizeof(*a));
	a->call = call;
	a->client = task_cookie(u->task);
	a->memfd = -1;
	sem_init(&a->orders, 0, 0);
	sem_init(&a->done, 0, 0);
	watch_add(u->daemon, &a->watch, relieve);
	assert_int_equal(pthread_create(&a->thread, NULL, act, a), 0);
	sem_wait(&a->done);
	wait_until_asleep(a);
}

void
actor_finish(struct actor *a)
{
	a->order = END;
	sem_post(&a->orders);
	pthread_join(a->thread, NULL);
}

void
watched_start(struct unit *u, struct actor *a, enum watch_call call)
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
	actor_begin(u, a, call);
}

void
watched_stop(struct unit *u, struct actor *a)
{
	struct daemon *d = u->daemon;

	actor_finish(a);
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

void
watched_look(struct unit *u, unsigned times)
{
	while (times-- > 0)
		watch_look(u->daemon);
}

void
actor_short_calls(struct unit *u, struct actor *a, unsigned times)
{
	while (times-- > 0) {
		actor_tell(a, ENTER);
		watched_look(u, 1);
		actor_tell(a, LEAVE);
	}
}

uint64_t
watched_counted(struct unit *u, enum stat_index index)
{
	return stats_counter(&u->daemon->stats, index);
}
