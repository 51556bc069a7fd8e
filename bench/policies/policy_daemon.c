/* SPDX-License-Identifier: MIT */
#include "policy_daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "chan.h"
#include "pattern.h"
#include "private_daemon.h"
#include "statread.h"

/* One thread of each kind, so events happen in the order of the touches. Pages come and go one by
 * one. zap removes mappings before it returns. Clean pages keep their copy, as in pagersim, so
 * "written" counts dirty pages only. */
static const char exact_config[] = "fault_servers = 1\n"
				   "pageout_workers = 1\n"
				   "fault_cluster = 1\n"
				   "pageout_cluster = 1\n"
				   "zap = 1\n"
				   "retain_copies = 1\n"
				   "compressor_percent = 90\n";

struct policy_daemon {
	struct private_daemon daemon;
	struct chan chan;
	struct statread stats;
};

int
policy_daemon_start(const struct policies *p, struct policy_daemon **ret)
{
	struct policy_daemon *pd = calloc(1, sizeof(*pd));
	/* resident_frames bounds the policy; the rest of the memory has room for all copies. */
	struct private_daemon_config config = {
		.program = p->options->daemon,
		.directory = p->options->directory,
		.memory_bytes = p->pages * UNIT_BYTES * 3 + (64u << 20),
		.config_text = exact_config,
		.more_config = p->options->daemon_config,
	};
	struct pager_rep_hello hello;
	int error = pd ? private_daemon_start(&config, &pd->daemon) : -ENOMEM;

	if (error) {
		free(pd);
		return error;
	}
	chan_init(&pd->chan);
	error = chan_open(&pd->chan, pd->daemon.socket);
	if (!error)
		error = chan_hello(&pd->chan, PAGER_ROLE_TOOL, "pagerbench", &hello, NULL);
	if (!error)
		error = statread_open(&pd->chan, &pd->stats);
	if (error) {
		fprintf(stderr, "pagerbench: cannot talk to pagerd: %s\n", strerror(-error));
		private_daemon_stop(&pd->daemon);
		free(pd);
		return error;
	}
	*ret = pd;
	return 0;
}

void
policy_daemon_stop(struct policy_daemon *pd)
{
	statread_close(&pd->stats);
	chan_close(&pd->chan);
	if (private_daemon_stop(&pd->daemon))
		fputs("pagerbench: pagerd did not end cleanly\n", stderr);
	free(pd);
}

const char *
policy_daemon_socket(const struct policy_daemon *pd)
{
	return pd->daemon.socket;
}

int
policy_daemon_set(struct policy_daemon *pd, const char *policy, uint32_t frames)
{
	struct pager_req_param param = { .set = 1, .name = "resident_frames" };
	struct pager_rep_param param_reply;
	struct chan_call set = { CHAN_CALL(PARAM, &param, &param_reply) };
	struct pager_req_policy request = { .set = 1 };
	struct pager_rep_policy reply;
	struct chan_call change = { CHAN_CALL(POLICY, &request, &reply) };
	int error;

	snprintf(param.value, sizeof(param.value), "%u", frames);
	error = chan_exchange(&pd->chan, &set);
	if (error)
		fprintf(stderr, "pagerbench: resident_frames = %u: %s\n", frames, strerror(-error));
	if (!error && (size_t)snprintf(request.policy, sizeof(request.policy), "%s", policy) >=
			  sizeof(request.policy))
		error = -ENAMETOOLONG;
	if (!error)
		error = chan_exchange(&pd->chan, &change);
	if (error)
		fprintf(stderr, "pagerbench: policy %s: %s\n", policy, strerror(-error));
	return error;
}

static uint64_t
value_of(const struct policy_daemon *pd, const int64_t *values, const char *name)
{
	int row = statread_find(&pd->stats, name);

	return row < 0 ? 0 : (uint64_t)values[row];
}

int
policy_daemon_counts(struct policy_daemon *pd, struct policy_counts *ret)
{
	int64_t *values = calloc(pd->stats.count, sizeof(*values));
	int error = values ? statread_refresh(&pd->chan) : -ENOMEM;

	while (!error && (error = statread_snapshot(&pd->stats, values)) == -EAGAIN)
		error = 0;
	if (!error)
		*ret = (struct policy_counts){
			.major = value_of(pd, values, "zero_fills") +
				 value_of(pd, values, "decompressions") +
				 value_of(pd, values, "swapins"),
			.soft = value_of(pd, values, "reactivations"),
			.written = value_of(pd, values, "pageouts") -
				   value_of(pd, values, "clean_pageouts"),
			.deactivations = value_of(pd, values, "deactivations"),
			.write_faults = value_of(pd, values, "write_protect_faults"),
			.violations = value_of(pd, values, "policy_violations"),
			.rescues = value_of(pd, values, "rescues"),
		};
	free(values);
	return error;
}

static int
trace_call(struct policy_daemon *pd, enum pager_trace_op op, const int *fd, unsigned window)
{
	struct pager_req_trace request = { .op = (uint32_t)op, .window = window };
	struct pager_rep_trace reply;
	struct chan_call call = { CHAN_CALL(TRACE, &request, &reply), .fds_out = fd,
		.fds_out_count = fd ? 1 : 0 };
	int error = chan_exchange(&pd->chan, &call);

	if (error)
		fprintf(stderr, "pagerbench: cannot %s the recording: %s\n", fd ? "start" : "stop",
		    strerror(-error));
	return error;
}

int
policy_daemon_record(struct policy_daemon *pd, const char *path, unsigned window)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600), error;

	if (fd < 0)
		return -errno;
	error = trace_call(pd, PAGER_TRACE_START, &fd, window);
	close(fd);
	return error;
}

int
policy_daemon_record_end(struct policy_daemon *pd)
{
	return trace_call(pd, PAGER_TRACE_STOP, NULL, 0);
}
