/* SPDX-License-Identifier: MIT
 *
 * Two processes share paged memory. The first allocates it, gives it a name and sends the name over
 * a socket. The second maps it through a connection of its own, checks what it finds, and answers
 * in the memory itself.
 *
 *   cc share.c $(pkg-config --cflags --libs libpager) && ./a.out [MiB]
 */
#include <pager/pager.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static void
check(const char *what, int r)
{
	if (r >= 0)
		return;
	fprintf(stderr, "share: %s: %s\n", what, strerror(-r));
	exit(1);
}

static void
require(const char *what, int good)
{
	if (good)
		return;
	fprintf(stderr, "share: %s failed\n", what);
	exit(1);
}

static int
name_send(int socket, int fd)
{
	char byte = 0, control[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec part = { &byte, 1 };
	struct msghdr message = { .msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control) };
	struct cmsghdr *rights = CMSG_FIRSTHDR(&message);

	rights->cmsg_level = SOL_SOCKET;
	rights->cmsg_type = SCM_RIGHTS;
	rights->cmsg_len = CMSG_LEN(sizeof(fd));
	memcpy(CMSG_DATA(rights), &fd, sizeof(fd));
	return sendmsg(socket, &message, MSG_NOSIGNAL) == 1;
}

/* => the descriptor, or -1 */
static int
name_receive(int socket)
{
	char byte, control[CMSG_SPACE(sizeof(int))];
	struct iovec part = { &byte, 1 };
	struct msghdr message = { .msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control) };
	int fd;

	if (recvmsg(socket, &message, MSG_CMSG_CLOEXEC) != 1 || !CMSG_FIRSTHDR(&message))
		return -1;
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(fd));
	return fd;
}

static int
second(int socket, size_t size)
{
	struct pager *pager;
	size_t wrong = 0;
	uint64_t *words;
	void *memory;
	int fd = name_receive(socket);

	require("receiving the name", fd >= 0);
	check("cannot reach pagerd", pager_connect(NULL, NULL, &pager));
	check("cannot map the memory",
	    pager_map_entry(pager, fd, 0, size, PROT_READ | PROT_WRITE, 0, &memory));
	close(fd);
	words = memory;
	for (size_t i = 0; i < size / sizeof(*words); i++) {
		wrong += words[i] != i;
		words[i] = ~i;
	}
	pager_disconnect(pager);
	return wrong == 0 ? 0 : 1;
}

int
main(int argc, char **argv)
{
	size_t size = (argc > 1 ? strtoul(argv[1], NULL, 10) : 64) << 20, wrong = 0;
	int sockets[2], fd, status;
	struct pager *pager;
	uint64_t *words;
	void *memory;
	pid_t pid;

	require("socketpair", socketpair(AF_UNIX, SOCK_SEQPACKET, 0, sockets) == 0);
	/* A connection is not inherited: each process makes its own, after the fork. */
	pid = fork();
	require("fork", pid >= 0);
	if (pid == 0) {
		close(sockets[0]);
		_exit(second(sockets[1], size));
	}
	close(sockets[1]);
	check("cannot reach pagerd", pager_connect(NULL, NULL, &pager));
	check("cannot allocate", pager_allocate(pager, size, PAGER_ALLOC_SHAREABLE, &memory));
	words = memory;
	for (size_t i = 0; i < size / sizeof(*words); i++)
		words[i] = i;
	check("cannot name the memory",
	    pager_make_entry(pager, memory, size, PROT_READ | PROT_WRITE, 0, &fd));
	require("sending the name", name_send(sockets[0], fd));
	close(fd);
	require("waiting", waitpid(pid, &status, 0) == pid);
	for (size_t i = 0; i < size / sizeof(*words); i++)
		wrong += words[i] != ~(uint64_t)i;
	printf("%zu MiB shared, %zu words wrong here, the other process %s\n", size >> 20, wrong,
	    status == 0 ? "found none" : "failed");
	pager_disconnect(pager);
	return wrong == 0 && status == 0 && fflush(stdout) == 0 ? 0 : 1;
}
