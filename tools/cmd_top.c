/* SPDX-License-Identifier: MIT
 *
 * pagerctl top: the daemon's levels in one line and its clients by footprint, drawn anew at each
 * interval. Rates are per second since the last picture.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "clients.h"
#include "statread.h"

struct top {
	struct statread stat;
	int64_t *values;
	struct pager_wire_client *clients, *last;
	size_t count, last_count;
	double seconds; /* since the last picture; 0: this is the first */
	struct timespec time;
};

static int
by_footprint(const void *a, const void *b)
{
	uint64_t x = ((const struct pager_wire_client *)a)->ledger[PAGER_LEDGER_PHYS_FOOTPRINT];
	uint64_t y = ((const struct pager_wire_client *)b)->ledger[PAGER_LEDGER_PHYS_FOOTPRINT];

	return x < y ? 1 : x > y ? -1 : 0;
}

/* The increase of a ledger entry, per second. */
static double
rate(const struct top *top, const struct pager_wire_client *now, enum pager_ledger_entry entry)
{
	if (top->seconds <= 0)
		return 0;
	for (size_t i = 0; i < top->last_count; i++) {
		if (top->last[i].session_id == now->session_id)
			return (double)(now->ledger[entry] - top->last[i].ledger[entry]) /
			       top->seconds;
	}
	return (double)now->ledger[entry] / top->seconds;
}

static void
print_levels(const struct ctl *ctl, const struct top *top)
{
	static const char *const names[] = { "total", "free", "active", "inactive", "laundry",
		"wired", "speculative", "compressor", "internal_compressed" };
	char n[OUT_NUMBER];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		int index = statread_find(&top->stat, names[i]);

		printf("%s%s %s", i ? "  " : "", names[i],
		    index < 0
			? "-"
			: out_bytes(ctl, (uint64_t)top->values[index] * ctl->hello.page_size, n));
	}
	putchar('\n');
}

static void
print_client(const struct ctl *ctl, const struct top *top, const struct pager_wire_client *c)
{
	char n[4][OUT_NUMBER], name[sizeof(c->name) + 1];
	double stall =
	    rate(top, c, PAGER_LEDGER_STALL_FILL) + rate(top, c, PAGER_LEDGER_STALL_SWAP) +
	    rate(top, c, PAGER_LEDGER_STALL_FRAME) + rate(top, c, PAGER_LEDGER_STALL_LIMIT);

	printf("%8" PRIu32 " %9s %9s %10s %8s %9.0f %9.0f %9.0f %8.1f  %s\n", c->pid,
	    out_bytes(ctl, c->ledger[PAGER_LEDGER_PHYS_FOOTPRINT], n[0]),
	    out_bytes(ctl, c->ledger[PAGER_LEDGER_PHYS_MEM], n[1]),
	    out_bytes(ctl, c->ledger[PAGER_LEDGER_INTERNAL_COMPRESSED], n[2]),
	    out_bytes(ctl, c->ledger[PAGER_LEDGER_WIRED_MEM], n[3]),
	    rate(top, c, PAGER_LEDGER_FAULTS), rate(top, c, PAGER_LEDGER_DECOMPRESSIONS),
	    rate(top, c, PAGER_LEDGER_SWAPINS), stall / 1e6,
	    out_text(name, sizeof(name), c->name, sizeof(c->name)));
}

static void
print_picture(const struct ctl *ctl, const struct top *top)
{
	struct winsize window = { 0 };
	size_t rows = top->count;

	if (isatty(STDOUT_FILENO)) {
		if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &window) == 0 && window.ws_row > 4 &&
		    rows > window.ws_row - 4u)
			rows = window.ws_row - 4u;
		fputs("\033[H\033[2J", stdout);
	}
	printf("pagerd %u: %zu clients\n", top->stat.header->daemon_pid, top->count);
	print_levels(ctl, top);
	printf("%8s %9s %9s %10s %8s %9s %9s %9s %8s  %s\n", "PID", "FOOTPRINT", "RESIDENT",
	    "COMPRESSED", "WIRED", "FAULTS/s", "DECOMP/s", "SWAPIN/s", "STALLms/s", "NAME");
	for (size_t i = 0; i < rows; i++)
		print_client(ctl, top, &top->clients[i]);
}

static void
print_json(const struct ctl *ctl, const struct top *top)
{
	struct json_object *object = json_object_new_object(), *stat = json_object_new_object();
	struct json_object *array = json_object_new_array();

	for (uint32_t i = 0; i < top->stat.count; i++)
		out_add_i64(stat, top->stat.descriptors[i].name, top->values[i]);
	for (size_t i = 0; i < top->count; i++)
		json_object_array_add(array, clients_json(&top->clients[i]));
	json_object_object_add(object, "stat", stat);
	json_object_object_add(object, "clients", array);
	out_json(ctl, object);
}

/* Takes a new picture; the current one becomes the last. => 0 or -errno. */
static int
top_update(struct ctl *ctl, struct top *top)
{
	struct timespec now;
	int r;

	free(top->last);
	top->last = top->clients;
	top->last_count = top->count;
	top->clients = NULL;
	top->count = 0;
	r = clients_fetch(ctl, &top->clients, &top->count);
	if (r == 0)
		r = statread_refresh(&ctl->chan);
	if (r == 0)
		r = statread_snapshot(&top->stat, top->values);
	if (r < 0)
		return r;
	clock_gettime(CLOCK_MONOTONIC, &now);
	top->seconds = top->time.tv_sec == 0 ? 0
					     : (double)(now.tv_sec - top->time.tv_sec) +
						   (double)(now.tv_nsec - top->time.tv_nsec) / 1e9;
	top->time = now;
	qsort(top->clients, top->count, sizeof(top->clients[0]), by_footprint);
	return 0;
}

int
cmd_top(struct ctl *ctl, int argc, char **argv)
{
	struct top top = { 0 };
	uint64_t reports = 0;
	int r;

	(void)argc;
	(void)argv;
	if (ctl->interval <= 0)
		ctl->interval = 1;
	r = ctl_connect(ctl);
	if (r != CTL_OK)
		return r;
	r = statread_open(&ctl->chan, &top.stat);
	if (r < 0)
		return ctl_fail(ctl, r, "cannot read the statistics segment");
	top.values = calloc(top.stat.count, sizeof(*top.values));
	if (!top.values)
		r = -ENOMEM;
	while (r == 0) {
		r = top_update(ctl, &top);
		if (r < 0)
			break;
		if (ctl->json)
			print_json(ctl, &top);
		else
			print_picture(ctl, &top);
		if (!ctl_next_report(ctl, ++reports))
			break;
	}
	free(top.values);
	free(top.clients);
	free(top.last);
	statread_close(&top.stat);
	return r < 0 ? ctl_fail(ctl, r, "cannot read statistics and clients") : CTL_OK;
}
