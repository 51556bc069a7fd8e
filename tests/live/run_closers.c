/* SPDX-License-Identifier: MIT
 *
 * A program that does not know of pagerd, and its child: both close all descriptors.
 *
 * usage: run_closers FILE: where the test looks (closers.h)
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <signal.h>

#include "closers.h"

#define BYTES (32ul << 20)
#define PAGE  4096ul

int
main(int argc, char **argv)
{
	int fd = argc == 2 ? open(argv[1], O_RDWR | O_CLOEXEC) : -1;
	struct closers *s = mmap(NULL, sizeof(*s), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	unsigned char *memory =
	    mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (fd < 0 || s == MAP_FAILED || memory == MAP_FAILED)
		return 1;
	closers_write(memory, BYTES, PAGE);
	if (fork() == 0)
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	closers_read(s, memory, BYTES, PAGE);
	return 0;
}
