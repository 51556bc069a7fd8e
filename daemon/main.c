/* SPDX-License-Identifier: MIT
 *
 * pagerd: options, privileges, start and stop order.
 */
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <grp.h>
#include <limits.h>
#include <stdarg.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/closer.h"
#include "control/control.h"
#include "control/stop.h"
#include "failpt.h"
#include "fault/fault.h"
#include "control/jobs.h"
#include "pageout/pageout.h"
#include "pmap/uffd.h"
#include "size.h"
#include "standard.h"
#include "record/recorder.h"
#include "pageq/pageq.h"
#include "region/prefetch.h"
#include "watch/watcher.h"

static const char usage_text[] =
    "usage: pagerd [options]\n"
    "  --socket PATH          where clients connect (default $XDG_RUNTIME_DIR/pagerd.sock, root: "
    "/run/pagerd/pagerd.sock)\n"
    "  --socket-mode MODE     who may connect, octal (default 0660 as root with a group pagerd, "
    "else 0600)\n"
    "  --memory SIZE          memory to hold, as 64M or 2G (default a quarter of RAM)\n"
    "  --swap-dir DIR         where swap files are made (default /var/lib/pagerd, or under the "
    "user's state directory)\n"
    "  --swap-max SIZE        most space that swap files may take (default no limit)\n"
    "  --no-swap              compress only\n"
    "  --page-size SIZE       4K (default), 16K or 64K\n"
    "  --policy NAME[:params] page-out policy or default (mach2q, its inactive target adapting)\n"
    "  --config FILE          parameters, `name = value` lines (see pagerctl param list)\n"
    "  --param NAME=VALUE     one parameter; may be repeated\n"
    "  --log-level LEVEL      error, warning, notice (default), info or debug\n"
    "  --fail SPEC            arm fail points, for tests: NAME:after[:times][,...]\n"
    "  --version, --help\n";

#define SOCKET_GROUP        "pagerd"
#define SOCKET_MODE_DEFAULT ((mode_t)-1) /* nobody has said anything */

static void NORETURN PRINTF_LIKE(2, 3) die(int status, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	fputs("pagerd: ", stderr);
	vfprintf(stderr, fmt, args);
	fputc('\n', stderr);
	va_end(args);
	exit(status);
}

static uint64_t
size_option(const char *name, const char *text)
{
	uint64_t bytes;
	int error = size_parse(text, &bytes);

	if (error)
		die(2, "%s wants a size such as 64M or 2G, not \"%s\"%s", name, text,
		    error == -ERANGE ? " (which no machine has)" : "");
	return bytes;
}

static mode_t
mode_option(const char *text)
{
	char *end;
	unsigned long mode = strtoul(text, &end, 8);

	if (!isdigit((unsigned char)text[0]) || *end || mode > 0777)
		die(2, "--socket-mode wants an octal mode such as 0660, not \"%s\"", text);
	return (mode_t)mode;
}

static char *
path_option(const char *name, char *text)
{
	if (text[0] == '\0')
		die(2, "%s wants a path, not \"\"", name);
	return text;
}

static char *
default_path(const char *root_path, const char *variable, const char *fallback, const char *name)
{
	const char *base = getenv(variable), *home = getenv("HOME");
	char path[PATH_MAX];

	if (geteuid() == 0)
		return strdup(root_path);
	if (base)
		snprintf(path, sizeof(path), "%s/%s", base, name);
	else
		snprintf(path, sizeof(path), "%s%s/%s", home ? home : "/tmp", fallback, name);
	return strdup(path);
}

static void
set_param(struct daemon *d, char *text)
{
	char *value = strchr(text, '=');
	int error;

	if (!value)
		die(2, "--param wants NAME=VALUE, not \"%s\"", text);
	*value++ = '\0';
	error = param_set(&d->params, text, value);
	if (error)
		die(2, "--param %s=%s: %s (pagerctl param list shows all)", text, value,
		    error == -ENOENT   ? "no such parameter"
		    : error == -ERANGE ? "out of range"
				       : "not a number");
}

