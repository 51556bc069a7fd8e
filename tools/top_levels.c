/* SPDX-License-Identifier: MIT
 *
 * The machine in pagerctl top: levels and rates by the names of statistics, and the memory bar.
 */
#include <string.h>

#include "top_model.h"

const struct top_queue_row top_queues[TOP_QUEUE_COUNT] = {
#define ROW(NAME, letter, name) [TOP_QUEUE_##NAME] = { letter, name },
	TOP_QUEUES(ROW)
#undef ROW
};

static int64_t
value(const struct statread *stat, const struct top_sample *sample, const char *name)
{
	int i = statread_find(stat, name);

	return i < 0 ? -1 : sample->values[i];
}

static int64_t
times(int64_t count, uint64_t bytes)
{
	return count < 0 ? -1 : count * (int64_t)bytes;
}

static double
rate(const struct statread *stat, const struct top_sample *now, const struct top_sample *last,
    const char *name)
{
	double seconds = last ? now->seconds - last->seconds : 0;
	int64_t after = value(stat, now, name);
	int64_t before = last ? value(stat, last, name) : after;

	return seconds > 0 && after > before ? (double)(after - before) / seconds : 0;
}

void
top_levels_read(const struct statread *stat, const struct top_sample *now,
    const struct top_sample *last, uint64_t page_bytes, struct top_levels *ret)
{
	int64_t stored = value(stat, now, "stored_pages"), away = value(stat, now, "stored_away");

	*ret = (struct top_levels){
		.total = times(value(stat, now, "total"), page_bytes),
		.compressor_holds = stored < 0 || away < 0 ? -1 : times(stored - away, page_bytes),
		.compressor_takes = value(stat, now, "compressed_bytes"),
		.swap_used = value(stat, now, "swap_used_bytes"),
		.swap_files = value(stat, now, "swap_bytes"),
		.swapped = times(away, page_bytes),
		.pressure = value(stat, now, "pressure"),
		.available = value(stat, now, "available"),
		.frozen = value(stat, now, "frozen"),
		.waiting = value(stat, now, "parked"),
		.faults = rate(stat, now, last, "faults"),
		.refills = rate(stat, now, last, "decompressions") +
			   rate(stat, now, last, "swapins") + rate(stat, now, last, "file_reads"),
		.swapins = rate(stat, now, last, "swapins"),
		.swapout_bytes = rate(stat, now, last, "swapout_bytes"),
	};
	for (unsigned i = 0; i < TOP_QUEUE_COUNT; i++)
		ret->queue[i] = times(value(stat, now, top_queues[i].name), page_bytes);
	if (ret->compressor_holds > 0 && ret->compressor_takes > 0)
		ret->ratio = (double)ret->compressor_holds / (double)ret->compressor_takes;
}

void
top_bar(const struct top_levels *levels, size_t width, char *ret)
{
	size_t letters[TOP_QUEUE_COUNT] = { 0 }, used = 0, at = 0;
	int64_t sum = 0;

	for (unsigned i = 0; i < TOP_QUEUE_COUNT; i++)
		sum += levels->queue[i] > 0 ? levels->queue[i] : 0;
	for (unsigned i = 0; i < TOP_QUEUE_COUNT && sum > 0; i++) {
		if (levels->queue[i] <= 0)
			continue;
		letters[i] = (size_t)((double)levels->queue[i] / (double)sum * (double)width + 0.5);
		letters[i] = letters[i] > 0 ? letters[i] : 1;
		used += letters[i];
	}
	/* What rounding has made too much or too little comes off, or goes to, the longest. */
	while (used != width && sum > 0) {
		unsigned longest = 0;

		for (unsigned i = 1; i < TOP_QUEUE_COUNT; i++)
			longest = letters[i] > letters[longest] ? i : longest;
		if (used > width) {
			letters[longest]--;
			used--;
		} else {
			letters[longest]++;
			used++;
		}
	}
	for (unsigned i = 0; i < TOP_QUEUE_COUNT; i++) {
		memset(ret + at, top_queues[i].letter, letters[i]);
		at += letters[i];
	}
	memset(ret + at, ' ', width - at);
	ret[width] = '\0';
}
