/* SPDX-License-Identifier: MIT
 *
 * Files in shared regions: one address and one set of text frames for all, data and zeroes of each
 * process's own, and what becomes of both by reset, fork, a kill, another user, and new regions.
 *
 * usage: e_shared_region loaded|conflicts|regions|outsider [page=SIZE] [memory=SIZE]
 */
#include "file_touch.h"

#include <sys/wait.h>

#include "children.h"
#include "guard.h"

enum { TEXT = 48, DATA = 16, ZERO = 4, CLIENTS = 8 };

struct scene {
	struct file_scene *file, *other;
	struct stage stage[CLIENTS];
	_Atomic uintptr_t address;
	atomic_uint loaded_before; /* how many were told so */
};

/* What one of several clients is told. */
struct part {
	struct scene *scene;
	unsigned number;
};

/* One process's view. */
struct loaded {
	struct live *d;
	struct file_scene *s;
	struct pager *p;
	unsigned char *text, *data, *zero;
	unsigned status;
};

static void
parts_make(const struct live *d, struct pager_shared_part *parts)
{
	size_t page = d->page_bytes;

	parts[0] = (struct pager_shared_part){ 0, TEXT * page, 0, PROT_READ, 0 };
	parts[1] = (struct pager_shared_part){ TEXT * page, DATA * page, TEXT * page,
		PROT_READ | PROT_WRITE, PAGER_SHARED_COW };
	/* Behind a gap. */
	parts[2] = (struct pager_shared_part){ 0, ZERO * page, (TEXT + DATA + 1) * page,
		PROT_READ | PROT_WRITE, PAGER_SHARED_ZERO };
}

static int
try_load(struct live *d, struct pager *p, struct file_scene *s, unsigned flags, void **address,
    unsigned *status)
{
	struct pager_shared_part parts[3];
	int fd = file_open(s, O_RDONLY), r;

	parts_make(d, parts);
	r = pager_shared_file_load(p, fd, parts, 3, flags, address, status);
	close(fd);
	return r;
}

static void
load(struct live *d, struct pager *p, struct file_scene *s, struct loaded *l)
{
	void *address = NULL;

	*l = (struct loaded){ .d = d, .s = s, .p = p };
	OK(try_load(d, p, s, 0, &address, &l->status));
	l->text = address;
	l->data = l->text + TEXT * d->page_bytes;
	l->zero = l->text + (TEXT + DATA + 1) * d->page_bytes;
}

static void
text_verify(const struct loaded *l)
{
	for (uint32_t i = 0; i < TEXT; i++)
		file_words_verify(
		    l->text + i * l->d->page_bytes, i, l->d->page_bytes, 0, 0, "of text");
}

/* Data and zeroes are as at the beginning. */
static void
data_is_fresh(const struct loaded *l)
{
	for (uint32_t i = 0; i < DATA; i++)
		file_words_verify(
		    l->data + i * l->d->page_bytes, TEXT + i, l->d->page_bytes, 0, 0, "of data");
	for (size_t i = 0; i < ZERO * l->d->page_bytes; i++)
		EQ(l->zero[i], 0);
}

static void
data_write(const struct loaded *l, int value)
{
	memset(l->data, value, DATA * l->d->page_bytes);
	memset(l->zero, value, ZERO * l->d->page_bytes);
}

static void
data_verify(const struct loaded *l, int value)
{
	for (size_t i = 0; i < DATA * l->d->page_bytes; i++)
		EQ(l->data[i], value);
	for (size_t i = 0; i < ZERO * l->d->page_bytes; i++)
		EQ(l->zero[i], value);
}

/* A child has what its parent has, and both their own from then on. */
static void
child_verify(const struct loaded *l, int value)
{
	pid_t pid = fork_sure();

	if (pid == 0) {
		text_verify(l);
		data_verify(l, value);
		data_write(l, value + 1);
		OK(pager_shared_file_reset(l->p, l->text));
		data_is_fresh(l);
		data_write(l, value + 2);
		_exit(0);
	}
	EQ(status_of(pid), 0);
	data_verify(l, value);
}

