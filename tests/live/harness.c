/* SPDX-License-Identifier: MIT */
#include "harness.h"

#include <dirent.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "threads.h"

#define CHILDREN_MAX  1024
#define ARGUMENTS_MAX 64

uint64_t live_seed;
static uint64_t scale = 100;
static const char *pagerd_program, *pagerctl_program;
static pid_t first_process;
static pid_t children[CHILDREN_MAX];                     /* clients; the daemon */
static char directories_left[2][128];                    /* to be removed at the end */
static char *const directory_left = directories_left[0]; /* the daemon's */
static pid_t daemon_pid;
static struct live *current; /* for show_state and the alarm; NULL: no daemon */

/* A test that makes no progress for so long hangs; one that does may take ten times as long, on a
 * slow or busy machine. */
#define PATIENCE_TIMES 10u
#define LOOK_S         5u
static unsigned patience_s; /* LIVE_TIMEOUT */

/* --- ways out --- */

static void
remove_directory(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *e;
	char name[512];

	while (dir && (e = readdir(dir)) != NULL) {
		if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
			continue;
		snprintf(name, sizeof(name), "%s/%s", path, e->d_name);
		if (unlink(name) < 0)
			remove_directory(name);
	}
	if (dir)
		closedir(dir);
	rmdir(path);
}

static void
remove_directories(void)
{
	for (int i = 0; i < 2 && !getenv("LIVE_KEEP"); i++)
		if (directories_left[i][0])
			remove_directory(directories_left[i]);
}

static void
kill_all(void)
{
	for (int i = 0; i < CHILDREN_MAX; i++) {
		if (children[i] > 0)
			kill(children[i], SIGKILL);
		children[i] = 0;
	}
}

static void
at_end(void)
{
	if (getpid() != first_process)
		return;
	kill_all();
	remove_directories();
}

static void
show_file(const char *path, const char *title)
{
	char text[8192];
	ssize_t n;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	lseek(fd, -(off_t)sizeof(text), SEEK_END);
	n = read(fd, text, sizeof(text));
	close(fd);
	if (n > 0)
		fprintf(stderr, "--- %s\n%.*s---\n", title, (int)n, text);
}

static bool
show_thread(pid_t pid, pid_t thread, void *argument)
{
	static const char *const files[] = { "comm", "wchan", "syscall" };
	char text[256];

	(void)argument;
	fprintf(stderr, "  %d", (int)thread);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		thread_file_read(pid, thread, files[i], text, sizeof(text));
		fprintf(stderr, " %s", text);
	}
	fputc('\n', stderr);
	return true;
}

static void
show_state(void)
{
	static int64_t values[512];
	char path[200];

	if (!directory_left[0])
		return;
	if (current && current->pid && current->stats.header &&
	    statread_snapshot(&current->stats, values) == 0) {
		fprintf(stderr, "---");
		for (uint32_t i = 0; i < current->stats.count; i++)
			if (values[i])
				fprintf(stderr, " %s %lld", current->stats.descriptors[i].name,
				    (long long)values[i]);
		fprintf(stderr, "\n");
	}
	snprintf(path, sizeof(path), "%s/log", directory_left);
	show_file(path, "pagerd's log");
	/* What each thread of the daemon waits for. */
	if (daemon_pid)
		threads_each(daemon_pid, show_thread, NULL);
}

void
live_fail(const char *file, int line, const char *fmt, ...)
{
	va_list args;
	char text[2048];

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	fprintf(stderr, "FAILED (process %d, seed %llu): %s:%d: %s\n", (int)getpid(),
	    (unsigned long long)live_seed, file, line, text);
	if (getpid() != first_process)
		_exit(1);
	show_state();
	exit(1);
}

void
live_fail_condition(const char *file, int line, const char *condition, const char *fmt, ...)
{
	va_list args;
	char text[2048];

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	live_fail(file, line, "not: %s%s%s", condition, text[1] ? ":" : "", text[1] ? text : "");
}

/* Everything that happens in the daemon is counted somewhere. Where no daemon runs nobody can tell.
 */
