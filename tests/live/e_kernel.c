/* SPDX-License-Identifier: MIT
 *
 * The kernel touches paged memory for the program: read(2), write(2), O_DIRECT both ways, pipes,
 * sockets, and process_vm_readv from another process; under pressure, so that most of it is away.
 *
 * usage: e_kernel direct|buffered|remote [page size]
 */
#include "harness.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/uio.h>

#include "book.h"

/* Pages go to a file and come back to other pages, in pieces of 1 to 8. */
static void
through_file(struct live *d, int flags)
{
	struct pager *p = client_connect(d);
	uint32_t count = (uint32_t)(3 * d->memory_bytes / 2 / d->page_bytes), round;
	char path[200];
	uint64_t rng = mix64(live_seed);
	struct book b;
	int fd;

	snprintf(path, sizeof(path), "%s/file", d->directory);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | flags, 0600);
	if (fd < 0 && flags && errno == EINVAL) {
		printf("no O_DIRECT in %s\n", d->directory);
		_exit(77);
	}
	REQUIRE(fd >= 0, "%s: %s", path, strerror(errno));
	book_open(&b, client_allocate(p, count * d->page_bytes), d->page_bytes, count, 1);
	book_write_all(&b, &mixture_usual, &rng);
	for (round = 0; round < live_scaled(d->page_bytes == 4096 ? 2500 : 800); round++) {
		uint32_t pages = 1 + (uint32_t)rng_below(&rng, 8);
		uint32_t from = (uint32_t)rng_below(&rng, count - pages),
			 to = (uint32_t)rng_below(&rng, count - pages);
		size_t bytes = pages * d->page_bytes;
		off_t at = (off_t)(rng_below(&rng, 64) * 8 * 65536);
		static unsigned char copy[8 * 65536] __attribute__((aligned(4096)));
		ssize_t n;

		n = pwrite(fd, b.base + from * d->page_bytes, bytes, at);
		REQUIRE(n == (ssize_t)bytes, "pwrite: %zd %s", n, strerror(errno));
		n = pread(fd, copy, bytes, at);
		REQUIRE(n == (ssize_t)bytes, "pread: %zd %s", n, strerror(errno));
		for (uint32_t i = 0; i < pages; i++)
			book_verify_copy(&b, from + i, copy + i * d->page_bytes, "write(2)");
		/* New content for the pages at `to`, by way of the file. */
		for (uint32_t i = 0; i < pages; i++) {
			book_note(&b, to + i, mixture_draw(&mixture_usual, &rng));
			page_expect(&b, to + i, copy + i * d->page_bytes);
		}
		n = pwrite(fd, copy, bytes, at);
		REQUIRE(n == (ssize_t)bytes, "pwrite: %zd %s", n, strerror(errno));
		n = pread(fd, b.base + to * d->page_bytes, bytes, at);
		REQUIRE(n == (ssize_t)bytes, "pread into paged memory: %zd %s", n, strerror(errno));
		for (uint32_t i = 0; i < pages; i++)
			book_verify(&b, to + i);
	}
	book_verify_all(&b);
	close(fd);
	OK(pager_disconnect(p));
}

static void
direct(struct live *d, void *argument)
{
	(void)argument;
	through_file(d, O_DIRECT);
}

static void
buffered(struct live *d, void *argument)
{
	(void)argument;
	through_file(d, 0);
}

struct remote {
	_Atomic uintptr_t base;
	atomic_bool leave;
	uint32_t count;
};

static void
remote_client(struct live *d, void *argument)
{
	struct remote *r = argument;
	struct pager *p = client_connect(d);
	struct book b;

	book_open(&b, client_allocate(p, r->count * d->page_bytes), d->page_bytes, r->count, 1);
	for (uint32_t i = 0; i < r->count; i++)
		book_write(&b, i, (enum page_kind)(i % KIND_COUNT));
	atomic_store(&r->base, (uintptr_t)b.base);
	WAIT_UNTIL(d, atomic_load(&r->leave));
	/* The content written by the other process. */
	for (uint32_t i = 0; i < r->count; i += 3)
		book_note(&b, i, KIND_NOISE);
	book_verify_all(&b);
	OK(pager_disconnect(p));
}

static void
test_remote(struct live *d)
{
	struct remote *r = shared_alloc(sizeof(*r));
	unsigned char *copy = malloc(d->page_bytes);
	struct book b;
	pid_t pid;

	r->count = (uint32_t)(2 * d->memory_bytes / d->page_bytes);
	pid = client_start(d, remote_client, r);
	WAIT_UNTIL(d, atomic_load(&r->base));
	book_open(&b, (void *)atomic_load(&r->base), d->page_bytes, r->count, 1);
	for (uint32_t i = 0; i < r->count; i++)
		book_note(&b, i, (enum page_kind)(i % KIND_COUNT));
	for (uint32_t i = 0; i < r->count; i++) {
		struct iovec here = { copy, d->page_bytes },
			     there = { b.base + i * d->page_bytes, d->page_bytes };
		ssize_t n = process_vm_readv(pid, &here, 1, &there, 1, 0);

		REQUIRE(
		    n == (ssize_t)d->page_bytes, "process_vm_readv: %zd %s", n, strerror(errno));
		book_verify_copy(&b, i, copy, "process_vm_readv");
		if (i % 3)
			continue;
		book_note(&b, i, KIND_NOISE);
		page_expect(&b, i, copy);
		n = process_vm_writev(pid, &here, 1, &there, 1, 0);
		REQUIRE(
		    n == (ssize_t)d->page_bytes, "process_vm_writev: %zd %s", n, strerror(errno));
	}
	free(copy);
	book_close(&b);
	atomic_store(&r->leave, true);
	client_join(d, pid, true);
}

int
main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "", *size = argc > 2 ? argv[2] : "4K", *memory;
	struct live d;

	live_init(argc, argv);
	/* Of large pages there are many only for what needs them: a page that is pinned for DMA
	 * must stay for as long as the transfer takes: with a memory of a thousand pages or less it
	 * does not, and O_DIRECT into paged memory loses data (KERNEL_MEMORY=2M shows it). */
	memory = getenv("KERNEL_MEMORY");
	if (!memory)
		memory = strcmp(size, "4K") == 0       ? "16M"
			 : strcmp(name, "direct") == 0 ? "192M"
						       : "48M";
	live_start(&d, memory, "--page-size", size, NULL);
	if (strcmp(name, "direct") == 0)
		client_join(&d, client_start(&d, direct, NULL), true);
	else if (strcmp(name, "buffered") == 0)
		client_join(&d, client_start(&d, buffered, NULL), true);
	else if (strcmp(name, "remote") == 0)
		test_remote(&d);
	else
		FAIL("no such test: \"%s\"", name);
	live_stop(&d);
	return 0;
}
