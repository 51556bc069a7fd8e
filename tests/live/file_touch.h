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
