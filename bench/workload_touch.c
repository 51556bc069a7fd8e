/* SPDX-License-Identifier: MIT
 *
 * The loops that touch pages. A touch's address and expected generation are computed before the
 * clock is read; between the two readings there are only the loads of the check and, for a write,
 * the stores of the new generation.
 */
#include "workload_touch.h"

#include <stdio.h>
#include <string.h>

#include "data_file.h"
#include "pattern.h"
#include "ticks.h"

#define BATCH WORKLOAD_BATCH
/* Misses in a row after which workload_touch_stored gives up. */
#define STORED_MISSES_MAX 20000u

static void *
unit_address(const struct workload *load, uint64_t page)
{
	return load->base + page * UNIT_BYTES;
}

/* Chooses the next page. Threads that write have disjoint pages (page mod threads), so that one
 * thread writes a page's generation. */
static uint64_t
next_page(struct worker *w)
{
	const struct workload_config *c = w->workload->config;
	uint64_t n = c->units, page;

	switch (c->scenario->kind) {
	case SCENARIO_ZIPF:
		page = permute(zipf_next(&w->workload->zipf, &w->rng), n, c->seed);
		break;
	case SCENARIO_SCAN: {
		uint64_t first = n * w->id / c->threads, end = n * (w->id + 1) / c->threads;

		page = first + w->position;
		w->position = page + 1 == end ? 0 : w->position + 1;
		return page;
	}
	default:
		page = rng_below(&w->rng, n);
	}
	if (c->write_percent) {
		page -= page % c->threads;
		page += w->id;
		if (page >= n)
			page = w->id;
	}
	return page;
}

/* Marks a page as bad, and prints the first ten of them. unit: what it holds. */
static void
page_is_bad(struct workload *load, uint64_t page, void *unit)
{
	const struct page_head *head = page_head(unit);
	uint32_t expected = atomic_fetch_or(&load->generation[page], GENERATION_BAD);

	if (expected & GENERATION_BAD || atomic_fetch_add(&load->complaints, 1) >= 10)
		return;
	fprintf(stderr,
	    "pagerbench: bad page %llu: holds object %llx page %llu generation %u, "
	    "should be object %llx generation %u\n",
	    (unsigned long long)page, (unsigned long long)head->object,
	    (unsigned long long)head->page, head->generation, (unsigned long long)load->object,
	    expected);
}

void
workload_fill(struct worker *w)
{
	struct workload *load = w->workload;
	const struct workload_config *c = load->config;
	uint64_t first = load->fill_first + load->fill_units * w->id / c->threads;
	uint64_t end = load->fill_first + load->fill_units * (w->id + 1) / c->threads;

	for (uint64_t page = first; page < end; page++) {
		volatile uint64_t *unit = unit_address(load, page);
		uint64_t t0 = ticks_now(), t1;

		*unit = 1;
		t1 = ticks_now();
		page_fill((void *)unit, load->object, page, 0, c->pool);
		atomic_store_explicit(&load->generation[page], 0, memory_order_relaxed);
		if (w->touch)
			histogram_record(w->touch, ticks_to_ns(t1 - t0));
	}
	w->touches += end - first;
}

void
workload_touch(struct worker *w)
{
	struct workload *load = w->workload;
	unsigned write_percent = load->config->write_percent;
	uint64_t now = 0;

	while (now < w->deadline_ticks && w->touches_left) {
		uint64_t page = next_page(w), t0;
		bool write = write_percent &&
			     (write_percent >= 100 || rng_below(&w->rng, 100) < write_percent);
		uint32_t expected =
		    atomic_load_explicit(&load->generation[page], memory_order_relaxed);
		uint32_t generation = expected & ~GENERATION_BAD;
		void *unit = unit_address(load, page);
		bool good;

		t0 = ticks_now();
		good = page_check(unit, load->object, page, generation);
		if (write)
			page_set_generation(unit, generation + 1);
		now = ticks_now();
		if (!good)
			page_is_bad(load, page, unit_address(load, page));
		if (write)
			atomic_store_explicit(&load->generation[page],
			    (generation + 1) |
				(atomic_load(&load->generation[page]) & GENERATION_BAD),
			    memory_order_relaxed);
		if (w->touch)
			histogram_record(w->touch, ticks_to_ns(now - t0));
		w->touches++;
		w->touches_left--;
	}
}

