/* SPDX-License-Identifier: MIT
 *
 * What the launcher has told this process of the run: the group, and the page in which is counted
 * what is not managed. Runs on: the thread that starts the program; run_count on any thread, a
 * child of vfork(2) too.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "run.h"

/* A number and the colon behind it. => behind that; NULL: there is none */
static const char *
number_take(const char *at, unsigned base, uint64_t *ret)
{
	static const char digits[] = "0123456789abcdef";
	const char *digit;
	uint64_t value = 0;

	if (!at)
		return NULL;
	for (; *at && (digit = memchr(digits, *at, base)) != NULL; at++)
		value = value * base + (uint64_t)(digit - digits);
	*ret = value;
	return *at == ':' ? at + 1 : NULL;
}

/* => NULL: it cannot be had, because this is another user's process, for example */
static struct pager_run_page *
page_map(const char *path)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	long r = -1;

	if (fd < 0)
		return NULL;
	/* Behind the end of a file there is only SIGBUS. */
	if (lseek(fd, 0, SEEK_END) >= (off_t)PAGER_RUN_PAGE_BYTES)
		r = raw_mmap(0, PAGER_RUN_PAGE_BYTES, RUN_READ_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	if (r < 0)
		return NULL;
	if (((struct pager_run_page *)r)->magic == PAGER_RUN_MAGIC)
		return (struct pager_run_page *)r;
	raw_munmap((uint64_t)r, PAGER_RUN_PAGE_BYTES);
	return NULL;
}

void
run_told(void)
{
	const char *at = getenv(PAGER_RUN_ENV), *path;
	char page[64];
	uint64_t pid;

	at = number_take(at, 16, &run.group);
	at = number_take(at, 16, &run.key);
	path = number_take(at, 10, &pid);
	at = path ? strchr(path, ':') : NULL;
	if (!at) {
		run.group = 0;
		return;
	}
	if (pid == (uint64_t)getpid() && strlen(at + 1) < sizeof(run.name))
		memcpy(run.name, at + 1, strlen(at + 1) + 1);
	if (at > path && (size_t)(at - path) < sizeof(page)) {
		memcpy(page, path, (size_t)(at - path));
		page[at - path] = '\0';
		run.page = page_map(page);
	}
}

void
run_count(enum pager_run_reason reason, int times, uint64_t bytes)
{
	if (!run.page)
		return;
	__atomic_fetch_add(&run.page->counts[reason].times, (uint64_t)times, __ATOMIC_RELAXED);
	__atomic_fetch_add(&run.page->counts[reason].bytes, bytes, __ATOMIC_RELAXED);
}
