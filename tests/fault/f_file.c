/* SPDX-License-Identifier: MIT
 *
 * Mapped files where the disk fails: reads and writes that end with an error or half done, by fail
 * points; and real small file systems that are full. What cannot be read is refused with SIGBUS,
 * and asked for again at the next touch; what cannot be written stays as it is in memory, msync
 * says so, and it is written when there is room again.
 *
 * usage: f_file read-eio|read-short|write-eio|write-enospc|write-short|full|full-more|full-tmpfs|
 *        full-ext4 [page=SIZE] [memory=SIZE]
 */
#include "file_touch.h"

#include <sys/mount.h>

#include "slow_file.h"

enum { SWEEP = 24 };

struct failing {
	struct file_scene *scene;
	struct stage stage;
	const char *point; /* the fail point's name; NULL: the disk itself fails */
	int error;         /* what msync says */
	_Atomic uint64_t refusals;
};

/* --- reads --- */

/* Reads all pages. => how many are refused; the others are right */
static unsigned
read_all(struct file_view *v)
{
	unsigned refusals = 0;
	unsigned char byte;

	for (uint32_t page = 0; page < v->s->count; page++)
		if (byte_read(v, page * v->s->page_bytes, &byte)) {
			file_page_lock(v, page);
			file_page_unlock(v, page);
		} else {
			refusals++;
		}
	return refusals;
}

static void
drop_all(struct file_view *v)
{
	OK(pager_msync(v->p, v->base, v->s->count * v->s->page_bytes,
	    PAGER_MSYNC_SYNC | PAGER_MSYNC_INVALIDATE));
	file_view_unmap(v);
	file_view_map(v, PROT_READ | PROT_WRITE);
}

static void
reads_client(struct live *d, void *argument)
{
	struct failing *f = argument;
	struct file_view v;

	expect_bus();
	file_view_open(d, f->scene, PROT_READ | PROT_WRITE, &v);
	for (unsigned n = 1; n <= SWEEP; n++) {
		/* The n-th read of these will fail. */
		stage_meet(d, &f->stage, 2 * n - 1);
		atomic_fetch_add(&f->refusals, read_all(&v));
		stage_meet(d, &f->stage, 2 * n);
		/* It is asked for again at each touch. */
		WAIT_UNTIL(d, read_all(&v) == 0);
		drop_all(&v);
	}
	stage_meet(d, &f->stage, 2 * SWEEP + 1);
	file_view_close(&v);
}

static struct failing *
failing_make(struct live *d, const char *point, int error)
{
	struct failing *f = shared_alloc(sizeof(*f));

	daemon_start(d);
	f->scene = file_scene_make(d, (uint32_t)(d->memory_bytes / d->page_bytes / 2));
	f->point = point;
	f->error = error;
	return f;
}

/* Runs the client through its stages; before each odd one, the n-th pass of the fail point will
 * fail. => how often it has */
static uint64_t
sweep(struct live *d, struct failing *f, pid_t pid)
{
	uint64_t failed = 0, before = live_fail_count(d, f->point);
	char spec[64];

	for (unsigned n = 1; n <= SWEEP; n++) {
		stage_wait(d, &f->stage, 2 * n - 1);
		snprintf(spec, sizeof(spec), "%s:%u:1", f->point, n - 1);
		live_debug_fail(d, spec);
		stage_allow(&f->stage, 2 * n - 1);
		stage_wait(d, &f->stage, 2 * n);
		failed = live_fail_count(d, f->point) - before;
		live_debug_fail(d, NULL);
		stage_allow(&f->stage, 2 * n);
	}
	stage_wait(d, &f->stage, 2 * SWEEP + 1);
	live_check(d);
	stage_allow(&f->stage, 2 * SWEEP + 1);
	client_join(d, pid, true);
	printf("%s failed %llu times\n", f->point, (unsigned long long)failed);
	return failed;
}

