/* SPDX-License-Identifier: MIT
 *
 * Swap that fails. Writes that fail cost nothing: the data stays in memory. Reads that fail, or
 * bring damaged bytes, cost the pages they were for: SIGBUS for a thread that touches them, a
 * counter, a line in the log, POISONED in the answer of page_query; never a wrong byte, and a
 * discarded page works again.
 *
 * usage: f_swap
 * read-eio|read-bitflip|read-short|write-eio|write-enospc|write-short|create|full|truncated [param]
 */
#include "harness.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <dirent.h>

#include "book.h"
#include "bus.h"
#include "stage.h"

struct shared {
	struct stage stage;
	atomic_bool enough; /* the test has seen enough of the first phase */
	_Atomic uint64_t lost;
};
static struct shared *shared;

static void
reader(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);
	uint32_t count = (uint32_t)(4 * d->memory_bytes / d->page_bytes);
	struct pager_statistics statistics;
	uint64_t rng = live_seed, lost = 0;
	bool *gone = calloc(count, 1);
	unsigned disposition;
	struct book b;

	(void)argument;
	expect_bus();
	book_open(&b, client_allocate(p, count * d->page_bytes), d->page_bytes, count, 1);
	book_write_all(&b, &(struct mixture){ 2, 5, 60 }, &rng);
	stage_meet(d, &shared->stage, 1);
	for (uint32_t n = 0; n < 2 * count; n++) {
		uint32_t page = n < count ? (uint32_t)rng_below(&rng, count) : n - count;

		if (gone[page])
			continue;
		gone[page] = !verify(&b, page);
		lost += gone[page];
	}
	atomic_store(&shared->lost, lost);
	/* A page that is lost stays lost, to reading and to writing, and says so. */
	for (uint32_t page = 0; page < count; page++) {
		if (!gone[page])
			continue;
		REQUIRE(!verify(&b, page), "page %u came back", page);
		OK(pager_page_query(p, b.base + page * b.page_bytes, &disposition));
		EQ(disposition, PAGER_PAGE_POISONED);
	}
	OK(pager_statistics(p, &statistics));
	EQ(statistics.pages_lost, lost);
	stage_meet(d, &shared->stage, 2);
	for (uint32_t page = 0; page < count; page++) {
		if (!gone[page])
			continue;
		OK(pager_behavior(
		    p, b.base + page * b.page_bytes, b.page_bytes, PAGER_BEHAVIOR_FREE));
		book_forget(&b, page);
		book_verify(&b, page);
		book_write(&b, page, KIND_NOISE);
	}
	book_verify_all(&b);
	OK(pager_disconnect(p));
}

static void
test_read(struct live *d, const char *point, uint64_t times)
{
	char spec[80];
	pid_t pid = client_start(d, reader, NULL);

	stage_wait(d, &shared->stage, 1);
	/* The pages are written, but the writer may not have counted them yet. */
	WAIT_UNTIL(d, live_stat(d, "stored_away") > 0);
	snprintf(spec, sizeof(spec), "%s:20:%llu", point, (unsigned long long)times);
	live_debug_fail(d, spec);
	stage_allow(&shared->stage, 1);
	stage_wait(d, &shared->stage, 2);
	printf("%s fired %llu times, %llu pages lost, swap errors %lld\n", point,
	    (unsigned long long)live_fail_count(d, point),
	    (unsigned long long)atomic_load(&shared->lost), (long long)live_stat(d, "swap_errors"));
	/* The thread whose page is lost goes on before the daemon has counted and logged
	 * everything. */
	live_rest(d);
	EQ(live_fail_count(d, point), times);
	/* A read fails only for the page it was for; its neighbours are read again when they are
	 * touched. */
	REQUIRE(atomic_load(&shared->lost) <= times, "%llu pages lost",
	    (unsigned long long)atomic_load(&shared->lost));
	EQ(live_stat(d, "pages_lost"), atomic_load(&shared->lost));
	if (strstr(point, "EIO"))
		EQ(atomic_load(&shared->lost), times);
	WAIT_UNTIL(d, live_log_told(d, "is lost") >= atomic_load(&shared->lost));
	EQ(live_log_told(d, "is lost"), atomic_load(&shared->lost));
	live_debug_fail(d, NULL);
	live_check(d);
	stage_allow(&shared->stage, 2);
	client_join(d, pid, true);
}

/* Twice what memory holds, compressible enough to fit when nothing can be written. */
static void
writer(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);
	uint32_t count = (uint32_t)(2 * d->memory_bytes / d->page_bytes);
	uint64_t rng = live_seed;
	struct book b;

	(void)argument;
	book_open(&b, client_allocate(p, count * d->page_bytes), d->page_bytes, count, 1);
	book_write_all(&b, &(struct mixture){ 5, 10, 10 }, &rng);
	stage_meet(d, &shared->stage, 1);
	for (uint32_t n = 0; n < 3 * count || !atomic_load(&shared->enough); n++) {
		uint32_t page = (uint32_t)rng_below(&rng, count);

		book_verify(&b, page);
		book_write(&b, page, mixture_draw(&(struct mixture){ 5, 10, 10 }, &rng));
	}
	book_verify_all(&b);
	stage_meet(d, &shared->stage, 2);
	for (uint32_t n = 0; n < 3 * count || atomic_load(&shared->stage.allowed) < 3; n++) {
		uint32_t page = (uint32_t)rng_below(&rng, count);

		book_verify(&b, page);
		book_write(&b, page, mixture_draw(&(struct mixture){ 5, 10, 10 }, &rng));
	}
	book_verify_all(&b);
	OK(pager_disconnect(p));
}

