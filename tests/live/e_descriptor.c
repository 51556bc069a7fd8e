/* SPDX-License-Identifier: MIT
 *
 * Memory descriptors: the pieces name the bytes that the program sees; what is prepared can be
 * neither unwired nor given back; and real DMA goes there: O_DIRECT reads through fixed buffers of
 * io_uring while other clients press memory for four times what there is.
 *
 * usage: e_descriptor trap-14-rules|pieces|ends|dma [4K|16K|64K] | example
 */
#include <fcntl.h>
#include <liburing.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "device.h"

static const char *page_size = "4K";

typedef struct pager_memory_descriptor memory_descriptor;

static memory_descriptor *
descriptor_of(struct pager *p, void *addr, size_t size, enum pager_direction direction)
{
	memory_descriptor *md;

	OK(pager_memory_descriptor_create(p, addr, size, direction, &md));
	return md;
}

static size_t
prepare(memory_descriptor *md, const struct pager_memory_piece **ret)
{
	size_t count;

	OK(pager_memory_descriptor_prepare(md, ret, &count));
	return count;
}

static void
done(memory_descriptor *md)
{
	OK(pager_memory_descriptor_complete(md));
	OK(pager_memory_descriptor_release(md));
}

/* --- rules --- */

static void
wrong_descriptors(struct live *d, struct pager *p, unsigned char *base)
{
	size_t page = d->page_bytes;
	memory_descriptor *md;

	EQ(pager_memory_descriptor_create(p, base, page, 0, &md), -EINVAL);
	EQ(pager_memory_descriptor_create(p, base, page, 4, &md), -EINVAL);
	EQ(pager_memory_descriptor_create(p, base, 0, PAGER_DIRECTION_IN, &md), -EINVAL);
	EQ(pager_memory_descriptor_create(p, base + 1, page, PAGER_DIRECTION_IN, &md), -EINVAL);
	EQ(pager_memory_descriptor_create(p, &md, page, PAGER_DIRECTION_IN, &md), -EINVAL);
	EQ(pager_memory_descriptor_create(p, base, page, PAGER_DIRECTION_IN, NULL), -EINVAL);
	OK(pager_memory_descriptor_release(NULL));
}

/* Trap 14: a device's writes are lost where its pages are punched away under it. */
static void
pinned_stays(struct live *d, struct pager *p, unsigned char *base, size_t bytes)
{
	size_t page = d->page_bytes;

	EQ(pager_behavior(p, base, bytes, PAGER_BEHAVIOR_FREE), -EBUSY);
	EQ(pager_behavior(p, base + bytes - page, page, PAGER_BEHAVIOR_FREE), -EBUSY);
	OK(pager_behavior(p, base, bytes, PAGER_BEHAVIOR_PAGEOUT));
	OK(pager_behavior(p, base, bytes, PAGER_BEHAVIOR_DONTNEED));
	EQ(pager_unwire(p, base, page), -EBUSY);
	EQ(pager_deallocate(p, base, bytes), -EBUSY);
	EQ(pager_deallocate(p, base + page, page), -EBUSY);
	/* Refused, it is as before, and can be written. */
	base[0] = base[bytes - 1] = 0x11;
	EQ(statistics(p).wired_mem, bytes);
}

