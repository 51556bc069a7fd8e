/* SPDX-License-Identifier: MIT
 *
 * From a keeper to a worker of another program: what a fork would inherit with the keeper's memory
 * goes in a memfd. Runs on: the only thread of a process that the keeper has forked (keeper_exec),
 * the main thread of the program that it has become (keeper_link_open).
 */
#include "keeper/exec.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base.h"
#include "check.h"

#define TABLE_MAGIC UINT64_C(0x656c626174706770) /* "pgptable" */

struct keeper_table {
	uint64_t magic;
	uint32_t protocol;
	uint32_t count;  /* of rows, which follow */
	int32_t program; /* its own descriptor: a script's interpreter had to find it open */
	uint32_t reserved;
	struct keeper_link link;
};

static bool
goes_along(int fd)
{
	return fd < 0 || fcntl(fd, F_SETFD, 0) == 0;
}

/* => a descriptor that execve(2) leaves open, or -errno */
static int
table_make(const struct keeper_link *link, int program)
{
	struct keeper_table table = { .magic = TABLE_MAGIC,
		.protocol = KEEPER_PROTOCOL,
		.count = link->count,
		.program = program,
		.link = *link };
	size_t rows = link->count * sizeof(*link->found);
	int fd = memfd_create("pagerd-keeper", 0);

	if (fd < 0)
		return -errno;
	table.link.found = NULL;
	if (write(fd, &table, sizeof(table)) == (ssize_t)sizeof(table) &&
	    (rows == 0 || write(fd, link->found, rows) == (ssize_t)rows))
		return fd;
	close(fd);
	return -EIO;
}

void
keeper_exec(int binary, char *const *arguments, const struct keeper_link *link)
{
	int table = table_make(link, binary);
	unsigned count = 0;
	char number[16];
	char **all;

	CHECK(binary >= 0 && arguments);
	while (arguments[count])
		count++;
	all = calloc(count + 3, sizeof(*all));
	if (table < 0 || !all)
		return;
	for (unsigned i = 0; i < count; i++)
		all[i] = arguments[i];
	snprintf(number, sizeof(number), "%d", table);
	all[count] = (char *)(uintptr_t) "--worker";
	all[count + 1] = number;
	for (unsigned i = 0; i < link->count; i++)
		if (!goes_along(link->found[i].fd))
			return;
	/* A program that is a script is opened once more by who reads it. */
	if (goes_along(link->channel) && goes_along(binary))
		syscall(SYS_execveat, binary, "", all, environ, AT_EMPTY_PATH);
}

/* What the keeper has sent is its; no program that this one starts gets it. */
static bool
stays_here(int fd)
{
	return fcntl(fd, F_SETFD, FD_CLOEXEC) == 0;
}

int
keeper_link_open(int fd, struct keeper_link *ret)
{
	struct keeper_table table;
	struct kept *rows;
	struct stat st;
	size_t bytes;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (pread(fd, &table, sizeof(table), 0) != (ssize_t)sizeof(table) ||
	    table.magic != TABLE_MAGIC || table.protocol != KEEPER_PROTOCOL)
		return -EPROTO;
	bytes = table.count * sizeof(*rows);
	if ((size_t)st.st_size != sizeof(table) + bytes)
		return -EPROTO;
	rows = calloc(table.count + 1, sizeof(*rows));
	if (!rows)
		return -ENOMEM;
	if (pread(fd, rows, bytes, sizeof(table)) != (ssize_t)bytes ||
	    !stays_here(table.link.channel)) {
		free(rows);
		return -EPROTO;
	}
	for (uint32_t i = 0; i < table.count; i++)
		if (!stays_here(rows[i].fd)) {
			free(rows);
			return -EPROTO;
		}
	close(fd);
	close(table.program);
	*ret = table.link;
	ret->found = rows;
	ret->count = table.count;
	return 0;
}
