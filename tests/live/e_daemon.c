/* SPDX-License-Identifier: MIT
 *
 * The daemon's end as clients see it: a thread that touches an absent page blocks until it is
 * killed, no wrong byte is read, the library reports the end once, and requests are refused. Also:
 * limits, the memory of wired pages, and the CPUs that it uses.
 *
 * usage: e_daemon killed|terminated|limit|limit-change|refused|cpus|nice
 */
#include "harness.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "book.h"
#include "children.h"
#include "threads.h"

/* --- killed --- */

enum { READERS = 4 };
struct death {
	atomic_bool filled;
	atomic_uint died; /* events */
	_Atomic uint64_t reads[READERS];
	atomic_int thread[READERS]; /* ids, to see them sleep */
	atomic_bool checked;
};

struct reader {
	struct book *book;
	struct death *death;
	unsigned index;
};

static void
on_event(void *context, enum pager_event event, uint64_t value)
{
	struct death *s = context;

	(void)value;
	if (event == PAGER_EVENT_DAEMON_DIED)
		atomic_fetch_add(&s->died, 1);
}

/* Reads and writes until a touch does not return. */
static void *
reader_main(void *argument)
{
	struct reader *r = argument;
	uint64_t rng = mix64(live_seed + r->index);
	uint32_t count = r->book->count / READERS;

	atomic_store(&r->death->thread[r->index], gettid());
	for (;;) {
		uint32_t page = (uint32_t)rng_below(&rng, count) * READERS + r->index;

		book_verify(r->book, page);
		if (rng_below(&rng, 3) == 0)
			book_write(r->book, page, mixture_draw(&mixture_usual, &rng));
		atomic_fetch_add(&r->death->reads[r->index], 1);
	}
	return NULL;
}

static void
survivor(struct live *d, void *argument)
{
	struct death *s = argument;
	struct pager_options options = {
		.size = sizeof(options), .event = on_event, .event_context = s
	};
	uint32_t count = (uint32_t)(4 * d->memory_bytes / d->page_bytes);
	struct reader readers[READERS];
	pthread_t threads[READERS];
	uint64_t rng = live_seed;
	struct pager_statistics statistics;
	struct pager *p;
	struct book b;
	void *memory;

	OK(pager_connect(d->socket, &options, &p));
	book_open(&b, client_allocate(p, count * d->page_bytes), d->page_bytes, count, 1);
	book_write_all(&b, &mixture_usual, &rng);
	for (unsigned i = 0; i < READERS; i++) {
		readers[i] = (struct reader){ &b, s, i };
		REQUIRE(pthread_create(&threads[i], NULL, reader_main, &readers[i]) == 0);
	}
	atomic_store(&s->filled, true);
	while (atomic_load(&s->died) == 0)
		usleep(1000);
	/* Requests are refused, not lost. */
	EQ(pager_statistics(p, &statistics), -ENOTCONN);
	EQ(pager_allocate(p, d->page_bytes, 0, &memory), -ENOTCONN);
	EQ(pager_deallocate(p, b.base, d->page_bytes), -ENOTCONN);
	EQ(pager_wire(p, b.base, d->page_bytes), -ENOTCONN);
	EQ(pager_behavior(p, b.base, d->page_bytes, PAGER_BEHAVIOR_FREE), -ENOTCONN);
	EQ(pager_connect(d->socket, NULL, &p) < 0, 1);
	atomic_store(&s->checked, true);
	for (;;)
		pause();
}

