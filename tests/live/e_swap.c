/* SPDX-License-Identifier: MIT
 *
 * Swap gives its files back: when half of the pages on disk have been discarded, in stretches that
 * leave live pages in each file, the writer moves the live segments (pageout/drain.c) until
 * files can be deleted; moved pages read as they were written. Where what lives cannot be read,
 * that is tried now and then, and not all the time.
 *
 * usage: e_swap drained|drained-read-eio|drained-broken [page size] [param]
 */
#include "harness.h"

#include <stdatomic.h>
#include <time.h>

#include "book.h"
#include "stage.h"

#define MEMORIES 6 /* the client's memory as a multiple of --memory */

static uint64_t file_bytes, slot_bytes, stretch_bytes;
static struct stage *stage;

/* Every other stretch is discarded, about half of the pages in files. */
static bool
page_is_discarded(const struct book *b, uint32_t page)
{
	return page * b->page_bytes / stretch_bytes % 2 != 0;
}

static void
client(struct live *d, void *argument)
{
	struct pager *p = client_connect(d);
	uint32_t count = (uint32_t)(MEMORIES * d->memory_bytes / d->page_bytes);
	uint32_t stretch = (uint32_t)(stretch_bytes / d->page_bytes);
	struct book b;

	(void)argument;
	book_open(&b, client_allocate(p, count * d->page_bytes), d->page_bytes, count, 1);
	for (uint32_t page = 0; page < count; page++)
		book_write(&b, page, KIND_NOISE);
	stage_meet(d, stage, 1);
	for (uint32_t page = 0; page < count; page++) {
		if (!page_is_discarded(&b, page))
			continue;
		if (page % stretch == 0)
			OK(pager_behavior(p, b.base + page * b.page_bytes, stretch * b.page_bytes,
			    PAGER_BEHAVIOR_FREE));
		book_forget(&b, page);
	}
	stage_meet(d, stage, 2);
	book_verify_all(&b);
	/* New files are made for new pages. */
	for (uint32_t page = 0; page < count; page++)
		if (page_is_discarded(&b, page))
			book_write(&b, page, KIND_NOISE);
	book_verify_all(&b);
	OK(pager_disconnect(p));
}

static int64_t
unused_slots(struct live *d)
{
	return (live_stat(d, "swap_bytes") - live_stat(d, "swap_used_bytes")) / (int64_t)slot_bytes;
}

/* No segment can be moved, and none will be. */
static void
require_rest(struct live *d)
{
	struct timespec begin, end;
	uint64_t failures, rounds;

	clock_gettime(CLOCK_MONOTONIC, &begin);
	WAIT_UNTIL(d, live_fail_count(d, "SWAP_READ_EIO") > 0);
	/* Time for many passes of the writer. */
	for (unsigned i = 0; i < 2000; i++)
		live_tick(d);
	failures = live_fail_count(d, "SWAP_READ_EIO");
	clock_gettime(CLOCK_MONOTONIC, &end);
	rounds = 2 + (uint64_t)(end.tv_sec - begin.tv_sec) / 5;
	printf("%llu failed reads in at most %llu rounds\n", (unsigned long long)failures,
	    (unsigned long long)rounds);
	REQUIRE(failures <= rounds * (file_bytes / slot_bytes));
	REQUIRE(live_stat(d, "swap_errors") > 0);
	EQ(live_log_count(d, "cannot be read"), 1);
	live_check(d);
	live_debug_fail(d, NULL);
}

int
main(int argc, char **argv)
{
	struct live d;
	const char *page = argc > 2 ? argv[2] : "4K";
	char file[48], low_text[32], high_text[32];
	int64_t files, used, expected;
	unsigned low, high;
	bool failing, broken, large = strcmp(page, "64K") == 0, small = strcmp(page, "4K") == 0;
	pid_t pid;

	live_init(argc, argv);
	REQUIRE(argc > 1, "which test?");
	failing = strcmp(argv[1], "drained-read-eio") == 0;
	broken = strcmp(argv[1], "drained-broken") == 0;
	REQUIRE(failing || broken || strcmp(argv[1], "drained") == 0, "no test %s", argv[1]);
	stage = shared_alloc(sizeof(*stage));
	/* Segments have some 16 pages at least, of neighbours for the most part: a stretch must
	 * have several of them, and a file two halves of stretches. One worker fills them: with two
	 * of them, each taking pages of all stretches, few segments empty. */
	file_bytes = large ? 8u << 20 : 2u << 20;
	slot_bytes = small ? 64u << 10 : large ? 1u << 20 : 256u << 10;
	low = small ? 4 : 1;
	high = small ? 12 : 4;
	stretch_bytes = small ? file_bytes / 2 : file_bytes;
	snprintf(file, sizeof(file), "swap_file_bytes=%llu", (unsigned long long)file_bytes);
	snprintf(low_text, sizeof(low_text), "swap_low_slots=%u", low);
	snprintf(high_text, sizeof(high_text), "swap_high_slots=%u", high);
	live_start(&d, large ? "32M" : "8M", "--page-size", page, "--param", "compressor_percent=5",
	    "--param", "pageout_workers=1", "--param", file, "--param", low_text, "--param",
	    high_text, argc > 3 ? "--param" : NULL, argc > 3 ? argv[3] : NULL, NULL);
	pid = client_start(&d, client, NULL);
	stage_wait(&d, stage, 1);
	/* The statistic comes a little later. */
	expected = (int64_t)((MEMORIES - 1) * d.memory_bytes / file_bytes);
	WAIT_UNTIL(&d, live_stat(&d, "swap_files") >= expected - 1);
	files = live_stat(&d, "swap_files");
	used = live_stat(&d, "swap_used_bytes");
	if (failing)
		live_debug_fail(&d, "SWAP_READ_EIO:2:5");
	if (broken)
		live_debug_fail(&d, "SWAP_READ_EIO:0:0");
	stage_allow(stage, 1);
	stage_wait(&d, stage, 2);
	if (broken)
		require_rest(&d);
	WAIT_UNTIL(&d, live_stat(&d, "swap_used_bytes") < used * 9 / 10);
	/* Something lives in nearly every file: only moving leaves so few slots free, and so few
	 * files. */
	WAIT_UNTIL(&d, unused_slots(&d) <= high + (int64_t)(file_bytes / slot_bytes) + 1);
	live_check(&d);
	printf("%lld swap files, %lld after half was discarded; %lld bytes in use, now %lld\n",
	    (long long)files, (long long)live_stat(&d, "swap_files"), (long long)used,
	    (long long)live_stat(&d, "swap_used_bytes"));
	REQUIRE(live_stat(&d, "swap_files") < files, "no file was deleted");
	if (failing)
		EQ(live_fail_count(&d, "SWAP_READ_EIO"), 5);
	live_debug_fail(&d, NULL);
	stage_allow(stage, 2);
	client_join(&d, pid, true);
	REQUIRE(live_stat(&d, "swapins") > 0, "nothing was read back");
	EQ(live_stat(&d, "pages_lost"), 0);
	live_stop(&d);
	return 0;
}
