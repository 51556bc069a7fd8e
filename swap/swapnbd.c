/* SPDX-License-Identifier: MIT
 *
 * Swap on an NBD server: the only file that includes libnbd.h. Each server has a thread, which
 * alone uses its connection, waits for it, and makes it again when it is lost. Files are equal
 * parts of the export, trimmed when they are given back.
 *
 * A connection that ends is no failure of the requests on it: they are asked again on the next one.
 * One that has no answer after swap_config.server_timeout_ns fails with -ETIMEDOUT; if it was on
 * the connection, that is closed first, since libnbd could still write into the request's buffer.
 * What a write that was lost may do later is in swap_priv.h (`stray`). A part that is being trimmed
 * when the connection ends is not used again.
 *
 * Runs on: the server's thread, which may wait and allocate, as libnbd does for each request.
 * Locks: SWAPRING, not across libnbd.
 */
#include "swapnbd.h"

#include <libnbd.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "clock.h"
#include "log.h"
#include "own.h"
#include "swapmap.h"
#include "swapparts.h"
#include "swaptables.h"

#define CONNECT_NS 10000000000ull /* a connection that is not ready after this is given up */
#define RETRY_NS   1000000000ull  /* between two attempts to connect */
#define END_NS     1000000000ull  /* for the last trims, and to say goodbye */

/* --- the connection -------------------------------------------------------------------- */

/* The first attempt is over. */
static void
outcome_tell(struct server *v, int outcome)
{
	lock_acquire(&v->lock);
	if (v->outcome == 1) {
		v->outcome = outcome;
		cond_signal(&v->tried);
	}
	lock_release(&v->lock);
}

static void
failure_tell(struct server *v, int error, const char *why)
{
	log_debug_limited("swap: %s: %s", v->backend->where, why);
	lock_acquire(&v->lock);
	snprintf(v->why, sizeof(v->why), "%s", why);
	lock_release(&v->lock);
	outcome_tell(v, error);
}

/* What was on the connection is asked again on the next. */
static void
link_close(struct server *v)
{
	struct swap_request *r, *first = v->sent;

	nbd_close(v->nbd);
	v->nbd = NULL;
	v->link = LINK_DOWN;
	v->until_ns = clock_now_ns() + RETRY_NS;
	v->sent = NULL;
	for (r = first; r; r = r->next)
		if (r->direction == SWAP_WRITE && r->number > 0)
			swapmap_io_stray(v->backend->swap, r->slot);
	lock_acquire(&v->lock);
	while ((r = first) != NULL) {
		first = r->next;
		r->next = NULL;
		*v->todo_end = r;
		v->todo_end = &r->next;
	}
	if (v->trim_number > 0)
		v->trims[v->trim_part] = TRIM_LOST;
	v->trim_number = 0;
	lock_release(&v->lock);
}

static void
link_open(struct server *v)
{
	int error;

	v->nbd = nbd_create();
	if (!v->nbd) {
		failure_tell(v, -ENOMEM, nbd_get_error());
		v->until_ns = clock_now_ns() + RETRY_NS;
		return;
	}
	/* Keys and certificates are named in the URI, which comes from the administrator. */
	nbd_set_uri_allow_local_file(v->nbd, true);
	v->link = LINK_CONNECTING;
	v->until_ns = clock_now_ns() + CONNECT_NS;
	if (nbd_aio_connect_uri(v->nbd, v->backend->where) == 0)
		return;
	error = nbd_get_errno();
	failure_tell(v, error ? -error : -EIO, nbd_get_error());
	link_close(v);
}

/* Looks at an export that has just been connected. => NULL, or why it cannot be used */
static const char *
export_check(struct server *v)
{
	int64_t bytes = nbd_get_size(v->nbd);
	int64_t block = nbd_get_block_size(v->nbd, LIBNBD_SIZE_MINIMUM);
	uint64_t *kept_bytes = swap_tables_export(v->backend);
	const char *why = NULL;

	if (bytes < 0)
		return nbd_get_error();
	if (nbd_is_read_only(v->nbd) != 0)
		return "the export is read-only";
	if (block > (int64_t)SWAP_SECTOR)
		return "the server takes no transfers in units of 512 bytes";
	lock_acquire(&v->lock);
	/* A trim that a process has sent before it died may come to a part that is used again. */
	v->can_trim = nbd_can_trim(v->nbd) == 1 && !kept_bytes;
	if (v->has_parts) {
		if ((uint64_t)bytes < v->parts.bytes)
			why = "the export has become smaller";
	} else if (swap_parts_init(&v->parts, v->backend, (uint64_t)bytes) < 0) {
		why = "the export is too small for a swap file";
	} else {
		v->has_parts = true;
		if (kept_bytes)
			*kept_bytes = (uint64_t)bytes;
		v->trims = calloc(v->parts.count, sizeof(*v->trims));
		if (!v->trims)
			why = "no memory";
	}
	lock_release(&v->lock);
	return why;
}

