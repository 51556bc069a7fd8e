/* SPDX-License-Identifier: MIT
 *
 * Swap on a server, as the other threads see it: the backend, and how a transfer gets to the thread
 * that has the connection (swapnbd.c). Runs on: the thread that starts and stops swap, the one in
 * swap_balance, and those of channels. Only _open and _close wait for the thread.
 */
#include "swapserver.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "check.h"
#include "clock.h"
#include "swapnbd.h"
#include "swaptables.h"

static void
wake(struct server *v)
{
	uint64_t one = 1;

	CHECK(write(v->event_fd, &one, sizeof(one)) == sizeof(one));
}

void
swapserver_submit(struct swap_request *r)
{
	struct server *v = r->place.server->own;
	uint64_t timeout_ns = v->backend->swap->server_timeout_ns;

	r->next = NULL;
	r->deadline_ns = timeout_ns ? clock_now_ns() + timeout_ns : UINT64_MAX;
	lock_acquire(&v->lock);
	*v->todo_end = r;
	v->todo_end = &r->next;
	lock_release(&v->lock);
	wake(v);
}

static void
server_free(struct server *v)
{
	if (v->event_fd >= 0)
		close(v->event_fd);
	if (v->has_parts)
		swap_parts_fini(&v->parts);
	free(v->trims);
	cond_fini(&v->tried);
	lock_fini(&v->lock);
	free(v);
}

static void
server_stop(struct server *v)
{
	lock_acquire(&v->lock);
	v->stopping = true;
	lock_release(&v->lock);
	wake(v);
	CHECK(pthread_join(v->thread, NULL) == 0);
	server_free(v);
}

/* As swapnbd.c does it with an export that has just been connected. => 0 or -errno */
static int
parts_restore(struct server *v, uint64_t bytes)
{
	int error = swap_parts_init(&v->parts, v->backend, bytes);

	if (error)
		return error;
	v->has_parts = true;
	v->trims = calloc(v->parts.count, sizeof(*v->trims));
	return v->trims ? 0 : -ENOMEM;
}

/* It takes no signals: they are left to the threads of the program. */
static int
thread_start(struct server *v)
{
	sigset_t all, before;
	int error;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	error = pthread_create(&v->thread, NULL, swapnbd_main, v);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -error;
}

static int
server_open(struct swap_backend *b, struct swap_fault *fault)
{
	const uint64_t *bytes = swap_tables_export(b);
	struct server *v = calloc(1, sizeof(*v));
	int error;

	if (!v)
		return -ENOMEM;
	lock_init(&v->lock, RANK_SWAPRING);
	cond_init(&v->tried);
	v->backend = b;
	v->todo_end = &v->todo;
	v->outcome = 1;
	v->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	error = v->event_fd < 0 ? -errno : 0;
	if (!error && bytes && *bytes) {
		/* There are pages, whether the server answers now or later. */
		error = parts_restore(v, *bytes);
		v->outcome = 0;
	}
	if (!error)
		error = thread_start(v);
	if (error) {
		server_free(v);
		return error;
	}
	b->own = v;
	lock_acquire(&v->lock);
	while (v->outcome == 1)
		cond_wait(&v->tried, &v->lock);
	error = v->outcome;
	memcpy(fault->why, v->why, sizeof(fault->why));
	lock_release(&v->lock);
	if (error)
		server_stop(v);
	return error;
}

static void
server_close(struct swap_backend *b)
{
	server_stop(b->own);
}

/* A part that waits to be trimmed need not be any more. */
static int
server_file_create(struct swap_backend *b, unsigned number, uint64_t bytes, struct swap_extent *ret)
{
	struct server *v = b->own;
	unsigned part = 0;
	int error = 0;

	*ret = (struct swap_extent){ .fd = -1, .direct = true };
	lock_acquire(&v->lock);
	while (part < v->parts.count &&
	       (v->trims[part] != TRIM_WANTED || swap_parts_bytes(&v->parts, part) < bytes))
		part++;
	if (part < v->parts.count) {
		v->trims[part] = TRIM_NONE;
		ret->offset = swap_parts_offset(&v->parts, part);
	} else {
		error = swap_parts_take(&v->parts, bytes, &ret->offset);
	}
	lock_release(&v->lock);
	return error;
}

static void
server_file_delete(
    struct swap_backend *b, unsigned number, uint64_t bytes, struct swap_extent extent)
{
	struct server *v = b->own;

	lock_acquire(&v->lock);
	if (v->can_trim)
		v->trims[swap_parts_at(&v->parts, extent.offset)] = TRIM_WANTED;
	else
		swap_parts_give(&v->parts, extent.offset);
	lock_release(&v->lock);
	wake(v);
}

static int
server_file_adopt(struct swap_backend *b, unsigned number, struct swap_extent *extent)
{
	struct server *v = b->own;
	bool is_free;

	lock_acquire(&v->lock);
	is_free = swap_parts_adopt(&v->parts, extent->offset);
	lock_release(&v->lock);
	extent->direct = true;
	return is_free ? 0 : -EPROTO;
}

const struct swap_backend_ops swapnbd_ops = {
	.kind = SWAP_NBD,
	.open = server_open,
	.close = server_close,
	.file_create = server_file_create,
	.file_delete = server_file_delete,
	.file_adopt = server_file_adopt,
};