static bool
makes_progress(void)
{
	static int64_t values[512], last;
	int64_t sum = 0;
	bool changed;

	if (!current || !current->pid || !current->stats.header ||
	    statread_snapshot(&current->stats, values) != 0)
		return true;
	for (uint32_t i = 0; i < current->stats.count; i++)
		if (current->stats.descriptors[i].kind == SHMSTAT_COUNTER)
			sum += values[i];
	changed = sum != last;
	last = sum;
	return changed;
}

/* Every LOOK_S seconds. => whether the test may go on */
static bool
is_patient(void)
{
	static unsigned total_s, still_s;

	total_s += LOOK_S;
	still_s = makes_progress() ? 0 : still_s + LOOK_S;
	if (still_s >= patience_s || total_s >= PATIENCE_TIMES * patience_s)
		return false;
	alarm(LOOK_S);
	return true;
}

static void
on_signal(int signal)
{
	if (getpid() != first_process)
		_exit(1);
	if (signal == SIGALRM && is_patient())
		return;
	/* Not async-signal-safe, but it is the end, and the text is worth it. */
	fprintf(stderr, "FAILED (seed %llu): %s\n", (unsigned long long)live_seed,
	    signal == SIGALRM ? "the test hangs" : "told to end");
	show_state();
	if (getenv("LIVE_PAUSE"))
		pause();
	kill_all();
	remove_directories();
	_exit(1);
}

/* --- start --- */

static uint64_t
number_from(const char *name, uint64_t fallback)
{
	const char *text = getenv(name);

	return text && *text ? strtoull(text, NULL, 0) : fallback;
}

void
live_init(int argc, char **argv)
{
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
	int fd = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);

	(void)argc;
	if (fd < 0) {
		fprintf(
		    stderr, "skipped: /dev/userfaultfd cannot be opened: %s\n", strerror(errno));
		exit(77);
	}
	close(fd);
	pagerd_program = getenv("PAGERD");
	pagerctl_program = getenv("PAGERCTL");
	if (!pagerd_program || !pagerctl_program) {
		fprintf(stderr,
		    "%s: PAGERD and PAGERCTL must name the built programs (meson test does it)\n",
		    argv[0]);
		exit(2);
	}
	first_process = getpid();
	live_seed = number_from("LIVE_SEED", 1);
	scale = number_from("LIVE_SCALE", 100);
	setvbuf(stdout, NULL, _IOLBF, 0);
	printf("seed %llu (LIVE_SEED), scale %llu%% (LIVE_SCALE)\n", (unsigned long long)live_seed,
	    (unsigned long long)scale);
	atexit(at_end);
	sigaction(SIGALRM, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	patience_s = (unsigned)number_from("LIVE_TIMEOUT", 100);
	alarm(LOOK_S);
}

uint64_t
live_scaled(uint64_t n)
{
	uint64_t scaled = n * scale / 100;

	return scaled ? scaled : 1;
}

static void
child_add(pid_t pid)
{
	for (int i = 0; i < CHILDREN_MAX; i++)
		if (children[i] == 0) {
			children[i] = pid;
			return;
		}
	FAIL("too many processes");
}

static void
child_remove(pid_t pid)
{
	for (int i = 0; i < CHILDREN_MAX; i++)
		if (children[i] == pid)
			children[i] = 0;
}