static void
rules_client(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);
	size_t bytes = 32 * d->page_bytes, count;
	unsigned char *base = client_allocate(p, bytes);
	const struct pager_memory_piece *pieces;
	struct pager_region_info info;
	memory_descriptor *md, *other;
	int fd;

	(void)argument;
	pattern_write(d, base, bytes, 3);
	wrong_descriptors(d, p, base);
	md = descriptor_of(p, base, bytes, PAGER_DIRECTION_INOUT);
	EQ(pager_memory_descriptor_complete(md), -EINVAL);
	EQ(prepare(md, &pieces), 1);
	EQ(pager_memory_descriptor_prepare(md, &pieces, &count), -EALREADY);
	EQ(pager_memory_descriptor_release(md), -EBUSY);
	OK(pager_region(p, base, &info));
	EQ(info.wired_count, 1);
	EQ(info.user_wired_count, 0);
	EQ(info.pages_wired, 32);
	pinned_stays(d, p, base, bytes);
	/* Twice, over a part of it; the other one's end leaves the first. */
	other = descriptor_of(p, base + 4 * d->page_bytes, 4 * d->page_bytes, PAGER_DIRECTION_IN);
	prepare(other, &pieces);
	done(other);
	EQ(pager_deallocate(p, base + 4 * d->page_bytes, d->page_bytes), -EBUSY);
	/* Where the program has closed a piece's file, and has another under its number, that stays
	 * open. */
	other = descriptor_of(p, base, d->page_bytes, PAGER_DIRECTION_OUT);
	prepare(other, &pieces);
	fd = pieces[0].fd;
	REQUIRE(dup2(STDOUT_FILENO, fd) == fd);
	OK(pager_memory_descriptor_complete(md));
	EQ(pager_memory_descriptor_complete(md), -EINVAL);
	EQ(pager_deallocate(p, base, bytes), -EBUSY);
	OK(pager_deallocate(p, base + d->page_bytes, bytes - d->page_bytes));
	done(other);
	REQUIRE(fcntl(fd, F_GETFD) >= 0);
	close(fd);
	/* Its memory has gone. */
	EQ(pager_memory_descriptor_prepare(md, &pieces, &count), -EINVAL);
	OK(pager_memory_descriptor_release(md));
	EQ(statistics(p).wired_mem, 0);
	OK(pager_disconnect(p));
}

static void
directions_client(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);
	size_t bytes = 8 * d->page_bytes, count;
	unsigned char *base = client_allocate(p, bytes);
	const struct pager_memory_piece *pieces;
	memory_descriptor *in, *out;

	(void)argument;
	pattern_write(d, base, bytes, 40);
	in = descriptor_of(p, base, bytes, PAGER_DIRECTION_IN);
	out = descriptor_of(p, base, bytes, PAGER_DIRECTION_OUT);
	OK(pager_protect(p, base + d->page_bytes, d->page_bytes, PROT_READ));
	EQ(pager_memory_descriptor_prepare(in, &pieces, &count), -EACCES);
	EQ(statistics(p).wired_mem, 0);
	EQ(prepare(out, &pieces), 1);
	/* What the device only reads nobody can write through it. */
	EQ(pieces[0].protection, PROT_READ);
	REQUIRE(pwrite(pieces[0].fd, "x", 1, (off_t)pieces[0].offset) < 0 && errno == EBADF);
	done(out);
	OK(pager_protect(p, base + d->page_bytes, d->page_bytes, PROT_NONE));
	out = descriptor_of(p, base, bytes, PAGER_DIRECTION_OUT);
	EQ(pager_memory_descriptor_prepare(out, &pieces, &count), -EACCES);
	OK(pager_memory_descriptor_release(out));
	OK(pager_protect(p, base, bytes, PROT_READ | PROT_WRITE));
	EQ(prepare(in, &pieces), 1);
	EQ(pieces[0].protection, PROT_READ | PROT_WRITE);
	done(in);
	pattern_verify(d, base, bytes, 40);
	/* More than may be wired: nothing of it is. */
	base = client_allocate(p, 2 * d->memory_bytes);
	in = descriptor_of(p, base, 2 * d->memory_bytes, PAGER_DIRECTION_IN);
	EQ(pager_memory_descriptor_prepare(in, &pieces, &count), -EAGAIN);
	OK(pager_memory_descriptor_release(in));
	EQ(statistics(p).wired_mem, 0);
	OK(pager_disconnect(p));
}

static void
run_rules(void)
{
	struct live d;

	live_start(&d, strcmp(page_size, "4K") ? "64M" : "16M", "--page-size", page_size, NULL);
	client_join(&d, client_start(&d, rules_client, NULL), false);
	live_check(&d);
	client_join(&d, client_start(&d, directions_client, NULL), false);
	live_stop(&d);
}

/* --- pieces --- */

/* The bytes of the pieces' files are those of the memory. */
static void
pieces_verify(
    const unsigned char *base, size_t bytes, const struct pager_memory_piece *pieces, size_t count)
{
	unsigned char *copy = malloc(bytes);
	size_t at = 0;

	REQUIRE(copy != NULL);
	for (size_t i = 0; i < count; i++) {
		REQUIRE(at + pieces[i].size <= bytes);
		EQ(pread(pieces[i].fd, copy + at, pieces[i].size, (off_t)pieces[i].offset),
		    pieces[i].size);
		at += pieces[i].size;
	}
	EQ(at, bytes);
	REQUIRE(memcmp(copy, base, bytes) == 0);
	free(copy);
}

