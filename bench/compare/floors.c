/* SPDX-License-Identifier: MIT
 *
 * The floors that need no disk: userfaultfd, LZ4, plain memory.
 */
#include "floors.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <lz4.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "histogram.h"
#include "rng.h"
#include "ticks.h"

#define PAGE        4096u
#define ECHO_PAGES  4096u
#define ECHO_ROUNDS 5u

struct echo {
	int uffd;
	atomic_bool stop;
	char *area;
};

static int
userfaultfd_open(void)
{
	struct uffdio_api api = { .api = UFFD_API,
		.features = UFFD_FEATURE_MINOR_SHMEM | UFFD_FEATURE_MISSING_SHMEM };
	int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC);

	if (fd < 0) {
		int device = open("/dev/userfaultfd", O_RDWR | O_CLOEXEC);

		fd = device < 0 ? -1 : ioctl(device, _IO(0xAA, 0x00), O_CLOEXEC);
		if (device >= 0)
			close(device);
	}
	if (fd < 0)
		return -errno;
	if (ioctl(fd, UFFDIO_API, &api)) {
		int error = -errno;

		close(fd);
		return error;
	}
	return fd;
}

/* The minimum that answers a fault: one message, one CONTINUE. A fault after `stop` is the last. */
static void *
echo_main(void *arg)
{
	struct echo *e = arg;
	struct uffdio_continue answer;
	struct uffd_msg msg;
	bool last = false;

	while (!last && read(e->uffd, &msg, sizeof(msg)) == (ssize_t)sizeof(msg)) {
		last = atomic_load(&e->stop);
		answer = (struct uffdio_continue){ .range = { .start = msg.arg.pagefault.address &
								       ~(uint64_t)(PAGE - 1),
						       .len = PAGE } };
		ioctl(e->uffd, UFFDIO_CONTINUE, &answer);
	}
	return NULL;
}

static int
echo_touch(const struct echo *e, struct histogram *h)
{
	for (uint64_t round = 0; round < ECHO_ROUNDS; round++) {
		if (madvise(e->area, ECHO_PAGES * PAGE, MADV_DONTNEED))
			return -errno;
		for (uint64_t i = 0; i < ECHO_PAGES; i++) {
			volatile char *page = e->area + permute(i, ECHO_PAGES, round) * PAGE;
			uint64_t t0 = ticks_now(), t1;

			(void)*page;
			t1 = ticks_now();
			histogram_record(h, ticks_to_ns(t1 - t0));
		}
	}
	return 0;
}

static int
echo_run(struct echo *e, double *ret_p50_ns)
{
	struct uffdio_register reg = { .range = { .start = (uintptr_t)e->area,
					   .len = ECHO_PAGES * PAGE },
		.mode = UFFDIO_REGISTER_MODE_MISSING | UFFDIO_REGISTER_MODE_MINOR };
	struct histogram *h = calloc(1, sizeof(*h));
	cpu_set_t before, one;
	pthread_t thread;
	int error = 0, cpu = sched_getcpu();

	if (!h)
		return -ENOMEM;
	if (ioctl(e->uffd, UFFDIO_REGISTER, &reg)) {
		error = -errno;
		free(h);
		return error;
	}
	/* The handler inherits the affinity, so both threads run on this processor. */
	sched_getaffinity(0, sizeof(before), &before);
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	sched_setaffinity(0, sizeof(one), &one);
	error = -pthread_create(&thread, NULL, echo_main, e);
	if (!error) {
		error = echo_touch(e, h);
		atomic_store(&e->stop, true);
		madvise(e->area, PAGE, MADV_DONTNEED);
		(void)*(volatile char *)e->area;
		pthread_join(thread, NULL);
	}
	sched_setaffinity(0, sizeof(before), &before);
	if (!error)
		*ret_p50_ns = (double)histogram_percentile(h, 0.5);
	free(h);
	return error;
}

