/* SPDX-License-Identifier: MIT */
#include "memorystatus/host_room.h"

#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base.h"
#include "memorystatus/host.h"

#define CGROUPS    "/sys/fs/cgroup"
#define TEXT_BYTES 8192u

bool
host_text(const char *directory, const char *name, char *text, size_t size)
{
	size_t have = 0;
	ssize_t got = 0;
	int at, fd;

	text[0] = '\0';
	at = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (at < 0)
		return false;
	fd = openat(at, name, O_RDONLY | O_CLOEXEC);
	close(at);
	if (fd < 0)
		return false;
	while (have < size - 1 && (got = read(fd, text + have, size - 1 - have)) > 0)
		have += (size_t)got;
	close(fd);
	text[got < 0 ? 0 : have] = '\0';
	return got >= 0;
}

/* What one cgroup leaves; UINT64_MAX: it has no bound. */
static uint64_t
cgroup_room(const char *directory)
{
	char text[TEXT_BYTES];
	uint64_t most, used, cache = 0;
	const char *line;

	if (!host_text(directory, "memory.max", text, sizeof(text)) || text[0] == 'm')
		return UINT64_MAX;
	most = strtoull(text, NULL, 10);
	if (!host_text(directory, "memory.current", text, sizeof(text)))
		return UINT64_MAX;
	used = strtoull(text, NULL, 10);
	(void)host_text(directory, "memory.stat", text, sizeof(text));
	/* The cache's pages give way; those of shared memory stand on another list. */
	for (line = text; line; line = strchr(line, '\n')) {
		line += line != text;
		if (strncmp(line, "inactive_file ", 14) == 0)
			cache += strtoull(line + 14, NULL, 10);
		else if (strncmp(line, "active_file ", 12) == 0)
			cache += strtoull(line + 12, NULL, 10);
	}
	used -= min_u64(used, cache);
	return most > used ? most - used : 0;
}

/* Of the process's cgroup and all around it. */
static uint64_t
cgroups_room(const char *directory, pid_t pid)
{
	char name[32], text[TEXT_BYTES], path[PATH_MAX], *end;
	uint64_t least = UINT64_MAX;
	const char *own;

	snprintf(name, sizeof(name), "%d/cgroup", (int)pid);
	if (!host_text(directory, name, text, sizeof(text)))
		return UINT64_MAX;
	own = strstr(text, "0::/");
	if (!own)
		return UINT64_MAX;
	snprintf(path, sizeof(path), CGROUPS "%.*s", (int)strcspn(own + 3, "\n"), own + 3);
	while ((end = strrchr(path, '/')) != NULL && strlen(path) > strlen(CGROUPS)) {
		least = min_u64(least, cgroup_room(path));
		*end = '\0';
	}
	return least;
}

struct host_room
host_room(const char *directory, pid_t pid)
{
	char text[TEXT_BYTES];
	struct host_reading r = { 0 };

	if (host_text(directory, "meminfo", text, sizeof(text)))
		host_parse_meminfo(text, &r);
	return (struct host_room){ .machine = r.total > 0 ? r.available : UINT64_MAX,
		.cgroup = cgroups_room(directory, pid) };
}
