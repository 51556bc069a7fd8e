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

#include "audit/left.h"
#include "core/closer.h"
#include "control/listen.h"
#include "control/loop.h"
#include "control/stop.h"
#include "control/upgrade.h"
#include "failpt.h"
#include "fault/refuser.h"
#include "fault/server.h"
#include "control/jobs.h"
#include "keeper/exec.h"
#include "keeper/manager.h"
#include "memorystatus/host_watch.h"
#include "memorystatus/memorystatus.h"
#include "pageout/cleaner.h"
#include "pageout/pageout.h"
#include "pageout/writeback.h"
#include "pagers/store.h"
#include "pmap/pins.h"
#include "pmap/uffd.h"
#include "standard.h"
#include "record/profiles.h"
#include "record/recorder.h"
#include "record/recording.h"
#include "region/foreseen.h"
#include "pageq/exact.h"
#include "pageq/pageq.h"
#include "pageq/policies.h"
#include "pageq/side.h"
#include "pageq/switch.h"
#include "region/prefetch.h"
#include "region/shared.h"
#include "region/willneed.h"
#include "takeover/takeover.h"
#include "pagers/announced.h"
#include "pagers/device.h"
#include "pagers/vnode_strict.h"
#include "vm/named_entry.h"
#include "vm/port.h"
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
create_compressor(struct daemon *d)
{
	struct compressor_config compressor = {
		.page_bytes = d->page_bytes,
		.segment_bytes = store_segment_bytes(d),
		.arena_bytes = arena_bytes(d),
		.max_segments = 32 * d->options.memory_bytes / store_segment_bytes(d) + 4096,
		.workers = worker_thread_count(d),
		.keeping_threads = fault_thread_count(d) + JOBS_THREADS,
		/* Fault servers, jobs, the writer, the control loop. */
		.expanding_threads = fault_thread_count(d) + JOBS_THREADS + 2,
		/* Filling memory that a segment has just left is a third cheaper than populating
		   new. */
		.spare_bytes = min_u64(2u << 20, d->options.memory_bytes / 1024),
		.ops = &store_compressor_ops,
		.ctx = d,
	};
	struct compressor_kept kept = { keeper_take(d->keeper, KEPT_TABLES, 0),
		keeper_take(d->keeper, KEPT_SEGMENTS, 0) };
	bool is_new = kept.tables < 0;
	int error;

	compressor.kept = d->keeper ? &kept : NULL;
	error = compressor_create(&compressor, &d->compressor);
	if (!error && d->keeper && is_new) {
		keeper_keep(d->keeper, KEPT_TABLES, 0, kept.tables);
		keeper_keep(d->keeper, KEPT_SEGMENTS, 0, kept.segments);
	}

	if (error)
		die(1, "cannot make the compressor: %s", strerror(-error));
}

/* --strict-files is a promise: it is kept, or there is no daemon. */
static void
create_strict(struct daemon *d)
{
	int error = d->options.strict_files ? vnode_strict_create(d) : 0;

	if (error == -EPERM)
		die(1, "--strict-files needs root (CAP_SYS_ADMIN)");
	if (error == -EINVAL || error == -ENOSYS)
		die(1, "--strict-files needs a kernel that announces accesses to files "
		       "(FAN_PRE_ACCESS of fanotify(7), Linux 6.14)");
	if (error)
		die(1, "--strict-files: %s", strerror(-error));
}

static int
create_frames(struct daemon *d)
{
	int error = frames_create(d, (uint32_t)store_share_least(d));

	if (!error)
		error = refaults_create(&d->refaults, d->frames.rows);
	refaults_size(&d->refaults, load_relaxed(&d->frames.size));
	return error;
}

/* The threads that make work for the others. */
static void
create_control(struct daemon *d)
{
	char message[512] = "";
	int error = control_create(d, message, sizeof(message));

	if (error)
		die(1, "%s", message[0] ? message : strerror(-error));
	error = memorystatus_create(d);
	if (!error)
		error = memorystatus_start(d);
	if (!error && d->options.host_pressure)
		error = host_watch_start(d);
	if (!error)
		error = jobs_start(d, control_job_finished, d);
	if (!error)
		error = watch_start(d);
	if (error)
		die(1, "cannot start the jobs threads: %s", strerror(-error));
}

static const char left_by_another[] =
    "the worker before was of another build, or had other options";

/* Only now: what clients had was taken over as it was, whatever may be had from now on. */
static void
params_take_over(struct daemon *d)
{
	kept_params_apply(d);
	pageq_lock(d);
	frames_params_refresh(d);
	exact_resize_locked(d);
	pageq_unlock(d);
}

/* Another program may not have it. */
static void
policy_take_over(struct daemon *d, struct task *task)
{
	const char *text = kept_policy_noted(d, task);
	int error = text ? policy_switch(d, task, text) : 0;

	if (error)
		log_warning_limited(
		    "policy %s was chosen, and this program cannot go on with that: %s", text,
		    strerror(-error));
}

