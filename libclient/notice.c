/* SPDX-License-Identifier: MIT
 *
 * Notices of memory pressure. The agent gets them from the daemon and posts them as events; the
 * thread of events calls the program's function, and makes the program's descriptor readable. Runs
 * on: the caller's threads.
 */
#include "pager_priv.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

void
notice_close(struct pager *p)
{
	if (fd_is_noted(p->events.notice_fd, &p->events.notice_note))
		close(p->events.notice_fd);
	p->events.notice_fd = -1;
}

/* => change_lock held */
static int
notice_open(struct pager *p)
{
	struct events *e = &p->events;
	struct fd_note note;
	int fd, r;

	if (fd_is_noted(e->notice_fd, &e->notice_note))
		return 0;
	fd = chan_fd_above_standard(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
	if (fd < 0)
		return fd;
	r = fd_note(fd, &note);
	if (r < 0) {
		close(fd);
		return r;
	}
	/* The thread of events may run already, for a watch without a descriptor. */
	hold_lock(&e->lock);
	e->notice_note = note;
	e->notice_fd = fd;
	hold_unlock(&e->lock);
	return 0;
}

int
pager_pressure_watch(struct pager *p, unsigned levels, int *ret_fd, enum pager_pressure *ret_level)
{
	struct pager_req_pressure_watch request = { .levels = levels };
	struct pager_rep_pressure_watch reply;
	struct chan_call call = { CHAN_CALL(PRESSURE_WATCH, &request, &reply) };
	int r = pager_check(p);

	if (r < 0)
		return r;
	if (levels & ~PAGER_PRESSURE_LEVELS)
		return -EINVAL;
	/* With no lock held: libc takes memory for a thread. */
	if (levels)
		r = event_run(&p->events);
	if (r < 0)
		return r;
	hold_lock(&p->change_lock);
	if (ret_fd)
		r = notice_open(p);
	if (r == 0)
		r = chan_exchange(&p->chan, &call);
	hold_unlock(&p->change_lock);
	if (r < 0)
		return r;
	if (ret_fd)
		*ret_fd = p->events.notice_fd;
	if (ret_level)
		*ret_level = (enum pager_pressure)reply.level;
	return 0;
}

int
pager_pressure_take(struct pager *p, enum pager_pressure *ret_level)
{
	struct events *e = &p->events;
	enum pager_pressure level;
	struct fd_note note;
	int r = pager_check(p), fd;
	uint64_t count;

	if (r < 0)
		return r;
	if (!ret_level)
		return -EINVAL;
	/* The descriptor first: what comes afterwards makes it readable again. */
	hold_lock(&e->lock);
	fd = e->notice_fd;
	note = e->notice_note;
	hold_unlock(&e->lock);
	if (fd_is_noted(fd, &note))
		while (read(fd, &count, sizeof(count)) < 0 && errno == EINTR)
			continue;
	hold_lock(&e->lock);
	r = e->has_notice ? 0 : -EAGAIN;
	level = e->pressure;
	e->has_notice = false;
	hold_unlock(&e->lock);
	if (r == 0)
		*ret_level = level;
	return r;
}

int
pager_pressure_done(struct pager *p)
{
	int r = pager_check(p);

	return r < 0 ? r : notice_done(p);
}
