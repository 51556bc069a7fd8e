/* SPDX-License-Identifier: MIT
 *
 * Memory of the tables that grow with use: it comes with the first touch, is bounded and billed,
 * and goes with the last page.
 *
 * usage: e_tables returned|refused|raised|share|ghosts|collected
 */
#include "harness.h"

#include <setjmp.h>

/* Pages of one block of the daemon's tables: one of them in use takes the whole block. */
#define BLOCK_PAGES 512u
#define MIB         (1ull << 20)

static sigjmp_buf on_bus;

static void
bus_error(int signal)
{
	(void)signal;
	siglongjmp(on_bus, 1);
}

/* => false: SIGBUS */
static bool
try_write(unsigned char *at, uint64_t value)
{
	if (sigsetjmp(on_bus, 1) != 0)
		return false;
	*(volatile uint64_t *)(void *)at = value;
	return true;
}

static unsigned char *
block_at(const struct live *d, unsigned char *base, uint64_t block)
{
	/* Not always the first page of a block. */
	return base + (block * BLOCK_PAGES + mix64(block) % BLOCK_PAGES) * d->page_bytes;
}

/* One page in each of `count` blocks, until one is refused. => blocks written */
static uint64_t
write_blocks(struct live *d, unsigned char *base, uint64_t count)
{
	uint64_t n = 0;

	signal(SIGBUS, bus_error);
	while (n < count && try_write(block_at(d, base, n), mix64(n)))
		n++;
	return n;
}

static void
verify_blocks(struct live *d, unsigned char *base, uint64_t from, uint64_t to)
{
	for (uint64_t n = from; n < to; n++) {
		uint64_t word = *(volatile uint64_t *)(void *)block_at(d, base, n);

		REQUIRE(word == mix64(n), "block %llu reads %llx", (unsigned long long)n,
		    (unsigned long long)word);
	}
}