static void
test_death(int signal)
{
	struct death *s = shared_alloc(sizeof(*s));
	uint64_t before[READERS];
	struct live d;
	pid_t pid;

	live_start(&d, "8M", NULL);
	pid = client_start(&d, survivor, s);
	for (int i = 0; i < READERS; i++)
		WAIT_UNTIL(&d, atomic_load(&s->reads[i]) > 500);
	if (signal == SIGKILL) {
		live_kill(&d);
	} else {
		d.refuses = true; /* it leaves clients behind */
		live_stop(&d);
	}
	/* From here on `d` is only a place for names; ticks look at the clients. */
	WAIT_UNTIL(&d, atomic_load(&s->checked));
	for (int i = 0; i < READERS; i++)
		WAIT_UNTIL(&d, waits_for_a_fault(pid, atomic_load(&s->thread[i])));
	for (int i = 0; i < READERS; i++)
		before[i] = atomic_load(&s->reads[i]);
	/* They stay there: a reader that came out with zeroes would have failed the client. */
	for (int n = 0; n < 200; n++)
		live_tick(&d);
	for (int i = 0; i < READERS; i++) {
		EQ(atomic_load(&s->reads[i]), before[i]);
		REQUIRE(waits_for_a_fault(pid, atomic_load(&s->thread[i])));
	}
	EQ(atomic_load(&s->died), 1);
	client_kill(pid);
}

/* --- limits --- */

enum { LIMIT_PAGES = 256 };
struct limited {
	atomic_bool connected, go, filled, leave, settled;
	_Atomic uint64_t rounds;
};

static void
limited_client(struct live *d, void *argument)
{
	struct limited *s = argument;
	struct pager *p = client_connect(d);
	uint32_t count = 4 * LIMIT_PAGES;
	uint64_t rng = live_seed;
	struct pager_statistics statistics;
	struct book b;

	atomic_store(&s->connected, true);
	WAIT_UNTIL(d, atomic_load(&s->go));
	book_open(&b, client_allocate(p, count * d->page_bytes), d->page_bytes, count, 1);
	book_write_all(&b, &mixture_usual, &rng);
	atomic_store(&s->filled, true);
	for (uint32_t n = 0; n < 4 * count || !atomic_load(&s->leave); n++) {
		uint32_t page = (uint32_t)rng_below(&rng, count);

		book_verify(&b, page);
		if (n % 3 == 0)
			book_write(&b, page, mixture_draw(&mixture_usual, &rng));
		if (n % 256 == 0) {
			OK(pager_statistics(p, &statistics));
			if (atomic_load(&s->settled) && statistics.limit)
				REQUIRE(statistics.internal <= statistics.limit,
				    "%llu bytes resident, the limit is %llu",
				    (unsigned long long)statistics.internal,
				    (unsigned long long)statistics.limit);
		}
		atomic_fetch_add(&s->rounds, 1);
	}
	book_verify_all(&b);
	OK(pager_disconnect(p));
}

static void
rich_client(struct live *d, void *argument)
{
	struct limited *s = argument;
	struct pager *p = client_connect(d);
	uint32_t count = (uint32_t)(d->memory_bytes / d->page_bytes / 2);
	uint64_t rng = live_seed;
	struct book b;

	book_open(&b, client_allocate(p, count * d->page_bytes), d->page_bytes, count, 2);
	book_write_all(&b, &mixture_usual, &rng);
	atomic_store(&s->filled, true);
	WAIT_UNTIL(d, atomic_load(&s->leave));
	book_verify_all(&b);
	OK(pager_disconnect(p));
}

static int64_t
ledger_of(struct live *d, pid_t pid, enum pager_ledger_entry entry)
{
	struct pager_req_footprint request = { .pid = (uint32_t)pid };
	struct pager_rep_footprint reply;
	struct chan_call call = { CHAN_CALL(FOOTPRINT, &request, &reply) };

	OK(chan_exchange(&d->chan, &call));
	return (int64_t)reply.client.ledger[entry];
}