/* In the child. */
static void
daemon_exec(struct live *d, const char *memory, va_list args, int output)
{
	/* Clients of any user: for most tests who may connect is not the question. */
	const char *argv[ARGUMENTS_MAX] = { pagerd_program, "--socket", d->socket, "--memory",
		memory, "--socket-mode", "0666" };
	char swap[160], log[160];
	bool no_swap = false, own_swap = false;
	int n = 7, fd;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	snprintf(log, sizeof(log), "%s/log", d->directory);
	snprintf(swap, sizeof(swap), "%s/swap", d->directory);
	fd = open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	dup2(output, STDOUT_FILENO);
	if (fd >= 0)
		dup2(fd, STDERR_FILENO);
	while (n < ARGUMENTS_MAX - 4 && (argv[n] = va_arg(args, const char *)) != NULL) {
		no_swap |= strcmp(argv[n], "--no-swap") == 0;
		own_swap |= strcmp(argv[n], "--swap-dir") == 0;
		n++;
	}
	if (!no_swap && !own_swap) {
		argv[n++] = "--swap-dir";
		argv[n++] = swap;
	}
	argv[n] = NULL;
	signal(SIGALRM, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	signal(SIGINT, SIG_DFL);
	execv(argv[0], (char *const *)(uintptr_t)argv);
	dprintf(output, "cannot start %s: %s\n", argv[0], strerror(errno));
	_exit(127);
}

static void
wait_ready(int output)
{
	char text[1024];
	size_t used = 0;

	for (;;) {
		ssize_t got = read(output, text + used, sizeof(text) - 1 - used);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			FAIL("pagerd ended before it was ready: %.*s", (int)used, text);
		used += (size_t)got;
		text[used] = '\0';
		if (strstr(text, "pagerd: ready on "))
			return;
	}
}

static void
tool_connect(struct live *d)
{
	struct pager_rep_hello hello;

	chan_init(&d->chan);
	OK(chan_open(&d->chan, d->socket));
	OK(chan_hello(&d->chan, PAGER_ROLE_TOOL, "live-test", &hello, NULL));
	EQ(hello.daemon_pid, d->pid);
	d->page_bytes = hello.page_size;
	OK(statread_open(&d->chan, &d->stats));
	d->memory_bytes = (uint64_t)live_stat(d, "total") * d->page_bytes;
}

static void
directory_make(char *path, size_t path_size, char *left)
{
	const char *where = getenv("LIVE_DIR");

	snprintf(path, path_size, "%s/pagerd-live.XXXXXX", where ? where : "/var/tmp");
	REQUIRE(mkdtemp(path), "%s: %s", path, strerror(errno));
	REQUIRE(chmod(path, 0711) == 0, "%s", strerror(errno));
	snprintf(left, sizeof(directories_left[0]), "%s", path);
}

void
live_directory_make(char *path, size_t path_size)
{
	directory_make(path, path_size, directories_left[1]);
}

void
live_start(struct live *d, const char *memory, ...)
{
	va_list args;
	int output[2];

	memset(d, 0, sizeof(*d));
	current = d;
	directory_make(d->directory, sizeof(d->directory), directories_left[0]);
	snprintf(d->socket, sizeof(d->socket), "%s/socket", d->directory);
	REQUIRE(pipe2(output, O_CLOEXEC) == 0, "%s", strerror(errno));
	fflush(NULL);
	va_start(args, memory);
	d->pid = fork();
	if (d->pid == 0)
		daemon_exec(d, memory, args, output[1]);
	va_end(args);
	REQUIRE(d->pid > 0, "%s", strerror(errno));
	child_add(d->pid);
	daemon_pid = d->pid;
	close(output[1]);
	wait_ready(output[0]);
	close(output[0]);
	tool_connect(d);
}

/* --- the daemon while it runs --- */

static void
must_be_alive(struct live *d)
{
	int status;

	if (d->pid && waitpid(d->pid, &status, WNOHANG) == d->pid) {
		child_remove(d->pid);
		daemon_pid = 0;
		FAIL("pagerd ended: %s %d", WIFSIGNALED(status) ? "signal" : "status",
		    WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
	}
}

/* A client that has failed ends the test at once, whichever of them is waited for. */
static void
clients_must_be_well(void)
{
	for (int i = 0; i < CHILDREN_MAX; i++) {
		siginfo_t info = { 0 };

		if (children[i] <= 0 || children[i] == daemon_pid)
			continue;
		if (waitid(P_PID, (id_t)children[i], &info, WEXITED | WNOHANG | WNOWAIT) < 0 ||
		    info.si_pid == 0)
			continue;
		if (info.si_code != CLD_EXITED)
			FAIL("client %d was ended by signal %d (%s)", (int)children[i],
			    info.si_status, strsignal(info.si_status));
		if (info.si_status != 0)
			FAIL("client %d ended with status %d", (int)children[i], info.si_status);
	}
}

void
live_tick(struct live *d)
{
	/* Clients wait for events too; only the first process may wait for processes. */
	if (getpid() == first_process) {
		must_be_alive(d);
		clients_must_be_well();
	}
	usleep(1000);
}

static int
stat_row(struct live *d, const char *name)
{
	int row = statread_find(&d->stats, name);

	REQUIRE(row >= 0, "no statistic \"%s\"", name);
	return row;
}

/* A daemon that is starved of CPU in the middle of a change is not an error: again. */
static void
snapshot(struct live *d, int64_t *values)
{
	int r;

	while ((r = statread_snapshot(&d->stats, values)) == -EAGAIN)
		live_tick(d);
	OK(r);
}

void
live_stats(struct live *d, const char *const *names, size_t count, int64_t *ret)
{
	int64_t values[512];

	REQUIRE(d->stats.count <= 512, "many statistics");
	snapshot(d, values);
	for (size_t i = 0; i < count; i++)
		ret[i] = values[stat_row(d, names[i])];
}

int64_t
live_stat(struct live *d, const char *name)
{
	int64_t value;

	live_stats(d, &name, 1, &value);
	return value;
}

void
live_rest(struct live *d)
{
	uint64_t before;

	WAIT_UNTIL(
	    d, (before = threads_asleep(d->pid, 0)) != 0 && threads_asleep(d->pid, 0) == before);
}

static const char *const queue_names[] = { "free", "active", "inactive", "laundry", "wired",
	"speculative", "compressor" };

uint64_t
live_held_bytes(struct live *d)
{
	char path[64], name[400], target[128];
	uint64_t bytes = 0;
	struct dirent *e;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)d->pid);
	dir = opendir(path);
	REQUIRE(dir, "%s: %s", path, strerror(errno));
	while ((e = readdir(dir)) != NULL) {
		struct stat st;
		ssize_t n;

		snprintf(name, sizeof(name), "%s/%s", path, e->d_name);
		n = readlink(name, target, sizeof(target) - 1);
		if (n < 0)
			continue;
		target[n] = '\0';
		if (strncmp(target, "/memfd:pagerd-object", 20) != 0 &&
		    strncmp(target, "/memfd:pagerd-compressor", 24) != 0)
			continue;
		if (stat(name, &st) == 0)
			bytes += (uint64_t)st.st_blocks * 512;
	}
	closedir(dir);
	return bytes;
}

