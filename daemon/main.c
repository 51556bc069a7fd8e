/* SPDX-License-Identifier: MIT
 *
 * pagerd: privileges, start and stop order.
 */
#include "options.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "core/closer.h"
#include "control/loop.h"
#include "control/stop.h"
#include "failpt.h"
#include "fault/server.h"
#include "control/jobs.h"
#include "pageout/cleaner.h"
#include "pageout/pageout.h"
#include "pageout/writeback.h"
#include "pagers/store.h"
#include "pmap/uffd.h"
#include "standard.h"
#include "record/recorder.h"
#include "record/recording.h"
#include "pageq/pageq.h"
#include "pageq/policies.h"
#include "pageq/side.h"
#include "region/prefetch.h"
#include "pagers/device.h"
#include "vm/named_entry.h"
#include "watch/watcher.h"

/* The daemon must not page-fault on its own tables. Without CAP_IPC_LOCK, and with a finite
 * RLIMIT_MEMLOCK, a locked process could not map its tables: the limit counts address space, of
 * which the daemon has several times its memory. A mapping beyond the limit shows whether it
 * applies. */
static void
lock_memory(void)
{
	struct rlimit limit;
	void *beyond;

	if (mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) < 0) {
		log_info("the daemon's memory is not locked (%s): raise RLIMIT_MEMLOCK",
		    strerror(errno));
		return;
	}
	if (getrlimit(RLIMIT_MEMLOCK, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY)
		return;
	beyond = mmap(NULL, limit.rlim_cur + (1u << 20), PROT_NONE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (beyond != MAP_FAILED) {
		munmap(beyond, limit.rlim_cur + (1u << 20));
		return;
	}
	munlockall();
	log_info("the daemon's memory is not locked: give it CAP_IPC_LOCK, or make "
		 "RLIMIT_MEMLOCK unlimited");
}

/* Best effort, logged once: the daemon must neither page-fault on its own tables nor run out of
 * descriptors. */
static void
prepare_process(void)
{
	/* None of these means that the daemon is to end, and the clients' memory would end with
	 * it: the terminal was closed, a reader of the log or of a recording has gone, a line goes
	 * to a terminal with tostop, a file is at its limit (then write says EFBIG), somebody
	 * takes the daemon for another program. */
	static const int ignored[] = { SIGHUP, SIGPIPE, SIGTTOU, SIGXFSZ, SIGUSR1 };
	struct rlimit limit;

	for (unsigned i = 0; i < ARRAY_LEN(ignored); i++)
		signal(ignored[i], SIG_IGN);
	prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
	lock_memory();
}

/* Address space, not memory: each segment in core has a whole chunk of it, even if little is left
 * in the segment. It is several times the memory, so that sparse segments do not use it up before
 * they are merged. */
static size_t
arena_bytes(const struct daemon *d)
{
	return param(d, arena_factor) * d->options.memory_bytes;
}

static void
create_storage(struct daemon *d)
{
	char message[512];
	struct compressor_config compressor = {
		.page_bytes = d->page_bytes,
		.segment_bytes = store_segment_bytes(d),
		.arena_bytes = arena_bytes(d),
		.max_segments = 32 * d->options.memory_bytes / store_segment_bytes(d) + 4096,
		.workers = worker_thread_count(d),
		/* Fault servers, jobs, the writer, the control loop. */
		.expanding_threads = fault_thread_count(d) + JOBS_THREADS + 2,
		/* Filling memory that a segment has just left is a third cheaper than populating
		   new. */
		.spare_bytes = min_u64(2u << 20, d->options.memory_bytes / 1024),
		.ops = &store_compressor_ops,
		.ctx = d,
	};
	int error = compressor_create(&compressor, &d->compressor);

	if (error)
		die(1, "cannot make the compressor: %s", strerror(-error));
	if (!d->options.no_swap && swapspace_create(d, message, sizeof(message)) != 0)
		die(1, "%s", message);
}

static void
create_parts(struct daemon *d)
{
	char message[512] = "";
	int error = stats_create(&d->stats, shard_count(d));

	named_table_create(d);
	if (!error)
		error = bells_create(&d->bells, seat_count(d), d->server_count);
	if (!error)
		error = watch_create(d);
	if (!error)
		error = task_table_create(d);
	if (!error)
		error = object_table_create(d);
	vnodes_create(d);
	if (!error)
		error = returns_create(d);
	if (!error)
		error = slots_create(d);
	if (!error)
		error = frames_create(d, (uint32_t)store_share_least(d));
	if (error)
		die(1, "cannot make the tables: %s", strerror(-error));
	pageq_init(&d->pageq);
	error = policies_create(d, d->options.policy);
	if (error)
		die(2, "--policy %s: %s", d->options.policy,
		    error == -ENOENT ? "no such policy" : "bad parameters");
	create_storage(d);
	if (devices_create(d, message, sizeof(message)) != 0)
		die(1, "%s", message);
	if (side_create(d) != 0)
		die(1, "no memory for side lanes");
	if (park_create(d) != 0)
		die(1, "no memory for parked faults");
	if (closer_create(d) != 0 || stop_create(d, control_name_remove) != 0)
		die(1, "cannot start the threads that close descriptors");
	zap_init(d);
	latency_init(d);
	error = trace_create(d);
	if (!error)
		error = prefetch_create(d);
	if (!error)
		error = fault_servers_start(d);
	if (!error)
		error = pageout_start(d);
	if (!error)
		error = writeback_start(d);
	if (!error)
		error = cleaner_start(d);
	if (error)
		die(1, "cannot start: %s", strerror(-error));
	error = control_create(d, message, sizeof(message));
	if (error)
		die(1, "%s", message[0] ? message : strerror(-error));
	error = jobs_start(d, control_job_finished, d);
	if (!error)
		error = watch_start(d);
	if (error)
		die(1, "cannot start the jobs threads: %s", strerror(-error));
}

static void
destroy_parts(struct daemon *d)
{
	duties_stop(d);
	jobs_stop(d);
	fault_servers_stop(d);
	cleaner_stop(d);
	pageout_stop(d);
	writeback_stop(d);
	trace_stop(d);
	watch_stop(d);
	/* All threads but the closers have been waited for. */
	stop_end(d);
	control_destroy(d);
	latency_fini(d);
	jobs_fini(d);
	fault_servers_fini(d);
	pageout_fini(d);
	writeback_fini(d);
	cleaner_fini(d);
	prefetch_destroy(d);
	trace_destroy(d);
	park_destroy(d);
	devices_destroy(d);
	task_table_destroy(d);
	compressor_destroy(d->compressor);
	if (d->swap)
		swap_destroy(d->swap);
	side_destroy(d);
	policies_destroy(d);
	pageq_fini(&d->pageq);
	watch_destroy(d);
	frames_destroy(d);
	slots_destroy(d);
	named_table_destroy(d);
	vnodes_destroy(d);
	returns_destroy(d);
	object_table_destroy(d);
	/* Closers that are in a call that does not come back still use the rest of the memory. */
	if (!closer_stop(d))
		_exit(0);
	bells_destroy(&d->bells);
	stats_destroy(&d->stats);
}

int
main(int argc, char **argv)
{
	char message[512] = "";
	struct daemon *d;
	bool only_root;

	standard_open("pagerd");
	d = calloc(1, sizeof(*d));
	if (!d)
		die(1, "no memory");
	d->loop_thread = pthread_self();
	params_init(&d->params);
	if (getenv("PAGERD_FAIL") && failpt_arm(getenv("PAGERD_FAIL")) != 0)
		die(2, "PAGERD_FAIL: no such fail point, or not NAME:after[:times]");
	options_parse(d, argc, argv);
	log_set_level(d->options.log_level);
	only_root = options_choose_access(&d->options);
	if (uffd_probe(&d->uffd_device, message, sizeof(message)) != 0)
		die(1, "%s", message);
	d->page_bytes = d->options.page_bytes;
	d->hw_bytes = (size_t)sysconf(_SC_PAGESIZE);
	d->page_shift = (unsigned)__builtin_ctzl(d->page_bytes);
	cpus_find(&d->cpus);
	d->server_count =
	    param(d, fault_servers) ? (unsigned)param(d, fault_servers) : d->cpus.count;
	d->worker_count =
	    param(d, pageout_workers) ? (unsigned)param(d, pageout_workers) : d->cpus.count;
	prepare_process();
	create_parts(d);
	shares_count_descriptors(d);
	if (only_root)
		log_notice("there is no group " OPTIONS_GROUP
			   ": root alone may connect to %s. Make the group, or "
			   "choose a --socket-mode (pagerd(8) tells what 0666 means)",
		    d->options.socket_path);
	printf("pagerd: ready on %s\n", d->options.socket_path);
	/* If the reader has closed the output, or the disk behind it is full, nobody waits for the
	 * line. */
	fflush(stdout);
	control_run(d);
	destroy_parts(d);
	log_limits_tell(true);
	close(d->uffd_device);
	free(d);
	return 0;
}
