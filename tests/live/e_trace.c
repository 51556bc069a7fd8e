/* SPDX-License-Identifier: MIT
 *
 * The recorder: an exact recording is, record by record, the sequence of touches as reduced by the
 * window of mapped pages; no lost event is uncounted; clients die while they are recorded;
 * recording has a cost.
 *
 * usage: e_trace exact|dropped|killed|overhead
 */
#include "recording.h"
#include "stage.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <time.h>

#define PAGES 2048u

static struct {
	struct stage stage;
	atomic_bool ending;
	uint64_t ns;
} * shared;

/* --- the sequence of touches --- */

struct touch {
	uint32_t page;
	bool write;
};

/* Half of the touches stay near the one before, so that windows of every size have hits. */
static struct touch
touch_draw(uint64_t *rng, uint32_t last)
{
	uint64_t draw = rng_next(rng);
	uint32_t page =
	    draw & 1 ? (last + (uint32_t)(draw >> 8) % 8) % PAGES : (uint32_t)(draw >> 8) % PAGES;

	return (struct touch){ page, (draw >> 1) % 10 < 3 };
}

static void
touch(unsigned char *base, size_t page_bytes, struct touch t)
{
	volatile unsigned char *at = base + t.page * page_bytes;

	if (t.write)
		*at = (unsigned char)t.page;
	else
		REQUIRE(*at == (unsigned char)t.page, "page %u reads as %u", t.page, *at);
}

struct string {
	unsigned touches;
	uint64_t seed;
};

static void
client_string(struct live *d, void *argument)
{
	const struct string *s = argument;
	struct pager *p = client_connect(d);
	unsigned char *base = client_allocate(p, PAGES * d->page_bytes);
	uint64_t rng = s->seed;
	struct touch t = { 0, true };

	for (t.page = 0; t.page < PAGES; t.page++)
		touch(base, d->page_bytes, t);
	stage_meet(d, &shared->stage, 1);
	t.page = 0;
	for (unsigned i = 0; i < s->touches; i++)
		touch(base, d->page_bytes, t = touch_draw(&rng, t.page));
	stage_meet(d, &shared->stage, 2);
	OK(pager_disconnect(p));
}

/* --- recordings --- */

static int
trace_call(struct live *d, enum pager_trace_op op, int fd, pid_t pid, uint32_t window,
    struct pager_rep_trace *reply)
{
	struct pager_req_trace request = { .op = op, .pid = (uint32_t)pid, .window = window };
	struct chan_call call = { CHAN_CALL(TRACE, &request, reply), .fds_out = &fd,
		.fds_out_count = fd >= 0 };

	return chan_exchange(&d->chan, &call);
}

static int
file_open(struct live *d, char *path, size_t path_size)
{
	int fd;

	snprintf(path, path_size, "%s/trace", d->directory);
	fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	REQUIRE(fd >= 0, "%s: %s", path, strerror(errno));
	return fd;
}

/* Compares the daemon's counts with the file's. */
static void
require_accounted(const struct recording *r, const struct pager_rep_trace *reply, const char *path)
{
	struct stat st;

	EQ(r->count, reply->records);
	EQ(r->dropped, reply->dropped);
	/* Events are numbered from 1; those dropped last have no record behind them. */
	REQUIRE(r->last_event <= r->count + r->dropped && (r->dropped || r->last_event == r->count),
	    "%llu events, %zu records, %llu dropped", (unsigned long long)r->last_event, r->count,
	    (unsigned long long)r->dropped);
	REQUIRE(stat(path, &st) == 0, "%s", strerror(errno));
	EQ(st.st_size, reply->bytes);
}

/* --- exact --- */

/* A model of the recorder's window: the page mapped first leaves first. */
struct model {
	bool mapped[PAGES], writable[PAGES];
	uint32_t ring[PAGES], head, count, window;
};