static void
reads_fail(const char *point)
{
	struct live d = { 0 };
	struct failing *f = failing_make(&d, point, 0);
	uint64_t failed = sweep(&d, f, client_start(&d, reads_client, f));

	REQUIRE(failed > 0, "no read has failed");
	/* A transfer that ends early is gone on with. */
	if (strcmp(point, "FILE_READ_SHORT") == 0)
		EQ(atomic_load(&f->refusals), 0);
	else
		REQUIRE(atomic_load(&f->refusals) > 0);
	live_stop(&d);
}

/* --- writes --- */

static void
write_all(struct file_view *v)
{
	for (uint32_t page = 0; page < v->s->count; page++) {
		file_page_lock(v, page);
		file_page_write(v, page);
		file_page_unlock(v, page);
	}
}

static void
writes_client(struct live *d, void *argument)
{
	struct failing *f = argument;
	struct file_view v;
	int r;

	file_view_open(d, f->scene, PROT_READ | PROT_WRITE, &v);
	for (unsigned n = 1; n <= SWEEP; n++) {
		write_all(&v);
		/* The n-th write of these will fail. */
		stage_meet(d, &f->stage, 2 * n - 1);
		r = file_sync(&v, 0, f->scene->count, PAGER_MSYNC_SYNC);
		REQUIRE(r == 0 || r == f->error, "%d", r);
		atomic_fetch_add(&f->refusals, r != 0);
		/* What was not written is still there. */
		file_verify_all(&v);
		stage_meet(d, &f->stage, 2 * n);
		WAIT_UNTIL(d, file_sync(&v, 0, f->scene->count, PAGER_MSYNC_SYNC) == 0);
		REQUIRE(file_read_is_current(f->scene, v.fd));
	}
	stage_meet(d, &f->stage, 2 * SWEEP + 1);
	file_view_close(&v);
}

static void
writes_fail(const char *point, int error)
{
	struct live d = { 0 };
	struct failing *f = failing_make(&d, point, error);
	uint64_t failed = sweep(&d, f, client_start(&d, writes_client, f));

	REQUIRE(failed > 0, "no write has failed");
	if (strcmp(point, "FILE_WRITE_SHORT") != 0)
		REQUIRE(atomic_load(&f->refusals) > 0);
	live_stop(&d);
}

/* --- all writes fail, until the test says otherwise: nobody else suffers --- */

static void
neighbour(struct live *d, void *argument)
{
	struct failing *f = argument;
	struct pager *p = client_connect(d);
	uint32_t count = (uint32_t)(2 * d->memory_bytes / d->page_bytes);
	uint64_t rng = live_seed;
	struct book book;

	book_open(&book, client_allocate(p, count * d->page_bytes), d->page_bytes, count, 3);
	while (atomic_load(&f->stage.reached) < 3) {
		uint32_t page = (uint32_t)rng_below(&rng, count);

		book_verify(&book, page);
		book_write(&book, page, mixture_draw(&mixture_usual, &rng));
		atomic_fetch_add(&f->scene->turns[1], 1);
	}
	book_verify_all(&book);
	OK(pager_disconnect(p));
}

/* Stores in pages until one is refused. => how many */
static uint32_t
store_all(struct file_view *v)
{
	uint32_t page = 0;

	while (page < v->s->count && page_store(v, page))
		page++;
	return page;
}

static void
full_client(struct live *d, void *argument)
{
	struct failing *f = argument;
	struct file_scene *s = f->scene;
	uint32_t stored;
	struct file_view v;
	int r;

	expect_bus();
	file_view_open(d, s, PROT_READ | PROT_WRITE, &v);
	stage_meet(d, &f->stage, 1);
	stored = store_all(&v);
	printf("%u of %u pages could be stored\n", stored, s->count);
	REQUIRE(stored > 0);
	r = file_sync(&v, 0, s->count, PAGER_MSYNC_SYNC);
	EQ(r, f->error);
	/* Everything that was stored is there. */
	for (uint32_t page = 0; page < stored; page++) {
		file_page_lock(&v, page);
		file_page_unlock(&v, page);
	}
	stage_meet(d, &f->stage, 2);
	/* There is room again. */
	WAIT_UNTIL(d, file_sync(&v, 0, s->count, PAGER_MSYNC_SYNC) == 0);
	if (stored < s->count) {
		WAIT_UNTIL(d, store_all(&v) == s->count);
		OK(file_sync(&v, 0, s->count, PAGER_MSYNC_SYNC));
	}
	REQUIRE(file_read_is_current(s, v.fd));
	file_view_close(&v);
	atomic_store(&f->stage.reached, 3);
}