/* Two objects side by side. => the first one's address */
static unsigned char *
neighbours(struct pager *p, size_t bytes)
{
	for (unsigned tries = 0; tries < 100; tries++) {
		void *first, *second;
		int r;

		OK(pager_allocate(p, bytes, PAGER_ALLOC_SHAREABLE, &first));
		second = (char *)first + bytes;
		r = pager_allocate(p, bytes, PAGER_ALLOC_SHAREABLE | PAGER_ALLOC_FIXED, &second);
		if (r == 0)
			return first;
		EQ(r, -EEXIST);
	}
	FAIL("no room beside any allocation");
}

static void
pieces_client(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);
	size_t half = 16 * d->page_bytes, bytes = 2 * half;
	const struct pager_memory_piece *pieces;
	unsigned char *base = neighbours(p, half), *device;
	memory_descriptor *md;
	struct stat a, b;
	char byte = 0x6b;

	(void)argument;
	pattern_write(d, base, bytes, 7);
	/* Away, so that they must be brought in. */
	OK(pager_behavior(p, base, bytes, PAGER_BEHAVIOR_PAGEOUT));
	md = descriptor_of(
	    p, base + d->page_bytes, bytes - 2 * d->page_bytes, PAGER_DIRECTION_INOUT);
	EQ(prepare(md, &pieces), 2);
	EQ(pieces[0].size, half - d->page_bytes);
	REQUIRE(fstat(pieces[0].fd, &a) == 0 && fstat(pieces[1].fd, &b) == 0);
	REQUIRE(a.st_ino != b.st_ino);
	pieces_verify(base + d->page_bytes, bytes - 2 * d->page_bytes, pieces, 2);
	/* And the other way round: what is written there is seen here. */
	EQ(pwrite(pieces[1].fd, &byte, 1, (off_t)pieces[1].offset + 5), 1);
	EQ(base[half + 5], 0x6b);
	done(md);
	/* A device's is its own. */
	device = device_map(p, "dma", DEVICE_BYTES, PROT_READ | PROT_WRITE);
	pattern_write(d, device, DEVICE_BYTES, 90);
	md = descriptor_of(
	    p, device + d->page_bytes, DEVICE_BYTES - d->page_bytes, PAGER_DIRECTION_INOUT);
	EQ(prepare(md, &pieces), 1);
	EQ(pieces[0].offset, d->page_bytes);
	pieces_verify(device + d->page_bytes, DEVICE_BYTES - d->page_bytes, pieces, 1);
	EQ(pager_deallocate(p, device, DEVICE_BYTES), -EBUSY);
	EQ(device[17], 90);
	EQ(statistics(p).iokit_mapped, DEVICE_BYTES);
	done(md);
	OK(pager_deallocate(p, device, DEVICE_BYTES));
	/* Of what may only be read no more comes out. */
	device = device_map(p, "dma", DEVICE_BYTES, PROT_READ);
	md = descriptor_of(p, device, DEVICE_BYTES, PAGER_DIRECTION_OUT);
	EQ(prepare(md, &pieces), 1);
	EQ(pieces[0].protection, PROT_READ);
	pieces_verify(device, DEVICE_BYTES, pieces, 1);
	REQUIRE(pwrite(pieces[0].fd, &byte, 1, 0) < 0);
	done(md);
	OK(pager_disconnect(p));
}

static void
run_pieces(void)
{
	struct live d;

	live_start(&d, strcmp(page_size, "4K") ? "64M" : "32M", "--page-size", page_size,
	    "--device", "dma=2M,mode=0600", NULL);
	client_join(&d, client_start(&d, pieces_client, NULL), false);
	live_stop(&d);
}

/* --- ends: clients that are killed while memory is prepared --- */

