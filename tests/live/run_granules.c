/* SPDX-License-Identifier: MIT
 *
 * A program that does not know of pagerd, and takes a reservation into use in small parts, by
 * mapping over it, as HotSpot does for its classes. A line for each rule; without pagerd the one
 * about who has the memory is left out.
 *
 * usage: run_granules [managed]
 */
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE    4096ul
#define GRANULE (16 * PAGE)
#define COUNT   256ul
#define BYTES   (COUNT * GRANULE)

static char *base;

static char *
reserve(size_t bytes)
{
	return mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
}

static bool
map_over(char *at, size_t bytes, int protection)
{
	return mmap(at, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED,
		   -1, 0) == at;
}

static bool
is_zero(const char *at, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		if (at[i] != 0)
			return false;
	return true;
}

static void
fill(char *at, size_t bytes, int seed)
{
	for (size_t i = 0; i < bytes; i += 64)
		at[i] = (char)(i / 64 * 7 + (size_t)seed + 1) | 1;
}

static bool
is_filled(const char *at, size_t bytes, int seed)
{
	for (size_t i = 0; i < bytes; i += 64)
		if (at[i] != ((char)(i / 64 * 7 + (size_t)seed + 1) | 1))
			return false;
	return true;
}

static bool
all_filled(void)
{
	for (unsigned i = 0; i < COUNT; i++)
		if (!is_filled(base + i * GRANULE, GRANULE, (int)i))
			return false;
	return true;
}

static bool
parts_are_zero_at_first(void)
{
	base = reserve(BYTES);
	for (unsigned i = 0; i < COUNT; i++) {
		char *at = base + i * GRANULE;

		if (!map_over(at, GRANULE, PROT_READ | PROT_WRITE) || !is_zero(at, GRANULE))
			return false;
		fill(at, GRANULE, (int)i);
	}
	return all_filled();
}

/* Bytes of the range whose mapping is the daemon's. */
static size_t
managed(const char *from, size_t bytes)
{
	unsigned long start, end, first = (unsigned long)from, last = first + bytes;
	FILE *maps = fopen("/proc/self/maps", "re");
	char line[512];
	size_t sum = 0;

	while (maps && fgets(line, sizeof(line), maps))
		if (sscanf(line, "%lx-%lx", &start, &end) == 2 && strstr(line, "pagerd-object") &&
		    start < last && end > first)
			sum += (end < last ? end : last) - (start > first ? start : first);
	if (maps)
		fclose(maps);
	return sum;
}

static bool
parts_are_managed(void)
{
	return managed(base, BYTES) == BYTES;
}

/* What is given up, and taken again, has nothing in it; what lies beside has all. */
static bool
parts_come_and_go(void)
{
	for (unsigned i = 0; i < COUNT; i += 3)
		if (!map_over(base + i * GRANULE, GRANULE, PROT_NONE))
			return false;
	for (unsigned i = 0; i < COUNT; i += 3) {
		char *at = base + i * GRANULE;

		if (!map_over(at, GRANULE, PROT_READ | PROT_WRITE) || !is_zero(at, GRANULE))
			return false;
		fill(at, GRANULE, (int)i);
	}
	return all_filled();
}

/* Memory that was accessible is not what it was when it is mapped over. */
static bool
protected_parts_are_lost(void)
{
	for (unsigned i = 1; i < COUNT; i += 3) {
		char *at = base + i * GRANULE;

		if (mprotect(at, GRANULE, PROT_NONE) != 0 ||
		    !map_over(at, GRANULE, PROT_READ | PROT_WRITE) || !is_zero(at, GRANULE))
			return false;
		fill(at, GRANULE, (int)i);
	}
	return all_filled();
}

/* A part of a reservation that was never used is the child's as well, and its own. */
static bool
children_take_theirs(void)
{
	char *more = reserve(BYTES);
	int status;
	pid_t pid;

	if (!map_over(more, GRANULE, PROT_READ | PROT_WRITE))
		return false;
	fill(more, GRANULE, 5);
	pid = fork();
	if (pid == 0) {
		bool ok = is_filled(more, GRANULE, 5) && all_filled() &&
			  map_over(more + GRANULE, GRANULE, PROT_READ | PROT_WRITE) &&
			  is_zero(more + GRANULE, GRANULE);

		fill(more + GRANULE, GRANULE, 6);
		_exit(ok && is_filled(more + GRANULE, GRANULE, 6) ? 0 : 1);
	}
	return waitpid(pid, &status, 0) == pid && status == 0 &&
	       map_over(more + GRANULE, GRANULE, PROT_READ | PROT_WRITE) &&
	       is_zero(more + GRANULE, GRANULE) && is_filled(more, GRANULE, 5);
}

/* What is not for children is not theirs when it is taken into use. */
static bool
unforked_parts_stay_so(void)
{
	char *more = reserve(BYTES);
	int status;
	pid_t pid;

	if (madvise(more, BYTES, MADV_DONTFORK) != 0 ||
	    mprotect(more, GRANULE, PROT_READ | PROT_WRITE) != 0)
		return false;
	pid = fork();
	if (pid == 0) {
		(void)*(volatile char *)more;
		_exit(0);
	}
	return waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) &&
	       WTERMSIG(status) == SIGSEGV;
}

/* A part that became accessible by a key's call has content, too. */
static bool
keyed_parts_are_known(void)
{
	char *more = reserve(BYTES), *part = more + GRANULE;

	return map_over(more, GRANULE, PROT_READ | PROT_WRITE) &&
	       syscall(SYS_pkey_mprotect, part, GRANULE, PROT_READ | PROT_WRITE, -1) == 0 &&
	       (fill(part, GRANULE, 7), is_filled(part, GRANULE, 7)) &&
	       mprotect(part, GRANULE, PROT_NONE) == 0 &&
	       map_over(part, GRANULE, PROT_READ | PROT_WRITE) && is_zero(part, GRANULE);
}

int
main(int argc, char **argv)
{
	static const struct {
		const char *text;
		bool (*holds)(void);
		bool is_of_run;
	} rules[] = {
		{ "parts are zero at first", parts_are_zero_at_first, false },
		{ "parts are managed", parts_are_managed, true },
		{ "parts come and go", parts_come_and_go, false },
		{ "protected parts are lost", protected_parts_are_lost, false },
		{ "children take theirs", children_take_theirs, false },
		{ "what is not for children", unforked_parts_stay_so, false },
		{ "parts that have a key", keyed_parts_are_known, false },
	};
	int broken = 0;

	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		bool holds;

		if (rules[i].is_of_run && (argc < 2 || strcmp(argv[1], "managed") != 0))
			continue;
		holds = rules[i].holds();
		printf("%s %s\n", holds ? "ok" : "BROKEN", rules[i].text);
		fflush(stdout);
		broken += !holds;
	}
	return broken > 0;
}