/* The neighbour goes on. */
static void
neighbour_goes_on(struct live *d, struct failing *f, uint64_t turns)
{
	uint64_t until = atomic_load(&f->scene->turns[1]) + live_scaled(turns);

	WAIT_UNTIL(d, atomic_load(&f->scene->turns[1]) >= until);
}

static void
full_run(struct live *d, struct failing *f, void (*room)(struct live *d, struct failing *f))
{
	pid_t client = client_start(d, full_client, f), other;

	stage_wait(d, &f->stage, 1);
	other = client_start(d, neighbour, f);
	neighbour_goes_on(d, f, 100);
	stage_allow(&f->stage, 1);
	stage_wait(d, &f->stage, 2);
	neighbour_goes_on(d, f, 2000);
	live_check(d);
	room(d, f);
	stage_allow(&f->stage, 2);
	client_join(d, client, true);
	client_join(d, other, true);
	EQ(live_stat(d, "pages_lost"), 0);
	live_stop(d);
}

static void
point_off(struct live *d, struct failing *f)
{
	(void)f;
	live_debug_fail(d, NULL);
}

static void
full(void)
{
	struct failing *f = shared_alloc(sizeof(*f));
	struct live d = { 0 };

	daemon_start(&d);
	f->scene = file_scene_make(&d, (uint32_t)(d.memory_bytes / d.page_bytes / 2));
	f->error = -ENOSPC;
	live_debug_fail(&d, "FILE_WRITE_ENOSPC:0:0");
	full_run(&d, f, point_off);
}

/* --- four times as much as memory holds is stored where nothing can be written --- */

static void
full_more_client(struct live *d, void *argument)
{
	struct failing *f = argument;
	struct file_scene *s = f->scene;
	uint32_t stored, refused;
	struct file_view v;

	expect_bus();
	file_view_open(d, s, PROT_READ | PROT_WRITE, &v);
	stage_meet(d, &f->stage, 1);
	stored = pages_store(&v, &refused);
	printf(
	    "%u of %u pages could be stored, %u stores were refused\n", stored, s->count, refused);
	REQUIRE(stored > 0 && refused > 0);
	EQ(file_sync(&v, 0, s->count, PAGER_MSYNC_SYNC), f->error);
	/* What was stored is there, and what was not is as before. */
	file_verify_all(&v);
	stage_meet(d, &f->stage, 2);
	/* There is room again. */
	WAIT_UNTIL(d, file_sync(&v, 0, s->count, PAGER_MSYNC_SYNC) == 0);
	pages_store_all(&v);
	WAIT_UNTIL(d, file_sync(&v, 0, s->count, PAGER_MSYNC_SYNC) == 0);
	REQUIRE(file_read_is_current(s, v.fd));
	file_view_close(&v);
	atomic_store(&f->stage.reached, 3);
}

static void
full_more(void)
{
	struct failing *f = shared_alloc(sizeof(*f));
	struct live d = { 0 };
	pid_t client, other;

	daemon_start(&d);
	f->scene = file_scene_make(&d, (uint32_t)(d.memory_bytes / d.page_bytes * 4));
	f->error = -ENOSPC;
	live_debug_fail(&d, "FILE_WRITE_ENOSPC:0:0");
	client = client_start(&d, full_more_client, f);
	stage_wait(&d, &f->stage, 1);
	other = client_start(&d, neighbour, f);
	neighbour_goes_on(&d, f, 100);
	stage_allow(&f->stage, 1);
	stage_wait(&d, &f->stage, 2);
	neighbour_goes_on(&d, f, 2000);
	live_check(&d);
	REQUIRE(live_stat(&d, "refused_stores") > 0);
	REQUIRE(live_stat(&d, "file_dirty") <= live_stat(&d, "dirty_session_limit") + 64);
	point_off(&d, f);
	stage_allow(&f->stage, 2);
	client_join(&d, client, true);
	client_join(&d, other, true);
	EQ(live_stat(&d, "pages_lost"), 0);
	EQ(live_stat(&d, "refused_zero_fills") + live_stat(&d, "refused_refills"), 0);
	WAIT_UNTIL(&d, live_stat(&d, "file_dirty") == 0);
	live_stop(&d);
}

