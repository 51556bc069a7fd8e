/* SPDX-License-Identifier: MIT
 *
 * pagerd --strict-files: whoever opens a mapped file after it has been mapped sees with read(2)
 * what clients have stored, and writes over it with write(2), without any msync. And nobody who
 * reads hangs because a file system, a client or the daemon does not go on.
 *
 * usage: e_file_strict reads|writes|again|mapped|killed|frozen|refused [page=SIZE] [memory=SIZE]
 *        [ratio=N] [ops=N]
 */
#include "children.h"
#include "file_touch.h"
#include "slow_file.h"

#include <linux/capability.h>
#include <linux/fs.h>
#include <sys/fanotify.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#ifndef FAN_PRE_ACCESS
#define FAN_PRE_ACCESS 0x00100000
#endif

enum { CLIENTS = 3 };

static void
strict_start(struct live *d)
{
	int group = fanotify_init(FAN_CLASS_PRE_CONTENT | FAN_CLOEXEC, O_RDONLY);

	if (group < 0 ||
	    (fanotify_mark(group, FAN_MARK_ADD, FAN_PRE_ACCESS, AT_FDCWD, "/var/tmp") < 0 &&
		errno == EINVAL)) {
		fprintf(stderr, "skipped: accesses are not announced here\n");
		exit(77);
	}
	close(group);
	/* However slow the disk is. */
	live_start(d, options.memory, "--page-size", options.page, "--socket-mode", "0666",
	    "--strict-files", "--param", "strict_wait_ms=60000", NULL);
}

struct role {
	struct file_scene *scene;
	unsigned number;
};

static void
roles_start(
    struct live *d, struct file_scene *s, client_body *body, struct role *roles, pid_t *pids)
{
	for (unsigned i = 0; i < CLIENTS; i++) {
		roles[i] = (struct role){ .scene = s, .number = i };
		pids[i] = client_start(d, body, &roles[i]);
	}
	for (unsigned i = 0; i < CLIENTS; i++)
		stage_wait(d, &s->stage[i], 1);
}

static void
roles_end(struct live *d, struct file_scene *s, const pid_t *pids)
{
	atomic_store(&s->stop, true);
	for (unsigned i = 0; i < CLIENTS; i++)
		client_join(d, pids[i], true);
}

/* The page's lock is held: a descriptor that is opened now shows what was stored last. */
static void
read_is_current(struct file_scene *s, uint32_t page)
{
	uint32_t generation = atomic_load(&s->pages[page].written);
	char *copy = malloc(s->page_bytes);
	int fd = file_open(s, O_RDONLY);

	REQUIRE(copy && pread(fd, copy, s->page_bytes, (off_t)(page * s->page_bytes)) ==
			    (ssize_t)s->page_bytes);
	file_words_verify(copy, page, s->page_bytes, generation, generation, "as read(2) gives it");
	close(fd);
	free(copy);
}

/* One who has not mapped the file reads the page while nobody stores into it. */
static void
outsider_reads(struct live *d, struct file_scene *s, uint32_t page)
{
	/* Its stores are none: it only has the lock. */
	struct file_view outside = { .d = d, .s = s };
	int owner = 0;

	while (!atomic_compare_exchange_strong(&s->pages[page].owner, &owner, getpid())) {
		owner = 0;
		live_tick(d);
	}
	read_is_current(s, page);
	file_page_unlock(&outside, page);
}

/* --- reads: clients store and never sync; an outsider reads --- */

static void
storing_client(struct live *d, void *argument)
{
	struct role *role = argument;
	struct file_scene *s = role->scene;
	struct file_view v;

	file_view_open(d, s, PROT_READ | PROT_WRITE, &v);
	stage_meet(d, &s->stage[role->number], 1);
	while (!atomic_load(&s->stop))
		file_turn(&v);
	file_verify_all(&v);
	file_view_close(&v);
}

