/* SPDX-License-Identifier: MIT */
#include "peak.h"

#include <ctype.h>
#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Managed memory is a memfd of the daemon's, under the name that the daemon gives it. */
#define MANAGED_NAME "/memfd:pagerd-object"
/* Page tables are walked again when there is this much more: a 64th. */
#define MORE_SHARE 64

struct usage {
	uint64_t anonymous, shared, tables;
};

static bool
is_of_group(const char *pid, pid_t group)
{
	char path[64], text[512], *end;
	int pgrp = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%.20s/stat", pid);
	f = fopen(path, "re");
	if (!f)
		return false;
	/* The name of the program may contain anything. */
	if (fgets(text, sizeof(text), f) && (end = strrchr(text, ')')) != NULL)
		(void)sscanf(end + 1, " %*c %*d %d", &pgrp);
	fclose(f);
	return pgrp == (int)group;
}

static void
usage_add(const char *pid, struct usage *u)
{
	unsigned long long kib;
	char path[64], line[256];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%.20s/status", pid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "RssAnon: %llu", &kib) == 1)
			u->anonymous += kib << 10;
		else if (sscanf(line, "RssShmem: %llu", &kib) == 1)
			u->shared += kib << 10;
		else if (sscanf(line, "VmPTE: %llu", &kib) == 1)
			u->tables += kib << 10;
	}
	if (f)
		fclose(f);
}

struct owners {
	uint64_t managed, ordinary, file_copies;
};

/* Adds what smaps says. */
static void
owners_add(const char *pid, struct owners *o)
{
	bool is_managed = false, is_file = false;
	unsigned long long kib;
	char path[64], line[512];
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%.20s/smaps", pid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		/* A mapping begins with its addresses, its figures with a capital. */
		if (isdigit((unsigned char)line[0]) || (line[0] >= 'a' && line[0] <= 'f')) {
			is_managed = strstr(line, MANAGED_NAME) != NULL;
			/* Neither memory without a name, nor [heap] and the like. */
			is_file = strchr(line, '/') != NULL;
		} else if (is_managed && sscanf(line, "Rss: %llu", &kib) == 1)
			o->managed += kib << 10;
		else if (!is_managed && sscanf(line, "Anonymous: %llu", &kib) == 1)
			*(is_file ? &o->file_copies : &o->ordinary) += kib << 10;
	}
	if (f)
		fclose(f);
}

void
peak_look(struct peak *p, pid_t group, bool smaps)
{
	DIR *proc = opendir("/proc");
	struct usage now = { 0 };
	struct owners o = { 0 };
	uint64_t all, most = p->managed_bytes + p->ordinary_bytes + p->file_copy_bytes;
	const struct dirent *entry;

	while (proc && (entry = readdir(proc)) != NULL)
		if (isdigit((unsigned char)entry->d_name[0]) && is_of_group(entry->d_name, group))
			usage_add(entry->d_name, &now);
	all = now.anonymous + (smaps ? now.shared : 0);
	if (now.tables > p->table_bytes)
		p->table_bytes = now.tables;
	if (all > p->bytes)
		p->bytes = all;
	if (smaps && proc && all > most + most / MORE_SHARE) {
		rewinddir(proc);
		while ((entry = readdir(proc)) != NULL)
			if (isdigit((unsigned char)entry->d_name[0]) &&
			    is_of_group(entry->d_name, group))
				owners_add(entry->d_name, &o);
		if (o.managed + o.ordinary + o.file_copies > most) {
			p->managed_bytes = o.managed;
			p->ordinary_bytes = o.ordinary;
			p->file_copy_bytes = o.file_copies;
		}
	}
	if (proc)
		closedir(proc);
}

double
peak_coverage(const struct peak *p)
{
	uint64_t all = p->managed_bytes + p->ordinary_bytes;

	return all ? (double)p->managed_bytes / (double)all : 0;
}