static void
ends_client(struct live *d, void *argument)
{
	struct stage *s = argument;
	struct pager *p = client_connect(d);
	size_t bytes = 64 * d->page_bytes;
	unsigned char *base = client_allocate(p, bytes);
	const struct pager_memory_piece *pieces;

	prepare(descriptor_of(p, base, bytes, PAGER_DIRECTION_IN), &pieces);
	prepare(descriptor_of(p, base, bytes / 2, PAGER_DIRECTION_OUT), &pieces);
	stage_meet(d, s, 1);
	OK(pager_disconnect(p));
}

static void
run_ends(void)
{
	struct stage *s = shared_alloc(sizeof(*s));
	struct live d;
	pid_t pid;

	live_start(&d, "16M", "--page-size", page_size, NULL);
	for (unsigned round = 0; round < 6; round++) {
		stage_reset(s);
		pid = client_start(&d, ends_client, s);
		stage_wait(&d, s, 1);
		/* A touch returns before its server has let go of the page. */
		WAIT_UNTIL(&d, live_stat(&d, "wired") == 64);
		live_check(&d);
		if (round % 2) {
			client_kill(pid);
		} else {
			stage_allow(s, 1);
			client_join(&d, pid, false);
		}
		WAIT_UNTIL(&d, live_stat(&d, "wired") == 0);
	}
	live_stop(&d);
}

/* --- dma --- */

enum { DMA_BYTES = 2 << 20, DMA_ROUNDS = 12, BLOCK = 64 << 10 };

struct dma {
	struct stage stage;
	atomic_bool leave;
	char path[200];
};

static unsigned char
dma_byte(unsigned round, size_t at)
{
	return (unsigned char)mix64((uint64_t)round << 32 | at / 512);
}

/* Touches four times the memory there is, as long as the test goes on. */
static void
presser(struct live *d, void *argument)
{
	struct dma *dma = argument;
	struct pager *p = client_connect(d);
	size_t bytes = 4 * d->memory_bytes;
	volatile unsigned char *base = client_allocate(p, bytes);
	uint64_t n = 0;

	while (!atomic_load(&dma->leave)) {
		for (size_t at = 0; at < bytes && !atomic_load(&dma->leave); at += d->page_bytes)
			*(volatile uint64_t *)(base + at) = ++n;
	}
	OK(pager_disconnect(p));
}

static void
file_write(int fd, unsigned round)
{
	unsigned char *block = aligned_alloc(4096, BLOCK);

	REQUIRE(block != NULL);
	for (size_t at = 0; at < DMA_BYTES; at += BLOCK) {
		for (size_t i = 0; i < BLOCK; i++)
			block[i] = dma_byte(round, at + i);
		EQ(pwrite(fd, block, BLOCK, (off_t)at), BLOCK);
	}
	free(block);
}

/* The file's blocks come by the device into the buffer that is registered, all at a time. */
static void
file_read(struct io_uring *ring, int fd, unsigned char *base)
{
	for (size_t at = 0; at < DMA_BYTES; at += BLOCK) {
		struct io_uring_sqe *sqe = io_uring_get_sqe(ring);

		REQUIRE(sqe != NULL);
		io_uring_prep_read_fixed(sqe, fd, base + at, BLOCK, at, 0);
	}
	EQ(io_uring_submit(ring), DMA_BYTES / BLOCK);
	for (size_t n = 0; n < DMA_BYTES / BLOCK; n++) {
		struct io_uring_cqe *cqe;

		EQ(io_uring_wait_cqe(ring, &cqe), 0);
		EQ(cqe->res, BLOCK);
		io_uring_cqe_seen(ring, cqe);
	}
}