static void
reads(void)
{
	struct role roles[CLIENTS];
	uint64_t rng = live_seed;
	struct live d = { 0 };
	struct file_scene *s;
	pid_t pids[CLIENTS];

	strict_start(&d);
	s = file_scene_make(&d, (uint32_t)(options.ratio * d.memory_bytes / d.page_bytes));
	for (unsigned i = 0; i < CLIENTS; i++)
		stage_allow(&s->stage[i], 1);
	roles_start(&d, s, storing_client, roles, pids);
	for (uint64_t n = 0; n < live_scaled(options.ops) || live_stat(&d, "file_waits") < 10; n++)
		outsider_reads(&d, s, (uint32_t)rng_below(&rng, s->count));
	roles_end(&d, s, pids);
	EQ(live_stat(&d, "file_waits_late"), 0);
	live_stop(&d);
}

/* --- writes: half a page by write(2), over what has been stored and not synced --- */

static void
half_is_stored(struct live *d, void *argument)
{
	struct role *role = argument;
	struct file_scene *s = role->scene;
	uint64_t half = s->page_bytes / 2;
	struct file_view v;
	char *copy = malloc(s->page_bytes);

	REQUIRE(copy != NULL);
	file_view_open(d, s, PROT_READ | PROT_WRITE, &v);
	stage_meet(d, &s->stage[0], 1);
	for (uint32_t page = 0; page < s->count; page++)
		file_page_store(view_page(&v, page), page, s->page_bytes, 1);
	stage_meet(d, &s->stage[0], 2);
	/* The outsider has written the first half of each. Neither is lost. */
	for (uint32_t page = 0; page < s->count; page++) {
		volatile uint64_t *word = (void *)view_page(&v, page);

		WAIT_UNTIL(d, *word == file_word(page, 0, 2));
		file_page_store(copy, page, s->page_bytes, 1);
		REQUIRE(
		    memcmp(view_page(&v, page) + half, copy + half, half) == 0, "page %u", page);
	}
	file_view_close(&v);
	free(copy);
}

static void
writes(void)
{
	struct role role = { 0 };
	struct live d = { 0 };
	struct file_scene *s;
	char *expected, *copy;
	pid_t pid;
	int fd;

	strict_start(&d);
	s = file_scene_make(&d, (uint32_t)(d.memory_bytes / d.page_bytes / 4));
	role.scene = s;
	pid = client_start(&d, half_is_stored, &role);
	stage_wait(&d, &s->stage[0], 1);
	fd = file_open(s, O_RDWR);
	stage_allow(&s->stage[0], 1);
	stage_wait(&d, &s->stage[0], 2);
	expected = malloc(s->page_bytes);
	copy = malloc(s->page_bytes);
	REQUIRE(expected && copy);
	for (uint32_t page = 0; page < s->count; page++) {
		file_page_store(expected, page, s->page_bytes / 2, 2);
		REQUIRE(pwrite(fd, expected, s->page_bytes / 2, (off_t)(page * s->page_bytes)) ==
			(ssize_t)s->page_bytes / 2);
	}
	stage_allow(&s->stage[0], 2);
	client_join(&d, pid, true);
	for (uint32_t page = 0; page < s->count; page++) {
		file_page_store(expected, page, s->page_bytes, 1);
		file_page_store(expected, page, s->page_bytes / 2, 2);
		REQUIRE(pread(fd, copy, s->page_bytes, (off_t)(page * s->page_bytes)) ==
				(ssize_t)s->page_bytes &&
			    memcmp(copy, expected, s->page_bytes) == 0,
		    "page %u", page);
	}
	free(expected);
	free(copy);
	close(fd);
	live_stop(&d);
}

/* --- again: the file is mapped and unmapped again and again; its watch ends and begins --- */

