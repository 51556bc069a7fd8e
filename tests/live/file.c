/* SPDX-License-Identifier: MIT */
#include "file.h"

#include <fcntl.h>
#include <sys/stat.h>

#define GENERATION_SHIFT 48

/* --- words --- */

uint64_t
file_word(uint32_t page, uint32_t index, uint32_t generation)
{
	uint64_t key = (uint64_t)page << 36 ^ (uint64_t)index << 16 ^ generation;

	return (uint64_t)generation << GENERATION_SHIFT | mix64(key) >> (64 - GENERATION_SHIFT);
}

void
file_page_store(void *to, uint32_t page, uint64_t page_bytes, uint32_t generation)
{
	volatile uint64_t *words = to;

	for (uint32_t i = 0; i < page_bytes / sizeof(*words); i++)
		words[i] = file_word(page, i, generation);
}

void
file_words_verify(
    const void *from, uint32_t page, uint64_t bytes, uint32_t low, uint32_t high, const char *way)
{
	const volatile uint64_t *words = from;

	for (uint32_t i = 0; i < bytes / sizeof(*words); i++) {
		uint64_t word = words[i];
		uint32_t generation = (uint32_t)(word >> GENERATION_SHIFT);

		if (generation < low || generation > high || word != file_word(page, i, generation))
			FAIL("page %u, word %u %s is %016llx%s, which should be of generation %u"
			     " to %u",
			    page, i, way, (unsigned long long)word,
			    word == file_word(page, i, generation) ? " (of this page)" : "", low,
			    high);
	}
}

/* --- the scene --- */

struct file_scene *
file_scene_at(struct live *d, uint32_t count, const char *path)
{
	struct file_scene *s = shared_alloc(sizeof(*s));

	s->count = count;
	s->page_bytes = d->page_bytes;
	s->pages = shared_alloc(count * sizeof(*s->pages));
	snprintf(s->path, sizeof(s->path), "%s", path);
	file_scene_copy(s, path);
	REQUIRE(chmod(path, 0666) == 0, "%s", strerror(errno));
	return s;
}

struct file_scene *
file_scene_make(struct live *d, uint32_t count)
{
	char directory[128], path[160];

	live_directory_make(directory, sizeof(directory));
	snprintf(path, sizeof(path), "%s/file", directory);
	return file_scene_at(d, count, path);
}

void
file_scene_copy(const struct file_scene *s, const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
	char *page = malloc(s->page_bytes);

	REQUIRE(fd >= 0 && page, "%s: %s", path, strerror(errno));
	for (uint32_t i = 0; i < s->count; i++) {
		file_page_store(page, i, s->page_bytes, atomic_load(&s->pages[i].written));
		REQUIRE(write(fd, page, s->page_bytes) == (ssize_t)s->page_bytes, "%s",
		    strerror(errno));
	}
	REQUIRE(fsync(fd) == 0, "%s", strerror(errno));
	free(page);
	close(fd);
}

/* --- a client's view --- */

void
file_view_map(struct file_view *v, int protection)
{
	void *base;

	OK(pager_map_file(
	    v->p, v->fd, 0, v->s->count * v->s->page_bytes, protection, PAGER_MAP_SHARED, &base));
	v->base = base;
}

void
file_view_open(struct live *d, struct file_scene *s, int protection, struct file_view *v)
{
	*v = (struct file_view){
		.d = d, .s = s, .p = client_connect(d), .rng = live_seed ^ mix64((uint64_t)getpid())
	};
	v->fd = open(s->path, (protection & PROT_WRITE ? O_RDWR : O_RDONLY) | O_CLOEXEC);
	REQUIRE(v->fd >= 0, "%s: %s", s->path, strerror(errno));
	file_view_map(v, protection);
}

void
file_view_unmap(struct file_view *v)
{
	OK(pager_deallocate(v->p, v->base, v->s->count * v->s->page_bytes));
	v->base = NULL;
}

void
file_view_close(struct file_view *v)
{
	close(v->fd);
	OK(pager_disconnect(v->p));
}

static void *
page_at(struct file_view *v, uint32_t page)
{
	return v->base + page * v->s->page_bytes;
}

static bool
lock_take(struct file_scene *s, uint32_t page)
{
	struct file_page *own = &s->pages[page];
	int self = getpid();

	for (;;) {
		int owner = 0;

		if (atomic_compare_exchange_strong(&own->owner, &owner, self))
			return true;
		if (kill(owner, 0) < 0 && errno == ESRCH &&
		    atomic_compare_exchange_strong(&own->owner, &owner, self)) {
			atomic_fetch_add(&s->taken_over, 1);
			return false;
		}
		usleep(100);
	}
}

void
file_page_verify(struct file_view *v, uint32_t page)
{
	uint32_t generation = atomic_load(&v->s->pages[page].written);

	file_words_verify(
	    page_at(v, page), page, v->s->page_bytes, generation, generation, "in a mapping");
}

void
file_page_write(struct file_view *v, uint32_t page)
{
	struct file_page *own = &v->s->pages[page];
	uint32_t generation = atomic_load(&own->written) + 1;

	REQUIRE(generation < 1u << 16);
	file_page_store(page_at(v, page), page, v->s->page_bytes, generation);
	atomic_store(&own->written, generation);
}

