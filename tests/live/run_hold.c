/* SPDX-License-Identifier: MIT
 *
 * A program that does not know of pagerd: processes that have memory, and read and write it all the
 * time. When each has gone through it once it prints its number and where the daemon is.
 *
 * usage: run_hold MIB [WHO...]
 * WHO: child: one that it forks; orphan: one whose parent has ended; over: one by exec(2);
 * end: it ends then, and the others stay
 */
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE     4096ul
#define LONGER_S 2000 /* than any test */

static int ready[2];

static void
pass(char *at, size_t bytes, unsigned char was)
{
	for (size_t i = 0; i < bytes; i += PAGE) {
		if (at[i] != (char)(i / PAGE + was))
			_exit(99);
		at[i] = (char)(i / PAGE + was + 1);
	}
}

static void
hold(char *at, size_t bytes, unsigned char was)
{
	alarm(LONGER_S);
	pass(at, bytes, was++);
	if (write(ready[1], "", 1) != 1)
		_exit(98);
	for (;; was++)
		pass(at, bytes, was);
}

static void
child(const char *who, const char *mib, char *at, size_t bytes)
{
	char number[16];

	if (strcmp(who, "orphan") == 0 && fork() > 0)
		_exit(0);
	if (strcmp(who, "over") == 0) {
		snprintf(number, sizeof(number), "%d", ready[1]);
		execl("/proc/self/exe", "run_hold", mib, "to", number, (char *)NULL);
		_exit(97);
	}
	hold(at, bytes, 1);
}

int
main(int argc, char **argv)
{
	size_t bytes = (size_t)atoi(argv[1]) << 20;
	char *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	bool ends = argc > 2 && strcmp(argv[argc - 1], "end") == 0;
	const char *socket = getenv("PAGERD_SOCKET");
	char byte;

	for (size_t i = 0; i < bytes; i += PAGE)
		at[i] = (char)(i / PAGE + 1);
	if (argc == 4 && strcmp(argv[2], "to") == 0) {
		ready[1] = atoi(argv[3]);
		hold(at, bytes, 1);
	}
	if (pipe(ready) < 0)
		return 1;
	argc -= ends;
	for (int i = 2; i < argc; i++) {
		pid_t pid = fork();

		if (pid == 0)
			child(argv[i], argv[1], at, bytes);
		if (strcmp(argv[i], "orphan") == 0)
			waitpid(pid, NULL, 0);
	}
	pass(at, bytes, 1);
	for (int i = 2; i < argc; i++)
		if (read(ready[0], &byte, 1) != 1)
			return 1;
	printf("%d %s\n", (int)getpid(), socket ? socket : "");
	fflush(stdout);
	if (!ends)
		hold(at, bytes, 2);
	return 0;
}
