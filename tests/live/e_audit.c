/* SPDX-License-Identifier: MIT
 *
 * pagerctl check looks into clients' address spaces and page tables: it has nothing to say about
 * pages in any state, tells what a client did to its own memory, and finds what only an error, or a
 * client that does it on purpose, can bring about.
 *
 * usage: e_audit states|poisoned|own|lifted|planted|lifted-nobody|planted-nobody
 */
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "book.h"
#include "bus.h"
#include "raw.h"
#include "stage.h"

#define NOBODY 65534

/* What the check says. */
struct checked {
	unsigned failed, notes, clients, unseen;
	unsigned long long regions, pages, left_out;
	char text[4096];
};

static struct checked
check(struct live *d)
{
	struct checked c;
	const char *line;
	int status = live_pagerctl(d, c.text, sizeof(c.text), "check", NULL);

	line = strstr(c.text, " checks, ");
	REQUIRE(line && sscanf(line, " checks, %u failed", &c.failed) == 1, "%s", c.text);
	line = strstr(c.text, "clients: ");
	REQUIRE(
	    line && sscanf(line,
			"clients: %u looked at (%llu regions, %llu mapped pages), %u not; "
			"%llu pages left out; %u notes",
			&c.clients, &c.regions, &c.pages, &c.unseen, &c.left_out, &c.notes) == 6,
	    "%s", c.text);
	EQ(status, c.failed > 0);
	return c;
}

/* Nothing fails, nothing is noted, and that client's pages were compared. => how many */
static unsigned long long
check_sound(struct live *d)
{
	struct checked c = check(d);

	REQUIRE(c.failed == 0 && c.notes == 0, "%s", c.text);
	REQUIRE(c.clients == 1 && c.unseen == 0 && c.regions > 0, "%s", c.text);
	return c.pages;
}

/* Pages that are clean, and mapped: they have gone and come back by reading. */
static void
clean_pages(struct live *d, struct pager *p, struct book *b)
{
	OK(pager_behavior(p, b->base, b->count * b->page_bytes, PAGER_BEHAVIOR_PAGEOUT));
	book_verify_all(b);
	live_rest(d);
}

static void
states(struct live *d, void *argument)
{
	const uint32_t count = (uint32_t)(d->memory_bytes / d->page_bytes / 2),
		       many = (uint32_t)(4 * d->memory_bytes / d->page_bytes);
	size_t page = d->page_bytes;
	struct pager *p = client_connect(d);
	uint64_t rng = live_seed;
	struct book b, large;

	(void)argument;
	EQ(check(d).clients, 1);
	book_open(&b, client_allocate(p, count * page), page, count, 1);
	EQ(check_sound(d), 0);
	book_write_all(&b, &(struct mixture){ 5, 10, 40 }, &rng);
	REQUIRE(check_sound(d) > 0);
	clean_pages(d, p, &b);
	REQUIRE(check_sound(d) > 0);
	for (uint32_t i = 0; i < count; i += 3)
		book_write(&b, i, KIND_TEXT);
	REQUIRE(check_sound(d) > 0);
	OK(pager_wire(p, b.base, 32 * page));
	REQUIRE(check_sound(d) >= 32);
	OK(pager_unwire(p, b.base, 32 * page));
	OK(pager_behavior(p, b.base, count / 2 * page, PAGER_BEHAVIOR_FREE));
	for (uint32_t i = 0; i < count / 2; i++)
		book_forget(&b, i);
	check_sound(d);
	/* The client splits what it has mapped; page tables and entries stay as they are. */
	OK(mprotect(b.base + 8 * page, 8 * page, PROT_READ));
	OK(mprotect(b.base + (count / 2 + 8) * page, 8 * page, PROT_READ));
	check_sound(d);
	OK(mprotect(b.base, count * page, PROT_READ | PROT_WRITE));
	/* At a quarter of the memory, with pages in swap. */
	book_open(&large, client_allocate(p, many * page), page, many, 2);
	book_write_all(&large, &(struct mixture){ 5, 10, 40 }, &rng);
	check_sound(d);
	book_verify_all(&large);
	check_sound(d);
	OK(pager_deallocate(p, large.base + many / 4 * page, many / 2 * page));
	check_sound(d);
	OK(pager_disconnect(p));
}

static void
poisoned(struct live *d, void *argument)
{
	const uint32_t count = (uint32_t)(4 * d->memory_bytes / d->page_bytes);
	struct pager *p = client_connect(d);
	unsigned refused = 0;
	struct book b;

	(void)argument;
	expect_bus();
	book_open(&b, client_allocate(p, count * d->page_bytes), d->page_bytes, count, 1);
	for (uint32_t i = 0; i < count; i++)
		book_write(&b, i, KIND_NOISE);
	live_debug_fail(d, "SWAP_READ_EIO:0:0");
	for (uint32_t i = 0; i < count && refused < 8; i++)
		refused += !touch(&b, i, false);
	REQUIRE(refused > 0);
	live_debug_fail(d, NULL);
	check_sound(d);
	OK(pager_behavior(p, b.base, count * d->page_bytes, PAGER_BEHAVIOR_FREE));
	check_sound(d);
	OK(pager_disconnect(p));
}

