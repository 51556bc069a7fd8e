/* SPDX-License-Identifier: MIT
 *
 * One process adds regions to a submap and removes them, another reads them where it has mapped the
 * submap once, at its start.
 *
 *   cc submap.c $(pkg-config --cflags --libs libpager) && ./a.out [MiB]
 */
#include <pager/pager.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define SUBMAP_BYTES (1ull << 30)
#define ROUNDS       4

struct message {
	uint64_t offset, size, sum; /* size 0: the end */
};

static void
check(const char *what, int r)
{
	if (r >= 0)
		return;
	fprintf(stderr, "submap: %s: %s\n", what, strerror(-r));
	exit(1);
}

static void
require(const char *what, int good)
{
	if (good)
		return;
	fprintf(stderr, "submap: %s failed\n", what);
	exit(1);
}

/* Answers each message with the sum of what it names. */
static void
reader(int socket, int fd)
{
	struct message message;
	struct pager *pager;
	void *memory;

	check("cannot reach pagerd", pager_connect(NULL, NULL, &pager));
	check("cannot map the submap",
	    pager_map_entry(pager, fd, 0, SUBMAP_BYTES, PROT_READ, 0, &memory));
	close(fd);
	while (read(socket, &message, sizeof(message)) == sizeof(message) && message.size > 0) {
		const uint64_t *words = (void *)((char *)memory + message.offset);

		message.sum = 0;
		for (size_t i = 0; i < message.size / sizeof(*words); i++)
			message.sum += words[i];
		require("answering", write(socket, &message, sizeof(message)) == sizeof(message));
	}
	check("cannot disconnect", pager_disconnect(pager));
}

int
main(int argc, char **argv)
{
	struct message message = { .size = (argc > 1 ? strtoul(argv[1], NULL, 10) : 16) << 20 };
	int sockets[2], fd, status, wrong = 0;
	struct pager *pager;
	void *memory;
	pid_t pid;

	require("socketpair", socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sockets) == 0);
	check("cannot reach pagerd", pager_connect(NULL, NULL, &pager));
	check("cannot make a submap", pager_submap_create(pager, SUBMAP_BYTES, 0, &fd));
	/* The child inherits the name, not the connection. */
	pid = fork();
	require("fork", pid >= 0);
	if (pid == 0) {
		close(sockets[0]);
		reader(sockets[1], fd);
		_exit(0);
	}
	close(sockets[1]);
	check("cannot map the submap",
	    pager_map_entry(pager, fd, 0, SUBMAP_BYTES, PROT_READ | PROT_WRITE, 0, &memory));
	for (unsigned round = 1; round <= ROUNDS; round++) {
		uint64_t *words, sum = 0;

		check("cannot add a region",
		    pager_submap_allocate(pager, fd, &message.offset, message.size,
			PROT_READ | PROT_WRITE, PAGER_SUBMAP_TAG(round)));
		words = (void *)((char *)memory + message.offset);
		for (size_t i = 0; i < message.size / sizeof(*words); i++)
			sum += words[i] = i * round;
		/* From here on nobody writes to it by mistake. */
		check("cannot protect the region",
		    pager_submap_protect(pager, fd, message.offset, message.size, PROT_READ));
		require(
		    "asking", write(sockets[0], &message, sizeof(message)) == sizeof(message) &&
				  read(sockets[0], &message, sizeof(message)) == sizeof(message));
		wrong += message.sum != sum;
		check("cannot remove the region",
		    pager_submap_deallocate(pager, fd, message.offset, message.size));
	}
	printf("%d regions of %llu MiB, %d sums wrong\n", ROUNDS,
	    (unsigned long long)message.size >> 20, wrong);
	message.size = 0;
	require("ending", write(sockets[0], &message, sizeof(message)) == sizeof(message));
	require("waiting", waitpid(pid, &status, 0) == pid);
	close(fd);
	check("cannot disconnect", pager_disconnect(pager));
	return wrong == 0 && status == 0 && fflush(stdout) == 0 ? 0 : 1;
}