void
file_page_lock(struct file_view *v, uint32_t page)
{
	uint32_t written;

	if (lock_take(v->s, page)) {
		file_page_verify(v, page);
		return;
	}
	/* Its process died in the midst of the next generation, or before it noted it. */
	written = atomic_load(&v->s->pages[page].written);
	file_words_verify(page_at(v, page), page, v->s->page_bytes, written, written + 1,
	    "that a killed process wrote");
	file_page_write(v, page);
}

void
file_page_unlock(struct file_view *v, uint32_t page)
{
	atomic_store(&v->s->pages[page].owner, 0);
}

void
file_turn(struct file_view *v)
{
	uint32_t page = (uint32_t)rng_below(&v->rng, v->s->count);

	file_page_lock(v, page);
	if (rng_below(&v->rng, 2) == 0)
		file_page_write(v, page);
	file_page_unlock(v, page);
}

void
file_verify_all(struct file_view *v)
{
	for (uint32_t page = 0; page < v->s->count; page++) {
		file_page_lock(v, page);
		file_page_unlock(v, page);
	}
}

int
file_sync(struct file_view *v, uint32_t from, uint32_t count, unsigned flags)
{
	uint32_t *seen = malloc(count * sizeof(*seen));
	int r;

	REQUIRE(seen != NULL);
	for (uint32_t i = 0; i < count; i++)
		seen[i] = atomic_load(&v->s->pages[from + i].written);
	r = pager_msync(v->p, page_at(v, from), count * v->s->page_bytes, flags);
	for (uint32_t i = 0; r == 0 && flags & PAGER_MSYNC_SYNC && i < count; i++) {
		_Atomic uint32_t *synced = &v->s->pages[from + i].synced;
		uint32_t old = atomic_load(synced);

		while (old < seen[i] && !atomic_compare_exchange_weak(synced, &old, seen[i]))
			continue;
	}
	free(seen);
	if (r == 0 && flags & PAGER_MSYNC_SYNC)
		atomic_fetch_add(&v->s->syncs, 1);
	return r;
}

void
file_advice(struct file_view *v)
{
	uint32_t from = (uint32_t)rng_below(&v->rng, v->s->count),
		 count = 1 + (uint32_t)rng_below(&v->rng, 16);
	unsigned char *at = page_at(v, from);
	size_t bytes;
	int r;

	if (count > v->s->count - from)
		count = v->s->count - from;
	bytes = count * v->s->page_bytes;
	switch (rng_below(&v->rng, v->never_wires ? 5 : 8)) {
	case 0:
		OK(pager_behavior(v->p, at, bytes, PAGER_BEHAVIOR_PAGEOUT));
		break;
	case 1:
		OK(pager_behavior(v->p, at, bytes, PAGER_BEHAVIOR_WILLNEED));
		break;
	case 2:
		OK(pager_behavior(v->p, at, bytes, PAGER_BEHAVIOR_DONTNEED));
		break;
	case 3:
		OK(file_sync(v, from, count, PAGER_MSYNC_ASYNC));
		break;
	case 4:
		OK(file_sync(v, from, count, PAGER_MSYNC_SYNC | PAGER_MSYNC_INVALIDATE));
		break;
	case 5:
		r = pager_wire(v->p, at, bytes);
		REQUIRE(r == 0 || r == -EAGAIN, "%d", r);
		if (r == 0)
			OK(pager_unwire(v->p, at, bytes));
		break;
	default:
		OK(file_sync(v, from, count, PAGER_MSYNC_SYNC));
		break;
	}
}

/* --- as read(2) gives it --- */

static void
page_read(struct file_scene *s, int fd, uint32_t page, char *to)
{
	ssize_t n = pread(fd, to, s->page_bytes, (off_t)(page * s->page_bytes));

	REQUIRE(n == (ssize_t)s->page_bytes, "page %u: %zd, %s", page, n, strerror(errno));
}

void
file_read_verify(struct file_scene *s, int fd, uint32_t page)
{
	uint32_t low = atomic_load(&s->pages[page].synced);
	char *copy = malloc(s->page_bytes);

	page_read(s, fd, page, copy);
	file_words_verify(copy, page, s->page_bytes, low, atomic_load(&s->pages[page].written) + 1,
	    "as read(2) gives it");
	free(copy);
}

bool
file_read_is_current(struct file_scene *s, int fd)
{
	char *copy = malloc(s->page_bytes), *expected = malloc(s->page_bytes);
	bool current = true;

	for (uint32_t page = 0; page < s->count; page++) {
		struct file_page *own = &s->pages[page];
		uint32_t written = atomic_load(&own->written);

		page_read(s, fd, page, copy);
		file_words_verify(copy, page, s->page_bytes, atomic_load(&own->synced), written + 1,
		    "as read(2) gives it");
		file_page_store(expected, page, s->page_bytes, written);
		current &=
		    atomic_load(&own->owner) != 0 || memcmp(copy, expected, s->page_bytes) == 0;
	}
	free(copy);
	free(expected);
	return current;
}

void
file_plain_write(struct file_scene *s, int fd, uint32_t page)
{
	struct file_page *own = &s->pages[page];
	uint32_t generation = atomic_load(&own->written) + 1;
	char *copy = malloc(s->page_bytes);

	REQUIRE(lock_take(s, page));
	file_page_store(copy, page, s->page_bytes, generation);
	REQUIRE(pwrite(fd, copy, s->page_bytes, (off_t)(page * s->page_bytes)) ==
		    (ssize_t)s->page_bytes,
	    "%s", strerror(errno));
	atomic_store(&own->written, generation);
	free(copy);
	atomic_store(&own->owner, 0);
}
