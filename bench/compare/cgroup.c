/* SPDX-License-Identifier: MIT */
#include "cgroup.h"

#include <errno.h>
#include <mntent.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "process.h"

#define REMOVE_TRIES 1000 /* of 10 ms */

static bool
has_word(const char *list, const char *word)
{
	size_t length = strlen(word);

	for (const char *at = list; (at = strstr(at, word)); at += length)
		if ((at == list || at[-1] == ' ') && (at[length] == '\0' || at[length] == ' '))
			return true;
	return false;
}

int
cgroup_find(const char *mounts, struct cgroup_root *ret)
{
	FILE *f = setmntent(mounts, "re");
	char path[300], controllers[512];
	struct mntent *m;
	int error = -ENOENT;

	if (!f)
		return -errno;
	while (error && (m = getmntent(f))) {
		if (strlen(m->mnt_dir) >= sizeof(ret->path))
			continue;
		if (strcmp(m->mnt_type, "cgroup") == 0 && hasmntopt(m, "memory")) {
			ret->version = 1;
		} else if (strcmp(m->mnt_type, "cgroup2") == 0) {
			snprintf(path, sizeof(path), "%s/cgroup.controllers", m->mnt_dir);
			if (file_read(path, controllers, sizeof(controllers)) ||
			    !has_word(controllers, "memory"))
				continue;
			ret->version = 2;
		} else {
			continue;
		}
		strcpy(ret->path, m->mnt_dir);
		error = 0;
	}
	endmntent(f);
	return error;
}

bool
cgroup_needs_subtree(const struct cgroup_root *root)
{
	char path[300], controllers[512];

	if (root->version != 2)
		return false;
	snprintf(path, sizeof(path), "%s/cgroup.subtree_control", root->path);
	return !file_read(path, controllers, sizeof(controllers)) &&
	       !has_word(controllers, "memory");
}

int
cgroup_set_subtree(const struct cgroup_root *root, bool on)
{
	char path[300];

	snprintf(path, sizeof(path), "%s/cgroup.subtree_control", root->path);
	return file_write(path, on ? "+memory" : "-memory");
}

int
cgroup_make(const char *path)
{
	return mkdir(path, 0755) ? -errno : 0;
}

static int
set(const char *group, const char *file, const char *value)
{
	char path[400];

	snprintf(path, sizeof(path), "%s/%s", group, file);
	return file_write(path, value);
}

int
cgroup_limit(const struct cgroup_root *root, const char *path, uint64_t bytes)
{
	char value[32];
	int error;

	snprintf(value, sizeof(value), "%llu", (unsigned long long)bytes);
	if (root->version == 1) {
		error = set(path, "memory.limit_in_bytes", value);
		if (!error)
			error = set(path, "memory.swappiness", "100");
		return error;
	}
	error = set(path, "memory.max", value);
	/* The file is absent if swap accounting is off: then nothing limits swap. */
	if (!error && set(path, "memory.swap.max", "max") == -EACCES)
		error = -EACCES;
	return error;
}

int
cgroup_usage(const struct cgroup_root *root, const char *path, uint64_t *ret_bytes)
{
	char file[400], text[64];
	int error;

	snprintf(file, sizeof(file), "%s/%s", path,
	    root->version == 1 ? "memory.usage_in_bytes" : "memory.current");
	error = file_read(file, text, sizeof(text));
	if (!error)
		*ret_bytes = strtoull(text, NULL, 10);
	return error;
}

uint64_t
cgroup_oom_kills(const struct cgroup_root *root, const char *path)
{
	char file[400], text[1024];
	const char *at;

	snprintf(file, sizeof(file), "%s/%s", path,
	    root->version == 1 ? "memory.oom_control" : "memory.events");
	if (file_read(file, text, sizeof(text)))
		return 0;
	at = strstr(text, "oom_kill ");
	return at ? strtoull(at + strlen("oom_kill "), NULL, 10) : 0;
}

int
cgroup_remove(const char *path)
{
	const struct timespec tick = { .tv_nsec = 10000000 };
	char file[400], line[32];
	FILE *f;

	/* A killed process takes time to end, because its swapped memory must be freed first. */
	for (int i = 0; i < REMOVE_TRIES; i++) {
		if (rmdir(path) == 0 || errno == ENOENT)
			return 0;
		if (errno != EBUSY)
			return -errno;
		snprintf(file, sizeof(file), "%s/cgroup.procs", path);
		f = fopen(file, "re");
		while (f && fgets(line, sizeof(line), f))
			if (atoi(line) > 1 && atoi(line) != getpid())
				kill(atoi(line), SIGKILL);
		if (f)
			fclose(f);
		nanosleep(&tick, NULL);
	}
	return -EBUSY;
}
