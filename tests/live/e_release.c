/* SPDX-License-Identifier: MIT
 *
 * Letting go: a client whose threads store all the time gets its memory, byte for byte, and runs on
 * without a daemon; one that cannot be let go of is as before; one that is killed in the midst
 * leaves nothing behind; one that does not listen holds up nobody.
 *
 * usage: e_release load|refused|killed|resized|stop [MIB]
 *
 * MIB  what each client has (12); the daemon has two thirds of it
 */
#include "harness.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "children.h"
#include "pager/release.h"

#define MIB (1ull << 20)

enum { THREADS = 2, CLIENTS = 2, WORD_STEP = 61 };

static uint64_t own_mib = 12;
static char memory_size[32];

/* What the clients and the test tell each other. */
struct scene {
	_Atomic uint64_t rounds[CLIENTS][THREADS]; /* of all pages, by each thread */
	_Atomic bool over;
};
static struct scene *scene;

/* A client's memory. Each thread stores into its own pages all the time, and knows what they have.
 */
struct load {
	struct live *d;
	unsigned number;
	struct pager *p;
	unsigned char *base;
	uint64_t pages;
	pthread_t threads[THREADS];
};
struct part {
	struct load *load;
	unsigned thread;
};

static void
page_step(const struct load *l, uint64_t i, uint64_t round)
{
	uint64_t *page = (void *)(l->base + i * l->d->page_bytes);

	for (uint64_t at = 0; at < l->d->page_bytes / sizeof(*page); at += WORD_STEP) {
		uint64_t was = round == 0 ? 0 : mix64(i << 16 | at) + round;

		if (page[at] != was)
			FAIL("page %llu, word %llu, round %llu: %llx is not %llx",
			    (unsigned long long)i, (unsigned long long)at,
			    (unsigned long long)round, (unsigned long long)page[at],
			    (unsigned long long)was);
		page[at] = mix64(i << 16 | at) + round + 1;
	}
}

static void *
part_run(void *argument)
{
	struct part *part = argument;
	struct load *l = part->load;
	uint64_t round = 0;

	for (; !scene->over; round++) {
		for (uint64_t i = part->thread; i < l->pages; i += THREADS)
			page_step(l, i, round);
		scene->rounds[l->number][part->thread] = round + 1;
	}
	return NULL;
}

static struct part parts[THREADS];

static void
load_begin(struct load *l, struct live *d, unsigned number)
{
	*l = (struct load){ .d = d, .number = number, .p = client_connect(d) };
	l->base = client_allocate(l->p, own_mib * MIB);
	l->pages = own_mib * MIB / d->page_bytes;
	for (unsigned t = 0; t < THREADS; t++) {
		parts[t] = (struct part){ l, t };
		REQUIRE(pthread_create(&l->threads[t], NULL, part_run, &parts[t]) == 0);
	}
}

static void
load_end(struct load *l)
{
	for (unsigned t = 0; t < THREADS; t++)
		pthread_join(l->threads[t], NULL);
}

static bool
all_have(unsigned number, uint64_t rounds)
{
	for (unsigned t = 0; t < THREADS; t++)
		if (scene->rounds[number][t] < rounds)
			return false;
	return true;
}

static uint64_t
rounds_of(unsigned number)
{
	uint64_t most = 0;

	for (unsigned t = 0; t < THREADS; t++)
		if (scene->rounds[number][t] > most)
			most = scene->rounds[number][t];
	return most;
}

/* How many mappings of the process are registered with a userfaultfd. */
static unsigned
registered(pid_t pid)
{
	char path[64], line[1024];
	unsigned count = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/smaps", (int)pid);
	file = fopen(path, "re");
	REQUIRE(file);
	while (fgets(line, sizeof(line), file))
		if (strncmp(line, "VmFlags:", 8) == 0)
			count += strstr(line, " um") || strstr(line, " uw") || strstr(line, " ui");
	fclose(file);
	return count;
}

/* --- a client under load --- */

/* Other memory than what the threads use, each kind once. */
struct others {
	unsigned char *read_only, *sparse;
};