static uint64_t
resident_bytes(const struct live *d)
{
	unsigned long size, resident;
	char path[64];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/statm", (int)d->pid);
	file = fopen(path, "r");
	REQUIRE(file && fscanf(file, "%lu %lu", &size, &resident) == 2, "%s", path);
	fclose(file);
	return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

/* --- returned: by FREE, by DEALLOCATE and by the client's end --- */

/* Much more than what resident_bytes may differ by. */
#define RETURNED_BLOCKS live_scaled(6000)

static void
returned(struct live *d, void *argument)
{
	uint64_t blocks = RETURNED_BLOCKS, size = blocks * BLOCK_PAGES * d->page_bytes,
		 before = *(uint64_t *)argument;
	struct pager *p = client_connect(d);
	unsigned char *base = client_allocate(p, size);
	char text[4096];

	for (int round = 0; round < 3; round++) {
		EQ(write_blocks(d, base, blocks), blocks);
		verify_blocks(d, base, 0, blocks);
		WAIT_UNTIL(d, live_stat(d, "table_bytes") >= (int64_t)blocks * 3 * 4096);
		/* Questions about pages that are not there take no memory. */
		for (uint64_t i = 0; i < 300; i++) {
			unsigned disposition;

			OK(pager_page_query(
			    p, base + i * 4096 * d->page_bytes % size, &disposition));
		}
		live_check(d);
		/* A fault that is answered late would bring its page in again. */
		live_rest(d);
		if (round == 0)
			/* In pieces, each shorter than the range whose bytes in a policy's table
			 * fill one page. */
			for (uint64_t n = 0; n < blocks; n++)
				OK(pager_behavior(p, base + n * BLOCK_PAGES * d->page_bytes,
				    BLOCK_PAGES * d->page_bytes, PAGER_BEHAVIOR_FREE));
		else if (round == 1)
			OK(pager_deallocate(p, base, size));
		if (round < 2) {
			WAIT_UNTIL(d, live_stat(d, "table_slots_bytes") == 0);
			WAIT_UNTIL(d, resident_bytes(d) < before + 16 * MIB);
		}
		if (round == 1)
			base = client_allocate(p, size);
	}
	snprintf(text, sizeof(text), "%d", (int)getpid());
	REQUIRE(live_pagerctl(d, text, sizeof(text), "footprint", strdup(text), NULL) == 0,
	    "footprint");
	REQUIRE(strstr(text, "page_table"), "%s", text);
	/* The client's end gives the rest back, without a request. */
	_exit(0);
}

static void
test_returned(void)
{
	char options[512];
	uint64_t before;
	struct live d;

	/* With AddressSanitizer freed requests stay in memory for a while: not here. */
	snprintf(options, sizeof(options), "%s:quarantine_size_mb=1",
	    getenv("ASAN_OPTIONS") ? getenv("ASAN_OPTIONS") : "");
	setenv("ASAN_OPTIONS", options, 1);
	live_start(&d, "16M", "--param", "max_table_bytes=256M", NULL);
	before = resident_bytes(&d);
	client_join(&d, client_start(&d, returned, &before), true);
	WAIT_UNTIL(&d, live_stat(&d, "table_bytes") == 0);
	WAIT_UNTIL(&d, resident_bytes(&d) < before + 16 * MIB);
	live_stop(&d);
}

/* --- refused: SIGBUS beyond the bound, nothing is lost, and refused pages work again --- */

static void
refused(struct live *d, void *argument)
{
	const uint64_t blocks = 1024;
	struct pager *p = client_connect(d);
	unsigned char *base = client_allocate(p, blocks * BLOCK_PAGES * d->page_bytes);
	uint64_t wrote = write_blocks(d, base, blocks), half = wrote / 2;

	(void)argument;
	REQUIRE(wrote > 10 && wrote < blocks, "%llu blocks", (unsigned long long)wrote);
	REQUIRE(!try_write(block_at(d, base, wrote), 1), "it was refused a moment ago");
	WAIT_UNTIL(d, live_stat(d, "refused_tables") >= 1);
	WAIT_UNTIL(d, live_stat(d, "table_bytes") > 0);
	REQUIRE(live_stat(d, "table_bytes") <= live_stat(d, "table_limit"), "more than the bound");
	WAIT_UNTIL(d, live_log_count(d, "table memory") > 0);
	verify_blocks(d, base, 0, wrote);
	live_check(d);
	/* Room is made: the refused touch succeeds. */
	OK(pager_behavior(p, base, half * BLOCK_PAGES * d->page_bytes, PAGER_BEHAVIOR_FREE));
	WAIT_UNTIL(d, try_write(block_at(d, base, wrote), mix64(wrote)));
	verify_blocks(d, base, half, wrote + 1);
	/* A refused page is discarded: no poison stays. */
	while (wrote + 1 < blocks && try_write(block_at(d, base, wrote + 1), mix64(wrote + 1)))
		wrote++;
	REQUIRE(wrote + 1 < blocks, "nothing was refused");
	OK(pager_behavior(p, base, blocks * BLOCK_PAGES * d->page_bytes, PAGER_BEHAVIOR_FREE));
	for (uint64_t n = wrote + 2; n-- > wrote;)
		REQUIRE(try_write(block_at(d, base, n), mix64(n)), "block %llu is still refused",
		    (unsigned long long)n);
	OK(pager_disconnect(p));
}

static void
test_refused(void)
{
	struct live d;

	live_start(&d, "16M", "--param", "max_table_bytes=1M", NULL);
	client_join(&d, client_start(&d, refused, NULL), true);
	live_stop(&d);
}

/* --- raised: refused pages work again when the bound is raised, which gives no memory back --- */

static void
raised(struct live *d, void *argument)
{
	const uint64_t blocks = 1024;
	unsigned char *base =
	    client_allocate(client_connect(d), blocks * BLOCK_PAGES * d->page_bytes);
	uint64_t wrote = write_blocks(d, base, blocks);
	char text[400];

	(void)argument;
	REQUIRE(wrote < blocks, "nothing was refused");
	REQUIRE(live_pagerctl(
		    d, text, sizeof(text), "param", "set", "max_table_bytes", "2097152", NULL) == 0,
	    "%s", text);
	/* No touch but this one is made, and it cannot be seen while it is SIGBUS. */
	WAIT_UNTIL(d, try_write(block_at(d, base, wrote), mix64(wrote)));
	verify_blocks(d, base, 0, wrote + 1);
	WAIT_UNTIL(d, live_stat(d, "refused_kept") == 0);
}

static void
test_raised(void)
{
	struct live d;

	live_start(&d, "16M", "--param", "max_table_bytes=1M", NULL);
	client_join(&d, client_start(&d, raised, NULL), true);
	live_stop(&d);
}

/* --- share: one user cannot have everything --- */

struct meeting {
	_Atomic uint64_t wrote;
	_Atomic bool over;
};

static void
greedy(struct live *d, void *argument)
{
	struct meeting *m = argument;
	unsigned char *base =
	    client_allocate(client_connect(d), 1024 * BLOCK_PAGES * d->page_bytes);
	uint64_t wrote = write_blocks(d, base, 1024);

	REQUIRE(wrote < 1024, "nothing was refused");
	m->wrote = wrote;
	while (!m->over)
		usleep(1000);
	verify_blocks(d, base, 0, wrote);
}

static void
modest(struct live *d, void *argument)
{
	struct meeting *m = argument;
	unsigned char *base =
	    client_allocate(client_connect(d), 1024 * BLOCK_PAGES * d->page_bytes);
	uint64_t wrote = write_blocks(d, base, 1024);

	/* The other user has three quarters. */
	REQUIRE(wrote >= m->wrote / 4, "%llu blocks beside another user's %llu",
	    (unsigned long long)wrote, (unsigned long long)m->wrote);
	verify_blocks(d, base, 0, wrote);
}

static void
test_share(void)
{
	struct meeting *m = shared_alloc(sizeof(*m));
	struct live d;
	pid_t nobody;

	live_start(&d, "16M", "--socket-mode", "0666", "--param", "max_table_bytes=2M", NULL);
	nobody = client_start_as(&d, 65534, greedy, m);
	WAIT_UNTIL(&d, m->wrote > 0);
	client_join(&d, client_start(&d, modest, m), true);
	m->over = true;
	client_join(&d, nobody, true);
	live_stop(&d);
}

/* --- collected: tables of memory that was purged serve others when they are short --- */

static void
collected(struct live *d, void *argument)
{
	const uint64_t purged = 40, blocks = 60, block_bytes = BLOCK_PAGES * d->page_bytes;
	struct pager *p = client_connect(d);
	unsigned char *base = client_allocate(p, blocks * block_bytes), *volatile_base;
	const int64_t garbage = (int64_t)purged * 3 * 4096;
	int state = PAGER_PURGEABLE_VOLATILE;
	char text[4096], client[16];
	void *memory;

	(void)argument;
	OK(pager_allocate(p, purged * block_bytes, PAGER_ALLOC_PURGEABLE, &memory));
	volatile_base = memory;
	EQ(write_blocks(d, volatile_base, purged), purged);
	live_rest(d);
	OK(pager_purgeable_control(p, memory, PAGER_PURGEABLE_SET_STATE, &state));
	snprintf(client, sizeof(client), "%d", (int)getpid());
	REQUIRE(live_pagerctl(d, text, sizeof(text), "purge", client, NULL) == 0, "%s", text);
	/* There is enough for all: they stay, in case it is used again. */
	WAIT_UNTIL(d, live_stat(d, "table_idle_bytes") == garbage);
	live_check(d);
	/* More than the bound, with these. */
	for (uint64_t n = 0; n < blocks; n++)
		WAIT_UNTIL(d, try_write(block_at(d, base, n), mix64(n)));
	WAIT_UNTIL(d, live_stat(d, "table_idle_bytes") == 0);
	WAIT_UNTIL(d, live_stat(d, "table_collected_bytes") == garbage);
	verify_blocks(d, base, 0, blocks);
	live_check(d);
	state = PAGER_PURGEABLE_NONVOLATILE;
	OK(pager_purgeable_control(p, memory, PAGER_PURGEABLE_SET_STATE, &state));
	EQ(state & PAGER_PURGEABLE_STATE_MASK, PAGER_PURGEABLE_EMPTY);
	OK(pager_disconnect(p));
}

static void
test_collected(void)
{
	struct live d;

	live_start(&d, "16M", "--param", "max_table_bytes=1M", NULL);
	client_join(&d, client_start(&d, collected, NULL), true);
	live_stop(&d);
}

/* --- ghosts: a policy's memory of a page goes with the page, however the page goes --- */

static void
own_policy(struct live *d, const char *name)
{
	char pid[16], text[4096];

	snprintf(pid, sizeof(pid), "%d", (int)getpid());
	REQUIRE(live_pagerctl(d, text, sizeof(text), "policy", "--client", pid, name, NULL) == 0,
	    "%s", text);
}

static void
ghosts(struct live *d, void *argument)
{
	const uint64_t blocks = 16, size = blocks * BLOCK_PAGES * d->page_bytes;
	const uint64_t part = 2 * BLOCK_PAGES * d->page_bytes;
	struct pager *p = client_connect(d);
	unsigned char *base = client_allocate(p, size), *last = base + size - part;

	(void)argument;
	for (unsigned round = 0; round < 4; round++) {
		for (uint64_t i = 0; i < size / d->page_bytes; i++)
			*(volatile uint64_t *)(void *)(base + i * d->page_bytes + 8) =
			    mix64(i + round);
		OK(pager_behavior(p, base, size, PAGER_BEHAVIOR_PAGEOUT));
		/* Stored pages come back by prefetching and by wiring: the last ones that left,
		 * which policies remember longest. */
		OK(pager_behavior(p, last, part, PAGER_BEHAVIOR_WILLNEED));
		REQUIRE(live_stat(d, "speculative") > 0, "nothing came ahead of use");
		OK(pager_wire(p, last - part, part));
		if (round % 2 == 1)
			own_policy(d, round == 1 ? "lru" : "arc");
		OK(pager_behavior(p, last - part, 2 * part, PAGER_BEHAVIOR_FREE));
		live_check(d);
		for (uint64_t i = 0; i < (size - 2 * part) / d->page_bytes; i++)
			EQ(*(volatile uint64_t *)(void *)(base + i * d->page_bytes + 8),
			    mix64(i + round));
		OK(pager_unwire(p, last - part, part));
		OK(pager_behavior(p, base, size, PAGER_BEHAVIOR_FREE));
		if (round % 2 == 1)
			own_policy(d, "none");
		live_check(d);
	}
	OK(pager_disconnect(p));
}

static void
test_ghosts(const char *policy)
{
	struct live d;

	live_start(&d, "16M", "--policy", policy, NULL);
	client_join(&d, client_start(&d, ghosts, NULL), true);
	live_stop(&d);
}

int
main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "";

	live_init(argc, argv);
	if (strcmp(name, "returned") == 0)
		test_returned();
	else if (strcmp(name, "raised") == 0)
		test_raised();
	else if (strcmp(name, "refused") == 0)
		test_refused();
	else if (strcmp(name, "share") == 0)
		test_share();
	else if (strcmp(name, "collected") == 0)
		test_collected();
	else if (strcmp(name, "ghosts") == 0)
		test_ghosts(argc > 2 ? argv[2] : "default");
	else
		FAIL("which test?");
	return 0;
}