static bool
link_has_ended(const struct server *v)
{
	return nbd_aio_is_dead(v->nbd) != 0 || nbd_aio_is_closed(v->nbd) != 0;
}

/* The connection has got on, or has ended. */
static void
link_look(struct server *v)
{
	const char *why;

	if (v->link == LINK_DOWN)
		return;
	if (link_has_ended(v)) {
		why = nbd_get_error();
		failure_tell(v, -ECONNREFUSED, why ? why : "the server has closed the connection");
		link_close(v);
	} else if (v->link == LINK_CONNECTING && nbd_aio_is_ready(v->nbd) == 1) {
		why = export_check(v);
		if (why) {
			failure_tell(v, -EINVAL, why);
			link_close(v);
			return;
		}
		v->link = LINK_UP;
		outcome_tell(v, 0);
	} else if (v->link == LINK_CONNECTING && clock_now_ns() >= v->until_ns) {
		failure_tell(v, -ETIMEDOUT, "the server does not answer");
		link_close(v);
	}
}

/* --- requests --------------------------------------------------------------------------- */

static bool
is_lost(int error)
{
	return error == -ENOTCONN || error == -ESHUTDOWN || error == -EPIPE || error == -ECONNRESET;
}

/* => libnbd's number, or -1 */
static int64_t
request_send(struct server *v, struct swap_request *r)
{
	char *start = r->buffer + r->done;
	uint64_t offset = r->place.offset + r->done;

	return r->direction == SWAP_READ
		   ? nbd_aio_pread(v->nbd, start, r->piece, offset, NBD_NULL_COMPLETION, 0)
		   : nbd_aio_pwrite(v->nbd, start, r->piece, offset, NBD_NULL_COMPLETION, 0);
}

static struct swap_request *
todo_take(struct server *v)
{
	struct swap_request *r;

	lock_acquire(&v->lock);
	r = v->todo;
	if (r)
		v->todo = r->next;
	if (!v->todo)
		v->todo_end = &v->todo;
	lock_release(&v->lock);
	return r;
}

static void
requests_send(struct server *v)
{
	struct swap_request *r;

	while (v->link == LINK_UP && (r = todo_take(v)) != NULL) {
		r->number = request_send(v, r);
		if (r->number > 0 || link_has_ended(v)) {
			/* If the connection has ended, it is asked again. */
			r->next = v->sent;
			v->sent = r;
		} else {
			int error = nbd_get_errno();

			swap_box_post(r->box, r, error ? -error : -EIO);
		}
		link_look(v);
	}
}

/* One part at a time. */
static void
trim_send(struct server *v)
{
	uint64_t bytes = 0, offset = 0;
	unsigned part = 0;

	if (v->link != LINK_UP || v->trim_number > 0)
		return;
	lock_acquire(&v->lock);
	while (part < v->parts.count && v->trims[part] != TRIM_WANTED)
		part++;
	if (part < v->parts.count) {
		v->trims[part] = TRIM_SENT;
		offset = swap_parts_offset(&v->parts, part);
		bytes = swap_parts_bytes(&v->parts, part);
	}
	lock_release(&v->lock);
	if (bytes == 0)
		return;
	v->trim_part = part;
	v->trim_number = nbd_aio_trim(v->nbd, bytes, offset, NBD_NULL_COMPLETION, 0);
	if (v->trim_number > 0)
		return;
	v->trim_number = 0;
	lock_acquire(&v->lock);
	v->trims[part] = TRIM_NONE;
	swap_parts_give(&v->parts, offset);
	lock_release(&v->lock);
}

static void
trim_done(struct server *v)
{
	lock_acquire(&v->lock);
	v->trims[v->trim_part] = TRIM_NONE;
	swap_parts_give(&v->parts, swap_parts_offset(&v->parts, v->trim_part));
	lock_release(&v->lock);
	v->trim_number = 0;
}

static void
answer_take(struct server *v, int64_t number, int error)
{
	struct swap_request **at = &v->sent, *r;

	/* Whether the space was given back does not matter to anybody here. */
	if (number == v->trim_number && !is_lost(error)) {
		trim_done(v);
		return;
	}
	while (*at && (*at)->number != number)
		at = &(*at)->next;
	r = *at;
	/* Requests that a server refuses because it goes away are asked again elsewhere. */
	if (!r || is_lost(error))
		return;
	*at = r->next;
	swap_box_post(r->box, r, error ? error : (int)r->piece);
}

static void
answers_take(struct server *v)
{
	bool lost = false;
	int64_t number;

	while (v->link == LINK_UP && (number = nbd_aio_peek_command_completed(v->nbd)) > 0) {
		int done = nbd_aio_command_completed(v->nbd, (uint64_t)number);
		int error = done < 0 ? -nbd_get_errno() : 0;

		if (done < 0 && error == 0)
			error = -EIO;
		lost |= is_lost(error);
		answer_take(v, number, error);
	}
	if (lost && v->link == LINK_UP)
		link_close(v);
}