static void
others_make(const struct load *l, struct others *o)
{
	o->read_only = client_allocate(l->p, 4 * l->d->page_bytes);
	memset(o->read_only, 7, 4 * l->d->page_bytes);
	OK(pager_protect(l->p, o->read_only + l->d->page_bytes, l->d->page_bytes, PROT_READ));
	o->sparse = client_allocate(l->p, 8 * MIB);
	o->sparse[5 * MIB] = 9;
}

/* In a forked child and in its parent memory is each one's own. */
static void
fork_verify(const struct others *o)
{
	pid_t pid = fork();
	int status;

	REQUIRE(pid >= 0);
	if (pid == 0) {
		bool good = o->sparse[5 * MIB] == 9 && o->read_only[0] == 7;

		o->sparse[5 * MIB] = 1;
		_exit(good ? 0 : 1);
	}
	REQUIRE(waitpid(pid, &status, 0) == pid && status == 0, "status %d", status);
	EQ(o->sparse[5 * MIB], 9);
}

static void
others_verify(struct load *l, const struct others *o)
{
	int pipes[2];
	void *memory;

	for (uint64_t at = 0; at < 4 * l->d->page_bytes; at++)
		EQ(o->read_only[at], 7);
	EQ(o->sparse[0], 0);
	EQ(o->sparse[8 * MIB - 1], 0);
	REQUIRE(pipe(pipes) == 0);
	REQUIRE(write(pipes[1], "x", 1) == 1);
	REQUIRE(read(pipes[0], o->read_only + l->d->page_bytes, 1) < 0 && errno == EFAULT,
	    "it can be written to");
	fork_verify(o);
	/* The calls that go on. */
	OK(pager_allocate(l->p, MIB, 0, &memory));
	memset(memory, 1, MIB);
	OK(pager_protect(l->p, memory, MIB, PROT_READ));
	OK(pager_deallocate(l->p, memory, MIB));
	OK(pager_deallocate(l->p, o->read_only, 4 * l->d->page_bytes));
	EQ(pager_release(l->p, NULL), 0);
	EQ(pager_wire(l->p, o->sparse, l->d->page_bytes), -EINVAL);
}

static void
load_run(struct live *d, void *argument)
{
	struct load l;
	struct others o;

	load_begin(&l, d, (unsigned)(uintptr_t)argument);
	others_make(&l, &o);
	load_end(&l);
	others_verify(&l, &o);
	OK(pager_disconnect(l.p));
	EQ(o.sparse[5 * MIB], 9);
}

/* It ends as a client that needs no daemon. */
static void
client_reap(pid_t pid)
{
	int status;

	client_forget(pid);
	REQUIRE(waitpid(pid, &status, 0) == pid);
	REQUIRE(status == 0, "a client's status is %d", status);
}

static void
test_load(void)
{
	struct live d;
	char text[1024], name[16];
	uint64_t rounds;
	pid_t pid;

	live_start(&d, memory_size, NULL);
	pid = client_start(&d, load_run, NULL);
	WAIT_UNTIL(&d, all_have(0, 1));
	REQUIRE(registered(pid) > 0);
	snprintf(name, sizeof(name), "%d", (int)pid);
	REQUIRE(live_pagerctl(&d, text, sizeof(text), "release", name, NULL) == 0, "%s", text);
	EQ(live_stat(&d, "releases"), 1);
	WAIT_UNTIL(&d, registered(pid) == 0);
	rounds = rounds_of(0);
	WAIT_UNTIL(&d, all_have(0, rounds + 2));
	live_stop(&d);
	scene->over = true;
	client_reap(pid);
}

/* --- refused --- */

static char machine[128];