static void
test_limit(bool late)
{
	struct limited *poor = shared_alloc(sizeof(*poor)), *rich = shared_alloc(sizeof(*rich));
	int64_t rich_before, limit;
	pid_t poor_pid, rich_pid;
	struct live d;
	char text[1000];
	char pid_text[16];

	live_start(&d, "16M", NULL);
	limit = LIMIT_PAGES * (int64_t)d.page_bytes;
	rich_pid = client_start(&d, rich_client, rich);
	WAIT_UNTIL(&d, atomic_load(&rich->filled));
	live_rest(&d);
	rich_before = ledger_of(&d, rich_pid, PAGER_LEDGER_INTERNAL);
	poor_pid = client_start(&d, limited_client, poor);
	WAIT_UNTIL(&d, atomic_load(&poor->connected));
	/* Below 16 pages no instruction could run. */
	snprintf(pid_text, sizeof(pid_text), "%d", (int)poor_pid);
	REQUIRE(live_pagerctl(&d, text, sizeof(text), "limit", pid_text, "4K", NULL) != 0);
	atomic_store(&poor->settled, !late);
	if (!late)
		live_limit(&d, poor_pid, (uint64_t)limit);
	atomic_store(&poor->go, true);
	if (late) {
		WAIT_UNTIL(&d, atomic_load(&poor->filled));
		REQUIRE(ledger_of(&d, poor_pid, PAGER_LEDGER_INTERNAL) > limit);
		/* Its memory must fall to the limit without further touches. */
		live_limit(&d, poor_pid, (uint64_t)limit);
		WAIT_UNTIL(&d, ledger_of(&d, poor_pid, PAGER_LEDGER_INTERNAL) <= limit);
		atomic_store(&poor->settled, true);
	}
	{
		uint64_t until = atomic_load(&poor->rounds) + 8 * LIMIT_PAGES;

		WAIT_UNTIL(&d, (live_sample(&d, false), atomic_load(&poor->rounds) >= until));
	}
	/* There is enough memory: no other client has lost a page, and there was no pressure. */
	EQ(ledger_of(&d, rich_pid, PAGER_LEDGER_INTERNAL), rich_before);
	EQ(ledger_of(&d, rich_pid, PAGER_LEDGER_PAGEOUTS), 0);
	REQUIRE(ledger_of(&d, poor_pid, PAGER_LEDGER_INTERNAL) <= limit);
	REQUIRE(ledger_of(&d, poor_pid, PAGER_LEDGER_PAGEOUTS) > 0);
	/* It goes on touching: sooner or later workers are not ahead of it. */
	WAIT_UNTIL(&d, live_stat(&d, "limit_parks") > 0);
	printf("limit parks %lld, pageouts %lld\n", (long long)live_stat(&d, "limit_parks"),
	    (long long)ledger_of(&d, poor_pid, PAGER_LEDGER_PAGEOUTS));
	live_limit(&d, poor_pid, 0);
	atomic_store(&poor->leave, true);
	client_join(&d, poor_pid, true);
	atomic_store(&rich->leave, true);
	client_join(&d, rich_pid, true);
	live_stop(&d);
}

/* --- daemons that do not start --- */