int
floor_echo(double *ret_p50_ns)
{
	struct echo e = { .uffd = userfaultfd_open() };
	int memory, error = 0;
	char *fill;

	if (e.uffd < 0)
		return e.uffd;
	memory = memfd_create("pagerbench-echo", MFD_CLOEXEC);
	if (memory < 0 || ftruncate(memory, ECHO_PAGES * PAGE)) {
		error = -errno;
		close(e.uffd);
		return error;
	}
	e.area = mmap(NULL, ECHO_PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
	/* Filled through another mapping, so touches of `area` are minor faults. */
	fill = mmap(NULL, ECHO_PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
	if (e.area == MAP_FAILED || fill == MAP_FAILED)
		error = -ENOMEM;
	if (!error) {
		memset(fill, 1, ECHO_PAGES * PAGE);
		error = echo_run(&e, ret_p50_ns);
	}
	if (fill != MAP_FAILED)
		munmap(fill, ECHO_PAGES * PAGE);
	if (e.area != MAP_FAILED)
		munmap(e.area, ECHO_PAGES * PAGE);
	close(memory);
	close(e.uffd);
	return error;
}

int
floor_lz4(const struct pool *pool, double *ret_compress_ns, double *ret_decompress_ns)
{
	enum { PAGES = 4096 };
	char out[LZ4_COMPRESSBOUND(PAGE)], back[PAGE];
	uint64_t compress = 0, decompress = 0;

	for (uint32_t i = 0; i < PAGES; i++) {
		const char *page = pool_body(pool, i % pool->pages);
		uint64_t t0 = ticks_now(), t1;
		int bytes = LZ4_compress_default(page, out, PAGE, sizeof(out));

		t1 = ticks_now();
		if (LZ4_decompress_safe(out, back, bytes, PAGE) != (int)PAGE)
			return -EIO;
		decompress += ticks_now() - t1;
		compress += t1 - t0;
	}
	*ret_compress_ns = (double)ticks_to_ns(compress) / PAGES;
	*ret_decompress_ns = (double)ticks_to_ns(decompress) / PAGES;
	return 0;
}

struct lz4_worker {
	const struct pool *pool;
	pthread_barrier_t *barrier;
	pthread_t thread;
	uint64_t ns; /* a page */
};

static void *
lz4_main(void *arg)
{
	enum { PAGES = 16384 };
	struct lz4_worker *w = arg;
	char out[LZ4_COMPRESSBOUND(PAGE)];
	uint64_t t0;

	pthread_barrier_wait(w->barrier);
	t0 = ticks_now();
	for (uint32_t i = 0; i < PAGES; i++)
		LZ4_compress_default(
		    pool_body(w->pool, i % w->pool->pages), out, PAGE, sizeof(out));
	w->ns = ticks_to_ns(ticks_now() - t0) / PAGES;
	return NULL;
}

int
floor_lz4_all(const struct pool *pool, double *ret_compress_ns)
{
	unsigned count = (unsigned)sysconf(_SC_NPROCESSORS_ONLN), started = 0;
	struct lz4_worker *workers = calloc(count, sizeof(*workers));
	pthread_barrier_t barrier;
	uint64_t sum = 0;

	if (!workers)
		return -ENOMEM;
	pthread_barrier_init(&barrier, NULL, count);
	for (; started < count; started++) {
		workers[started] = (struct lz4_worker){ .pool = pool, .barrier = &barrier };
		if (pthread_create(&workers[started].thread, NULL, lz4_main, &workers[started])) {
			/* The threads already started would never leave the barrier. */
			fputs("pagerbench: cannot create a thread\n", stderr);
			_Exit(1);
		}
	}
	for (unsigned i = 0; i < count; i++) {
		pthread_join(workers[i].thread, NULL);
		sum += workers[i].ns;
	}
	pthread_barrier_destroy(&barrier);
	free(workers);
	*ret_compress_ns = (double)sum / count;
	return 0;
}

int
floor_plain(uint64_t bytes, double *ret_touch_ns, double *ret_first_touch_ns)
{
	enum { BATCH = 64, BATCHES = 20000 };
	uint64_t pages = bytes / PAGE, offsets[BATCH], total = 0, t0, sum = 0;
	struct rng r = { 7 };
	char *area =
	    mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (area == MAP_FAILED)
		return -errno;
	madvise(area, pages * PAGE, MADV_NOHUGEPAGE);
	t0 = ticks_now();
	for (uint64_t i = 0; i < pages; i++)
		*(volatile char *)(area + i * PAGE) = 1;
	*ret_first_touch_ns = (double)ticks_to_ns(ticks_now() - t0) / (double)pages;
	for (unsigned b = 0; b < BATCHES; b++) {
		for (unsigned i = 0; i < BATCH; i++)
			offsets[i] = rng_below(&r, pages) * PAGE;
		t0 = ticks_now();
		for (unsigned i = 0; i < BATCH; i++)
			sum += *(volatile uint64_t *)(area + offsets[i]);
		total += ticks_now() - t0;
	}
	*ret_touch_ns = (double)ticks_to_ns(total) / ((double)BATCH * BATCHES);
	munmap(area, pages * PAGE);
	return sum == 1 ? -EIO : 0; /* keeps the sum alive */
}