/* Stopped, the daemon moves no page: what its memfds hold is one instant's truth. */
static void
sample_exact(struct live *d)
{
	siginfo_t info = { 0 };
	uint64_t held;

	kill(d->pid, SIGSTOP);
	while (
	    waitid(P_PID, (id_t)d->pid, &info, WSTOPPED | WEXITED | WNOWAIT) < 0 && errno == EINTR)
		continue;
	if (info.si_code != CLD_STOPPED)
		must_be_alive(d);
	waitid(P_PID, (id_t)d->pid, &info, WSTOPPED);
	held = live_held_bytes(d);
	kill(d->pid, SIGCONT);
	if (held > d->held_peak)
		d->held_peak = held;
	REQUIRE(held <= d->memory_bytes, "the daemon holds %llu bytes, --memory is %llu",
	    (unsigned long long)held, (unsigned long long)d->memory_bytes);
	d->exact_samples++;
}

void
live_sample(struct live *d, bool exact)
{
	int64_t values[512], sum = 0;
	char text[256] = "";

	must_be_alive(d);
	snapshot(d, values);
	for (size_t i = 0; i < sizeof(queue_names) / sizeof(queue_names[0]); i++) {
		int64_t value = values[stat_row(d, queue_names[i])];

		sum += value;
		snprintf(text + strlen(text), sizeof(text) - strlen(text), " %s %lld",
		    queue_names[i], (long long)value);
		REQUIRE(value >= 0, "queue %s is %lld", queue_names[i], (long long)value);
	}
	if (sum != values[stat_row(d, "total")])
		FAIL("queues sum to %lld, total is %lld:%s", (long long)sum,
		    (long long)values[stat_row(d, "total")], text);
	d->samples++;
	if (exact)
		sample_exact(d);
}

