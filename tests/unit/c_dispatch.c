/* SPDX-License-Identifier: MIT
 *
 * Dispatch with handlers of the test: who may ask what in which state, where it runs, what goes
 * into the answer, and what becomes of descriptors.
 */
#include "c_unit.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/eventfd.h>

#include "control/dispatch.h"
#include "control/request.h"
#include "core/closer.h"

static struct unit u;
static struct session session;

/* What the handlers do and have seen. */
static struct {
	atomic_uint calls;
	unsigned type; /* of the last */
	int error;     /* to be answered */
	unsigned pieces;
	bool keeps_fd, was_job;
	bool owes; /* an object is kept between pieces, and the session ends in the first one */
	int fd;
} handler;

static int
handled(struct request *r, unsigned type)
{
	unsigned call = fetch_add_relaxed(&handler.calls, 1);

	handler.type = type;
	handler.was_job = !pthread_equal(pthread_self(), u.daemon->loop_thread);
	handler.fd = r->fd;
	if (handler.keeps_fd)
		r->fd = -1;
	if (handler.pieces == 0)
		return handler.error;
	/* The reply and the progress stay from piece to piece; the descriptor too. */
	assert_int_equal(r->resumed, call > 0);
	assert_int_equal(r->progress, call * 100);
	r->progress += 100;
	assert_int_equal(((struct pager_rep_deallocate *)r->reply)->pages++, call);
	r->again = call + 1 < handler.pieces;
	if (handler.owes) {
		assert_ptr_equal(r->object, call > 0 ? u.object : NULL);
		r->object = r->again ? u.object : NULL;
		store_release(&session.state, SESSION_ENDED);
	}
	return handler.error;
}

#define MSG(number, NAME, name, fds, access, runs, text)                                           \
	int handle_##name(struct request *r)                                                       \
	{                                                                                          \
		return handled(r, number);                                                         \
	}
#include "tbl/msg.h"