static void
test_write(struct live *d, const char *point)
{
	char spec[80];
	pid_t pid = client_start(d, writer, NULL);

	stage_wait(d, &shared->stage, 1);
	snprintf(spec, sizeof(spec), "%s:0:12", point);
	live_debug_fail(d, spec);
	stage_allow(&shared->stage, 1);
	WAIT_UNTIL(d, live_fail_count(d, point) > 0);
	atomic_store(&shared->enough, true);
	stage_wait(d, &shared->stage, 2);
	printf("%s fired %llu times, swap errors %lld, segments written %lld\n", point,
	    (unsigned long long)live_fail_count(d, point), (long long)live_stat(d, "swap_errors"),
	    (long long)live_stat(d, "swapouts"));
	EQ(live_stat(d, "pages_lost"), 0);
	live_debug_fail(d, NULL);
	live_check(d);
	stage_allow(&shared->stage, 3);
	client_join(d, pid, true);
	EQ(live_stat(d, "pages_lost"), 0);
}

/* No swap file can be made, for long; then it can. */
static void
test_create(struct live *d)
{
	pid_t pid;

	live_debug_fail(d, "SWAP_CREATE_ENOSPC:0:0");
	pid = client_start(d, writer, NULL);
	stage_wait(d, &shared->stage, 1);
	stage_allow(&shared->stage, 1);
	WAIT_UNTIL(d, live_fail_count(d, "SWAP_CREATE_ENOSPC") > 0);
	atomic_store(&shared->enough, true);
	stage_wait(d, &shared->stage, 2);
	printf("refused %llu times, %lld files\n",
	    (unsigned long long)live_fail_count(d, "SWAP_CREATE_ENOSPC"),
	    (long long)live_stat(d, "swap_files"));
	EQ(live_stat(d, "swap_files"), 0);
	live_debug_fail(d, NULL);
	stage_allow(&shared->stage, 2);
	WAIT_UNTIL(d, live_stat(d, "swap_files") > 0 && live_stat(d, "swapouts") > 0);
	stage_allow(&shared->stage, 3);
	client_join(d, pid, true);
}

/* Memory and swap are full: first touches are refused with SIGBUS, present content stays right,
 * and new room helps. */
static void
glutton(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);
	uint32_t count = (uint32_t)(8 * d->memory_bytes / d->page_bytes), filled, refused = 0;
	struct book b;

	(void)argument;
	expect_bus();
	book_open(&b, client_allocate(p, count * d->page_bytes), d->page_bytes, count, 1);
	for (filled = 0; filled < count; filled++) {
		if (!touch(&b, filled, true)) {
			refused++;
			break;
		}
		book_write(&b, filled, KIND_NOISE);
	}
	REQUIRE(refused, "nothing was refused");
	for (uint32_t i = 0; i < filled; i++)
		book_verify(&b, i);
	/* Half of it goes: then there is room. */
	OK(pager_behavior(p, b.base, filled / 2 * b.page_bytes, PAGER_BEHAVIOR_FREE));
	for (uint32_t i = 0; i < filled / 2; i++)
		book_forget(&b, i);
	for (uint32_t i = 0; i < filled; i++)
		book_verify(&b, i);
	printf("%u pages of %llu and then no more\n", filled,
	    (unsigned long long)(d->memory_bytes / d->page_bytes));
	OK(pager_disconnect(p));
}

/* The content written is no longer in the file. */
static void
truncate_files(struct live *d)
{
	char path[200], name[500];
	struct dirent *e;
	unsigned n = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "%s/swap", d->directory);
	dir = opendir(path);
	REQUIRE(dir);
	while ((e = readdir(dir)) != NULL) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(name, sizeof(name), "%s/%s", path, e->d_name);
		n += truncate(name, 65536) == 0;
	}
	closedir(dir);
	REQUIRE(n > 0, "no swap file to be seen in %s", path);
}

static void
test_truncated(struct live *d)
{
	pid_t pid = client_start(d, reader, NULL);

	stage_wait(d, &shared->stage, 1);
	truncate_files(d);
	stage_allow(&shared->stage, 1);
	stage_wait(d, &shared->stage, 2);
	printf("%llu pages lost\n", (unsigned long long)atomic_load(&shared->lost));
	REQUIRE(atomic_load(&shared->lost) > 0);
	stage_allow(&shared->stage, 2);
	client_join(d, pid, false);
}

int
main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "",
		   *param = argc > 2 ? argv[2] : "swap_force_sync=0";
	bool full = strcmp(name, "full") == 0;
	struct live d;

	live_init(argc, argv);
	shared = shared_alloc(sizeof(*shared));
	live_start(&d, "8M", "--param", "compressor_percent=20", "--param",
	    "swap_file_bytes=8388608", "--param", param, full ? "--swap-max" : NULL, "16M", NULL);
	if (strcmp(name, "read-eio") == 0)
		test_read(&d, "SWAP_READ_EIO", 5);
	else if (strcmp(name, "read-bitflip") == 0)
		test_read(&d, "SWAP_READ_BITFLIP", 20);
	else if (strcmp(name, "read-short") == 0)
		test_read(&d, "SWAP_READ_SHORT", 5);
	else if (strcmp(name, "write-eio") == 0)
		test_write(&d, "SWAP_WRITE_EIO");
	else if (strcmp(name, "write-enospc") == 0)
		test_write(&d, "SWAP_WRITE_ENOSPC");
	else if (strcmp(name, "write-short") == 0)
		test_write(&d, "SWAP_WRITE_SHORT");
	else if (strcmp(name, "create") == 0)
		test_create(&d);
	else if (full)
		client_join(&d, client_start(&d, glutton, NULL), true);
	else if (strcmp(name, "truncated") == 0)
		test_truncated(&d);
	else
		FAIL("no such test: \"%s\"", name);
	live_stop(&d);
	return 0;
}