/* => whether the touch makes a record; its fields */
static bool
model_touch(struct model *m, struct touch t, struct trace_record *ret)
{
	*ret = (struct trace_record){ .page = t.page, .written = t.write };
	if (m->mapped[t.page]) {
		bool seen = t.write && !m->writable[t.page];

		m->writable[t.page] |= t.write;
		ret->kind = PAGER_TRACE_WRITE;
		return seen;
	}
	if (m->count == m->window) {
		m->mapped[m->ring[m->head]] = false;
		m->head = (m->head + 1) % PAGES;
		m->count--;
	}
	m->ring[(m->head + m->count++) % PAGES] = t.page;
	m->mapped[t.page] = true;
	m->writable[t.page] = t.write;
	ret->kind = PAGER_TRACE_SOFT;
	return true;
}

static void
require_exact(const struct recording *r, const struct string *s, uint32_t window, pid_t thread)
{
	static struct model m;
	uint64_t rng = s->seed;
	struct touch t = { 0, true };
	size_t n = 0;

	m = (struct model){ .window = window };
	for (unsigned i = 0; i < s->touches; i++) {
		struct trace_record want;
		const struct trace_record *have = &r->records[n];

		t = touch_draw(&rng, t.page);
		if (!model_touch(&m, t, &want))
			continue;
		REQUIRE(n < r->count, "the recording ends with record %zu, before touch %u", n, i);
		if (have->page != want.page || have->kind != want.kind ||
		    have->written != want.written || have->thread != (uint32_t)thread)
			FAIL("window %u, record %zu, touch %u: page %llu kind %u written %u thread "
			     "%u, should be page %llu "
			     "kind %u written %u thread %d",
			    window, n, i, (unsigned long long)have->page, have->kind, have->written,
			    have->thread, (unsigned long long)want.page, want.kind, want.written,
			    (int)thread);
		n++;
	}
	EQ(r->count, n);
	printf("window %u: %u touches, %zu records, all as expected\n", window, s->touches, n);
}

static void
test_exact(struct live *d)
{
	static const uint32_t windows[] = { 4, 32, 500 };

	for (size_t i = 0; i < sizeof(windows) / sizeof(windows[0]);) {
		int64_t inexact = live_stat(d, "trace_inexact");
		struct string s = { (unsigned)live_scaled(20000), mix64(live_seed + i) };
		struct pager_rep_trace reply;
		struct recording r;
		char path[200], text[2048];
		int fd = file_open(d, path, sizeof(path));
		pid_t pid = client_start(d, client_string, &s);

		stage_wait(d, &shared->stage, 1);
		/* No fault is answered late. */
		live_rest(d);
		OK(trace_call(d, PAGER_TRACE_START, fd, pid, windows[i], &reply));
		stage_allow(&shared->stage, 1);
		stage_wait(d, &shared->stage, 2);
		live_rest(d);
		OK(trace_call(d, PAGER_TRACE_STOP, -1, 0, 0, &reply));
		stage_allow(&shared->stage, 2);
		client_join(d, pid, false);
		r = recording_read(path);
		EQ(r.header.window_pages, windows[i]);
		EQ(r.header.client_pid, pid);
		EQ(r.header.page_size, d->page_bytes);
		EQ(r.dropped, 0);
		require_accounted(&r, &reply, path);
		/* A daemon without a processor says so, and is asked again. */
		if (live_stat(d, "trace_inexact") == inexact)
			require_exact(&r, &s, windows[i++], pid);
		else
			printf("window %u: not exact, once more\n", windows[i]);
		snprintf(text, sizeof(text),
		    "%s replay %s --policy mach2q --frames 100 --tsv >%s/tsv", getenv("PAGERSIM"),
		    path, d->directory);
		REQUIRE(system(text) == 0, "%s", text);
		recording_free(&r);
		close(fd);
		stage_reset(&shared->stage);
		live_check(d);
	}
}

/* --- dropped: under load, into a pipe that is not read for a while --- */

static void *
hammer_main(void *argument)
{
	unsigned char *base = argument;
	uint64_t rng = (uint64_t)(uintptr_t)base;

	while (!atomic_load(&shared->ending))
		*(volatile unsigned char *)(base + rng_below(&rng, PAGES) * 4096) = 1;
	return NULL;
}