/* => when the first request of a list has to be done; UINT64_MAX: there is no such time */
static uint64_t
list_deadline(const struct swap_request *r)
{
	uint64_t first = UINT64_MAX;

	for (; r; r = r->next)
		first = min_u64(first, r->deadline_ns);
	return first;
}

/* What has waited too long fails. => when the next will have */
static uint64_t
deadlines_look(struct server *v)
{
	struct swap_request **at, *r, *late = NULL;
	uint64_t now_ns = clock_now_ns(), next_ns;

	if (v->link == LINK_UP && list_deadline(v->sent) <= now_ns) {
		failure_tell(v, -ETIMEDOUT, "the server does not answer");
		link_close(v);
	}
	lock_acquire(&v->lock);
	for (at = &v->todo; (r = *at) != NULL;) {
		if (r->deadline_ns > now_ns) {
			at = &r->next;
			continue;
		}
		*at = r->next;
		r->next = late;
		late = r;
	}
	v->todo_end = at;
	next_ns = list_deadline(v->todo);
	lock_release(&v->lock);
	while ((r = late) != NULL) {
		late = r->next;
		swap_box_post(r->box, r, -ETIMEDOUT);
	}
	return min_u64(next_ns, list_deadline(v->sent));
}

/* --- the thread -------------------------------------------------------------------------- */

/* Waits for the server, for something new, or until a time. */
static void
server_wait(struct server *v, uint64_t until_ns)
{
	struct pollfd polls[2] = { { .fd = v->event_fd, .events = POLLIN }, { .fd = -1 } };
	uint64_t now_ns = clock_now_ns(), ns = until_ns > now_ns ? until_ns - now_ns : 0, count;
	struct timespec time = { .tv_sec = (time_t)(ns / 1000000000),
		.tv_nsec = (long)(ns % 1000000000) };

	if (v->nbd) {
		unsigned direction = nbd_aio_get_direction(v->nbd);

		polls[1].fd = nbd_aio_get_fd(v->nbd);
		if (direction & LIBNBD_AIO_DIRECTION_READ)
			polls[1].events |= POLLIN;
		if (direction & LIBNBD_AIO_DIRECTION_WRITE)
			polls[1].events |= POLLOUT;
	}
	if (ppoll(polls, 2, until_ns == UINT64_MAX ? NULL : &time, NULL) <= 0)
		return;
	if (polls[0].revents)
		CHECK(read(v->event_fd, &count, sizeof(count)) == sizeof(count));
	if (!v->nbd)
		return;
	/* An error of these is seen as the connection's state. */
	if (polls[1].revents & (POLLIN | POLLERR | POLLHUP))
		(void)nbd_aio_notify_read(v->nbd);
	else if (polls[1].revents & POLLOUT)
		(void)nbd_aio_notify_write(v->nbd);
}

static bool
is_stopping(struct server *v)
{
	bool stopping;

	lock_acquire(&v->lock);
	stopping = v->stopping;
	lock_release(&v->lock);
	return stopping;
}

static bool
trims_wanted(struct server *v)
{
	bool wanted = v->trim_number > 0;

	lock_acquire(&v->lock);
	for (unsigned i = 0; v->trims && i < v->parts.count; i++)
		wanted |= v->trims[i] == TRIM_WANTED;
	lock_release(&v->lock);
	return wanted;
}

static void
server_step(struct server *v, uint64_t until_ns)
{
	uint64_t next_ns;

	if (v->link == LINK_DOWN && clock_now_ns() >= v->until_ns)
		link_open(v);
	link_look(v);
	answers_take(v);
	requests_send(v);
	trim_send(v);
	next_ns = min_u64(until_ns, deadlines_look(v));
	if (v->link != LINK_UP)
		next_ns = min_u64(next_ns, v->until_ns);
	server_wait(v, next_ns);
}

/* The space goes back, and the server is told that nobody comes again. */
static void
server_end(struct server *v)
{
	uint64_t until_ns = clock_now_ns() + END_NS;

	CHECK(v->sent == NULL && v->todo == NULL);
	while (v->link == LINK_UP && trims_wanted(v) && clock_now_ns() < until_ns)
		server_step(v, until_ns);
	if (v->link == LINK_UP && nbd_aio_disconnect(v->nbd, 0) == 0)
		while (!link_has_ended(v) && clock_now_ns() < until_ns)
			server_wait(v, until_ns);
	if (v->nbd)
		link_close(v);
}

void *
swapnbd_main(void *argument)
{
	struct server *v = argument;

	own_thread("swap-nbd");
	while (!is_stopping(v))
		server_step(v, UINT64_MAX);
	server_end(v);
	return NULL;
}