static void
refuse(const char *expected, const char *const *more)
{
	const char *argv[24] = { getenv("PAGERD") };
	char text[4096] = "";
	int output[2], status, n = 1;
	size_t used = 0;
	ssize_t got;
	pid_t pid;

	while (more[n - 1]) {
		argv[n] = more[n - 1];
		n++;
	}
	REQUIRE(pipe2(output, O_CLOEXEC) == 0);
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		alarm(300); /* should it not refuse */
		dup2(output[1], STDOUT_FILENO);
		dup2(output[1], STDERR_FILENO);
		execv(argv[0], (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	close(output[1]);
	while (used < sizeof(text) - 1 &&
	       (got = read(output[0], text + used, sizeof(text) - 1 - used)) > 0)
		used += (size_t)got;
	close(output[0]);
	waitpid(pid, &status, 0);
	REQUIRE(WIFEXITED(status) && WEXITSTATUS(status) != 0, "it did not refuse (status %x): %s",
	    status, text);
	REQUIRE(strstr(text, expected), "the message lacks \"%s\": %s", expected, text);
}

static void
test_refused(void)
{
	struct live d;

	live_start(&d, "8M", "--no-swap", NULL);
	refuse("--memory", (const char *[]){ "--memory", "1M", "--socket", "/var/tmp/none", NULL });
	refuse("--page-size", (const char *[]){ "--page-size", "8K", NULL });
	refuse("no such parameter", (const char *[]){ "--param", "nonsense=1", NULL });
	refuse("out of range", (const char *[]){ "--param", "pageout_batch=100000", NULL });
	refuse("fail point", (const char *[]){ "--fail", "NOTHING:0", NULL });
	refuse("no such policy", (const char *[]){ "--policy", "nonsense", "--memory", "8M",
				     "--no-swap", "--socket", "/var/tmp/none", NULL });
	refuse("swap directory", (const char *[]){ "--memory", "8M", "--swap-dir", "/proc/none",
				     "--socket", "/var/tmp/none", NULL });
	refuse("at least 512 pages", (const char *[]){ "--memory", "1", NULL });
	refuse(
	    "more than this machine has", (const char *[]){ "--memory", "64T", "--no-swap", NULL });
	refuse("which no machine has",
	    (const char *[]){ "--memory", "99999999999999999999", "--no-swap", NULL });
	refuse("wants a size such as", (const char *[]){ "--memory", "8E", "--no-swap", NULL });
	refuse("wants an octal mode", (const char *[]){ "--socket-mode", "", NULL });
	refuse("wants an octal mode", (const char *[]){ "--socket-mode", "888", NULL });
	refuse("wants an octal mode", (const char *[]){ "--socket-mode", "-1", NULL });
	refuse("wants an octal mode",
	    (const char *[]){ "--socket-mode", "7777777777777777777777777", NULL });
	refuse("--socket wants a path", (const char *[]){ "--socket", "", NULL });
	refuse("Is a directory", (const char *[]){ "--config", d.directory, NULL });
	refuse("/dev/zero:1: no line", (const char *[]){ "--config", "/dev/zero", NULL });
	refuse("wants NAME=VALUE", (const char *[]){ "--param", "pageout_batch", NULL });
	refuse("not a number", (const char *[]){ "--param", "pageout_batch=", NULL });
	refuse("not a number", (const char *[]){ "--param", "pageout_batch=0x10", NULL });
	/* A second one on the same socket must not take it away from the first. */
	refuse(d.socket,
	    (const char *[]){ "--memory", "8M", "--no-swap", "--socket", d.socket, NULL });
	live_check(&d);
	live_stop(&d);
}

/* --- cpus: those that it was started with, and no others --- */

static cpu_set_t all_cpus;

/* Checks the list of CPUs of each of its threads. => how many are fault servers by their names,
 * which a thread that has just begun does not have yet */
static unsigned
servers_on(const struct live *d, int cpu)
{
	char path[64], line[256], name[64], list[64];
	unsigned servers = 0, threads = 0;
	struct dirent *entry;
	DIR *directory;

	snprintf(path, sizeof(path), "/proc/%d/task", (int)d->pid);
	directory = opendir(path);
	REQUIRE(directory, "%s", path);
	while ((entry = readdir(directory)) != NULL) {
		FILE *file;

		snprintf(
		    path, sizeof(path), "/proc/%d/task/%.10s/status", (int)d->pid, entry->d_name);
		/* The kernel's own may run anywhere. */
		file = entry->d_name[0] == '.' ||
			       thread_is_io_worker(d->pid, (pid_t)atoi(entry->d_name))
			   ? NULL
			   : fopen(path, "r");
		if (!file)
			continue;
		name[0] = list[0] = '\0';
		while (fgets(line, sizeof(line), file)) {
			(void)sscanf(line, "Name: %63s", name);
			(void)sscanf(line, "Cpus_allowed_list: %63s", list);
		}
		fclose(file);
		threads++;
		servers += strncmp(name, "fault-", 6) == 0;
		REQUIRE(atoi(list) == cpu && strspn(list, "0123456789") == strlen(list),
		    "thread %s may run on CPUs %s, the daemon on %d", name, list, cpu);
	}
	closedir(directory);
	REQUIRE(threads > 10, "%u threads", threads);
	return servers;
}

/* From whatever CPU its faults come they are answered, and its pages leave. */
static void
everywhere(struct live *d, void *argument)
{
	uint32_t count = (uint32_t)(2 * d->memory_bytes / d->page_bytes);
	struct pager *p = client_connect(d);
	uint64_t rng = live_seed;
	struct book b;

	(void)argument;
	REQUIRE(sched_setaffinity(0, sizeof(all_cpus), &all_cpus) == 0);
	book_open(&b, client_allocate(p, count * d->page_bytes), d->page_bytes, count, 1);
	book_write_all(&b, &mixture_usual, &rng);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		cpu_set_t one;

		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		if (CPU_ISSET(cpu, &all_cpus) && sched_setaffinity(0, sizeof(one), &one) == 0)
			book_verify_all(&b);
	}
	book_close(&b);
	OK(pager_disconnect(p));
}

static void
test_cpus(void)
{
	struct live d;

	REQUIRE(sched_getaffinity(0, sizeof(all_cpus), &all_cpus) == 0);
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		cpu_set_t one;

		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		if (!CPU_ISSET(cpu, &all_cpus) || sched_setaffinity(0, sizeof(one), &one) != 0)
			continue;
		live_start(&d, "16M", NULL);
		WAIT_UNTIL(&d, servers_on(&d, cpu) == 1);
		client_join(&d, client_start(&d, everywhere, NULL), true);
		EQ(servers_on(&d, cpu), 1);
		live_stop(&d);
		sched_setaffinity(0, sizeof(all_cpus), &all_cpus);
		/* On a machine with many, the second one is enough. */
		if (cpu > 0)
			break;
	}
}