/* What a client does with its own addresses: notes, and no failure. */
static void
own(struct live *d, void *argument)
{
	const uint32_t count = 64;
	size_t page = d->page_bytes;
	struct pager *p = client_connect(d);
	unsigned char *base = client_allocate(p, count * page), *elsewhere;
	struct checked c;

	(void)argument;
	for (uint32_t i = 0; i < count; i++)
		base[i * page] = 1;
	check_sound(d);
	OK(munmap(base + 8 * page, page));
	c = check(d);
	REQUIRE(c.failed == 0 && c.notes == 1, "%s", c.text);
	REQUIRE(mmap(base + 8 * page, page, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == base + 8 * page);
	base[8 * page] = 2;
	c = check(d);
	REQUIRE(c.failed == 0 && c.notes == 1, "%s", c.text);
	/* One place lacks its pages, another shows them. */
	elsewhere = raw_reserve(page);
	REQUIRE(mremap(base + 16 * page, page, page, MREMAP_MAYMOVE | MREMAP_FIXED, elsewhere) ==
		elsewhere);
	c = check(d);
	REQUIRE(c.failed == 0 && c.notes == 2, "%s", c.text);
	OK(pager_disconnect(p));
}

static struct stage *stage;

/* A clean page becomes writable by the client's own userfaultfd. */
static void
lifted(struct live *d, void *argument)
{
	enum { COUNT = 64 };
	size_t page = d->page_bytes;
	struct uffdio_writeprotect lift = { .mode = 0 };
	struct pager_req_behavior request = { .behavior = PAGER_BEHAVIOR_PAGEOUT };
	struct pager_rep_behavior reply;
	struct chan_call call = { CHAN_CALL(BEHAVIOR, &request, &reply) };
	struct book b;
	struct raw r;
	uint64_t offset;
	int memfd;

	(void)argument;
	raw_connect(d, &r);
	book_open(&b, raw_memory(&r, COUNT * page, &memfd, &offset), page, COUNT, 1);
	for (uint32_t i = 0; i < COUNT; i++)
		book_write(&b, i, KIND_TEXT);
	request.address = (uintptr_t)b.base;
	request.size = COUNT * page;
	OK(chan_exchange(&r.chan, &call));
	book_verify_all(&b);
	stage_meet(d, stage, 1);
	lift.range.start = (uintptr_t)b.base + 5 * page;
	lift.range.len = page;
	OK(ioctl(r.uffd, UFFDIO_WRITEPROTECT, &lift));
	stage_meet(d, stage, 2);
	lift.mode = UFFDIO_WRITEPROTECT_MODE_WP;
	OK(ioctl(r.uffd, UFFDIO_WRITEPROTECT, &lift));
	stage_meet(d, stage, 3);
	raw_close(&r);
}

/* A page that was never touched comes into the page tables by the client's own userfaultfd. */
static void
planted(struct live *d, void *argument)
{
	enum { COUNT = 64 };
	size_t page = d->page_bytes;
	struct uffdio_continue more = { .mode = 0 };
	unsigned char *base;
	struct raw r;
	uint64_t offset;
	int memfd;

	(void)argument;
	raw_connect(d, &r);
	base = raw_memory(&r, COUNT * page, &memfd, &offset);
	base[0] = 1;
	stage_meet(d, stage, 1);
	REQUIRE(pwrite(memfd, "x", 1, (off_t)(offset + 5 * page)) == 1);
	more.range.start = (uintptr_t)base + 5 * page;
	more.range.len = page;
	OK(ioctl(r.uffd, UFFDIO_CONTINUE, &more));
	stage_meet(d, stage, 2);
	OK(fallocate(memfd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)(offset + 5 * page),
	    (off_t)page));
	stage_meet(d, stage, 3);
	raw_close(&r);
}

/* The test and its client: sound, then wrong, then sound again. */
static void
wrong_between(struct live *d, client_body *body, uid_t uid, const char *what)
{
	struct checked c;
	pid_t pid;

	stage = shared_alloc(sizeof(*stage));
	pid = client_start_as(d, uid, body, NULL);
	stage_wait(d, stage, 1);
	live_rest(d);
	REQUIRE(check_sound(d) > 0);
	stage_allow(stage, 1);
	stage_wait(d, stage, 2);
	c = check(d);
	REQUIRE(strstr(c.text, what), "%s", c.text);
	/* A client that nobody has to trust cannot make the check fail. */
	if (uid == 0)
		REQUIRE(c.failed > 0 && c.notes == 0, "%s", c.text);
	else
		REQUIRE(c.failed == 0 && c.notes > 0, "%s", c.text);
	stage_allow(stage, 2);
	stage_wait(d, stage, 3);
	REQUIRE(check_sound(d) > 0);
	stage_allow(stage, 3);
	client_join(d, pid, false);
}

int
main(int argc, char **argv)
{
	static const struct {
		const char *name;
		client_body *body;
		uid_t uid;
		const char *what; /* NULL: the client checks by itself */
	} tests[] = {
		{ "states", states, 0, NULL },
		{ "poisoned", poisoned, 0, NULL },
		{ "own", own, 0, NULL },
		{ "lifted", lifted, 0, "not write-protected" },
		{ "planted", planted, 0, "no frame" },
		{ "lifted-nobody", lifted, NOBODY, "note: process" },
		{ "planted-nobody", planted, NOBODY, "note: process" },
	};
	const char *name = argc > 1 ? argv[1] : "";
	struct live d;

	live_init(argc, argv);
	for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
		if (strcmp(name, tests[i].name) != 0)
			continue;
		live_start(&d, "8M", "--param", "compressor_percent=20", "--param",
		    "retain_copies=1", NULL);
		if (tests[i].what)
			wrong_between(&d, tests[i].body, tests[i].uid, tests[i].what);
		else
			client_join(&d, client_start(&d, tests[i].body, NULL), false);
		live_stop(&d);
		return 0;
	}
	FAIL("no such test: \"%s\"", name);
}
