/* SPDX-License-Identifier: MIT
 *
 * A program that does not know of pagerd: long chains of processes, each with what the one before
 * has left it.
 *
 * usage: run_chain execs|forks|heirs COUNT
 * execs: one goes on to itself; forks: one forks children, one after the other; heirs: each forks
 * the next one, and ends
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE  4096ul
#define BYTES (1ul << 20) /* what is managed from on */

static char *
memory_new(int seed)
{
	char *at = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	for (size_t i = 0; i < BYTES; i += PAGE)
		at[i] = (char)(i / PAGE * 3 + (size_t)seed);
	return at;
}

/* One page in 32, beginning with one that differs from process to process. */
static bool
is_as_written(const char *at, int seed, int turn)
{
	for (size_t i = (size_t)turn % 32 * PAGE; i < BYTES; i += 32 * PAGE)
		if (at[i] != (char)(i / PAGE * 3 + (size_t)seed))
			return false;
	return true;
}

static void
broken(const char *what, int count)
{
	printf("BROKEN %s, %d to go\n", what, count);
	fflush(stdout);
	_exit(1);
}

static void
execs(int count)
{
	char *at = memory_new(count), number[16];

	if (!is_as_written(at, count, count))
		broken("exec", count);
	if (count == 0)
		return;
	snprintf(number, sizeof(number), "%d", count - 1);
	execl("/proc/self/exe", "run_chain", "execs", number, (char *)NULL);
	broken("exec", count);
}

static void
forks(int count)
{
	char *at = memory_new(5);
	int status;

	for (; count > 0; count--) {
		pid_t pid = fork();

		if (pid == 0) {
			at[count % 256 * (int)PAGE] = 1;
			_exit(is_as_written(at, 5, count % 256 + 1) ? 0 : 2);
		}
		if (waitpid(pid, &status, 0) != pid || status != 0)
			broken("child", count);
	}
	for (int turn = 0; turn < 32; turn++)
		if (!is_as_written(at, 5, turn))
			broken("parent", turn);
}

/* Each changes a page before it forks, and the next one sees it. */
static void
heirs(int count)
{
	char *at = memory_new(9);
	int turn = 0;

	for (; count > 0; count--, turn++) {
		char *mine = at + turn % 256 * (int)PAGE + 1;
		pid_t pid;

		*mine = (char)turn;
		pid = fork();
		if (pid < 0)
			broken("fork", count);
		if (pid > 0)
			_exit(0);
		if (*mine != (char)turn || !is_as_written(at, 9, turn))
			broken("heir", count);
	}
}

int
main(int argc, char **argv)
{
	int count = argc > 2 ? atoi(argv[2]) : 0;

	if (argc > 2 && strcmp(argv[1], "execs") == 0)
		execs(count);
	else if (argc > 2 && strcmp(argv[1], "forks") == 0)
		forks(count);
	else if (argc > 2 && strcmp(argv[1], "heirs") == 0)
		heirs(count);
	else
		return 2;
	printf("done\n");
	return 0;
}