static const struct {
	unsigned number;
	const char *access;
	bool is_job;
	size_t request_bytes, reply_bytes;
} rows[] = {
#define LOOP false
#define JOB  true
#define MSG(number, NAME, name, fds, access, runs, text)                                           \
	{ number, #access, runs, sizeof(struct pager_req_##name), sizeof(struct pager_rep_##name) },
#include "tbl/msg.h"
};

static int
start(void **state)
{
	(void)state;
	unit_jobs_start(&u);
	assert_int_equal(closer_create(u.daemon), 0);
	memset(&handler, 0, sizeof(handler));
	session = (struct session){ .magic = SESSION_MAGIC,
		.daemon = u.daemon,
		.id = 7,
		.socket = -1,
		.pidfd = -1,
		.pid = getpid(),
		.uid = getuid() };
	return 0;
}

static int
stop(void **state)
{
	(void)state;
	unit_jobs_stop(&u);
	jobs_fini(u.daemon);
	while (!closer_stop(u.daemon))
		continue;
	store_relaxed(&u.task->state, TASK_ATTACHING);
	unit_stop(&u);
	return 0;
}

static struct request_job *finished;

static void
done(struct job *job)
{
	finished = container_of(job, struct request_job, job);
}

/* One request from its packet to its answer, which is copied to `reply`. */
static enum dispatch
ask(unsigned row, int fd, void *reply, size_t *reply_bytes)
{
	_Alignas(8) unsigned char packet[PAGER_MSG_BYTES_MAX] = { 0 };
	struct pager_msg_header *header = (void *)packet;
	enum dispatch outcome;
	struct job *job;
	struct reply_fd reply_fd = { .fd = -1 };

	*header = (struct pager_msg_header){ .length = (uint32_t)(sizeof(*header) +
								  rows[row].request_bytes),
		.type = (uint16_t)rows[row].number,
		.sequence = 1000 + row };
	outcome = dispatch_packet(&session, packet, fd, done, reply, reply_bytes, &reply_fd);
	if (outcome != DISPATCH_JOB)
		return outcome;
	/* As connection.c: until it has come back nothing else is read. */
	session.job_running = true;
	while ((job = jobs_collect(u.daemon)) == NULL)
		sched_yield();
	job->done(job);
	session.job_running = false;
	memcpy(reply, finished->reply, finished->reply_bytes);
	*reply_bytes = finished->reply_bytes;
	free(finished);
	return outcome;
}

/* --- access --- */

enum peer { PEER_NEW, PEER_TOOL, PEER_ROOTS, PEER_ATTACHING, PEER_ATTACHED, PEER_COUNT };

static void
become(enum peer peer)
{
	bool is_client = peer == PEER_ATTACHING || peer == PEER_ATTACHED;

	store_relaxed(&session.state, peer == PEER_NEW ? SESSION_NEW
				      : is_client      ? SESSION_CLIENT
						       : SESSION_TOOL);
	session.task = is_client ? u.task : NULL;
	session.is_control = peer == PEER_ROOTS;
	store_relaxed(&u.task->state, peer == PEER_ATTACHED ? TASK_ATTACHED : TASK_ATTACHING);
}

/* What the access column means, for each kind of peer: y(es), r(efused), the session e(nds). */
static const struct {
	const char *access, *outcomes;
} meanings[] = {
	{ "NONE", "yeeee" },
	{ "ANY", "eyyyy" },
	{ "CLIENT", "eeeey" },
	{ "CONTROL", "eryrr" },
};

static char
outcome_wanted(const char *access, enum peer peer)
{
	for (size_t i = 0; i < ARRAY_LEN(meanings); i++)
		if (strcmp(meanings[i].access, access) == 0)
			return meanings[i].outcomes[peer];
	fail_msg("access %s has no meaning here", access);
	return 0;
}

static void
access_is_the_tables(void **state)
{
	_Alignas(8) unsigned char reply[PAGER_MSG_BYTES_MAX];
	const struct pager_msg_header *header = (void *)reply;

	(void)state;
	for (unsigned row = 0; row < ARRAY_LEN(rows); row++)
		for (enum peer peer = 0; peer < PEER_COUNT; peer++) {
			char wanted = outcome_wanted(rows[row].access, peer);
			uint64_t errors = stats_counter(&u.daemon->stats, STAT_PROTOCOL_ERRORS);
			size_t bytes = 0;
			enum dispatch got;

			become(peer);
			store_relaxed(&handler.calls, 0);
			got = ask(row, -1, reply, &bytes);
			assert_int_equal(load_relaxed(&handler.calls), wanted == 'y');
			assert_int_equal(stats_counter(&u.daemon->stats, STAT_PROTOCOL_ERRORS),
			    errors + (wanted == 'e'));
			if (wanted == 'e') {
				assert_int_equal(got, DISPATCH_END);
				continue;
			}
			assert_int_equal(
			    got, wanted == 'y' && rows[row].is_job ? DISPATCH_JOB : DISPATCH_REPLY);
			assert_int_equal(header->type, rows[row].number);
			assert_int_equal(header->sequence, 1000 + row);
			assert_int_equal(header->length, bytes);
			assert_int_equal(header->error, wanted == 'y' ? 0 : -EPERM);
			if (wanted == 'y') {
				assert_int_equal(handler.type, rows[row].number);
				assert_int_equal(handler.was_job, rows[row].is_job);
				assert_int_equal(bytes, sizeof(*header) + rows[row].reply_bytes);
			} else {
				assert_int_equal(bytes, sizeof(*header));
			}
		}
}

/* --- answers --- */

static unsigned
row_of(unsigned number)
{
	for (unsigned row = 0; row < ARRAY_LEN(rows); row++)
		if (rows[row].number == number)
			return row;
	fail_msg("no message has number %u", number);
	return 0;
}

/* An error has no body, wherever the request runs. */
static void
errors_have_no_body(void **state)
{
	static const unsigned numbers[] = { PAGER_MSG_ALLOCATE, PAGER_MSG_WIRE };
	_Alignas(8) unsigned char reply[PAGER_MSG_BYTES_MAX];
	const struct pager_msg_header *header = (void *)reply;
	size_t bytes;

	(void)state;
	become(PEER_ATTACHED);
	handler.error = -EAGAIN;
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
		ask(row_of(numbers[i]), -1, reply, &bytes);
		assert_int_equal(header->error, -EAGAIN);
		assert_int_equal(bytes, sizeof(*header));
	}
}