static void
policies_take_over(struct daemon *d)
{
	policy_take_over(d, NULL);
	for (struct successor *s = d->successors; s; s = s->next)
		policy_take_over(d, s->task);
}

/* What a worker leaves to another one, and what that is made with. */
static void
create_tables(struct daemon *d)
{
	int error = stats_create(&d->stats, shard_count(d));

	pulse_create(&d->pulse);
	named_table_create(d);
	ports_create(d);
	if (!error)
		error = bells_create(&d->bells, seat_count(d), d->server_count);
	if (!error)
		error = shared_table_create(d);
	if (!error)
		error = watch_create(d);
	if (!error)
		error = task_table_create(d);
	if (!error)
		error = object_table_create(d);
	if (!error)
		error = kept_objects_create(d);
	if (!error)
		error = kept_params_create(d);
	if (!error)
		error = kept_processes_create(d);
	if (!error)
		error = kept_groups_create(d);
	if (!error)
		error = kept_policy_create(d);
	if (!error)
		error = vnodes_create(d);
	if (!error)
		error = returns_create(d);
	if (!error)
		error = slots_create(d);
	if (!error)
		error = create_frames(d);
	if (error)
		die(1, "cannot make the tables: %s",
		    error == -EPROTO ? left_by_another : strerror(-error));
	pageq_init(&d->pageq);
	error = policies_create(d, d->options.policy);
	if (error)
		die(2, "--policy %s: %s", d->options.policy,
		    error == -ENOENT ? "no such policy" : "bad parameters");
	create_compressor(d);
}

static void
create_parts(struct daemon *d)
{
	char message[512] = "";
	int error = 0;

	upgrade_list_begin(d);
	create_tables(d);
	upgrade_list_end(d, arena_bytes(d));
	if (!d->options.no_swap && swapspace_create(d, message, sizeof(message)) != 0)
		die(1, "%s", message);
	create_strict(d);
	if (devices_create(d, message, sizeof(message)) != 0)
		die(1, "%s", message);
	if (side_create(d) != 0)
		die(1, "no memory for side lanes");
	if (park_create(d) != 0)
		die(1, "no memory for parked faults");
	if (closer_create(d) != 0 ||
	    stop_create(d, control_name_remove, options_are_private()) != 0)
		die(1, "cannot start the threads that close descriptors");
	if (takeover_begin(d, message, sizeof(message)) != 0)
		die(1, "%s", message);
	params_take_over(d);
	policies_take_over(d);
	check_left(d);
	zap_init(d);
	pins_start(d);
	latency_init(d);
	error = trace_create(d);
	if (!error)
		error = profiles_create(d);
	if (!error)
		error = prefetch_create(d);
	if (!error)
		error = refuser_start(d);
	if (!error)
		error = fault_servers_start(d);
	if (!error)
		error = pageout_start(d);
	if (!error)
		error = writeback_start(d);
	if (!error)
		error = cleaner_start(d);
	if (!error)
		error = announced_start(d);
	if (!error)
		error = willneed_start(d);
	if (!error)
		error = foreseen_start(d);
	if (error)
		die(1, "cannot start: %s", strerror(-error));
	create_control(d);
}

/* All that touch pages have come to the end of what they were doing. */
static void
threads_stop(struct daemon *d)
{
	duties_stop(d);
	jobs_stop(d);
	host_watch_stop(d);
	memorystatus_stop(d);
	fault_servers_stop(d);
	willneed_stop(d);
	foreseen_stop(d);
	announced_stop(d);
	refuser_stop(d);
	cleaner_stop(d);
	pageout_stop(d);
	writeback_stop(d);
	trace_stop(d);
	watch_stop(d);
}

static void
destroy_parts(struct daemon *d)
{
	threads_stop(d);
	/* All threads but the closers have been waited for. */
	stop_end(d);
	control_destroy(d);
	latency_fini(d);
	jobs_fini(d);
	fault_servers_fini(d);
	refuser_fini(d);
	pageout_fini(d);
	writeback_fini(d);
	willneed_fini(d);
	foreseen_fini(d);
	profiles_destroy(d);
	announced_fini(d);
	cleaner_fini(d);
	prefetch_destroy(d);
	trace_destroy(d);
	memorystatus_fini(d);
	park_destroy(d);
	devices_destroy(d);
	task_table_destroy(d);
	compressor_destroy(d->compressor);
	if (d->swap)
		swap_destroy(d->swap);
	if (options_are_private())
		listen_directory_remove(&d->options);
	side_destroy(d);
	policies_destroy(d);
	pageq_fini(&d->pageq);
	watch_destroy(d);
	refaults_destroy(&d->refaults);
	pins_stop(d);
	frames_destroy(d);
	slots_destroy(d);
	named_table_destroy(d);
	ports_destroy(d);
	shared_table_destroy(d);
	vnodes_destroy(d);
	returns_destroy(d);
	kept_objects_destroy(d);
	kept_params_destroy(d);
	kept_processes_destroy(d);
	kept_groups_destroy(d);
	kept_policy_destroy(d);
	object_table_destroy(d);
	/* Closers that are in a call that does not come back still use the rest of the memory. */
	if (!closer_stop(d))
		_exit(0);
	bells_destroy(&d->bells);
	stats_destroy(&d->stats);
}