static void
coming_client(struct live *d, void *argument)
{
	struct role *role = argument;
	struct file_scene *s = role->scene;
	struct file_view v;

	/* One that has read only is there first: what is opened for the writers is opened while the
	 * file is watched already. */
	file_view_open(d, s, PROT_READ | PROT_WRITE, &v);
	stage_meet(d, &s->stage[role->number], 1);
	while (!atomic_load(&s->stop)) {
		for (unsigned i = 0; i < 1 + rng_below(&v.rng, 3); i++)
			file_turn(&v);
		file_view_unmap(&v);
		atomic_fetch_add(&s->turns[role->number], 1);
		file_view_map(&v, PROT_READ | PROT_WRITE);
	}
	file_view_close(&v);
}

static void
again(void)
{
	struct role roles[CLIENTS];
	uint64_t rng = live_seed;
	struct live d = { 0 };
	struct file_scene *s;
	pid_t pids[CLIENTS];

	strict_start(&d);
	s = file_scene_make(&d, 4);
	for (unsigned i = 0; i < CLIENTS; i++)
		stage_allow(&s->stage[i], 1);
	roles_start(&d, s, coming_client, roles, pids);
	for (uint64_t n = 0; n < live_scaled(options.ops) || atomic_load(&s->turns[0]) < 20; n++)
		outsider_reads(&d, s, (uint32_t)rng_below(&rng, s->count));
	roles_end(&d, s, pids);
	EQ(live_stat(&d, "file_waits_late"), 0);
	live_stop(&d);
}

/* --- mapped: who maps the file with mmap(2) is told, and sees what was stored before --- */

struct outsider {
	struct file_scene *s;
	int fd;
};

/* A mapping has what was stored last in the page, whichever protection and flags. */
static void
outsider_maps(const struct outsider *o, int protection, int flags)
{
	const struct file_scene *s = o->s;
	unsigned char *base = mmap(NULL, s->count * s->page_bytes, protection, flags, o->fd, 0);

	REQUIRE(base != MAP_FAILED);
	for (uint32_t page = 0; page < s->count; page++)
		file_words_verify(base + page * s->page_bytes, page, s->page_bytes, 1, 1,
		    "as a mapping has it that is made now");
	REQUIRE(munmap(base, s->count * s->page_bytes) == 0);
}

static void *
outsider_thread(void *argument)
{
	const struct outsider *o = argument;
	char byte;

	/* Neither of these is an mmap. */
	REQUIRE(pread(o->fd, &byte, 1, 0) == 1);
	outsider_maps(o, PROT_READ, MAP_SHARED);
	outsider_maps(o, PROT_READ | PROT_WRITE, MAP_SHARED);
	outsider_maps(o, PROT_READ | PROT_WRITE, MAP_PRIVATE);
	REQUIRE(pread(o->fd, &byte, 1, 0) == 1);
	return NULL;
}

/* The daemon's client that has stored into each page, until it may go. */
static void
pages_are_stored(struct live *d, void *argument)
{
	struct role *role = argument;
	struct file_scene *s = role->scene;
	struct file_view v;

	file_view_open(d, s, PROT_READ | PROT_WRITE, &v);
	for (uint32_t page = 0; page < s->count; page++)
		file_page_store(view_page(&v, page), page, s->page_bytes, 1);
	stage_meet(d, &s->stage[0], 1);
	file_view_close(&v);
}

static void
mapped(void)
{
	struct role role = { 0 };
	struct outsider outsider;
	char line[300], text[400];
	struct live d = { 0 };
	pthread_t thread;
	pid_t client;

	strict_start(&d);
	role.scene = file_scene_make(&d, 4);
	client = client_start(&d, pages_are_stored, &role);
	stage_wait(&d, &role.scene->stage[0], 1);
	outsider = (struct outsider){ role.scene, file_open(role.scene, O_RDWR) };
	/* By a thread that is not its process's first. */
	REQUIRE(pthread_create(&thread, NULL, outsider_thread, &outsider) == 0);
	REQUIRE(pthread_join(thread, NULL) == 0);
	EQ(live_stat(&d, "file_mapped_beside"), 3);
	REQUIRE(live_stat(&d, "file_announced") >= 5);
	snprintf(line, sizeof(line), "process %d (", (int)getpid());
	EQ(live_log_count(&d, line), 3);
	snprintf(text, sizeof(text), "maps %s with mmap(2)", role.scene->path);
	EQ(live_log_count(&d, text), 3);
	snprintf(text, sizeof(text), "maps %s with mmap(2), for writing", role.scene->path);
	EQ(live_log_count(&d, text), 1);
	close(outsider.fd);
	stage_allow(&role.scene->stage[0], 1);
	client_join(&d, client, true);
	live_stop(&d);
}

