/* SPDX-License-Identifier: MIT
 *
 * `pagerbench ool`: memory sent from one process to another, in the eight ways there are: virtual
 * or physical, a page or 16, given away or kept; and memory that a forked child inherits
 * (ool_fork.c). For each it shows the region at both ends and the frames that the daemon had taken
 * for pages at each step, so that a row says whether the memory was really copied, whatever it is
 * called.
 */
#include "options.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ool_fork.h"
#include "ool_side.h"
#include "private_daemon.h"

#define PORT_NAME "pagerbench/ool"
#define OOL_BYTES (32ull << 20)

enum step { BEFORE, SENT, RECEIVED, READ, WRITTEN, STEPS };

struct row {
	unsigned flags, pages;
	enum pager_transfer done;
	int64_t frames[STEPS]; /* that hold clients' pages */
	struct side source, copy;
	uint64_t object;      /* the source's, before */
	uint32_t depth_after; /* of the copy, when the source has been given back */
};

/* What the receiver is told to do, and answers. */
enum order { ORDER_RECEIVE = 1, ORDER_READ, ORDER_WRITE, ORDER_LOOK, ORDER_END };
struct answer {
	uint32_t wrong; /* words that are not what was sent */
	struct side side;
};

static const char *
done_text(enum pager_transfer done)
{
	switch (done) {
	case PAGER_TRANSFER_PHYSICAL:
		return "physical";
	case PAGER_TRANSFER_VIRTUAL:
		return "virtual";
	case PAGER_TRANSFER_MOVED:
		return "moved";
	}
	return "?";
}

/* --- the receiver --- */

static void
receiver_main(const char *path, int socket)
{
	struct pager_message m = { 0 };
	struct pager_port *port;
	struct pager *p;
	unsigned char order = 0;

	if (pager_connect(path, NULL, &p) != 0 ||
	    pager_port_create(p, PORT_NAME, PAGER_PORT_SENDERS_USER, 0, &port) != 0)
		_exit(EXIT_FAILURE);
	do {
		struct answer answer = { 0 };
		uint64_t *words = m.addr;
		bool good = true;

		if (order == ORDER_RECEIVE) {
			good = pager_receive(port, 0, -1, &m) == 0;
			words = m.addr;
		}
		for (size_t i = 0; order == ORDER_READ && i < m.size / sizeof(*words); i++)
			answer.wrong += words[i] != word_of(i);
		for (size_t i = 0; order == ORDER_WRITE && i < m.size / sizeof(*words); i++)
			words[i] = ~word_of(i);
		if (good && words)
			good = side_look(p, words, &answer.side);
		if (order == ORDER_END) {
			good = good && pager_deallocate(p, words, m.size) == 0;
			m.addr = NULL;
		}
		if (!good || write(socket, &answer, sizeof(answer)) != sizeof(answer))
			_exit(EXIT_FAILURE);
	} while (read(socket, &order, 1) == 1);
	_exit(EXIT_SUCCESS);
}

static bool
receiver_start(struct ool *t, const char *path)
{
	struct answer answer;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return false;
	t->receiver = fork();
	if (t->receiver == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(pair[0]);
		receiver_main(path, pair[1]);
	}
	close(pair[1]);
	t->socket = pair[0];
	/* The port is there. */
	return t->receiver > 0 && read(t->socket, &answer, sizeof(answer)) == sizeof(answer);
}

static bool
receiver_do(const struct ool *t, enum order order, struct answer *ret)
{
	unsigned char byte = (unsigned char)order;

	return write(t->socket, &byte, 1) == 1 &&
	       read(t->socket, ret, sizeof(*ret)) == sizeof(*ret) && ret->wrong == 0;
}

/* --- the sender --- */

static bool
row_run(struct ool *t, struct row *row)
{
	uint64_t bytes = row->pages * t->page_bytes, *words;
	struct answer answer = { 0 };
	struct side before = { 0 };
	bool good;

	if (pager_allocate(t->pager, bytes, PAGER_ALLOC_SHAREABLE, (void **)&words) != 0)
		return false;
	for (size_t i = 0; i < bytes / sizeof(*words); i++)
		words[i] = word_of(i);
	good = side_look(t->pager, words, &before);
	row->object = before.object;
	good = good && frames_look(t, &row->frames[BEFORE]) &&
	       pager_send(t->port, words, bytes, row->flags, 0, -1, &row->done) == 0 &&
	       frames_look(t, &row->frames[SENT]) && receiver_do(t, ORDER_RECEIVE, &answer);
	row->copy = answer.side;
	if (good && !(row->flags & PAGER_SEND_DEALLOCATE))
		good = side_look(t->pager, words, &row->source);
	good = good && frames_look(t, &row->frames[RECEIVED]) &&
	       receiver_do(t, ORDER_READ, &answer) && frames_look(t, &row->frames[READ]) &&
	       receiver_do(t, ORDER_WRITE, &answer) && frames_look(t, &row->frames[WRITTEN]);
	for (size_t i = 0;
	     good && !(row->flags & PAGER_SEND_DEALLOCATE) && i < bytes / sizeof(*words); i++)
		good = words[i] == word_of(i);
	if (good && !(row->flags & PAGER_SEND_DEALLOCATE))
		good = pager_deallocate(t->pager, words, bytes) == 0;
	good = good && receiver_do(t, ORDER_LOOK, &answer);
	row->depth_after = answer.side.shadow_depth;
	return good && receiver_do(t, ORDER_END, &answer);
}

