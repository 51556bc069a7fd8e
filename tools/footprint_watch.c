/* SPDX-License-Identifier: MIT
 *
 * pagerctl footprint --entries, and -i: a ledger with credits, debits and maxima, once or again and
 * again.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "footprint.h"

static const struct {
	const char *name, *unit;
} entries[] = {
#define LEDGER(NAME, name, unit, kind, classes, text) { #name, unit },
#include "tbl/ledger.h"
};

static int
ledger_ask(struct ctl *ctl, struct ctl_client client, uint32_t flags, struct pager_rep_ledger *ret)
{
	struct pager_req_ledger request = {
		.pid = client.pid, .session = client.session, .flags = flags
	};
	struct chan_call call = { CHAN_CALL(LEDGER, &request, ret) };

	return ctl_ask(ctl, &call);
}

static const char *
number_text(const struct ctl *ctl, const char *unit, uint64_t value, char buf[OUT_NUMBER])
{
	if (strcmp(unit, "bytes") == 0)
		return out_bytes(ctl, value, buf);
	if (strcmp(unit, "ns") == 0)
		snprintf(buf, OUT_NUMBER, "%.3fms", (double)value / 1e6);
	else
		snprintf(buf, OUT_NUMBER, "%" PRIu64, value);
	return buf;
}

static struct json_object *
entries_json(const struct pager_rep_ledger *ledger)
{
	struct json_object *object = json_object_new_object();

	for (size_t i = 0; i < PAGER_LEDGER_COUNT; i++) {
		const struct pager_wire_ledger_entry *e = &ledger->entries[i];
		struct json_object *row = json_object_new_object();

		out_add_text(row, "unit", entries[i].unit);
		out_add_u64(row, "balance", e->balance);
		out_add_u64(row, "credit", e->credit);
		out_add_u64(row, "debit", e->debit);
		out_add_u64(row, "lifetime_most", e->lifetime_most);
		out_add_u64(row, "interval_most", e->interval_most);
		if (e->limit > 0) {
			out_add_u64(row, "limit", e->limit);
			out_add_u64(row, "against", e->against);
			out_add_u64(row, "warn", e->warn);
			out_add_u64(row, "refill_ms", e->refill_ms);
		}
		json_object_object_add(object, entries[i].name, row);
	}
	return object;
}

/* The rest of an entry's row. */
static void
print_limit(const struct ctl *ctl, const char *unit, const struct pager_wire_ledger_entry *e)
{
	char n[2][OUT_NUMBER];

	if (e->limit > 0) {
		printf("  %s of %s", number_text(ctl, unit, e->against, n[0]),
		    number_text(ctl, unit, e->limit, n[1]));
		if (e->warn > 0)
			printf(", told at %" PRIu32 " %%", e->warn);
		if (e->refill_ms > 0)
			printf(", each %.3f s", e->refill_ms / 1e3);
	}
	putchar('\n');
}

int
footprint_entries(struct ctl *ctl, struct ctl_client client, const char *text)
{
	struct pager_rep_ledger ledger;
	char n[5][OUT_NUMBER];
	int r = ledger_ask(ctl, client, 0, &ledger);

	if (r != CTL_OK)
		return out_no_client(ctl, r, text);
	if (ctl->json) {
		out_json(ctl, entries_json(&ledger));
		return CTL_OK;
	}
	printf("%-32s %12s %12s %12s %12s %12s  %s\n", "ENTRY", "BALANCE", "CREDIT", "DEBIT",
	    "MOST", "INTERVAL", "LIMIT");
	for (size_t i = 0; i < PAGER_LEDGER_COUNT; i++) {
		const struct pager_wire_ledger_entry *e = &ledger.entries[i];
		const char *unit = entries[i].unit;

		printf("%-32s %12s %12s %12s %12s %12s", entries[i].name,
		    number_text(ctl, unit, e->balance, n[0]),
		    number_text(ctl, unit, e->credit, n[1]), number_text(ctl, unit, e->debit, n[2]),
		    number_text(ctl, unit, e->lifetime_most, n[3]),
		    number_text(ctl, unit, e->interval_most, n[4]));
		print_limit(ctl, unit, e);
	}
	return CTL_OK;
}

/* --- again and again --- */

static const enum pager_ledger_entry columns[] = { PAGER_LEDGER_PHYS_FOOTPRINT,
	PAGER_LEDGER_INTERNAL, PAGER_LEDGER_INTERNAL_COMPRESSED, PAGER_LEDGER_EXTERNAL,
	PAGER_LEDGER_WIRED_MEM, PAGER_LEDGER_IOKIT_MAPPED, PAGER_LEDGER_REUSABLE,
	PAGER_LEDGER_PURGEABLE_VOLATILE, PAGER_LEDGER_PURGEABLE_NONVOLATILE };
#define COLUMNS    (sizeof(columns) / sizeof(columns[0]))
#define HEAD_EVERY 20u

static void
print_head(void)
{
	static const char *const names[COLUMNS] = { "FOOTPRINT", "INTERNAL", "COMPRESSED",
		"EXTERNAL", "WIRED", "DEVICES", "REUSABLE", "VOLATILE", "PURGEABLE" };

	printf("%9s %10s", "SECONDS", "MOST");
	for (size_t i = 0; i < COLUMNS; i++)
		printf(" %10s", names[i]);
	putchar('\n');
}

static void
print_row(const struct ctl *ctl, const struct pager_rep_ledger *ledger, double seconds)
{
	char n[OUT_NUMBER];

	printf("%9.2f %10s", seconds,
	    out_bytes(ctl, ledger->entries[PAGER_LEDGER_PHYS_FOOTPRINT].interval_most, n));
	for (size_t i = 0; i < COLUMNS; i++)
		printf(" %10s", out_bytes(ctl, ledger->entries[columns[i]].balance, n));
	putchar('\n');
}

int
footprint_watch(struct ctl *ctl, struct ctl_client client, const char *text)
{
	struct timespec begin, now;
	struct pager_rep_ledger ledger;
	uint64_t reports = 0;
	int r;

	clock_gettime(CLOCK_MONOTONIC, &begin);
	do {
		/* Each line has the most since the one before it, so that nothing that came
		 * between two looks is missed. */
		r = ledger_ask(ctl, client, PAGER_LEDGER_BEGIN_INTERVAL, &ledger);
		if (r != CTL_OK)
			break;
		clock_gettime(CLOCK_MONOTONIC, &now);
		if (ctl->json) {
			out_json(ctl, entries_json(&ledger));
			continue;
		}
		if (reports % HEAD_EVERY == 0)
			print_head();
		print_row(ctl, &ledger,
		    (double)(now.tv_sec - begin.tv_sec) +
			(double)(now.tv_nsec - begin.tv_nsec) / 1e9);
	} while (ctl_next_report(ctl, ++reports));
	/* One that has been shown may end. */
	if (r == -ESRCH && reports > 0) {
		if (!ctl->json)
			printf("%s is no client any more\n", text);
		return CTL_OK;
	}
	return r == CTL_OK ? CTL_OK : out_no_client(ctl, r, text);
}
