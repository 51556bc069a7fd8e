/* SPDX-License-Identifier: MIT
 *
 * Fail points off the disk: userfaultfd calls that must be repeated, no room in the compressor, no
 * frame, no memory for an object or a session. Content stays right, nothing hangs, nothing leaks,
 * and the client hears an error or nothing.
 *
 * usage: f_points
 * copy-eagain|copy-eexist|continue-eagain|protect-eagain|compress|frame|submit|object|session
 */
#include "harness.h"

#include <stdatomic.h>

#include "book.h"

struct shared {
	atomic_bool filled, go, enough;
};

static void
worker(struct live *d, void *argument)
{
	struct shared *s = argument;
	struct pager *p = client_connect(d);
	uint32_t count = (uint32_t)(3 * d->memory_bytes / d->page_bytes);
	uint64_t rng = live_seed;
	struct book b;

	book_open(&b, client_allocate(p, count * d->page_bytes), d->page_bytes, count, 1);
	book_write_all(&b, &mixture_usual, &rng);
	atomic_store(&s->filled, true);
	WAIT_UNTIL(d, atomic_load(&s->go));
	/* The numbers of soft faults and copies for these touches depend on scheduling: go on
	 * until there were enough. */
	for (uint32_t n = 0; n < 3 * count || !atomic_load(&s->enough); n++) {
		uint32_t page = (uint32_t)rng_below(&rng, count);

		book_verify(&b, page);
		if (n % 2)
			book_write(&b, page, mixture_draw(&mixture_usual, &rng));
		if (n % 50 == 0) {
			page = (uint32_t)rng_below(&rng, count - 32);
			OK(pager_behavior(p, b.base + page * d->page_bytes, 32 * d->page_bytes,
			    PAGER_BEHAVIOR_DONTNEED));
			for (uint32_t i = page; i < page + 32; i++)
				book_verify(&b, i);
		}
	}
	book_verify_all(&b);
	OK(pager_disconnect(p));
}

static void
test_worker(struct live *d, const char *point, const char *spec, uint64_t at_least)
{
	struct shared *s = shared_alloc(sizeof(*s));
	pid_t pid = client_start(d, worker, s);

	WAIT_UNTIL(d, atomic_load(&s->filled));
	live_debug_fail(d, spec);
	atomic_store(&s->go, true);
	WAIT_UNTIL(d, (live_sample(d, false), live_fail_count(d, point) >= at_least));
	atomic_store(&s->enough, true);
	client_join(d, pid, true);
	printf("%s fired %llu times\n", point, (unsigned long long)live_fail_count(d, point));
	EQ(live_stat(d, "pages_lost"), 0);
	live_debug_fail(d, NULL);
}

/* The n-th allocation fails, for n = 0, 1, 2...: an error each time, and a library that goes on. */
static void
object_sweep(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);

	(void)argument;
	for (unsigned n = 0; n < 8; n++) {
		unsigned failed = 0;
		char spec[64];

		snprintf(spec, sizeof(spec), "OBJECT_CREATE_ENOMEM:%u:1", n);
		live_debug_fail(d, spec);
		for (unsigned i = 0; i < 12; i++) {
			void *memory;
			/* Large enough for an object of its own. */
			int error = pager_allocate(p, 100u << 20, 0, &memory);

			if (error) {
				EQ(error, -ENOMEM);
				EQ(i, n);
				failed++;
				continue;
			}
			*(volatile char *)memory = 1;
			OK(pager_deallocate(p, memory, 100u << 20));
		}
		EQ(failed, 1);
	}
	OK(pager_disconnect(p));
}

static void
session_sweep(struct live *d, void *argument)
{
	(void)argument;
	for (unsigned n = 0; n < 8; n++) {
		unsigned failed = 0;
		char spec[64];

		snprintf(spec, sizeof(spec), "SESSION_CREATE_ENOMEM:%u:1", n);
		live_debug_fail(d, spec);
		for (unsigned i = 0; i < 12; i++) {
			struct pager *p;
			int error = pager_connect(d->socket, NULL, &p);

			if (error) {
				REQUIRE(error == -ENOTCONN || error == -ECONNREFUSED ||
					    error == -ENOMEM,
				    "%s", strerror(-error));
				EQ(i, n);
				failed++;
				continue;
			}
			*(volatile char *)client_allocate(p, 4096) = 1;
			OK(pager_disconnect(p));
		}
		EQ(failed, 1);
	}
}

int
main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "";
	struct live d;

	live_init(argc, argv);
	live_start(&d, "4M", "--param", "compressor_percent=40", "--param",
	    "swap_file_bytes=8388608", "--param", "retain_copies=1", NULL);
	if (strcmp(name, "copy-eagain") == 0)
		test_worker(&d, "UFFD_COPY_EAGAIN", "UFFD_COPY_EAGAIN:10:2000", 2000);
	else if (strcmp(name, "copy-eexist") == 0)
		test_worker(&d, "UFFD_COPY_EEXIST", "UFFD_COPY_EEXIST:10:500", 500);
	else if (strcmp(name, "continue-eagain") == 0)
		test_worker(&d, "UFFD_CONTINUE_EAGAIN", "UFFD_CONTINUE_EAGAIN:0:500", 100);
	else if (strcmp(name, "protect-eagain") == 0)
		test_worker(
		    &d, "UFFD_WRITEPROTECT_EAGAIN", "UFFD_WRITEPROTECT_EAGAIN:10:2000", 2000);
	else if (strcmp(name, "compress") == 0)
		test_worker(&d, "COMPRESS_NO_SPACE", "COMPRESS_NO_SPACE:10:500", 500);
	else if (strcmp(name, "frame") == 0)
		test_worker(&d, "FRAME_TAKE", "FRAME_TAKE:10:500", 500);
	else if (strcmp(name, "submit") == 0)
		test_worker(&d, "SWAP_SUBMIT_EAGAIN", "SWAP_SUBMIT_EAGAIN:0:300", 300);
	else if (strcmp(name, "object") == 0)
		client_join(&d, client_start(&d, object_sweep, NULL), false);
	else if (strcmp(name, "session") == 0)
		client_join(&d, client_start(&d, session_sweep, NULL), false);
	else
		FAIL("no such test: \"%s\"", name);
	live_stop(&d);
	return 0;
}
