/* SPDX-License-Identifier: MIT */
#include "arena.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "check.h"

#define ARENA_MAGIC UINT64_C(0x616e657261706770) /* "pgparena" */

struct arena_header {
	uint64_t magic, bytes;
	uint32_t version, row_bytes, layout, reserved;
	char name[16];
};

/* Header, then the version of the program that has made it. */
struct arena_trailer {
	struct arena_header header;
	char build[24];
};

static struct {
	char *text; /* NULL: nobody wants to know */
	size_t size;
} list;

void
arena_list(char *text, size_t size)
{
	list.text = text;
	list.size = size;
	if (text)
		text[0] = '\0';
}

void
arena_list_add(const struct arena_shape *shape)
{
	size_t used = list.text ? strlen(list.text) : 0;

	if (!list.text)
		return;
	snprintf(list.text + used, list.size - used, "arena-%s version %u row %u bytes %llu\n",
	    shape->name, shape->version, shape->row_bytes, (unsigned long long)shape->bytes);
}

static uint64_t
header_offset(const struct arena_shape *shape)
{
	return round_up_u64(shape->bytes, (uint64_t)sysconf(_SC_PAGESIZE));
}

static struct arena_header
header_of(const struct arena_shape *shape)
{
	struct arena_header h = { .magic = ARENA_MAGIC,
		.bytes = shape->bytes,
		.version = shape->version,
		.row_bytes = shape->row_bytes,
		.layout = ARENA_LAYOUT };

	CHECK(strlen(shape->name) < sizeof(h.name) && shape->bytes > 0);
	snprintf(h.name, sizeof(h.name), "%s", shape->name);
	return h;
}

int
arena_make(const struct arena_shape *shape)
{
	const struct arena_trailer t = { .header = header_of(shape), .build = PAGERD_VERSION };
	off_t at = (off_t)header_offset(shape);
	char name[32];
	int fd, error = 0;

	arena_list_add(shape);
	snprintf(name, sizeof(name), "pagerd-%s", shape->name);
	fd = memfd_create(name, MFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (pwrite(fd, &t, sizeof(t), at) != (ssize_t)sizeof(t))
		error = errno ? -errno : -EIO;
	if (error)
		close(fd);
	return error ? error : fd;
}

int
arena_check(int fd, const struct arena_shape *shape)
{
	const struct arena_header expected = header_of(shape);
	struct arena_header h;
	off_t at = (off_t)header_offset(shape);
	ssize_t got = pread(fd, &h, sizeof(h), at);

	arena_list_add(shape);
	if (got < 0)
		return -errno;
	if (got != (ssize_t)sizeof(h) || memcmp(&h, &expected, sizeof(h)) != 0)
		return -EPROTO;
	return 0;
}

void *
arena_map(int fd, const struct arena_shape *shape)
{
	void *content =
	    mmap(NULL, shape->bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);

	CHECK(shape->bytes > 0);
	return content == MAP_FAILED ? NULL : content;
}

void
arena_unmap(void *content, const struct arena_shape *shape)
{
	if (content)
		munmap(content, shape->bytes);
}

bool
arena_next_data(int fd, uint64_t from, uint64_t to, struct arena_run *ret)
{
	off_t start = from < to ? lseek(fd, (off_t)from, SEEK_DATA) : -1, end;

	if (start < 0 || (uint64_t)start >= to)
		return false;
	end = lseek(fd, start, SEEK_HOLE);
	CHECK(end > start);
	*ret = (struct arena_run){ (uint64_t)start, min_u64((uint64_t)end, to) };
	return true;
}