/* --- file systems of their own --- */

#define DISK_MIB 6

static void
filler_remove(struct live *d, struct failing *f)
{
	(void)d;
	(void)f;
	REQUIRE(unlink("/mnt/filler") == 0, "%s", strerror(errno));
}

static void
mount_tmpfs(void)
{
	char mount_options[32];

	snprintf(mount_options, sizeof(mount_options), "size=%dM,mode=0777", DISK_MIB);
	if (mount("pagerd-test", "/mnt", "tmpfs", 0, mount_options) < 0) {
		printf("skipped: tmpfs cannot be mounted: %s\n", strerror(errno));
		exit(77);
	}
}

static void
mount_ext4(void)
{
	char directory[128], command[600];

	live_directory_make(directory, sizeof(directory));
	snprintf(command, sizeof(command),
	    "exec >/dev/null 2>&1; PATH=$PATH:/sbin:/usr/sbin; cd '%s' && truncate -s %dM disk && "
	    "mkfs.ext4 -q -m 0 disk && mount -o loop disk /mnt && chmod 777 /mnt",
	    directory, 3 * DISK_MIB);
	if (system(command) != 0) {
		printf("skipped: ext4 cannot be made and mounted on a loop device\n");
		exit(77);
	}
}

/* Leaves room for some pages only. */
static void
filler_make(uint64_t room)
{
	int fd = open("/mnt/filler", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	static char block[4096] = "filler";
	uint64_t bytes = 0;

	REQUIRE(fd >= 0, "%s", strerror(errno));
	while (write(fd, block, sizeof(block)) == sizeof(block))
		bytes += sizeof(block);
	EQ(errno, ENOSPC);
	REQUIRE(bytes > room);
	REQUIRE(ftruncate(fd, (off_t)(bytes - room)) == 0 && fsync(fd) == 0, "%s", strerror(errno));
	close(fd);
}

static void
full_file_system(void (*mount_it)(void))
{
	struct failing *f = shared_alloc(sizeof(*f));
	struct live d = { 0 };

	namespace_begin();
	mount_it();
	daemon_start(&d);
	/* A hole: no block of it has been allocated. */
	f->scene = file_scene_at(&d, (uint32_t)(d.memory_bytes / d.page_bytes / 2), "/mnt/file");
	REQUIRE(truncate("/mnt/file", 0) == 0 &&
		truncate("/mnt/file", (off_t)(f->scene->count * d.page_bytes)) == 0);
	filler_make(8 * d.page_bytes);
	f->error = -ENOSPC;
	full_run(&d, f, filler_remove);
	umount2("/mnt", MNT_DETACH);
}

static void
read_eio(void)
{
	reads_fail("FILE_READ_EIO");
}

static void
read_short(void)
{
	reads_fail("FILE_READ_SHORT");
}

static void
write_eio(void)
{
	writes_fail("FILE_WRITE_EIO", -EIO);
}

static void
write_enospc(void)
{
	writes_fail("FILE_WRITE_ENOSPC", -ENOSPC);
}

static void
write_short(void)
{
	writes_fail("FILE_WRITE_SHORT", -EIO);
}

static void
full_tmpfs(void)
{
	full_file_system(mount_tmpfs);
}

static void
full_ext4(void)
{
	full_file_system(mount_ext4);
}

static const struct live_test tests[] = { { "read-eio", read_eio }, { "read-short", read_short },
	{ "write-eio", write_eio }, { "write-enospc", write_enospc },
	{ "write-short", write_short }, { "full", full }, { "full-more", full_more },
	{ "full-tmpfs", full_tmpfs }, { "full-ext4", full_ext4 } };

int
main(int argc, char **argv)
{
	share_options_parse(argc, argv);
	live_init(argc, argv);
	return LIVE_RUN(argc, argv, tests);
}