static void
client_hammer(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);
	pthread_t threads[2];

	(void)argument;
	for (int i = 0; i < 2; i++)
		REQUIRE(pthread_create(&threads[i], NULL, hammer_main,
			    client_allocate(p, PAGES * d->page_bytes)) == 0,
		    "thread");
	atomic_store(&shared->stage.reached, 1);
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	OK(pager_disconnect(p));
}

struct drain {
	int from;
	char path[200];
};

/* Reads the pipe to its end when the test says so. */
static void
client_drain(struct live *d, void *argument)
{
	const struct drain *drain = argument;
	int to = open(drain->path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	static char bytes[1 << 16];
	ssize_t n;

	(void)d;
	while (!atomic_load(&shared->ending))
		usleep(1000);
	while ((n = read(drain->from, bytes, sizeof(bytes))) > 0)
		REQUIRE(write(to, bytes, (size_t)n) == n, "%s", strerror(errno));
	close(to);
}

static struct pager_rep_trace
show(struct live *d)
{
	struct pager_rep_trace reply;

	OK(trace_call(d, PAGER_TRACE_SHOW, -1, 0, 0, &reply));
	return reply;
}

static void
test_dropped(struct live *d)
{
	struct pager_rep_trace reply;
	struct drain drain;
	struct recording r;
	pid_t hammer, reader;
	int fds[2];

	REQUIRE(pipe(fds) == 0, "%s", strerror(errno));
	drain.from = fds[0];
	snprintf(drain.path, sizeof(drain.path), "%s/trace", d->directory);
	hammer = client_start(d, client_hammer, NULL);
	stage_wait(d, &shared->stage, 1);
	OK(trace_call(d, PAGER_TRACE_START, fds[1], 0, 8, &reply));
	/* The reader must close its copy of the writing end, or it never sees the end. */
	close(fds[1]);
	reader = client_start(d, client_drain, &drain);
	WAIT_UNTIL(d, show(d).dropped > 1000);
	live_check(d);
	atomic_store(&shared->ending, true);
	client_join(d, hammer, false);
	OK(trace_call(d, PAGER_TRACE_STOP, -1, 0, 0, &reply));
	close(fds[0]);
	client_join(d, reader, false);
	r = recording_read(drain.path);
	printf("%zu records, %llu dropped\n", r.count, (unsigned long long)r.dropped);
	REQUIRE(r.dropped > 1000, "%llu dropped", (unsigned long long)r.dropped);
	require_accounted(&r, &reply, drain.path);
	recording_free(&r);
}

/* --- killed --- */

static void
test_killed(struct live *d)
{
	struct string s = { UINT32_MAX, 1 }, other = { 1000, 2 };
	struct pager_rep_trace reply;
	struct recording r;
	char path[200], text[512];
	size_t forgotten = 0;
	int fd = file_open(d, path, sizeof(path));
	pid_t pid = client_start(d, client_string, &s), second;

	EQ(trace_call(d, PAGER_TRACE_STOP, -1, 0, 0, &reply), -ENOENT);
	stage_wait(d, &shared->stage, 1);
	EQ(trace_call(d, PAGER_TRACE_START, fd, pid, 3, &reply), -EINVAL);
	OK(trace_call(d, PAGER_TRACE_START, fd, pid, 16, &reply));
	EQ(trace_call(d, PAGER_TRACE_START, fd, pid, 16, &reply), -EBUSY);
	REQUIRE(live_pagerctl(d, text, sizeof(text), "trace", "start", "/dev/null", NULL) != 0 &&
		    strstr(text, "under way"),
	    "%s", text);
	stage_allow(&shared->stage, 1);
	WAIT_UNTIL(d, show(d).records > 5000);
	client_kill(pid);
	WAIT_UNTIL(d, live_stat(d, "sessions") == 0);
	/* Another client is not recorded. */
	stage_allow(&shared->stage, 2);
	second = client_start(d, client_string, &other);
	client_join(d, second, false);
	live_rest(d);
	OK(trace_call(d, PAGER_TRACE_STOP, -1, 0, 0, &reply));
	EQ(reply.active, 0);
	r = recording_read(path);
	require_accounted(&r, &reply, path);
	for (size_t i = 0; i < r.count; i++) {
		REQUIRE(r.records[i].object == r.records[0].object,
		    "record %zu is of another client", i);
		forgotten += r.records[i].kind == PAGER_TRACE_FORGET;
	}
	/* Each page once, unless its event was dropped. */
	REQUIRE(forgotten <= PAGES && forgotten + r.dropped >= PAGES,
	    "%zu pages ended, %llu records were dropped", forgotten, (unsigned long long)r.dropped);
	printf("%zu records, %zu of them pages that ended with their client\n", r.count, forgotten);
	recording_free(&r);
	close(fd);
}

/* --- overhead: figures, no verdict --- */

static void
client_timed(struct live *d, void *argument)
{
	unsigned touches = *(unsigned *)argument;
	struct pager *p = client_connect(d);
	unsigned char *base = client_allocate(p, 2 * PAGES * d->page_bytes);
	struct timespec a, b;
	uint64_t rng = 1;

	for (uint32_t i = 0; i < 2 * PAGES; i++)
		base[i * d->page_bytes] = 1;
	clock_gettime(CLOCK_MONOTONIC, &a);
	for (unsigned i = 0; i < touches; i++)
		*(volatile unsigned char *)(base + rng_below(&rng, 2 * PAGES) * d->page_bytes) = 2;
	clock_gettime(CLOCK_MONOTONIC, &b);
	shared->ns =
	    (uint64_t)(b.tv_sec - a.tv_sec) * 1000000000u + (uint64_t)(b.tv_nsec - a.tv_nsec);
	OK(pager_disconnect(p));
}

static void
test_overhead(struct live *d)
{
	static const int64_t windows[] = { -1, 0, 32 };
	unsigned touches = (unsigned)live_scaled(20000);

	for (unsigned round = 0; round < 2; round++)
		for (size_t i = 0; i < 3; i++) {
			struct pager_rep_trace reply = { 0 };
			int64_t faults = live_stat(d, "faults");
			char path[200];
			int fd = file_open(d, path, sizeof(path));
			pid_t pid;

			if (windows[i] >= 0)
				OK(trace_call(
				    d, PAGER_TRACE_START, fd, 0, (uint32_t)windows[i], &reply));
			pid = client_start(d, client_timed, &touches);
			client_join(d, pid, false);
			if (windows[i] >= 0)
				OK(trace_call(d, PAGER_TRACE_STOP, -1, 0, 0, &reply));
			printf("%-22s %llu ns a touch, %lld faults, %llu records, %.2f bytes each, "
			       "%llu dropped\n",
			    windows[i] < 0    ? "not recording"
			    : windows[i] == 0 ? "recording"
					      : "exact, window of 32",
			    (unsigned long long)(shared->ns / touches),
			    (long long)(live_stat(d, "faults") - faults),
			    (unsigned long long)reply.records,
			    reply.records ? (double)reply.bytes / (double)reply.records : 0.0,
			    (unsigned long long)reply.dropped);
			close(fd);
		}
}

int
main(int argc, char **argv)
{
	struct live d;

	live_init(argc, argv);
	REQUIRE(argc > 1, "which test?");
	shared = shared_alloc(sizeof(*shared));
	live_start(&d, strcmp(argv[1], "overhead") == 0 ? "12M" : "32M", NULL);
	if (strcmp(argv[1], "exact") == 0)
		test_exact(&d);
	else if (strcmp(argv[1], "dropped") == 0)
		test_dropped(&d);
	else if (strcmp(argv[1], "killed") == 0)
		test_killed(&d);
	else if (strcmp(argv[1], "overhead") == 0)
		test_overhead(&d);
	else
		FAIL("no test %s", argv[1]);
	live_stop(&d);
	return 0;
}
