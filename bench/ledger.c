/* SPDX-License-Identifier: MIT
 *
 * `pagerbench ledger`: goes through every door by which pages come onto a bill, and compares after
 * each step what the ledgers say with XNU's equation, with the pages as `pagerctl footprint
 * --explain` counts them, and with what the step must have done.
 */
#include "options.h"

#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>

#include "chan.h"
#include "ledger_doors.h"
#include "private_daemon.h"

#define LEDGER_BYTES (256ull << 20)
/* Looks at pages that are on their way before a difference counts. */
#define LOOKS_MOST 200u

/* Of one client, in pages. */
struct bill {
	int64_t footprint, internal, compressed, external, reusable, devices, purgeable, tagged,
	    alternate, wired;
	int64_t walked; /* pages of its objects, each looked at */
};

struct row {
	struct bill sum;    /* of all clients */
	int64_t unbilled;   /* footprint - the sum of its terms */
	int64_t unwalked;   /* pages on the ledgers - pages that were counted */
	int64_t unexpected; /* the most by which a client's footprint is not what it must be */
	unsigned failures;  /* of the daemon's own check */
};

static bool
bill_look(struct chan *chan, uint64_t page_bytes, pid_t pid, struct bill *ret)
{
	struct pager_req_ledger request = { .pid = (uint32_t)pid };
	struct pager_rep_ledger l;
	struct chan_call call = { CHAN_CALL(LEDGER, &request, &l) };

	if (chan_exchange(chan, &call) != 0)
		return false;
#define PAGES(NAME) ((int64_t)(l.entries[PAGER_LEDGER_##NAME].balance / page_bytes))
	*ret = (struct bill){
		.footprint = PAGES(PHYS_FOOTPRINT),
		.internal = PAGES(INTERNAL),
		.compressed = PAGES(INTERNAL_COMPRESSED),
		.external = PAGES(EXTERNAL),
		.reusable = PAGES(REUSABLE),
		.devices = PAGES(IOKIT_MAPPED),
		.purgeable = PAGES(PURGEABLE_NONVOLATILE) + PAGES(PURGEABLE_NONVOLATILE_COMPRESSED),
		.tagged = PAGES(TAGGED_FOOTPRINT) + PAGES(TAGGED_FOOTPRINT_COMPRESSED),
		.alternate = PAGES(ALTERNATE_ACCOUNTING) + PAGES(ALTERNATE_ACCOUNTING_COMPRESSED),
		.wired = PAGES(WIRED_MEM),
	};
#undef PAGES
	return true;
}

static bool
bill_walk(struct chan *chan, uint64_t page_bytes, pid_t pid, struct bill *ret)
{
	struct pager_req_explain request = { .pid = (uint32_t)pid };
	struct pager_rep_explain *reply = malloc(sizeof(*reply));
	bool good = reply != NULL;

	while (good) {
		struct chan_call call = { CHAN_CALL(EXPLAIN, &request, reply) };

		call.reply_bytes_min = offsetof(struct pager_rep_explain, objects);
		good = chan_exchange(chan, &call) == 0 && reply->count <= PAGER_EXPLAIN_PER_REPLY;
		for (uint32_t i = 0; good && i < reply->count; i++)
			for (unsigned door = 0; door < PAGER_DOORS; door++)
				ret->walked += (int64_t)((reply->objects[i].resident_by[door] +
							     reply->objects[i].stored_by[door]) /
							 page_bytes);
		if (good && reply->next_cursor == 0)
			break;
		request.cursor = reply->next_cursor;
	}
	free(reply);
	return good;
}

static int64_t
on_ledger(const struct bill *b)
{
	return b->internal + b->compressed + b->external + b->reusable;
}

static bool
bills_look(struct chan *chan, const struct doors *d, struct bill bills[CLIENTS])
{
	bool agree = false;

	for (unsigned looks = 0; looks < LOOKS_MOST && !agree; looks++) {
		agree = true;
		for (unsigned i = 0; i < CLIENTS; i++) {
			bills[i] = (struct bill){ 0 };
			if (d->pids[i] == 0)
				continue;
			if (!bill_look(chan, d->page_bytes, d->pids[i], &bills[i]) ||
			    !bill_walk(chan, d->page_bytes, d->pids[i], &bills[i]))
				return false;
			agree = agree && bills[i].walked == on_ledger(&bills[i]);
		}
	}
	return true;
}

static void
sum_add(struct bill *sum, const struct bill *b)
{
	sum->footprint += b->footprint;
	sum->internal += b->internal;
	sum->compressed += b->compressed;
	sum->external += b->external;
	sum->reusable += b->reusable;
	sum->devices += b->devices;
	sum->purgeable += b->purgeable;
	sum->tagged += b->tagged;
	sum->alternate += b->alternate;
	sum->wired += b->wired;
	sum->walked += b->walked;
}

static struct row
row_of(const struct doors *d, const struct bill before[CLIENTS], const struct bill now[CLIENTS])
{
	struct row row = { 0 };

	for (unsigned i = 0; i < CLIENTS; i++) {
		const struct bill *b = &now[i];
		int64_t more = b->footprint - before[i].footprint - d->expected[i];

		if (d->pids[i] == 0)
			continue;
		sum_add(&row.sum, b);
		row.unbilled += llabs(b->footprint - (b->internal + b->compressed - b->alternate +
							 b->devices + b->purgeable + b->tagged));
		row.unwalked += llabs(on_ledger(b) - b->walked);
		if (llabs(more) > llabs(row.unexpected))
			row.unexpected = more;
	}
	return row;
}