static bool
ool_begin(struct ool *t, const char *path)
{
	struct pager_statistics statistics;
	struct pager_rep_hello hello;

	if (!receiver_start(t, path) || chan_open(&t->chan, path) != 0 ||
	    chan_hello(&t->chan, PAGER_ROLE_TOOL, NULL, &hello, NULL) != 0 ||
	    statread_open(&t->chan, &t->stats) != 0 || pager_connect(path, NULL, &t->pager) != 0 ||
	    pager_port_open(t->pager, PORT_NAME, &t->port) != 0 ||
	    pager_statistics(t->pager, &statistics) != 0)
		return false;
	t->internal = statread_find(&t->stats, "internal");
	t->page_bytes = statistics.page_size;
	t->values = calloc(t->stats.count, sizeof(*t->values));
	return t->internal >= 0 && t->values;
}

static void
ool_end(struct ool *t)
{
	if (t->socket >= 0)
		close(t->socket);
	if (t->receiver > 0)
		waitpid(t->receiver, NULL, 0);
	free(t->values);
	if (t->stats.header)
		statread_close(&t->stats);
	chan_close(&t->chan);
	if (t->pager)
		pager_disconnect(t->pager);
}

/* --- the table --- */

/* Whether content is there twice; where the source is gone, whether what the receiver has is not
 * the source's object and has frames of its own. */
static bool
is_copied(const struct row *row)
{
	if (row->flags & PAGER_SEND_DEALLOCATE)
		return row->copy.object != row->object && row->copy.pages_resident > 0;
	return row->frames[RECEIVED] > row->frames[BEFORE];
}

static void
row_print(const struct row *row, uint64_t page_bytes)
{
	printf("%-8s %2u page%s %-7s done %-8s copied %-3s frames %" PRId64 ", sent %+" PRId64
	       ", received %+" PRId64 ", read %+" PRId64 ", written %+" PRId64
	       "; source gone: depth %" PRIu32 "\n",
	    row->flags & PAGER_SEND_VIRTUAL ? "VIRTUAL" : "PHYSICAL", row->pages,
	    row->pages > 1 ? "s," : ", ", row->flags & PAGER_SEND_DEALLOCATE ? "free" : "no free",
	    done_text(row->done), is_copied(row) ? "yes" : "no", row->frames[BEFORE],
	    row->frames[SENT] - row->frames[BEFORE], row->frames[RECEIVED] - row->frames[BEFORE],
	    row->frames[READ] - row->frames[BEFORE], row->frames[WRITTEN] - row->frames[BEFORE],
	    row->depth_after);
	side_print("source", &row->source, page_bytes);
	side_print("receiver", &row->copy, page_bytes);
}

static struct json_object *
row_json(const struct row *row)
{
	static const char *const steps[STEPS] = { "before", "sent", "received", "read", "written" };
	struct json_object *object = json_object_new_object(), *frames = json_object_new_object();

	json_object_object_add(object, "copy",
	    json_object_new_string(row->flags & PAGER_SEND_VIRTUAL ? "virtual" : "physical"));
	json_object_object_add(object, "pages", json_object_new_int64(row->pages));
	json_object_object_add(
	    object, "free", json_object_new_boolean((row->flags & PAGER_SEND_DEALLOCATE) != 0));
	json_object_object_add(object, "done", json_object_new_string(done_text(row->done)));
	json_object_object_add(object, "copied", json_object_new_boolean(is_copied(row)));
	for (unsigned i = 0; i < STEPS; i++)
		json_object_object_add(frames, steps[i], json_object_new_int64(row->frames[i]));
	json_object_object_add(object, "frames", frames);
	json_object_object_add(object, "source", side_json(&row->source));
	json_object_object_add(object, "receiver", side_json(&row->copy));
	json_object_object_add(
	    object, "shadow_depth_after", json_object_new_int64(row->depth_after));
	return object;
}

static int
ool_run(const char *path, bool json)
{
	struct ool t = { .socket = -1 };
	struct json_object *array = json ? json_object_new_array() : NULL,
			   *lives = json ? json_object_new_array() : NULL,
			   *all = json_object_new_object();
	bool good;

	json_object_object_add(all, "transfers", array);
	json_object_object_add(all, "fork", lives);

	chan_init(&t.chan);
	good = ool_begin(&t, path);
	for (unsigned i = 0; i < 8 && good; i++) {
		struct row row = { .flags = (i & 4 ? PAGER_SEND_PHYSICAL : PAGER_SEND_VIRTUAL) |
					    (i & 1 ? 0 : PAGER_SEND_DEALLOCATE),
			.pages = i & 2 ? 16 : 1 };

		good = row_run(&t, &row);
		if (good && json)
			json_object_array_add(array, row_json(&row));
		else if (good)
			row_print(&row, t.page_bytes);
	}
	good = good && ool_fork(&t, lives);
	if (!good)
		fprintf(stderr, "pagerbench: sending or forking failed, or somebody saw something "
				"else than was written\n");
	else if (json)
		printf("%s\n", json_object_to_json_string_ext(all, JSON_C_TO_STRING_PRETTY));
	json_object_put(all);
	ool_end(&t);
	return good ? EXIT_SUCCESS : EXIT_FAILURE;
}

int
ool_command(const struct options *o)
{
	struct private_daemon daemon;
	struct private_daemon_config config = { .program = o->daemon,
		.directory = o->directory,
		.memory_bytes = OOL_BYTES,
		.page_size = o->page_size };
	unsigned failures = 1;
	int result;

	if (private_daemon_start(&config, &daemon) != 0)
		return EXIT_FAILURE;
	result = ool_run(daemon.socket, o->json);
	if (private_daemon_check(daemon.socket, &failures) != 0 || failures > 0)
		result = EXIT_FAILURE;
	if (private_daemon_stop(&daemon) != 0)
		result = EXIT_FAILURE;
	return result;
}
