/* SPDX-License-Identifier: MIT
 *
 * The program's own memory by kind: pieces of malloc, areas that get memory when they are touched,
 * stacks of threads.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>

#include "own.h"

static struct own_use
use_of(enum own kind)
{
	struct own_use all[OWN_COUNT];

	own_measure(all);
	return all[kind];
}

static void
pieces(void **state)
{
	struct own_use before = use_of(OWN_OBJECT), now;
	void *a = own_alloc(OWN_OBJECT, 100), *b = own_realloc(OWN_OBJECT, NULL, 10);
	unsigned char zero[100] = { 0 };

	(void)state;
	assert_memory_equal(a, zero, sizeof(zero));
	now = use_of(OWN_OBJECT);
	assert_int_equal(own_count(OWN_OBJECT), before.count + 2);
	assert_int_equal(now.count, before.count + 2);
	assert_true(now.bytes >= before.bytes + 110 + 2 * sizeof(size_t));
	assert_int_equal(now.heap, now.bytes);
	assert_int_equal(now.anonymous, now.bytes);
	/* A piece that grows is still one, with what malloc gives for it. */
	b = own_realloc(OWN_OBJECT, b, 10000);
	assert_int_equal(use_of(OWN_OBJECT).count, before.count + 2);
	assert_true(use_of(OWN_OBJECT).bytes >= before.bytes + 10100);
	own_free(OWN_OBJECT, a);
	own_free(OWN_OBJECT, b);
	own_free(OWN_OBJECT, NULL);
	now = use_of(OWN_OBJECT);
	assert_memory_equal(&now, &before, sizeof(now));
}

static void
areas(void **state)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), bytes = 5000 * page;
	int fd = memfd_create("a_own", MFD_CLOEXEC);
	unsigned char *area = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0),
		      *shared;

	(void)state;
	assert_int_equal(ftruncate(fd, (off_t)bytes), 0);
	shared = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	madvise(area, bytes, MADV_NOHUGEPAGE);
	own_area(OWN_SLOTS, area, bytes);
	own_area_shared(OWN_SLOTS, shared, bytes);
	assert_int_equal(use_of(OWN_SLOTS).count, 2);
	assert_int_equal(own_count(OWN_SLOTS), 0);
	assert_int_equal(use_of(OWN_SLOTS).bytes, 0);
	/* Pages at both ends, and beyond what is looked at in one piece. */
	area[0] = area[bytes - 1] = area[4500 * page] = 1;
	shared[7 * page] = 1;
	assert_int_equal(use_of(OWN_SLOTS).bytes, 4 * page);
	assert_int_equal(use_of(OWN_SLOTS).anonymous, 3 * page);
	assert_int_equal(use_of(OWN_SLOTS).heap, 0);
	madvise(area, page, MADV_DONTNEED);
	assert_int_equal(use_of(OWN_SLOTS).anonymous, 2 * page);
	own_area_forget(area);
	own_area_forget(shared);
	assert_int_equal(use_of(OWN_SLOTS).count, 0);
	assert_int_equal(use_of(OWN_SLOTS).bytes, 0);
	munmap(area, bytes);
	munmap(shared, bytes);
	close(fd);
}

struct meeting {
	pthread_barrier_t both;
};

static void *
thread_main(void *argument)
{
	struct meeting *m = argument;
	volatile unsigned char deep[64 << 10];
	char name[16];

	own_thread("a-name");
	own_thread("another"); /* the stack is there once */
	assert_int_equal(pthread_getname_np(pthread_self(), name, sizeof(name)), 0);
	assert_string_equal(name, "another");
	for (size_t i = 0; i < sizeof(deep); i += 512)
		deep[i] = 1;
	pthread_barrier_wait(&m->both);
	pthread_barrier_wait(&m->both);
	return NULL;
}

static void
stacks(void **state)
{
	struct meeting m;
	pthread_t threads[2];

	(void)state;
	assert_int_equal(use_of(OWN_STACK).count, 0);
	for (unsigned i = 0; i < 2; i++) {
		pthread_barrier_init(&m.both, NULL, 2);
		pthread_create(&threads[i], NULL, thread_main, &m);
		pthread_barrier_wait(&m.both);
		assert_int_equal(use_of(OWN_STACK).count, 1);
		assert_true(use_of(OWN_STACK).bytes >= 64 << 10);
		pthread_barrier_wait(&m.both);
		pthread_join(threads[i], NULL);
		pthread_barrier_destroy(&m.both);
		assert_int_equal(use_of(OWN_STACK).count, 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pieces),
		cmocka_unit_test(areas),
		cmocka_unit_test(stacks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