enum {
	SOCKET = 256,
	SOCKET_MODE,
	MEMORY,
	SWAP_DIR,
	SWAP_MAX,
	NO_SWAP,
	PAGE_SIZE,
	POLICY,
	CONFIG,
	PARAMETER,
	LOG_LEVEL,
	FAIL,
	VERSION,
	HELP
};

static void
parse_one(struct daemon *d, int option, char *argument)
{
	struct options *o = &d->options;
	char message[512];
	int error;

	switch (option) {
	case SOCKET:
		o->socket_path = path_option("--socket", argument);
		break;
	case SOCKET_MODE:
		o->socket_mode = mode_option(argument);
		break;
	case MEMORY:
		o->memory_bytes = size_option("--memory", argument);
		break;
	case SWAP_DIR:
		if (argument[0] == '\0')
			die(2, "--swap-dir wants a directory, not \"\" (leave it out for the "
			       "default, or say --no-swap)");
		o->swap_directory = argument;
		break;
	case SWAP_MAX:
		o->swap_max_bytes = size_option("--swap-max", argument);
		if (o->swap_max_bytes == 0)
			die(2, "--swap-max 0 leaves no room for a swap file (say --no-swap for no "
			       "swap, or leave it out for no limit)");
		break;
	case NO_SWAP:
		o->no_swap = true;
		break;
	case PAGE_SIZE:
		o->page_bytes = size_option("--page-size", argument);
		if (o->page_bytes != 4096 && o->page_bytes != 16384 && o->page_bytes != 65536)
			die(2, "--page-size is 4K, 16K or 64K, not \"%s\"", argument);
		break;
	case POLICY:
		o->policy = argument;
		break;
	case CONFIG:
		error = params_load(&d->params, argument, message, sizeof(message));
		if (error)
			die(2, "%s", message);
		break;
	case PARAMETER:
		set_param(d, argument);
		break;
	case LOG_LEVEL:
		if (log_level_parse(argument, &o->log_level) != 0)
			die(2, "--log-level is error, warning, notice, info or debug, not \"%s\"",
			    argument);
		break;
	case FAIL:
		if (failpt_arm(argument) != 0)
			die(2, "--fail %s: no such fail point, or not NAME:after[:times]",
			    argument);
		break;
	case VERSION:
		puts("pagerd " PAGERD_VERSION);
		exit(standard_finish("pagerd", 0));
	case HELP:
		fputs(usage_text, stdout);
		exit(standard_finish("pagerd", 0));
	default:
		fputs(usage_text, stderr);
		exit(2);
	}
}

static void
check_memory(struct options *o)
{
	uint64_t ram = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
	char given[32], there[32];

	if (!o->memory_bytes)
		o->memory_bytes = ram / 4;
	if (o->memory_bytes / o->page_bytes < 512)
		die(2, "--memory must be at least 512 pages (%s)",
		    size_format(o->page_bytes * 512, there, sizeof(there)));
	if (o->memory_bytes > ram)
		die(2,
		    "--memory %s is more than this machine has (%s): pages that do not fit go to "
		    "swap by themselves",
		    size_format(o->memory_bytes, given, sizeof(given)),
		    size_format(ram, there, sizeof(there)));
}

static void
parse_options(struct daemon *d, int argc, char **argv)
{
	static const struct option options[] = {
		{ "socket", required_argument, NULL, SOCKET },
		{ "socket-mode", required_argument, NULL, SOCKET_MODE },
		{ "memory", required_argument, NULL, MEMORY },
		{ "swap-dir", required_argument, NULL, SWAP_DIR },
		{ "swap-max", required_argument, NULL, SWAP_MAX },
		{ "no-swap", no_argument, NULL, NO_SWAP },
		{ "page-size", required_argument, NULL, PAGE_SIZE },
		{ "policy", required_argument, NULL, POLICY },
		{ "config", required_argument, NULL, CONFIG },
		{ "param", required_argument, NULL, PARAMETER },
		{ "log-level", required_argument, NULL, LOG_LEVEL },
		{ "fail", required_argument, NULL, FAIL },
		{ "version", no_argument, NULL, VERSION },
		{ "help", no_argument, NULL, HELP },
		{ 0 },
	};
	struct options *o = &d->options;
	int option;

	o->log_level = LOG_NOTICE;
	o->socket_mode = SOCKET_MODE_DEFAULT;
	o->page_bytes = 4096;
	o->policy = (char *)(uintptr_t) "default";
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
		parse_one(d, option, optarg);
	if (optind < argc)
		die(2, "unexpected argument \"%s\" (try --help)", argv[optind]);
	if (!o->socket_path)
		o->socket_path =
		    default_path(PAGER_SOCKET_SYSTEM, "XDG_RUNTIME_DIR", "", PAGER_SOCKET_USER);
	if (!o->swap_directory && !o->no_swap)
		o->swap_directory =
		    default_path("/var/lib/pagerd", "XDG_STATE_HOME", "/.local/state", "pagerd");
	check_memory(o);
}

