/* SPDX-License-Identifier: MIT */
#include "vm/kept_arena.h"

#include <errno.h>
#include <unistd.h>

#include "daemon.h"
#include "own.h"

void *
kept_arena_open(struct daemon *d, enum kept_kind kind, const struct arena_shape *shape, int *ret_fd)
{
	int fd = keeper_take(d->keeper, kind, 0), error = 0;
	void *content;

	CHECK(d->keeper != NULL);
	if (fd >= 0) {
		error = arena_check(fd, shape);
	} else {
		fd = arena_make(shape);
		if (fd < 0)
			error = fd;
		else
			keeper_keep(d->keeper, kind, 0, fd);
	}
	content = error ? NULL : arena_map(fd, shape);
	if (!content) {
		errno = error ? -error : errno;
		return NULL;
	}
	own_area_shared(OWN_OBJECT_TABLE, content, shape->bytes);
	*ret_fd = fd;
	return content;
}

void
kept_arena_close(void *content, int fd, const struct arena_shape *shape)
{
	if (!content)
		return;
	own_area_forget(content);
	arena_unmap(content, shape);
	close(fd);
}

unsigned
kept_arena_rows(int fd, const struct arena_shape *shape)
{
	struct arena_run run;
	uint64_t end = 0;

	while (arena_next_data(fd, end, shape->bytes, &run))
		end = run.end;
	return (unsigned)(min_u64(shape->bytes, end) / shape->row_bytes);
}
