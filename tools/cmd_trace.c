/* SPDX-License-Identifier: MIT
 *
 * pagerctl trace: has the daemon record page references into a file.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "out.h"
#include "run.h"

static void
print_trace(const struct ctl *ctl, const struct pager_rep_trace *t)
{
	char bytes[OUT_NUMBER];
	struct json_object *object;

	if (ctl->json) {
		object = json_object_new_object();
		json_object_object_add(object, "active", json_object_new_boolean(t->active != 0));
		out_add_u64(object, "records", t->records);
		out_add_u64(object, "dropped", t->dropped);
		out_add_u64(object, "bytes", t->bytes);
		out_json(ctl, object);
		return;
	}
	printf("%s: %" PRIu64 " records, %" PRIu64 " dropped, %s written\n",
	    t->active ? "recording" : "not recording", t->records, t->dropped,
	    out_bytes(ctl, t->bytes, bytes));
}

/* group 0: the client that --client names, or all. */
static int
trace_exchange(struct ctl *ctl, enum pager_trace_op op, uint64_t group, const int *fd,
    struct pager_rep_trace *reply)
{
	struct pager_req_trace request = { .op = (uint32_t)op,
		.pid = ctl->client.pid,
		.window = ctl->window,
		.flags = group ? PAGER_TRACE_GROUP : 0,
		.session = group ? group : ctl->client.session };
	struct chan_call call = { CHAN_CALL(TRACE, &request, reply), .fds_out = fd,
		.fds_out_count = fd ? 1 : 0 };

	return ctl_ask(ctl, &call);
}

/* Opens a file without emptying it: the daemon does so when it begins to record.
 * => a descriptor or -errno; *ret_made: the file did not exist before. */
static int
trace_file_open(const char *path, bool *ret_made)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	*ret_made = false;
	if (fd < 0 && errno == ENOENT) {
		fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		*ret_made = fd >= 0;
	}
	return fd < 0 ? -errno : fd;
}

static int
trace_start(struct ctl *ctl, const char *path, uint64_t group, struct pager_rep_trace *reply)
{
	bool made;
	int fd, r;

	/* No file is made where there is no daemon. */
	r = ctl_connect(ctl);
	if (r != CTL_OK)
		return r;
	fd = trace_file_open(path, &made);
	if (fd < 0)
		return ctl_fail(ctl, fd, "cannot write %s", path);
	r = trace_exchange(ctl, PAGER_TRACE_START, group, &fd, reply);
	close(fd);
	if (r < 0 && made)
		unlink(path);
	if (r == -EBUSY)
		return ctl_fail(
		    ctl, r, "a recording is under way; stop it first (`pagerctl trace stop`)");
	if (r == -ESRCH)
		return ctl_fail(ctl, r, "cannot record client %s", ctl->client_text);
	if (r == -EPERM && group)
		return ctl_fail(ctl, r,
		    "only root and pagerd's own user may record; with --memory the program has a "
		    "pagerd of yours");
	return r < 0 ? ctl_fail(ctl, r, "cannot start recording") : CTL_OK;
}

int
record_start(struct ctl *ctl, uint64_t group)
{
	struct pager_rep_trace reply;

	return trace_start(ctl, ctl->output, group, &reply);
}

int
record_stop(struct ctl *ctl)
{
	struct pager_rep_trace reply;
	char bytes[OUT_NUMBER];
	int r = trace_exchange(ctl, PAGER_TRACE_STOP, 0, NULL, &reply);

	if (r != CTL_OK)
		return ctl_fail(ctl, r, "the recording in %s is cut off", ctl->output);
	fprintf(stderr, "pagerctl record: %s: %" PRIu64 " records, %" PRIu64 " dropped, %s\n",
	    ctl->output, reply.records, reply.dropped, out_bytes(ctl, reply.bytes, bytes));
	return CTL_OK;
}

int
cmd_trace(struct ctl *ctl, int argc, char **argv)
{
	const char *what = argc ? argv[0] : "show";
	struct pager_rep_trace reply;
	int r;

	if (strcmp(what, "start") == 0) {
		if (argc != 2)
			return ctl_usage(ctl, "start needs a FILE to write to");
		r = trace_start(ctl, argv[1], 0, &reply);
		if (r != CTL_OK)
			return r;
	} else if (strcmp(what, "stop") == 0 || strcmp(what, "show") == 0) {
		if (argc > 1 || ctl->client_text || ctl->window)
			return ctl_usage(ctl, "%s takes no arguments", what);
		r = trace_exchange(
		    ctl, what[1] == 't' ? PAGER_TRACE_STOP : PAGER_TRACE_SHOW, 0, NULL, &reply);
		if (r != CTL_OK)
			return ctl_fail(ctl, r, "%s", what);
	} else {
		return ctl_usage(ctl, "\"%s\" is none of start, stop, show", what);
	}
	print_trace(ctl, &reply);
	return CTL_OK;
}