/* --- nice: threads keep their order, whatever the daemon's own nice value is --- */

static bool
require_nice(pid_t pid, pid_t thread, void *argument)
{
	const int *own = argument;
	char name[32];
	int nice = getpriority(PRIO_PROCESS, (id_t)thread), want = *own;

	/* Those come and go, and one that has gone has no name. */
	if (thread_is_io_worker(pid, thread) ||
	    !thread_file_read(pid, thread, "comm", name, sizeof(name)))
		return true;
	if (strncmp(name, "fault-", 6) == 0 || strncmp(name, "direct-", 7) == 0 ||
	    strncmp(name, "side-", 5) == 0 || strcmp(name, "watch") == 0)
		want = *own - 15 < -20 ? -20 : *own - 15;
	else if (strcmp(name, "writeback") == 0)
		want = *own + 5;
	REQUIRE(nice == want, "thread %s has nice value %d, not %d, in a daemon of %d", name, nice,
	    want, *own);
	return true;
}

static void
test_nice(void)
{
	static const int values[] = { -12, 0, 10 };
	struct live d;

	for (unsigned i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		if (setpriority(PRIO_PROCESS, 0, values[i]) != 0) {
			fprintf(stderr, "skipped: nice values cannot be lowered\n");
			exit(77);
		}
		live_start(&d, "8M", NULL);
		live_rest(&d);
		REQUIRE(threads_each(d.pid, require_nice, (void *)(uintptr_t)&values[i]));
		live_stop(&d);
	}
}

int
main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "";

	live_init(argc, argv);
	if (strcmp(name, "killed") == 0)
		test_death(SIGKILL);
	else if (strcmp(name, "terminated") == 0)
		test_death(SIGTERM);
	else if (strcmp(name, "limit") == 0)
		test_limit(false);
	else if (strcmp(name, "limit-change") == 0)
		test_limit(true);
	else if (strcmp(name, "refused") == 0)
		test_refused();
	else if (strcmp(name, "cpus") == 0)
		test_cpus();
	else if (strcmp(name, "nice") == 0)
		test_nice();
	else
		FAIL("no such test: \"%s\"", name);
	return 0;
}