static void
loaded_client(struct live *d, void *argument)
{
	const struct part *part = argument;
	struct scene *scene = part->scene;
	unsigned number = part->number;
	struct stage *stage = &scene->stage[number];
	unsigned char byte;
	struct loaded l;
	uintptr_t none = 0;

	guard_begin();
	load(d, client_connect(d), scene->file, &l);
	atomic_fetch_add(&scene->loaded_before, l.status == PAGER_SHARED_WAS_LOADED);
	if (!atomic_compare_exchange_strong(&scene->address, &none, (uintptr_t)l.text))
		EQ(none, (uintptr_t)l.text);
	REQUIRE((uintptr_t)l.text >= PAGER_SHARED_BASE &&
		(uintptr_t)l.text < PAGER_SHARED_BASE + PAGER_SHARED_BYTES);
	text_verify(&l);
	stage_meet(d, stage, 1);
	data_is_fresh(&l);
	stage_meet(d, stage, 2);
	data_write(&l, (int)number + 10);
	EQ(guard_store(l.text, 1), SIGSEGV);
	EQ(pager_protect(l.p, l.text, d->page_bytes, PROT_READ | PROT_WRITE), -EACCES);
	stage_meet(d, stage, 3);
	data_verify(&l, (int)number + 10);
	if (number % 2 == 0) {
		OK(pager_shared_file_reset(l.p, l.text));
		data_is_fresh(&l);
		data_write(&l, (int)number + 10);
	}
	if (number < 2)
		child_verify(&l, (int)number + 10);
	stage_meet(d, stage, 4);
	data_verify(&l, (int)number + 10);
	text_verify(&l);
	/* A part may go, and then there is nothing to be reset. */
	OK(pager_deallocate(l.p, l.zero, ZERO * d->page_bytes));
	EQ(pager_shared_file_reset(l.p, l.text), -EINVAL);
	EQ(pager_shared_file_reset(l.p, l.data), -ENOENT);
	EQ(guard_load(l.zero, &byte), SIGSEGV);
	OK(pager_disconnect(l.p));
}

static struct scene *
scene_begin(struct live *d)
{
	struct scene *scene = shared_alloc(sizeof(*scene));

	daemon_start(d);
	scene->file = file_scene_make(d, TEXT + DATA);
	scene->other = file_scene_make(d, TEXT + DATA);
	return scene;
}

/* Nobody has loaded anything, and the files are as they were. */
static void
scene_end(struct live *d, struct scene *scene)
{
	int fd = file_open(scene->file, O_RDONLY);

	REQUIRE(file_read_is_current(scene->file, fd));
	close(fd);
	WAIT_UNTIL(d, live_stat(d, "files") == 0);
	live_stop(d);
}

static void
loaded(void)
{
	struct live d = { 0 };
	struct scene *scene = scene_begin(&d);
	pid_t pids[CLIENTS];
	struct part arguments[CLIENTS];

	for (unsigned i = 0; i < CLIENTS; i++) {
		arguments[i] = (struct part){ scene, i };
		pids[i] = client_start(&d, loaded_client, &arguments[i]);
	}
	for (unsigned i = 0; i < CLIENTS; i++)
		stage_wait(&d, &scene->stage[i], 1);
	EQ(atomic_load(&scene->loaded_before), CLIENTS - 1);
	/* All have read all of the text: its frames are there once. */
	live_rest(&d);
	EQ(live_stat(&d, "external"), TEXT);
	EQ(live_stat(&d, "internal"), 0);
	for (unsigned at = 1; at < 4; at++)
		for (unsigned i = 0; i < CLIENTS; i++) {
			stage_allow(&scene->stage[i], at);
			stage_wait(&d, &scene->stage[i], at + 1);
		}
	/* One is killed as it has it all. */
	client_kill(pids[3]);
	for (unsigned i = 0; i < CLIENTS; i++) {
		stage_allow(&scene->stage[i], 4);
		if (i != 3)
			client_join(&d, pids[i], false);
	}
	EQ(live_stat(&d, "file_writes"), 0);
	scene_end(&d, scene);
}

