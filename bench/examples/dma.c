/* SPDX-License-Identifier: MIT
 *
 * Reads a file by DMA into paged memory: O_DIRECT through a fixed buffer of io_uring. The buffer is
 * prepared first, so its pages stay where they are as long as the device may write to them.
 *
 *   cc dma.c $(pkg-config --cflags --libs libpager) -luring && ./a.out FILE
 */
#include <pager/pager.h>

#include <fcntl.h>
#include <liburing.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BUFFER_BYTES = 256 << 10 };

static int
check(const char *what, int r)
{
	if (r >= 0)
		return r;
	fprintf(stderr, "dma: %s: %s\n", what, strerror(-r));
	exit(1);
}

/* One read at a time into the buffer that is registered. => bytes */
static int
read_fixed(struct io_uring *ring, int fd, void *buffer, unsigned long long at)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
	struct io_uring_cqe *cqe;
	int r;

	if (!sqe)
		check("queue", -1);
	io_uring_prep_read_fixed(sqe, fd, buffer, BUFFER_BYTES, at, 0);
	check("submit", io_uring_submit(ring));
	check("wait", io_uring_wait_cqe(ring, &cqe));
	r = check("read", cqe->res);
	io_uring_cqe_seen(ring, cqe);
	return r;
}

int
main(int argc, char **argv)
{
	struct pager_memory_descriptor *descriptor;
	const struct pager_memory_piece *pieces;
	unsigned long long total = 0, sum = 0;
	struct io_uring ring;
	struct iovec part;
	unsigned char *buffer;
	struct pager *pager;
	size_t count;
	int fd, r;

	if (argc != 2) {
		fprintf(stderr, "usage: dma FILE\n");
		return 2;
	}
	fd = open(argv[1], O_RDONLY | O_DIRECT);
	if (fd < 0) {
		perror(argv[1]);
		return 1;
	}
	check("connect", pager_connect(NULL, NULL, &pager));
	check("allocate", pager_allocate(pager, BUFFER_BYTES, 0, (void **)&buffer));
	check("descriptor", pager_memory_descriptor_create(
				pager, buffer, BUFFER_BYTES, PAGER_DIRECTION_IN, &descriptor));
	check("prepare", pager_memory_descriptor_prepare(descriptor, &pieces, &count));
	check("io_uring", io_uring_queue_init(4, &ring, 0));
	part = (struct iovec){ buffer, BUFFER_BYTES };
	check("register", io_uring_register_buffers(&ring, &part, 1));
	while ((r = read_fixed(&ring, fd, buffer, total)) > 0) {
		for (int i = 0; i < r; i++)
			sum += buffer[i];
		total += (unsigned)r;
		/* The end of the file, which need not lie at a block's end. */
		if (r < BUFFER_BYTES)
			break;
	}
	/* The device is done before the pages may go. */
	io_uring_queue_exit(&ring);
	check("complete", pager_memory_descriptor_complete(descriptor));
	check("release", pager_memory_descriptor_release(descriptor));
	pager_disconnect(pager);
	printf("%llu bytes, sum %llu, through %zu piece%s\n", total, sum, count,
	    count == 1 ? "" : "s");
	return 0;
}
