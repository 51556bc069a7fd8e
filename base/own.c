/* SPDX-License-Identifier: MIT
 *
 * Counters of malloc's pieces are atomic; areas stand in a table under a lock of its own, which
 * nothing is taken under. Runs on: any thread.
 */
#include "own.h"

#include <malloc.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "atomics.h"
#include "check.h"

#define AREAS_MAX  4096u /* beyond it areas are not measured */
#define LOOK_PAGES 4096u

struct area {
	const char *start; /* NULL: free */
	size_t bytes;
	enum own kind;
	bool is_shared;
};

static struct {
	_Alignas(64) atomic_llong count;
	atomic_llong bytes;
} pieces[OWN_COUNT];

static pthread_mutex_t areas_lock = PTHREAD_MUTEX_INITIALIZER;
static struct area areas[AREAS_MAX]; /* under areas_lock, here and below */
static unsigned areas_used;          /* none is used at or above */

static pthread_key_t stack_key;
static pthread_once_t stack_once = PTHREAD_ONCE_INIT;

/* What malloc takes for a piece: the word before it, too. */
static long long
piece_bytes(void *memory)
{
	return (long long)(malloc_usable_size(memory) + sizeof(size_t));
}

static void
count(enum own kind, int by, long long bytes)
{
	CHECK(kind < OWN_COUNT);
	fetch_add_relaxed(&pieces[kind].count, by);
	fetch_add_relaxed(&pieces[kind].bytes, bytes);
}

void *
own_alloc(enum own kind, size_t bytes)
{
	void *memory = calloc(1, bytes);

	if (memory)
		count(kind, 1, piece_bytes(memory));
	return memory;
}

void *
own_realloc(enum own kind, void *memory, size_t bytes)
{
	long long before = memory ? piece_bytes(memory) : 0;
	void *bigger = realloc(memory, bytes);

	if (bigger)
		count(kind, memory ? 0 : 1, piece_bytes(bigger) - before);
	return bigger;
}

void
own_free(enum own kind, void *memory)
{
	if (!memory)
		return;
	count(kind, -1, -piece_bytes(memory));
	free(memory);
}

static void
area_add(enum own kind, const void *memory, size_t bytes, bool is_shared)
{
	unsigned i = 0;

	CHECK(memory && kind < OWN_COUNT);
	pthread_mutex_lock(&areas_lock);
	while (i < AREAS_MAX && areas[i].start)
		i++;
	if (i < AREAS_MAX) {
		areas[i] = (struct area){ memory, bytes, kind, is_shared };
		areas_used = i < areas_used ? areas_used : i + 1;
	}
	pthread_mutex_unlock(&areas_lock);
}

void
own_area(enum own kind, const void *memory, size_t bytes)
{
	area_add(kind, memory, bytes, false);
}

void
own_area_shared(enum own kind, const void *memory, size_t bytes)
{
	area_add(kind, memory, bytes, true);
}

void
own_area_forget(const void *memory)
{
	pthread_mutex_lock(&areas_lock);
	for (unsigned i = 0; i < areas_used; i++) {
		if (areas[i].start == memory)
			areas[i].start = NULL;
	}
	pthread_mutex_unlock(&areas_lock);
}

static void
stack_forget(void *stack)
{
	own_area_forget(stack);
}

static void
stack_key_make(void)
{
	CHECK(pthread_key_create(&stack_key, stack_forget) == 0);
}

void
own_thread(const char *name)
{
	pthread_attr_t attributes;
	size_t bytes;
	void *stack;

	pthread_setname_np(pthread_self(), name);
	pthread_once(&stack_once, stack_key_make);
	if (pthread_getspecific(stack_key) || pthread_getattr_np(pthread_self(), &attributes) != 0)
		return;
	if (pthread_attr_getstack(&attributes, &stack, &bytes) == 0 &&
	    pthread_setspecific(stack_key, stack) == 0)
		own_area(OWN_STACK, stack, bytes);
	pthread_attr_destroy(&attributes);
}

/* => bytes of the area that have memory */
static uint64_t
area_bytes(const struct area *a)
{
	static unsigned char looked[LOOK_PAGES]; /* under areas_lock */
	const size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uintptr_t start = (uintptr_t)a->start & ~(page - 1), end = (uintptr_t)a->start + a->bytes;
	uint64_t pages = 0;

	while (start < end) {
		size_t n = (end - start + page - 1) / page;

		n = n < LOOK_PAGES ? n : LOOK_PAGES;
		if (mincore((void *)start, n * page, looked) < 0)
			break;
		for (size_t i = 0; i < n; i++)
			pages += looked[i] & 1;
		start += n * page;
	}
	return pages * page;
}

uint64_t
own_count(enum own kind)
{
	long long n;

	CHECK(kind < OWN_COUNT);
	n = load_relaxed(&pieces[kind].count);
	return n > 0 ? (uint64_t)n : 0;
}

void
own_measure(struct own_use *ret)
{
	for (unsigned kind = 0; kind < OWN_COUNT; kind++) {
		long long n = load_relaxed(&pieces[kind].count),
			  bytes = load_relaxed(&pieces[kind].bytes);

		/* The two are not read at one moment. */
		ret[kind].count = n > 0 ? (uint64_t)n : 0;
		ret[kind].heap = ret[kind].anonymous = ret[kind].bytes =
		    bytes > 0 ? (uint64_t)bytes : 0;
	}
	pthread_mutex_lock(&areas_lock);
	for (unsigned i = 0; i < areas_used; i++) {
		struct own_use *use = &ret[areas[i].kind];
		uint64_t bytes;

		if (!areas[i].start)
			continue;
		bytes = area_bytes(&areas[i]);
		use->count++;
		use->bytes += bytes;
		use->anonymous += areas[i].is_shared ? 0 : bytes;
	}
	pthread_mutex_unlock(&areas_lock);
}
