/* SPDX-License-Identifier: MIT
 *
 * Requests for ranges that are handled in many pieces: their counts and effects are those of one
 * piece. Requests of another session are answered in between.
 *
 * usage: e_pieces
 */
#include "harness.h"

#include <stdatomic.h>
#include <sys/mman.h>

#include "raw.h"

/* More pages than one piece looks at, and many times what one piece changes. Each holds one
 * repeated word and takes nearly no space when stored. */
#define PAGES 80000u

struct beside {
	atomic_bool stop;
	_Atomic uint64_t answers;
};

static void
asks(struct live *d, void *argument)
{
	struct beside *s = argument;
	struct pager *p = client_connect(d);
	unsigned char *memory = client_allocate(p, 8 * d->page_bytes);
	struct pager_region_info info;

	memory[0] = 1;
	while (!atomic_load(&s->stop)) {
		OK(pager_region(p, memory, &info));
		EQ(info.size_bytes, 8 * d->page_bytes);
		atomic_fetch_add(&s->answers, 1);
	}
	OK(pager_disconnect(p));
}

static uint64_t
word_of(uint64_t page)
{
	return mix64(page) & 0xffffffff;
}

static void
fill(struct raw *r, unsigned char *base)
{
	for (uint64_t i = 0; i < PAGES; i++) {
		uint32_t *words = (uint32_t *)(void *)(base + i * r->page_bytes);

		for (size_t w = 0; w < r->page_bytes / 4; w++)
			words[w] = (uint32_t)word_of(i);
	}
}

static void
verify(struct raw *r, unsigned char *base)
{
	for (uint64_t i = 0; i < PAGES; i += 7)
		EQ(*(uint32_t *)(void *)(base + i * r->page_bytes + r->page_bytes - 4), word_of(i));
}

static uint64_t
behave(struct raw *r, unsigned char *base, uint32_t behavior)
{
	struct pager_req_behavior request = { (uintptr_t)base, PAGES * r->page_bytes, behavior, 0 };
	struct pager_rep_behavior reply;
	struct chan_call call = { CHAN_CALL(BEHAVIOR, &request, &reply) };

	OK(chan_exchange(&r->chan, &call));
	return reply.pages;
}

static struct pager_wire_region
region(struct raw *r, unsigned char *base)
{
	struct pager_req_region request = { .address = (uintptr_t)base,
		.flags = PAGER_REGION_EXTENDED };
	struct pager_rep_region reply;
	struct chan_call call = { CHAN_CALL(REGION, &request, &reply) };

	OK(chan_exchange(&r->chan, &call));
	EQ(reply.region.address, (uintptr_t)base);
	EQ(reply.region.size, PAGES * r->page_bytes);
	return reply.region;
}

/* The same from MAP, of two regions. */
static uint64_t
mapped(struct raw *r)
{
	struct pager_req_map request = { .pid = (uint32_t)getpid(),
		.flags = PAGER_REGION_EXTENDED };
	static struct pager_rep_map reply;
	struct chan_call call = { CHAN_CALL(MAP, &request, &reply) };
	uint64_t pages = 0;

	call.reply_bytes_min = offsetof(struct pager_rep_map, regions);
	OK(chan_exchange(&r->chan, &call));
	EQ(reply.count, 2);
	EQ(reply.next_cursor, 0);
	for (unsigned i = 0; i < reply.count; i++)
		pages += reply.regions[i].pages_resident + reply.regions[i].pages_compressed +
			 reply.regions[i].pages_swapped;
	return pages;
}

static uint64_t
deallocate(struct raw *r, unsigned char *base)
{
	struct pager_req_deallocate request = { (uintptr_t)base, PAGES * r->page_bytes };
	struct pager_rep_deallocate reply;
	struct chan_call call = { CHAN_CALL(DEALLOCATE, &request, &reply) };

	OK(chan_exchange(&r->chan, &call));
	return reply.pages;
}

static bool
all_left(struct raw *r, unsigned char *base)
{
	behave(r, base, PAGER_BEHAVIOR_PAGEOUT);
	return region(r, base).pages_resident == 0;
}

static void
large(struct live *d, void *argument)
{
	const size_t page = d->page_bytes, bytes = PAGES * page;
	/* Beside another one, in a second object. */
	unsigned char *base = raw_reserve(bytes), *other = raw_reserve(16 * page);
	struct pager_wire_region info;
	struct raw r;
	uint64_t offset;
	int memfd;

	(void)argument;
	raw_connect(d, &r);
	OK(raw_allocate(&r, (uintptr_t)other, 16 * page, &memfd, &offset));
	raw_map(&r, other, 16 * page, memfd, offset);
	close(memfd);
	other[0] = 1;
	OK(raw_allocate(&r, (uintptr_t)base, bytes, &memfd, &offset));
	raw_map(&r, base, bytes, memfd, offset);
	fill(&r, base);
	info = region(&r, base);
	EQ(info.pages_resident + info.pages_compressed + info.pages_swapped, PAGES);
	EQ(mapped(&r), PAGES + 1);
	behave(&r, base, PAGER_BEHAVIOR_DONTNEED);
	/* A fault that is answered late brings its page in again. The daemon does not rest here. */
	WAIT_UNTIL(d, all_left(&r, base));
	REQUIRE(behave(&r, base, PAGER_BEHAVIOR_WILLNEED) > 0);
	verify(&r, base);
	EQ(behave(&r, base, PAGER_BEHAVIOR_FREE), PAGES);
	while (mapped(&r) != 1) {
		live_tick(d);
		REQUIRE(behave(&r, base, PAGER_BEHAVIOR_FREE) < 100);
	}
	fill(&r, base);
	verify(&r, base);
	REQUIRE(mmap(base, bytes, PROT_NONE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0) == base);
	EQ(deallocate(&r, base), PAGES);
	EQ(other[0], 1);
	raw_close(&r);
}

/* Within the limit of wired memory. */
static void
wires(struct live *d, void *argument)
{
	const size_t page = d->page_bytes, bytes = 9000 * page;
	struct pager *p = client_connect(d);
	unsigned char *memory = client_allocate(p, bytes);
	struct pager_region_info info;

	(void)argument;
	for (size_t i = 0; i < bytes; i += page)
		memory[i] = 1;
	OK(pager_wire(p, memory, bytes));
	OK(pager_region(p, memory, &info));
	EQ(info.pages_wired, 9000);
	OK(pager_unwire(p, memory, bytes));
	OK(pager_region(p, memory, &info));
	EQ(info.pages_wired, 0);
	OK(pager_disconnect(p));
}

int
main(int argc, char **argv)
{
	struct beside *s;
	struct live d;
	pid_t pid;

	live_init(argc, argv);
	s = shared_alloc(sizeof(*s));
	live_start(&d, "64M", NULL);
	pid = client_start(&d, asks, s);
	WAIT_UNTIL(&d, atomic_load(&s->answers) > 0);
	client_join(&d, client_start(&d, large, NULL), true);
	client_join(&d, client_start(&d, wires, NULL), true);
	atomic_store(&s->stop, true);
	client_join(&d, pid, false);
	printf("%llu other requests were answered meanwhile\n",
	    (unsigned long long)atomic_load(&s->answers));
	live_stop(&d);
	return 0;
}