int
live_pagerctl(struct live *d, char *text, size_t text_size, ...)
{
	const char *argv[ARGUMENTS_MAX] = { pagerctl_program, "--socket", d->socket };
	int n = 3, output[2], status;
	size_t used = 0;
	va_list args;
	ssize_t got;
	pid_t pid;

	va_start(args, text_size);
	while (n < ARGUMENTS_MAX - 1 && (argv[n] = va_arg(args, const char *)) != NULL)
		n++;
	va_end(args);
	REQUIRE(pipe2(output, O_CLOEXEC) == 0, "%s", strerror(errno));
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		dup2(output[1], STDOUT_FILENO);
		dup2(output[1], STDERR_FILENO);
		execv(argv[0], (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	REQUIRE(pid > 0, "%s", strerror(errno));
	close(output[1]);
	while (used + 1 < text_size &&
	       (got = read(output[0], text + used, text_size - 1 - used)) != 0) {
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			break;
		used += (size_t)got;
	}
	text[used] = '\0';
	close(output[0]);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		continue;
	REQUIRE(WIFEXITED(status), "pagerctl %s: signal %d", argv[3], WTERMSIG(status));
	return WEXITSTATUS(status);
}

void
live_check(struct live *d)
{
	char text[4096];
	int status = live_pagerctl(d, text, sizeof(text), "check", NULL);

	if (status != 0)
		FAIL("pagerctl check: status %d\n%s", status, text);
}

static void
debug_call(
    struct live *d, enum pager_debug_op op, const char *argument, struct pager_rep_debug *reply)
{
	struct pager_req_debug request = { .op = op };
	struct chan_call call = { CHAN_CALL(DEBUG, &request, reply) };

	snprintf(request.argument, sizeof(request.argument), "%s", argument ? argument : "");
	OK(chan_exchange(&d->chan, &call));
}

void
live_debug_fail(struct live *d, const char *spec)
{
	struct pager_rep_debug reply;

	debug_call(d, spec ? PAGER_DEBUG_FAIL_ARM : PAGER_DEBUG_FAIL_DISARM, spec, &reply);
}

uint64_t
live_fail_count(struct live *d, const char *name)
{
	struct pager_rep_debug reply;
	char *line;

	debug_call(d, PAGER_DEBUG_SHOW, NULL, &reply);
	reply.text[sizeof(reply.text) - 1] = '\0';
	line = strstr(reply.text, name);
	REQUIRE(line, "no fail point %s", name);
	return strtoull(line + strlen(name), NULL, 10);
}

void
live_limit(struct live *d, pid_t pid, uint64_t bytes)
{
	struct pager_req_limit request = { .pid = (uint32_t)pid, .bytes = bytes };
	struct pager_rep_limit reply;
	struct chan_call call = { CHAN_CALL(LIMIT, &request, &reply) };

	OK(chan_exchange(&d->chan, &call));
}

void
live_param(struct live *d, const char *name, const char *value)
{
	struct pager_req_param request = { .set = 1 };
	struct pager_rep_param reply;
	struct chan_call call = { CHAN_CALL(PARAM, &request, &reply) };

	snprintf(request.name, sizeof(request.name), "%s", name);
	snprintf(request.value, sizeof(request.value), "%s", value);
	OK(chan_exchange(&d->chan, &call));
}

static unsigned
log_count(struct live *d, const char *text, bool left_out)
{
	char path[160], line[4096];
	unsigned count = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s/log", d->directory);
	f = fopen(path, "re");
	REQUIRE(f, "%s: %s", path, strerror(errno));
	while (fgets(line, sizeof(line), f)) {
		const char *more = strchr(line, '(');
		unsigned n = 1;

		if (!strstr(line, text))
			continue;
		if (left_out && (!more || sscanf(more, "(%u more like this", &n) != 1))
			n = 1;
		count += n;
	}
	fclose(f);
	return count;
}

unsigned
live_log_count(struct live *d, const char *text)
{
	return log_count(d, text, false);
}

unsigned
live_log_told(struct live *d, const char *text)
{
	return log_count(d, text, true);
}

/* --- the end --- */

static void
tool_disconnect(struct live *d)
{
	/* The alarm may come later than `d` lives. */
	current = NULL;
	statread_close(&d->stats);
	chan_close(&d->chan);
}

static void
reap_daemon(struct live *d)
{
	int status;

	while (waitpid(d->pid, &status, 0) < 0 && errno == EINTR)
		continue;
	child_remove(d->pid);
	daemon_pid = 0;
	d->pid = 0;
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		FAIL("pagerd's end: %s %d", WIFSIGNALED(status) ? "signal" : "status",
		    WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
}

static void
require_clean_log(struct live *d)
{
	static const char *const bad[] = { "Sanitizer", "runtime error:", "panic", "check failed" };

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		REQUIRE(live_log_count(d, bad[i]) == 0, "the log says \"%s\"", bad[i]);
}

/* All that clients had has come back. What stays with the compressor is its credit and its open
 * segments. */
static void
require_nothing_left(struct live *d)
{
	static const char *const zero[] = { "sessions", "active", "inactive", "laundry", "wired",
		"speculative", "internal", "internal_compressed", "stored_pages", "swap_used_bytes",
		"parked" };

	for (size_t i = 0; i < sizeof(zero) / sizeof(zero[0]); i++)
		WAIT_UNTIL(d, live_stat(d, zero[i]) == 0);
	live_sample(d, true);
}

void
live_stop(struct live *d)
{
	if (!d->refuses)
		require_nothing_left(d);
	/* Recordings take mappings away without counting them as ageing. */
	WAIT_UNTIL(d, live_stat(d, "zapped") >= live_stat(d, "deactivations"));
	live_check(d);
	tool_disconnect(d);
	kill(d->pid, SIGTERM);
	reap_daemon(d);
	require_clean_log(d);
	if (!getenv("LIVE_KEEP"))
		remove_directory(d->directory);
	directory_left[0] = '\0';
	printf(
	    "daemon ended well: %llu samples, %llu of them exact, at most %llu of %llu KiB held\n",
	    (unsigned long long)d->samples, (unsigned long long)d->exact_samples,
	    (unsigned long long)d->held_peak >> 10, (unsigned long long)d->memory_bytes >> 10);
}

void
live_kill(struct live *d)
{
	int status;

	tool_disconnect(d);
	kill(d->pid, SIGKILL);
	while (waitpid(d->pid, &status, 0) < 0 && errno == EINTR)
		continue;
	child_remove(d->pid);
	daemon_pid = 0;
	d->pid = 0;
	if (!getenv("LIVE_KEEP"))
		remove_directory(d->directory);
	directory_left[0] = '\0';
}

/* --- clients --- */

pid_t
client_start_as(struct live *d, uid_t uid, client_body *body, void *argument)
{
	pid_t pid;

	fflush(NULL);
	pid = fork();
	REQUIRE(pid >= 0, "fork: %s", strerror(errno));
	if (pid > 0) {
		child_add(pid);
		return pid;
	}
	signal(SIGALRM, SIG_DFL);
	signal(SIGTERM, SIG_DFL);
	signal(SIGINT, SIG_DFL);
	if (uid && (setgroups(0, NULL) < 0 || setresgid(uid, uid, uid) < 0 ||
		       setresuid(uid, uid, uid) < 0))
		FAIL("cannot become uid %d: %s", (int)uid, strerror(errno));
	/* After the change of uid, which clears it. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	body(d, argument);
	fflush(NULL);
	_exit(0);
}

void
client_join(struct live *d, pid_t pid, bool sample)
{
	uint64_t n = 0;
	int status;
	pid_t r;

	while ((r = waitpid(pid, &status, WNOHANG)) == 0) {
		if (sample)
			live_sample(d, n++ % 8 == 0);
		live_tick(d);
	}
	REQUIRE(r == pid, "waitpid: %s", strerror(errno));
	child_remove(pid);
	if (WIFSIGNALED(status))
		FAIL("client %d was ended by signal %d (%s)", (int)pid, WTERMSIG(status),
		    strsignal(WTERMSIG(status)));
	if (WEXITSTATUS(status) != 0)
		FAIL("client %d ended with status %d", (int)pid, WEXITSTATUS(status));
}

void
client_kill(pid_t pid)
{
	int status;

	kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		continue;
	child_remove(pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) != 0)
		FAIL("client %d ended with status %d before it was killed", (int)pid,
		    WEXITSTATUS(status));
}

void
client_forget(pid_t pid)
{
	child_remove(pid);
}

void *
shared_alloc(size_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	REQUIRE(memory != MAP_FAILED, "%s", strerror(errno));
	return memory;
}

struct pager *
client_connect(struct live *d)
{
	struct pager *p;

	OK(pager_connect(d->socket, NULL, &p));
	return p;
}

void *
client_allocate(struct pager *p, size_t bytes)
{
	void *memory;

	OK(pager_allocate(p, bytes, 0, &memory));
	return memory;
}
