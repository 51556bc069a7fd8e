/* SPDX-License-Identifier: MIT
 *
 * Touches of a mapped file that may be refused, and what plain system calls say about it.
 */
#ifndef LIVE_FILE_TOUCH_H
#define LIVE_FILE_TOUCH_H

#include "file.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "bus.h"

static inline int
file_open(struct file_scene *s, int flags)
{
	int fd = open(s->path, flags | O_CLOEXEC);

	REQUIRE(fd >= 0, "%s: %s", s->path, strerror(errno));
	return fd;
}

static inline uint64_t
file_size(int fd)
{
	struct stat st;

	REQUIRE(fstat(fd, &st) == 0, "%s", strerror(errno));
	return (uint64_t)st.st_size;
}

static inline unsigned char *
view_page(struct file_view *v, uint32_t page)
{
	return v->base + page * v->s->page_bytes;
}

/* => whether the byte can be read; false: SIGBUS */
static inline bool
byte_read(struct file_view *v, uint64_t at, unsigned char *ret)
{
	if (sigsetjmp(bus_jump, 1) != 0)
		return false;
	bus_expected = 1;
	*ret = ((volatile unsigned char *)v->base)[at];
	bus_expected = 0;
	return true;
}

/* Stores the page's next generation. => false: SIGBUS, maybe in the midst of it; the page counts as
 * not stored */
static inline bool
page_store(struct file_view *v, uint32_t page)
{
	uint32_t generation = atomic_load(&v->s->pages[page].written) + 1;

	if (sigsetjmp(bus_jump, 1) != 0)
		return false;
	bus_expected = 1;
	file_page_store(view_page(v, page), page, v->s->page_bytes, generation);
	bus_expected = 0;
	atomic_store(&v->s->pages[page].written, generation);
	return true;
}

/* Stores in all pages, of those behind a refused one in some only. *ret_refused: how many were
 * refused. => how many were stored */
static inline uint32_t
pages_store(struct file_view *v, uint32_t *ret_refused)
{
	uint32_t stored = 0, step = v->s->count / 256 + 1, page = 0;

	*ret_refused = 0;
	while (page < v->s->count)
		if (page_store(v, page)) {
			stored++;
			page++;
		} else {
			++*ret_refused;
			page += step;
		}
	return stored;
}

/* The same, each again until it is stored. */
static inline void
pages_store_all(struct file_view *v)
{
	for (uint32_t page = 0; page < v->s->count; page++)
		WAIT_UNTIL(v->d, page_store(v, page));
}

/* => whether all bytes of the range can be read, and are zero */
static inline bool
range_is_zero(struct file_view *v, uint64_t from, uint64_t end)
{
	unsigned char byte = 0;

	for (; from < end && byte == 0; from++)
		if (!byte_read(v, from, &byte))
			return false;
	return byte == 0;
}

#endif
