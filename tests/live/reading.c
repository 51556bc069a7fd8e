/* SPDX-License-Identifier: MIT */
#include <dirent.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "harness_priv.h"
#include "threads.h"

static int
stat_row(struct live *d, const char *name)
{
	int row = statread_find(&d->stats, name);

	REQUIRE(row >= 0, "no statistic \"%s\"", name);
	return row;
}

/* The daemon may be preempted in the middle of a change: read again. */
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

static bool
is_no_watcher(pid_t pid, pid_t thread, void *argument)
{
	char name[32];

	if (!thread_file_read(pid, thread, "comm", name, sizeof(name)) ||
	    strcmp(name, "watch") != 0)
		return true;
	*(pid_t *)argument = thread;
	return false;
}

void
live_rest(struct live *d)
{
	uint64_t before;
	pid_t watcher = 0;

	/* The watcher moves no page, and looks around so often that on a busy machine no two looks
	 * find it asleep since the first. */
	(void)threads_each(d->pid, is_no_watcher, &watcher);
	WAIT_UNTIL(d, (before = threads_asleep(d->pid, watcher)) != 0 &&
			  threads_asleep(d->pid, watcher) == before);
}

static const char *const queue_names[] = { "free", "active", "inactive", "laundry", "wired",
	"speculative", "compressor" };

void
live_descriptors_each(
    pid_t pid, void (*f)(const char *path, const char *target, void *argument), void *argument)
{
	char path[64], name[400], target[128];
	struct dirent *e;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	dir = opendir(path);
	REQUIRE(dir, "%s: %s", path, strerror(errno));
	while ((e = readdir(dir)) != NULL) {
		ssize_t n;

		snprintf(name, sizeof(name), "%s/%s", path, e->d_name);
		n = readlink(name, target, sizeof(target) - 1);
		if (n < 0)
			continue;
		target[n] = '\0';
		f(name, target, argument);
	}
	closedir(dir);
}

struct counting {
	const char *text;
	unsigned count;
};

static void
count_descriptor(const char *path, const char *target, void *argument)
{
	struct counting *c = argument;

	(void)path;
	c->count += strstr(target, c->text) != NULL;
}

unsigned
live_descriptors_count(pid_t pid, const char *text)
{
	struct counting c = { text, 0 };

	live_descriptors_each(pid, count_descriptor, &c);
	return c.count;
}

unsigned
live_names_count(const char *directory)
{
	unsigned count = 0;
	struct dirent *e;
	DIR *dir = opendir(directory);

	while (dir && (e = readdir(dir)) != NULL)
		count += e->d_name[0] != '.';
	if (dir)
		closedir(dir);
	return count;
}

/* What memfds have. The daemon may have a second description of one, on its way to a client. */
struct holding {
	uint64_t bytes;
	ino_t files[1024];
	unsigned count; /* of those, the first ones, that are known by number */
};

static void
add_held_bytes(const char *path, const char *target, void *argument)
{
	struct holding *h = argument;
	struct stat st;

	if (strncmp(target, "/memfd:pagerd-object", 20) != 0 &&
	    strncmp(target, "/memfd:pagerd-compressor", 24) != 0)
		return;
	if (stat(path, &st) != 0)
		return;
	for (unsigned i = 0; i < h->count; i++)
		if (h->files[i] == st.st_ino)
			return;
	if (h->count < sizeof(h->files) / sizeof(h->files[0]))
		h->files[h->count++] = st.st_ino;
	h->bytes += (uint64_t)st.st_blocks * 512;
}

uint64_t
live_held_bytes(struct live *d)
{
	struct holding h = { .bytes = 0, .count = 0 };

	live_descriptors_each(d->pid, add_held_bytes, &h);
	return h.bytes;
}

/* While it is stopped the daemon moves no page, so the sizes of its memfds belong together. */
static void
sample_exact(struct live *d)
{
	siginfo_t info = { 0 };
	uint64_t held;

	/* A worker is not the test's child. */
	if (d->keeper)
		return;
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