/* A job comes back after its last piece, with one answer. */
static void
pieces_are_one_request(void **state)
{
	struct {
		struct pager_msg_header header;
		struct pager_rep_deallocate body;
		unsigned char room[256];
	} reply;
	size_t bytes;

	(void)state;
	become(PEER_ATTACHED);
	handler.pieces = 5;
	assert_int_equal(ask(row_of(PAGER_MSG_DEALLOCATE), -1, &reply, &bytes), DISPATCH_JOB);
	assert_int_equal(load_relaxed(&handler.calls), 5);
	assert_int_equal(reply.header.error, 0);
	assert_int_equal(reply.body.pages, 5);
}

/* The session ends while its job is between two pieces: nothing more is done for it. */
static void
ended_sessions_are_not_served(void **state)
{
	_Alignas(8) unsigned char reply[PAGER_MSG_BYTES_MAX];
	_Alignas(8) unsigned char packet[512] = { 0 };
	struct pager_msg_header *header = (void *)packet;
	unsigned row = row_of(PAGER_MSG_DEALLOCATE);
	size_t bytes = 0;
	struct reply_fd reply_fd;
	struct job *j;

	(void)state;
	become(PEER_ATTACHED);
	*header = (struct pager_msg_header){
		.length = (uint32_t)(sizeof(*header) + rows[row].request_bytes),
		.type = PAGER_MSG_DEALLOCATE,
	};
	/* It would go on without end. */
	handler.pieces = UINT32_MAX;
	assert_int_equal(
	    dispatch_packet(&session, packet, -1, done, reply, &bytes, &reply_fd), DISPATCH_JOB);
	store_release(&session.state, SESSION_ENDED);
	while ((j = jobs_collect(u.daemon)) == NULL)
		sched_yield();
	j->done(j);
	assert_int_equal(((struct pager_msg_header *)(void *)finished->reply)->error, -ESHUTDOWN);
	free(finished);
}

/* What is owed to others is carried out to its end, whatever becomes of the session. */
static void
owed_pieces_are_carried_out(void **state)
{
	_Alignas(8) unsigned char reply[PAGER_MSG_BYTES_MAX];
	size_t bytes;

	(void)state;
	become(PEER_ATTACHED);
	handler.pieces = 5;
	handler.owes = true;
	assert_int_equal(ask(row_of(PAGER_MSG_DEALLOCATE), -1, reply, &bytes), DISPATCH_JOB);
	assert_int_equal(load_relaxed(&handler.calls), 5);
}

/* --- descriptors --- */

/* Whoever does not keep the descriptor of a request has it closed, also where the request is
 * refused. */
static void
descriptors_are_closed(void **state)
{
	static const struct {
		enum peer peer;
		unsigned number;
		bool keeps;
	} cases[] = {
		{ PEER_ATTACHED, PAGER_MSG_ATTACH, false },
		{ PEER_ATTACHED, PAGER_MSG_ATTACH, true },
		{ PEER_TOOL, PAGER_MSG_TRACE, false }, /* -EPERM */
		{ PEER_NEW, PAGER_MSG_ATTACH, false }, /* ends the session */
		{ PEER_TOOL, PAGER_MSG_CLIENTS, false },
	};
	_Alignas(8) unsigned char reply[PAGER_MSG_BYTES_MAX];
	int fds[ARRAY_LEN(cases)];
	size_t bytes;

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		fds[i] = eventfd(0, EFD_CLOEXEC);
		assert_true(fds[i] >= 0);
	}
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		become(cases[i].peer);
		handler.keeps_fd = cases[i].keeps;
		ask(row_of(cases[i].number), fds[i], reply, &bytes);
	}
	/* The closers have ended what was handed in. */
	while (!closer_stop(u.daemon))
		continue;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		assert_int_equal(fcntl(fds[i], F_GETFD) >= 0, cases[i].keeps);
		if (cases[i].keeps)
			close(fds[i]);
	}
	assert_int_equal(closer_create(u.daemon), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(access_is_the_tables, start, stop),
		cmocka_unit_test_setup_teardown(errors_have_no_body, start, stop),
		cmocka_unit_test_setup_teardown(pieces_are_one_request, start, stop),
		cmocka_unit_test_setup_teardown(ended_sessions_are_not_served, start, stop),
		cmocka_unit_test_setup_teardown(owed_pieces_are_carried_out, start, stop),
		cmocka_unit_test_setup_teardown(descriptors_are_closed, start, stop),
	};

	/* Each session that breaks the protocol is logged. */
	log_set_level(LOG_ERROR);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