/* Times read touches in batches, for touches that are shorter than a reading of the clock. */
void
workload_touch_batched(struct worker *w)
{
	struct workload *load = w->workload;
	uint64_t pages[BATCH], now = 0, t0;
	unsigned bad;

	while (now < w->deadline_ticks && w->touches_left >= BATCH) {
		for (unsigned i = 0; i < BATCH; i++)
			pages[i] = next_page(w);
		bad = 0;
		t0 = ticks_now();
		for (unsigned i = 0; i < BATCH; i++)
			bad += !page_check(unit_address(load, pages[i]), load->object, pages[i], 0);
		now = ticks_now();
		for (unsigned i = 0; i < BATCH && bad; i++)
			if (!page_check(unit_address(load, pages[i]), load->object, pages[i], 0))
				page_is_bad(load, pages[i], unit_address(load, pages[i]));
		if (w->touch)
			histogram_record(w->touch, ticks_to_ns(now - t0));
		w->touches += BATCH;
		w->touches_left -= BATCH;
	}
}

/* Reads a page that has never been written since the fill, timed. => the ticks at the end. */
static uint64_t
touch_read(struct worker *w, uint64_t page)
{
	struct workload *load = w->workload;
	void *unit = unit_address(load, page);
	uint64_t t0 = ticks_now(), now;
	bool good = page_check(unit, load->object, page, 0);

	now = ticks_now();
	if (!good)
		page_is_bad(load, page, unit_address(load, page));
	if (w->touch)
		histogram_record(w->touch, ticks_to_ns(now - t0));
	w->touches++;
	w->touches_left--;
	return now;
}

void
workload_touch_stored(struct worker *w)
{
	struct workload *load = w->workload;
	const struct backend_ops *ops = load->config->ops;
	unsigned misses = 0;
	uint64_t now = 0;

	while (now < w->deadline_ticks && w->touches_left && misses < STORED_MISSES_MAX) {
		uint64_t page = next_page(w);

		if (ops->is_stored(load->backend, unit_address(load, page)) == 1) {
			misses = 0;
			now = touch_read(w, page);
		} else {
			misses++;
			now = ticks_now();
		}
	}
}

/* One round: touches each of the daemon's pages in the thread's share once, in a different order in
 * each round. */
void
workload_touch_cooled(struct worker *w)
{
	const struct workload_config *c = w->workload->config;
	uint64_t stride = c->stride ? c->stride : 1, n = c->units / stride;
	uint64_t first = n * w->id / c->threads, end = n * (w->id + 1) / c->threads;
	uint64_t now = 0;

	for (uint64_t i = first; i < end && now < w->deadline_ticks && w->touches_left; i++)
		now = touch_read(w, permute(i, n, c->seed + w->round) * stride);
	w->round++;
}

void
workload_verify(struct worker *w)
{
	struct workload *load = w->workload;
	const struct workload_config *c = load->config;
	uint64_t first = c->units * w->id / c->threads, end = c->units * (w->id + 1) / c->threads;

	for (uint64_t page = first; page < end; page++) {
		uint32_t generation =
		    atomic_load_explicit(&load->generation[page], memory_order_relaxed);

		if (!page_verify(unit_address(load, page), load->object, page,
			generation & ~GENERATION_BAD, c->pool))
			page_is_bad(load, page, unit_address(load, page));
	}
}

void
workload_verify_file(struct worker *w)
{
	struct workload *load = w->workload;
	const struct workload_config *c = load->config;
	uint64_t first = c->units * w->id / c->threads, end = c->units * (w->id + 1) / c->threads;
	char unit[UNIT_BYTES] __attribute__((aligned(16)));

	for (uint64_t page = first; page < end; page++) {
		uint32_t generation =
		    atomic_load_explicit(&load->generation[page], memory_order_relaxed);

		memset(unit, 0, sizeof(unit));
		if (data_file_read(load->file, page, unit) ||
		    !page_verify(unit, load->object, page, generation & ~GENERATION_BAD, c->pool))
			page_is_bad(load, page, unit);
	}
}