static void
dma_client(struct live *d, void *argument)
{
	struct dma *dma = argument;
	struct pager *p = client_connect(d);
	unsigned char *base = client_allocate(p, DMA_BYTES);
	struct iovec part = { base, DMA_BYTES };
	const struct pager_memory_piece *pieces;
	memory_descriptor *md;
	struct io_uring ring;
	int64_t pageouts;
	int fd;

	fd = open(dma->path, O_RDWR | O_CREAT | O_DIRECT | O_CLOEXEC, 0600);
	REQUIRE(fd >= 0, "%s: %s", dma->path, strerror(errno));
	EQ(io_uring_queue_init(DMA_BYTES / BLOCK, &ring, 0), 0);
	/* It has been away. */
	memset(base, 1, DMA_BYTES);
	OK(pager_behavior(p, base, DMA_BYTES, PAGER_BEHAVIOR_PAGEOUT));
	md = descriptor_of(p, base, DMA_BYTES, PAGER_DIRECTION_IN);
	prepare(md, &pieces);
	EQ(io_uring_register_buffers(&ring, &part, 1), 0);
	for (unsigned round = 0; round < DMA_ROUNDS; round++) {
		/* Others' pages leave between two rounds, and this one's would if they could. */
		pageouts = live_stat(d, "pageouts");
		WAIT_UNTIL(d, live_stat(d, "pageouts") > pageouts + 500);
		file_write(fd, round);
		file_read(&ring, fd, base);
		for (size_t at = 0; at < DMA_BYTES; at++)
			if (base[at] != dma_byte(round, at))
				FAIL("round %u, byte %zu: the device's write is lost", round, at);
		WAIT_UNTIL(d, statistics(p).wired_mem == DMA_BYTES);
	}
	EQ(io_uring_unregister_buffers(&ring), 0);
	done(md);
	/* It can leave again, with what the device wrote. */
	OK(pager_behavior(p, base, DMA_BYTES, PAGER_BEHAVIOR_PAGEOUT));
	for (size_t at = 0; at < DMA_BYTES; at++)
		EQ(base[at], dma_byte(DMA_ROUNDS - 1, at));
	io_uring_queue_exit(&ring);
	close(fd);
	atomic_store(&dma->leave, true);
	OK(pager_disconnect(p));
}

static void
run_dma(void)
{
	struct dma *dma = shared_alloc(sizeof(*dma));
	pid_t pressers[2], client;
	struct live d;
	int fd;

	live_start(&d, strcmp(page_size, "4K") ? "64M" : "16M", "--page-size", page_size, NULL);
	snprintf(dma->path, sizeof(dma->path), "%s/dma", d.directory);
	fd = open(dma->path, O_RDWR | O_CREAT | O_DIRECT | O_CLOEXEC, 0600);
	if (fd < 0 && errno == EINVAL) {
		live_stop(&d);
		printf("skipped: no O_DIRECT in /var/tmp\n");
		exit(77);
	}
	close(fd);
	for (unsigned i = 0; i < 2; i++)
		pressers[i] = client_start(&d, presser, dma);
	client = client_start(&d, dma_client, dma);
	client_join(&d, client, true);
	for (unsigned i = 0; i < 2; i++)
		client_join(&d, pressers[i], false);
	REQUIRE(live_stat(&d, "pageouts") > 0);
	live_stop(&d);
}

/* --- example: the program of bench/examples reads a file by DMA, and says what is in it --- */

static void
run_example(void)
{
	char path[200], command[512], text[256] = "", expected[64];
	unsigned char bytes[3 * 4096 + 100];
	uint64_t sum = 0, rng = live_seed;
	struct live d;
	FILE *f;
	int fd;

	live_start(&d, "16M", NULL);
	snprintf(path, sizeof(path), "%s/input", d.directory);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	REQUIRE(fd >= 0);
	for (unsigned n = 0; n < 100; n++) {
		for (size_t i = 0; i < sizeof(bytes); i++)
			sum += bytes[i] = (unsigned char)rng_next(&rng);
		EQ(write(fd, bytes, sizeof(bytes)), sizeof(bytes));
	}
	REQUIRE(fsync(fd) == 0);
	close(fd);
	snprintf(command, sizeof(command), "PAGERD_SOCKET=%s %s %s 2>&1", d.socket,
	    getenv("DMA_EXAMPLE"), path);
	snprintf(expected, sizeof(expected), "%zu bytes, sum %llu", 100 * sizeof(bytes),
	    (unsigned long long)sum);
	f = popen(command, "r");
	REQUIRE(f != NULL);
	text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
	EQ(pclose(f), 0);
	REQUIRE(strstr(text, expected), "%s, not %s", text, expected);
	live_stop(&d);
}

int
main(int argc, char **argv)
{
	static const struct live_test tests[] = { { "trap-14-rules", run_rules },
		{ "pieces", run_pieces }, { "ends", run_ends }, { "dma", run_dma },
		{ "example", run_example } };

	live_init(argc, argv);
	if (argc > 2)
		page_size = argv[2];
	return LIVE_RUN(argc, argv, tests);
}