/* Who may connect gets an open /dev/userfaultfd, with which he can stop the kernel in the middle of
 * its own accesses to his memory: not for everybody, unless somebody says so. => root alone may
 * connect, and nobody has asked for that */
static bool
choose_access(struct options *o)
{
	const struct group *group = geteuid() == 0 ? getgrnam(SOCKET_GROUP) : NULL;
	bool chosen = o->socket_mode != SOCKET_MODE_DEFAULT;

	o->socket_group = group ? group->gr_gid : (gid_t)-1;
	if (!chosen)
		o->socket_mode = group ? 0660 : 0600;
	return geteuid() == 0 && !group && !chosen;
}

/* The daemon must not page-fault on its own tables. Without CAP_IPC_LOCK a finite RLIMIT_MEMLOCK
 * would refuse the tables once the process is locked, for it counts address space, of which the
 * daemon has several times its memory: whether it applies shows at a mapping beyond it. */
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

/* Best effort, told once: the daemon must not page-fault on its own tables, nor run out of
 * descriptors. */
static void
prepare_process(void)
{
	/* None of these is a wish to end, and the clients' memory ends with the daemon: the
	 * terminal was closed, a reader of the log or of a recording has gone, a line goes to a
	 * terminal with tostop, a file is at its limit (then write says EFBIG), somebody takes us
	 * for another program. */
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

/* Address space, not memory: each segment in core has a whole chunk of it, however little is left
 * in it. Several times the memory, so that sparse segments do not use it up before they are
 * merged. */
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

	if (!error)
		error = bells_create(&d->bells, seat_count(d), d->server_count);
	if (!error)
		error = watch_create(d);
	if (!error)
		error = task_table_create(d);
	if (!error)
		error = object_table_create(d);
	if (!error)
		error = slots_create(d);
	if (!error)
		error = frames_create(d, (uint32_t)store_share_least(d));
	if (error)
		die(1, "cannot make the tables: %s", strerror(-error));
	error = pageq_create(d, d->options.policy);
	if (error)
		die(2, "--policy %s: %s", d->options.policy,
		    error == -ENOENT ? "no such policy" : "bad parameters");
	create_storage(d);
	if (frame_wait_create(d) != 0)
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
	prefetch_destroy(d);
	trace_destroy(d);
	frame_wait_destroy(d);
	task_table_destroy(d);
	compressor_destroy(d->compressor);
	if (d->swap)
		swap_destroy(d->swap);
	pageq_destroy(d);
	watch_destroy(d);
	frames_destroy(d);
	slots_destroy(d);
	object_table_destroy(d);
	/* Those who are in a call that does not come back have the rest of the memory yet. */
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
	params_init(&d->params);
	if (getenv("PAGERD_FAIL") && failpt_arm(getenv("PAGERD_FAIL")) != 0)
		die(2, "PAGERD_FAIL: no such fail point, or not NAME:after[:times]");
	parse_options(d, argc, argv);
	log_set_level(d->options.log_level);
	only_root = choose_access(&d->options);
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
		log_notice("there is no group " SOCKET_GROUP
			   ": root alone may connect to %s. Make the group, or "
			   "choose a --socket-mode (pagerd(8) tells what 0666 means)",
		    d->options.socket_path);
	printf("pagerd: ready on %s\n", d->options.socket_path);
	/* Who closed it, or filled the disk behind it, does not wait for the line. */
	fflush(stdout);
	control_run(d);
	destroy_parts(d);
	log_limits_tell(true);
	close(d->uffd_device);
	free(d);
	return 0;
}