static void
machine_set(unsigned kib)
{
	char path[160], text[128];
	int fd;

	snprintf(path, sizeof(path), "%s/meminfo", machine);
	snprintf(text, sizeof(text), "MemTotal: 100000000 kB\nMemAvailable: %u kB\n", kib);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	REQUIRE(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
}

/* It is refused with that errno and reason, and nothing has changed. */
static void
refused(struct load *l, int error, const char *reason)
{
	struct pager_refusal why = { 0 };
	unsigned before = registered(getpid());
	uint64_t rounds;

	EQ(pager_release(l->p, &why), error);
	REQUIRE(strstr(why.reason, reason), "the reason is: %s", why.reason);
	EQ(registered(getpid()), before);
	if (error == -ENOSPC)
		REQUIRE(why.away_bytes > why.available_bytes && why.available_bytes == 64 << 10);
	rounds = rounds_of(0);
	while (!all_have(0, rounds + 1))
		usleep(1000);
}

static void
refused_run(struct live *d, void *argument)
{
	struct load l;
	void *shared;

	(void)argument;
	load_begin(&l, d, 0);
	while (!all_have(0, 1))
		usleep(1000);
	machine_set(64);
	refused(&l, -ENOSPC, "the machine has available");
	machine_set(50000000);
	OK(pager_allocate(l.p, d->page_bytes, PAGER_ALLOC_WIRED, &shared));
	refused(&l, -ENOTSUP, "wired");
	OK(pager_deallocate(l.p, shared, d->page_bytes));
	OK(pager_allocate(l.p, d->page_bytes, PAGER_ALLOC_SHAREABLE, &shared));
	refused(&l, -ENOTSUP, "shared");
	/* Allocating goes on as before. */
	OK(pager_deallocate(l.p, shared, d->page_bytes));
	OK(pager_release(l.p, NULL));
	while (registered(getpid()) > 0)
		usleep(1000);
	scene->over = true;
	load_end(&l);
}

static void
test_refused(void)
{
	struct live d;
	pid_t pid;

	live_directory_make(machine, sizeof(machine));
	machine_set(50000000);
	live_start(&d, memory_size, "--host-files", machine, NULL);
	pid = client_start(&d, refused_run, NULL);
	client_join(&d, pid, true);
	EQ(live_stat(&d, "releases"), 1);
	EQ(live_stat(&d, "releases_refused"), 3);
	live_stop(&d);
}

/* --- killed, and stopped --- */

static struct pager_rep_release
ask(struct live *d, pid_t pid, uint32_t what)
{
	struct pager_req_release request = { .pid = (uint32_t)pid, .what = what };
	struct pager_rep_release reply = { 0 };
	struct chan_call call = { CHAN_CALL(RELEASE, &request, &reply) };
	int r = chan_exchange(&d->chan, &call);

	REQUIRE(r == 0 || r == -ESRCH, "%s", strerror(-r));
	return reply;
}

static void
killed_run(struct live *d, void *argument)
{
	struct load l;

	(void)argument;
	load_begin(&l, d, 0);
	load_end(&l);
	OK(pager_disconnect(l.p));
}

/* It is killed when it has about this much left with the daemon. */
static void
killed_at(struct live *d, uint64_t left)
{
	struct pager_rep_release r;
	pid_t pid;

	memset(scene, 0, sizeof(*scene));
	pid = client_start(d, killed_run, NULL);
	WAIT_UNTIL(d, all_have(0, 1));
	r = ask(d, pid, PAGER_WIRE_RELEASE_ASK);
	EQ(r.state, PAGER_WIRE_RELEASE_ASKED);
	WAIT_UNTIL(d,
	    (r = ask(d, pid, PAGER_WIRE_RELEASE_LOOK)).clients == 0 || r.resident + r.away <= left);
	client_kill(pid);
	live_check(d);
}

/* A process that is stopped is not let go of, and is as before when it goes on. */
static void
stopped(struct live *d)
{
	struct pager_rep_release r;
	uint64_t rounds;
	pid_t pid;

	memset(scene, 0, sizeof(*scene));
	pid = client_start(d, killed_run, NULL);
	WAIT_UNTIL(d, all_have(0, 1));
	kill(pid, SIGSTOP);
	WAIT_UNTIL(d, is_stopped(pid));
	EQ(ask(d, pid, PAGER_WIRE_RELEASE_ASK).state, PAGER_WIRE_RELEASE_ASKED);
	EQ(ask(d, pid, PAGER_WIRE_RELEASE_LOOK).state, PAGER_WIRE_RELEASE_ASKED);
	EQ(ask(d, pid, PAGER_WIRE_RELEASE_TAKE_BACK).state, PAGER_WIRE_RELEASE_NONE);
	kill(pid, SIGCONT);
	rounds = rounds_of(0);
	WAIT_UNTIL(d, all_have(0, rounds + 1));
	r = ask(d, pid, PAGER_WIRE_RELEASE_LOOK);
	EQ(r.clients, 1);
	EQ(r.state, PAGER_WIRE_RELEASE_NONE);
	scene->over = true;
	client_join(d, pid, false);
}

static void
test_killed(void)
{
	struct live d;

	live_start(&d, memory_size, NULL);
	for (unsigned n = 0; n < 3; n++)
		killed_at(&d, (own_mib * MIB) * (4 * n + 1) / 10);
	stopped(&d);
	live_stop(&d);
}

/* --- memory becomes smaller, and larger again, while clients are let go of --- */

static void
test_resized(void)
{
	pid_t pids[CLIENTS];
	char text[1024], size[32];
	uint64_t rounds;
	struct live d;

	live_start(&d, memory_size, NULL);
	for (unsigned i = 0; i < CLIENTS; i++)
		pids[i] = client_start(&d, load_run, (void *)(uintptr_t)i);
	for (unsigned i = 0; i < CLIENTS; i++)
		WAIT_UNTIL(&d, all_have(i, 1));
	for (unsigned i = 0; i < CLIENTS; i++)
		EQ(ask(&d, pids[i], PAGER_WIRE_RELEASE_ASK).state, PAGER_WIRE_RELEASE_ASKED);
	/* It may be refused while too much is in page lists. */
	for (unsigned n = 0; live_stat(&d, "releases") < CLIENTS; n++) {
		snprintf(size, sizeof(size), "%lluK",
		    (unsigned long long)(d.memory_bytes >> 10) * (2 + n % 3) / 4);
		(void)live_pagerctl(&d, text, sizeof(text), "memory", size, NULL);
		live_sample(&d, false);
		live_tick(&d);
	}
	for (unsigned i = 0; i < CLIENTS; i++) {
		WAIT_UNTIL(&d, registered(pids[i]) == 0);
		rounds = rounds_of(i);
		WAIT_UNTIL(&d, all_have(i, rounds + 2));
	}
	REQUIRE(
	    live_pagerctl(&d, text, sizeof(text), "memory", memory_size, NULL) == 0, "%s", text);
	WAIT_UNTIL(&d, (uint64_t)live_stat(&d, "total") * d.page_bytes == d.memory_bytes);
	live_stop(&d);
	scene->over = true;
	for (unsigned i = 0; i < CLIENTS; i++)
		client_reap(pids[i]);
}

/* --- all of them, and the daemon's end --- */

static void
test_stop(void)
{
	struct live d;
	pid_t pids[CLIENTS];
	uint64_t rounds[CLIENTS];
	char text[1024];

	live_start(&d, memory_size, NULL);
	for (unsigned i = 0; i < CLIENTS; i++)
		pids[i] = client_start(&d, load_run, (void *)(uintptr_t)i);
	for (unsigned i = 0; i < CLIENTS; i++)
		WAIT_UNTIL(&d, all_have(i, 1));
	REQUIRE(live_pagerctl(&d, text, sizeof(text), "stop", "--release", NULL) == 0, "%s", text);
	live_ended(&d);
	for (unsigned i = 0; i < CLIENTS; i++)
		rounds[i] = rounds_of(i);
	for (unsigned i = 0; i < CLIENTS; i++)
		while (!all_have(i, rounds[i] + 2))
			usleep(1000);
	scene->over = true;
	for (unsigned i = 0; i < CLIENTS; i++)
		client_reap(pids[i]);
}

int
main(int argc, char **argv)
{
	static const struct live_test tests[] = { { "load", test_load },
		{ "refused", test_refused }, { "killed", test_killed }, { "resized", test_resized },
		{ "stop", test_stop } };

	live_init(argc, argv);
	if (argc > 2)
		own_mib = strtoull(argv[2], NULL, 0);
	REQUIRE(own_mib >= 3 && own_mib < 1 << 20, "MIB: %s", argv[2]);
	snprintf(
	    memory_size, sizeof(memory_size), "%lluK", (unsigned long long)own_mib * 2 / 3 << 10);
	scene = shared_alloc(sizeof(*scene));
	return LIVE_RUN(argc, argv, tests);
}