static bool
row_is_right(const struct row *row)
{
	return row->unbilled == 0 && row->unwalked == 0 && row->unexpected == 0 &&
	       row->failures == 0;
}

static void
row_print(const struct door *door, const struct row *row)
{
	const struct bill *b = &row->sum;

	printf("%-17s %6" PRId64 " = %5" PRId64 " + %5" PRId64 " - %4" PRId64 " + %4" PRId64
	       " + %4" PRId64 " + %4" PRId64 "  %5" PRId64 " %5" PRId64 " %5" PRId64 "  %6" PRId64
	       "   %2" PRId64 " %2" PRId64 " %2" PRId64 " %2u  %s\n",
	    door->name, b->footprint, b->internal, b->compressed, b->alternate, b->devices,
	    b->purgeable, b->tagged, b->wired, b->external, b->reusable, b->walked, row->unbilled,
	    row->unwalked, row->unexpected, row->failures, door->text);
}

static struct json_object *
row_json(const struct door *door, const struct row *row)
{
	const struct {
		const char *name;
		int64_t value;
	} fields[] = { { "footprint", row->sum.footprint }, { "internal", row->sum.internal },
		{ "internal_compressed", row->sum.compressed },
		{ "alternate_accounting", row->sum.alternate },
		{ "iokit_mapped", row->sum.devices },
		{ "purgeable_nonvolatile", row->sum.purgeable },
		{ "tagged_footprint", row->sum.tagged }, { "wired_mem", row->sum.wired },
		{ "external", row->sum.external }, { "reusable", row->sum.reusable },
		{ "walked", row->sum.walked }, { "difference_equation", row->unbilled },
		{ "difference_walk", row->unwalked }, { "difference_expected", row->unexpected },
		{ "check_failures", row->failures } };
	struct json_object *object = json_object_new_object();

	json_object_object_add(object, "step", json_object_new_string(door->name));
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
		json_object_object_add(
		    object, fields[i].name, json_object_new_int64(fields[i].value));
	return object;
}

/* => whether all steps were done; *ret_wrong: steps after which something differs */
static bool
steps_run(struct doors *d, struct chan *chan, const char *path, struct json_object *array,
    unsigned *ret_wrong)
{
	struct bill before[CLIENTS], now[CLIENTS];

	if (!bills_look(chan, d, before))
		return false;
	for (unsigned i = 0; i < door_count; i++) {
		struct row row;

		for (unsigned c = 0; c < CLIENTS; c++)
			d->expected[c] = 0;
		if (!doors[i].run(d) || !bills_look(chan, d, now)) {
			fprintf(stderr, "pagerbench: step %s failed\n", doors[i].name);
			return false;
		}
		row = row_of(d, before, now);
		if (private_daemon_check(path, &row.failures) != 0)
			return false;
		*ret_wrong += !row_is_right(&row);
		if (array)
			json_object_array_add(array, row_json(&doors[i], &row));
		else
			row_print(&doors[i], &row);
		for (unsigned c = 0; c < CLIENTS; c++)
			before[c] = now[c];
	}
	return true;
}

static int
ledger_run(const char *path, const struct options *o)
{
	struct json_object *array = o->json ? json_object_new_array() : NULL;
	struct doors d = { .directory = o->directory };
	struct pager_statistics statistics;
	struct pager_rep_hello hello;
	unsigned wrong = 0;
	struct chan chan;
	bool good;

	chan_init(&chan);
	good = doors_other_start(&d, path) && pager_connect(path, NULL, &d.pager) == 0 &&
	       pager_statistics(d.pager, &statistics) == 0 &&
	       pager_port_open(d.pager, "pagerbench/ledger", &d.port) == 0 &&
	       chan_open(&chan, path) == 0 &&
	       chan_hello(&chan, PAGER_ROLE_TOOL, NULL, &hello, NULL) == 0;
	if (!good)
		fprintf(stderr, "pagerbench: the clients cannot be started\n");
	d.page_bytes = good ? statistics.page_size : 0;
	if (good && !array)
		printf("pages of all clients; differences: equation, walk, expected, check\n"
		       "%-17s %6s = %5s + %5s - %4s + %4s + %4s + %4s  %5s %5s %5s  %6s   "
		       "DIFFERENCE\n",
		    "STEP", "FOOTPR", "INTRN", "COMPR", "ALT", "DEV", "PURG", "TAG", "WIRED",
		    "EXTRN", "REUS", "WALKED");
	good = good && steps_run(&d, &chan, path, array, &wrong);
	if (good && array)
		printf("%s\n", json_object_to_json_string_ext(array, JSON_C_TO_STRING_PRETTY));
	else if (good)
		printf("%u steps, %u with a difference\n", door_count, wrong);
	json_object_put(array);
	doors_end(&d);
	chan_close(&chan);
	if (d.pager)
		pager_disconnect(d.pager);
	return good && wrong == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int
ledger_command(const struct options *o)
{
	struct private_daemon daemon;
	struct private_daemon_config config = { .program = o->daemon,
		.directory = o->directory,
		.memory_bytes = LEDGER_BYTES,
		.page_size = o->page_size };
	int result;

	if (private_daemon_start(&config, &daemon) != 0)
		return EXIT_FAILURE;
	result = ledger_run(daemon.socket, o);
	if (result != EXIT_SUCCESS)
		private_daemon_show_log(&daemon);
	if (private_daemon_stop(&daemon) != 0)
		result = EXIT_FAILURE;
	return result;
}
