/* SPDX-License-Identifier: MIT
 *
 * Named entries' ends. Runs on: the control loop; name_run on jobs.
 */
#include "control/names.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control/jobs.h"
#include "control/loop_thread.h"
#include "region/map.h"
#include "takeover/takeover.h"

struct names {
	struct daemon *daemon;
	uv_loop_t *loop;                /* (L) */
	struct list watched;            /* (L) */
	unsigned count;                 /* (L) that are not gone yet */
	void (*gone)(struct daemon *d); /* (L) set at the end */
};

struct name {
	uv_poll_t poll;
	struct list node; /* (L) of those that are watched */
	struct names *names;
	struct named_entry *entry;
	struct job job;
	struct named_range left; /* what the entry has covered; the job's */
	uint64_t at;             /* pages below are done */
};

int
names_create(struct daemon *d, uv_loop_t *loop)
{
	struct names *names = calloc(1, sizeof(*names));

	CHECK(!d->names);
	if (!names)
		return -ENOMEM;
	names->daemon = d;
	names->loop = loop;
	list_init(&names->watched);
	d->names = names;
	return 0;
}

void
names_destroy(struct daemon *d)
{
	loop_assert(d);
	CHECK(d->names->count == 0);
	free(d->names);
	d->names = NULL;
}

static void
name_run(struct job *job, const struct jobs_place *place)
{
	struct name *name = container_of(job, struct name, job);
	uint64_t pages;

	job->again = region_name_gone(&name->left, &name->at, &pages);
	stat_add(place->stats, STAT_DISCARDS, pages);
	if (!job->again)
		vm_object_put(name->left.object);
}

static void
name_done(struct job *job)
{
	struct name *name = container_of(job, struct name, job);
	struct names *names = name->names;

	loop_assert(names->daemon);
	CHECK(names->count > 0);
	free(name);
	if (--names->count == 0 && names->gone)
		names->gone(names->daemon);
}

static void
poll_closed(uv_handle_t *handle)
{
	struct name *name = handle->data;
	struct daemon *d = name->names->daemon;

	loop_assert(d);
	named_entry_end(d, name->entry, &name->left);
	name->at = name->left.first;
	name->job = (struct job){ .run = name_run, .done = name_done };
	list_init(&name->job.node);
	jobs_submit(d, &name->job);
}

static void
name_end(struct name *name)
{
	list_remove(&name->node);
	uv_close((uv_handle_t *)&name->poll, poll_closed);
}

static void
closed(uv_poll_t *poll, int status, int events)
{
	struct name *name = poll->data;
	struct daemon *d = name->names->daemon;

	loop_assert(d);
	/* libuv reports the end of the last copy as an error of the pipe. */
	(void)events;
	if (status < 0)
		name_end(name);
	pulse_beat(&d->pulse);
}

/* From now on the entry is watched. => 0 or -errno: it is the caller's still */
static int
name_watch(struct daemon *d, struct named_entry *entry)
{
	struct names *names = d->names;
	struct name *name = calloc(1, sizeof(*name));
	int error;

	loop_assert(d);
	if (!name)
		return -ENOMEM;
	name->names = names;
	name->entry = entry;
	error = uv_poll_init(names->loop, &name->poll, entry->pipe);
	if (error) {
		free(name);
		return error;
	}
	name->poll.data = name;
	/* An event that no pipe has: errors are reported in any case. */
	CHECK(uv_poll_start(&name->poll, UV_DISCONNECT, closed) == 0);
	list_add_tail(&names->watched, &name->node);
	names->count++;
	return 0;
}

int
names_make(
    struct daemon *d, const struct named_range *pages, struct share_account *account, int *ret_fd)
{
	struct named_entry *entry;
	struct named_range left;
	struct named_identity identity;
	int ends[2], error;

	loop_assert(d);
	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) < 0)
		return -errno;
	/* Nothing is written to it, so the least will do. */
	(void)fcntl(ends[1], F_SETPIPE_SZ, 1);
	error = named_identify(ends[0], &identity);
	if (!error)
		error = named_entry_create(d, pages, ends[1], &identity, account, &entry);
	if (error) {
		close(ends[0]);
		close(ends[1]);
		return error == -ENOSPC || error == -EDQUOT ? -ENOMEM : error;
	}
	error = name_watch(d, entry);
	if (error) {
		named_entry_end(d, entry, &left);
		vm_object_put(left.object);
		close(ends[0]);
		return error;
	}
	*ret_fd = ends[0];
	return 0;
}

void
names_take_over(struct daemon *d)
{
	struct left_name *left;

	loop_assert(d);
	while ((left = d->left_names) != NULL) {
		int error = name_watch(d, left->entry);

		/* Another worker may have more luck. */
		CHECKF(error == 0, "a named entry cannot be watched: %s", strerror(-error));
		d->left_names = left->next;
		free(left);
	}
}

void
names_end(struct daemon *d, void (*gone)(struct daemon *d))
{
	struct names *names = d->names;

	loop_assert(d);
	CHECK(!names->gone);
	names->gone = gone;
	while (!list_empty(&names->watched))
		name_end(list_first(&names->watched, struct name, node));
	if (names->count == 0)
		gone(d);
}