/* --- conflicts --- */

static void
conflicts_client(struct live *d, void *argument)
{
	struct scene *scene = argument;
	struct pager *p = client_connect(d);
	struct pager_shared_part parts[3], wrong;
	unsigned status = 7;
	void *address = NULL, *other, *mine;
	int fd = file_open(scene->file, O_RDONLY);
	size_t page = d->page_bytes;

	parts_make(d, parts);
	/* What is wrong with parts. */
	EQ(pager_shared_file_load(p, fd, parts, 0, 0, &address, NULL), -EINVAL);
	EQ(pager_shared_file_load(p, fd, parts, PAGER_SHARED_PARTS_MAX + 1, 0, &address, NULL),
	    -EINVAL);
	EQ(pager_shared_file_load(p, fd, parts, 3, 8, &address, NULL), -EINVAL);
	for (unsigned i = 0; i < 6; i++) {
		wrong = parts[0];
		wrong.protection = i == 0 ? PROT_READ | PROT_WRITE : i == 1 ? 0 : PROT_READ;
		wrong.size = i == 2 ? 0 : page;
		wrong.file_offset = i == 3;
		wrong.address_offset = i == 4;
		wrong.flags = i == 5 ? PAGER_SHARED_COW | PAGER_SHARED_ZERO : 0;
		EQ(pager_shared_file_load(p, fd, &wrong, 1, 0, &address, NULL), -EINVAL);
	}
	parts[1].address_offset -= page;
	EQ(pager_shared_file_load(p, fd, parts, 3, 0, &address, NULL), -EINVAL);
	parts[1].address_offset += page;
	EQ(pager_shared_file_load(p, -1, parts, 3, 0, &address, NULL), -EBADF);
	REQUIRE(address == NULL);
	/* Outside, and in the midst. */
	address = (void *)(uintptr_t)(PAGER_SHARED_BASE - page);
	EQ(pager_shared_file_load(p, fd, parts, 3, PAGER_SHARED_AT, &address, NULL), -EINVAL);
	mine = (void *)(uintptr_t)(PAGER_SHARED_BASE + (1ull << 32));
	address = mine;
	OK(pager_shared_file_load(p, fd, parts, 3, PAGER_SHARED_AT, &address, &status));
	EQ(status, 0);
	REQUIRE(address == mine);
	EQ(pager_shared_file_load(p, fd, parts, 3, 0, &address, &status), -EALREADY);
	/* Another file there. */
	other = (unsigned char *)mine + page;
	EQ(try_load(d, p, scene->other, PAGER_SHARED_AT, &other, &status), -EEXIST);
	REQUIRE(other == (unsigned char *)mine + page);
	OK(try_load(d, p, scene->other, PAGER_SHARED_AT | PAGER_SHARED_ALTERNATE, &other, &status));
	REQUIRE(other != mine && other != (unsigned char *)mine + page);
	file_words_verify(other, 0, page, 0, 0, "of text");
	/* The same file in other parts is another one. */
	OK(pager_shared_file_load(p, fd, parts, 2, 0, &address, &status));
	REQUIRE(address != mine && address != other);
	file_words_verify((unsigned char *)address + TEXT * page, TEXT, page, 0, 0, "of data");
	close(fd);
	OK(pager_disconnect(p));
	/* Nobody has it any more. */
	WAIT_UNTIL(d, live_stat(d, "sessions") == 0 && live_stat(d, "files") == 0);
	/* Who has something there cannot load it, and is as before. */
	p = client_connect(d);
	mine = mmap((void *)(uintptr_t)(PAGER_SHARED_BASE + TEXT * page), page,
	    PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	REQUIRE(mine != MAP_FAILED, "%s", strerror(errno));
	*(volatile int *)mine = 5;
	EQ(try_load(d, p, scene->file, 0, &address, &status), -EEXIST);
	EQ(*(volatile int *)mine, 5);
	munmap(mine, page);
	OK(try_load(d, p, scene->file, 0, &address, &status));
	EQ((uintptr_t)address, PAGER_SHARED_BASE);
	EQ(status, 0);
	OK(pager_disconnect(p));
}

/* The test's own program, whose segments are of the hardware's pages. */
static void
elf_client(struct live *d, void *argument)
{
	struct pager_shared_part parts[PAGER_SHARED_PARTS_MAX];
	int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	struct pager *p = client_connect(d);
	unsigned count = 0, datas = 0;
	void *address, *plain;
	off_t bytes;
	int r;

	(void)argument;
	REQUIRE(fd >= 0, "%s", strerror(errno));
	r = pager_shared_elf_parts(p, fd, parts, PAGER_SHARED_PARTS_MAX, &count);
	if (r == -ENOEXEC && d->page_bytes > 4096) {
		OK(pager_disconnect(p));
		return;
	}
	OK(r);
	OK(pager_shared_file_load(p, fd, parts, count, 0, &address, NULL));
	bytes = lseek(fd, 0, SEEK_END);
	plain = mmap(NULL, (size_t)bytes, PROT_READ, MAP_PRIVATE, fd, 0);
	REQUIRE(plain != MAP_FAILED, "%s", strerror(errno));
	EQ(parts[0].flags, 0);
	for (unsigned i = 0; i < count; i++) {
		const unsigned char *at = (unsigned char *)address + parts[i].address_offset;
		size_t whole = parts[i].size;

		datas += parts[i].flags == PAGER_SHARED_COW;
		if (parts[i].flags == PAGER_SHARED_ZERO)
			continue;
		if (whole > (size_t)bytes - parts[i].file_offset)
			whole = (size_t)bytes - parts[i].file_offset;
		REQUIRE(memcmp(at, (unsigned char *)plain + parts[i].file_offset, whole) == 0,
		    "part %u", i);
	}
	REQUIRE(datas > 0);
	munmap(plain, (size_t)bytes);
	close(fd);
	OK(pager_disconnect(p));
}

static void
conflicts(void)
{
	struct live d = { 0 };
	struct scene *scene = scene_begin(&d);

	client_join(&d, client_start(&d, conflicts_client, scene), false);
	client_join(&d, client_start(&d, elf_client, NULL), false);
	scene_end(&d, scene);
}

/* --- regions: other regions for a process and its children, and for all --- */

static void
holder(struct live *d, void *argument)
{
	struct scene *scene = argument;
	struct loaded l;

	load(d, client_connect(d), scene->file, &l);
	EQ(l.status, 0);
	atomic_store(&scene->address, (uintptr_t)l.text);
	stage_meet(d, &scene->stage[0], 1);
	text_verify(&l);
	OK(pager_disconnect(l.p));
}

static void
regions_client(struct live *d, void *argument)
{
	struct scene *scene = argument;
	struct loaded l, again;
	pid_t pid;

	/* What it loads now nobody else finds; the text's frames are the file's, nevertheless. */
	load(d, client_connect(d), scene->file, &l);
	EQ(l.status, PAGER_SHARED_WAS_LOADED);
	EQ((uintptr_t)l.text, atomic_load(&scene->address));
	OK(pager_shared_regions_new(l.p, 0));
	EQ(pager_shared_regions_new(l.p, 2), -EINVAL);
	text_verify(&l);
	load(d, l.p, scene->other, &again);
	EQ(again.status, 0);
	REQUIRE(again.text != l.text);
	pid = fork_sure();
	if (pid == 0) {
		void *address = NULL;

		text_verify(&again);
		EQ(try_load(d, l.p, scene->other, 0, &address, NULL), -EALREADY);
		_exit(0);
	}
	EQ(status_of(pid), 0);
	stage_meet(d, &scene->stage[1], 1);
	data_write(&l, 3);
	OK(pager_shared_file_reset(l.p, l.text));
	data_is_fresh(&l);
	OK(pager_disconnect(l.p));
}

/* One that has loaded nothing yet has the regions of all. */
static void
stranger(struct live *d, void *argument)
{
	struct scene *scene = argument;
	struct loaded l, others;

	load(d, client_connect(d), scene->other, &others);
	EQ(others.status, 0);
	load(d, others.p, scene->file, &l);
	EQ(l.status, PAGER_SHARED_WAS_LOADED);
	EQ((uintptr_t)l.text, atomic_load(&scene->address));
	OK(pager_disconnect(l.p));
}

/* For all that come later: the file's place is another one. */
static void
fresh_client(struct live *d, void *argument)
{
	struct scene *scene = argument;
	struct pager *p = client_connect(d), *q = client_connect(d);
	struct loaded l;

	OK(pager_shared_regions_new(p, PAGER_SHARED_FOR_ALL));
	load(d, q, scene->file, &l);
	EQ(l.status, 0);
	text_verify(&l);
	OK(pager_disconnect(q));
	OK(pager_disconnect(p));
}

static void
regions(void)
{
	struct live d = { 0 };
	struct scene *scene = scene_begin(&d);
	pid_t pid = client_start(&d, holder, scene), other;

	stage_wait(&d, &scene->stage[0], 1);
	other = client_start(&d, regions_client, scene);
	stage_wait(&d, &scene->stage[1], 1);
	client_join(&d, client_start(&d, stranger, scene), false);
	stage_allow(&scene->stage[1], 1);
	client_join(&d, other, false);
	client_join(&d, client_start(&d, fresh_client, scene), false);
	stage_allow(&scene->stage[0], 1);
	client_join(&d, pid, false);
	scene_end(&d, scene);
}

/* --- outsider: another user, who opens what that one may open --- */

static void
outsider_client(struct live *d, void *argument)
{
	struct scene *scene = argument;
	struct pager *p = client_connect(d);
	struct loaded l;

	/* The file of which nobody may know cannot be opened, and there is no other way to it. */
	REQUIRE(open(scene->other->path, O_RDONLY | O_CLOEXEC) < 0 && errno == EACCES);
	load(d, p, scene->file, &l);
	EQ(l.status, PAGER_SHARED_WAS_LOADED);
	EQ((uintptr_t)l.text, atomic_load(&scene->address));
	text_verify(&l);
	data_is_fresh(&l);
	data_write(&l, 9);
	OK(pager_shared_file_reset(p, l.text));
	data_is_fresh(&l);
	data_write(&l, 8);
	data_verify(&l, 8);
	EQ(pager_shared_regions_new(p, PAGER_SHARED_FOR_ALL), -EPERM);
	OK(pager_disconnect(p));
}

static void
outsider_host(struct live *d, void *argument)
{
	struct scene *scene = argument;
	struct loaded l, secret;

	load(d, client_connect(d), scene->file, &l);
	load(d, l.p, scene->other, &secret);
	data_write(&l, 4);
	atomic_store(&scene->address, (uintptr_t)l.text);
	stage_meet(d, &scene->stage[0], 1);
	data_verify(&l, 4);
	OK(pager_disconnect(l.p));
}

static void
outsider(void)
{
	struct live d = { 0 };
	struct scene *scene = scene_begin(&d);
	pid_t pid;

	REQUIRE(chmod(scene->other->path, 0600) == 0);
	pid = client_start(&d, outsider_host, scene);
	stage_wait(&d, &scene->stage[0], 1);
	client_join(&d, client_start_as(&d, READER_UID, outsider_client, scene), false);
	stage_allow(&scene->stage[0], 1);
	client_join(&d, pid, false);
	scene_end(&d, scene);
}

static const struct live_test tests[] = { { "loaded", loaded }, { "conflicts", conflicts },
	{ "regions", regions }, { "outsider", outsider } };

int
main(int argc, char **argv)
{
	share_options_parse(argc, argv);
	live_init(argc, argv);
	return LIVE_RUN(argc, argv, tests);
}