/* --- killed: whoever waits for a daemon that does not answer goes on when it dies --- */

static void
one_store(struct live *d, void *argument)
{
	struct role *role = argument;
	struct file_view v;

	file_view_open(d, role->scene, PROT_READ | PROT_WRITE, &v);
	file_page_store(view_page(&v, 0), 0, v.s->page_bytes, 1);
	stage_meet(d, &role->scene->stage[0], 1);
	file_view_close(&v);
}

static bool
is_in_call(pid_t pid, long number)
{
	char text[128];

	return thread_file_read(pid, pid, "syscall", text, sizeof(text)) && text[0] >= '0' &&
	       text[0] <= '9' && atol(text) == number;
}

/* A process that reads a byte of the file. */
static pid_t
reader_start(struct file_scene *s)
{
	pid_t pid = fork();
	char byte;

	if (pid != 0)
		return pid;
	alarm(300);
	_exit(pread(open(s->path, O_RDONLY | O_CLOEXEC), &byte, 1, 0) != 1);
}

static void
reader_ends(pid_t pid)
{
	int status;

	REQUIRE(waitpid(pid, &status, 0) == pid);
	REQUIRE(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%x", status);
}

static void
killed(void)
{
	struct role role = { 0 };
	struct live d = { 0 };
	pid_t reader;

	strict_start(&d);
	role.scene = file_scene_make(&d, 4);
	(void)client_start(&d, one_store, &role);
	stage_wait(&d, &role.scene->stage[0], 1);
	/* It is announced, and answered. */
	reader_ends(reader_start(role.scene));
	REQUIRE(live_stat(&d, "file_announced") > 0);
	REQUIRE(kill(d.pid, SIGSTOP) == 0);
	WAIT_UNTIL(&d, is_stopped(d.pid));
	reader = reader_start(role.scene);
	WAIT_UNTIL(&d, is_in_call(reader, SYS_pread64));
	live_kill(&d);
	reader_ends(reader);
}

/* --- frozen: a file system that takes no writes for a while --- */

static void
frozen_mount(void)
{
	char directory[128], command[400];

	namespace_begin();
	live_directory_make(directory, sizeof(directory));
	snprintf(command, sizeof(command),
	    "cd %s && truncate -s 32M disk && PATH=$PATH:/sbin:/usr/sbin && "
	    "mkfs.ext4 -q -m 0 disk && mount -o loop,noatime disk /mnt && chmod 777 /mnt",
	    directory);
	if (system(command) != 0) {
		fprintf(stderr, "skipped: ext4 cannot be made and mounted on a loop device\n");
		exit(77);
	}
}

/* Stores when it may, and then what it stores cannot be written. */
static void
late_store(struct live *d, void *argument)
{
	struct role *role = argument;
	struct file_view v;

	file_view_open(d, role->scene, PROT_READ | PROT_WRITE, &v);
	file_page_verify(&v, 0);
	stage_meet(d, &role->scene->stage[0], 1);
	file_page_store(view_page(&v, 0), 0, v.s->page_bytes, 1);
	stage_meet(d, &role->scene->stage[0], 2);
	file_view_close(&v);
}

static void
frozen(void)
{
	struct role role = { 0 };
	struct live d = { 0 };
	pid_t client, reader;
	int64_t waits;
	int mnt, fd;

	frozen_mount();
	strict_start(&d);
	live_param(&d, "strict_wait_ms", "20");
	role.scene = file_scene_at(&d, 4, "/mnt/file");
	/* So that the read itself needs no disk. */
	fd = file_open(role.scene, O_RDONLY);
	client = client_start(&d, late_store, &role);
	stage_wait(&d, &role.scene->stage[0], 1);
	mnt = open("/mnt", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	REQUIRE(mnt >= 0 && ioctl(mnt, FIFREEZE, 0) == 0, "%s", strerror(errno));
	stage_allow(&role.scene->stage[0], 1);
	stage_wait(&d, &role.scene->stage[0], 2);
	/* It waits in vain, and is let go; one that comes soon after it does not wait. */
	reader = reader_start(role.scene);
	WAIT_UNTIL(&d, live_stat(&d, "file_waits_late") > 0);
	reader_ends(reader);
	REQUIRE(live_stat(&d, "file_waits") > 0);
	do {
		waits = live_stat(&d, "file_waits");
		reader_ends(reader_start(role.scene));
		live_tick(&d);
	} while (live_stat(&d, "file_waits") != waits);
	REQUIRE(live_stat(&d, "file_waits_late") >= 2);
	REQUIRE(ioctl(mnt, FITHAW, 0) == 0, "%s", strerror(errno));
	close(mnt);
	stage_allow(&role.scene->stage[0], 2);
	client_join(&d, client, true);
	close(fd);
	live_stop(&d);
	umount2("/mnt", MNT_DETACH);
}

/* --- refused: what cannot be promised --- */

static void
no_such_events(struct live *d, void *argument)
{
	struct role *role = argument;
	struct pager *p = client_connect(d);
	int fd = open(role->scene->path, O_RDWR | O_CLOEXEC);
	void *base;

	REQUIRE(fd >= 0);
	EQ(pager_map_file(p, fd, 0, d->page_bytes, PROT_READ, PAGER_MAP_SHARED, &base),
	    -EOPNOTSUPP);
	close(fd);
	OK(pager_disconnect(p));
}

static void
refused(void)
{
	char text[1024] = "", socket[180];
	struct role role = { 0 };
	struct live d = { 0 };
	int output[2], status;
	size_t used = 0;
	ssize_t got;
	pid_t pid;

	namespace_begin();
	REQUIRE(mount("pagerd-test", "/mnt", "tmpfs", 0, "size=4M") == 0, "%s", strerror(errno));
	strict_start(&d);
	role.scene = file_scene_at(&d, 4, "/mnt/file");
	client_join(&d, client_start(&d, no_such_events, &role), true);
	/* Root in name only. */
	snprintf(socket, sizeof(socket), "%s.2", d.socket);
	REQUIRE(pipe(output) == 0);
	pid = fork();
	if (pid == 0) {
		alarm(300);
		dup2(output[1], STDERR_FILENO);
		if (prctl(PR_CAPBSET_DROP, CAP_SYS_ADMIN, 0, 0, 0) < 0)
			_exit(127);
		execl(getenv("PAGERD"), "pagerd", "--memory", "8M", "--no-swap", "--strict-files",
		    "--socket", socket, NULL);
		_exit(127);
	}
	close(output[1]);
	while (used < sizeof(text) - 1 &&
	       (got = read(output[0], text + used, sizeof(text) - 1 - used)) > 0)
		used += (size_t)got;
	close(output[0]);
	REQUIRE(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
	EQ(WEXITSTATUS(status), 1);
	REQUIRE(strstr(text, "--strict-files needs root"), "%s", text);
	live_stop(&d);
	umount2("/mnt", MNT_DETACH);
}

static const struct live_test tests[] = { { "reads", reads }, { "writes", writes },
	{ "again", again }, { "mapped", mapped }, { "killed", killed }, { "frozen", frozen },
	{ "refused", refused } };

int
main(int argc, char **argv)
{
	share_options_parse(argc, argv);
	live_init(argc, argv);
	return LIVE_RUN(argc, argv, tests);
}