static void
sizes_find(struct daemon *d)
{
	d->page_bytes = d->options.page_bytes;
	d->hw_bytes = (size_t)sysconf(_SC_PAGESIZE);
	d->page_shift = (unsigned)__builtin_ctzl(d->page_bytes);
	cpus_find(&d->cpus);
	d->server_count =
	    param(d, fault_servers) ? (unsigned)param(d, fault_servers) : d->cpus.count;
	d->worker_count =
	    param(d, pageout_workers) ? (unsigned)param(d, pageout_workers) : d->cpus.count;
}

/* --arenas: makes the tables as a worker does, says what they are, and ends with them. */
static void NORETURN
tell_arenas(struct daemon *d)
{
	struct keeper_link nobody = { .channel = -1, .store = -1 };

	d->keeper = &nobody;
	d->loop_thread = pthread_self();
	sizes_find(d);
	upgrade_list_begin(d);
	create_tables(d);
	upgrade_list_end(d, arena_bytes(d));
	fputs(d->arenas, stdout);
	/* The tables end with the process. */
	_exit(standard_finish("pagerd", 0));
}

/* The daemon itself: this process, or a worker of the keeper's. => its exit status */
static int
serve(struct keeper_link *link, void *context)
{
	char message[512] = "";
	struct daemon *d = context;
	bool only_root;

	d->keeper = link;
	d->loop_thread = pthread_self();
	only_root = options_choose_access(&d->options);
	if (uffd_probe(&d->uffd_device, message, sizeof(message)) != 0)
		die(1, "%s", message);
	sizes_find(d);
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
	control_take_over(d);
	control_run(d);
	if (control_hands_over(d)) {
		/* Nothing is taken apart: the next worker goes on with all of it. */
		threads_stop(d);
		log_limits_tell(true);
		_exit(0);
	}
	destroy_parts(d);
	log_limits_tell(true);
	close(d->uffd_device);
	free(d);
	return 0;
}

/* A copy, since the texts are taken apart. */
static char **
arguments_copy(int argc, char **argv)
{
	char **copy = calloc((size_t)argc + 1, sizeof(*copy));

	for (int i = 0; copy && i < argc; i++) {
		copy[i] = strdup(argv[i]);
		if (!copy[i])
			return NULL;
	}
	return copy;
}

/* A program that a keeper has started. => the exit status */
static int
work_for_keeper(struct daemon *d, int argc)
{
	static struct keeper_link link;
	int error = keeper_link_open(d->options.worker_table, &link);

	if (error)
		die(2, "--worker is for the keeper, which starts its workers with it: %s",
		    strerror(-error));
	/* The keeper has put two behind those of the daemon. */
	free(d->options.arguments[argc - 2]);
	free(d->options.arguments[argc - 1]);
	d->options.arguments[argc - 2] = NULL;
	return serve(&link, d);
}

/* The service manager is the keeper. => the exit status */
static int
work_with_store(struct daemon *d)
{
	static struct keeper_link link;
	int error = manager_open(&link);

	if (error)
		die(1,
		    "the service manager's store of descriptors ($NOTIFY_SOCKET) cannot be "
		    "used: %s",
		    strerror(-error));
	return serve(&link, d);
}

int
main(int argc, char **argv)
{
	/* The keeper has both to its end. */
	static char **arguments;
	static struct daemon *d;

	standard_open("pagerd");
	d = calloc(1, sizeof(*d));
	arguments = arguments_copy(argc, argv);
	if (!d || !arguments)
		die(1, "no memory");
	params_init(&d->params);
	if (getenv("PAGERD_FAIL") && failpt_arm(getenv("PAGERD_FAIL")) != 0)
		die(2, "PAGERD_FAIL: no such fail point, or not NAME:after[:times]");
	options_parse(d, argc, argv);
	log_set_level(d->options.log_level);
	d->options.arguments = arguments;
	if (d->options.tell_arenas)
		tell_arenas(d);
	if (d->options.worker_table >= 0)
		return work_for_keeper(d, argc);
	if (d->options.is_stored)
		return work_with_store(d);
	return d->options.keeper
		   ? keeper_run(&(struct keeper_config){ serve, d, d->options.arguments })
		   : serve(NULL, d);
}
