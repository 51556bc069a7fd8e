/* SPDX-License-Identifier: MIT
 *
 * Rows of clients: rates between two samples, the filter, the order, the tree.
 */
#include "top_model.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TOP_DEPTH_MAX 32 /* deeper rows of the tree are drawn at this depth */

const struct top_column_row top_columns[TOP_COLUMNS] = {
#define TOP_COLUMN(NAME, key, title, width, from, kind, text)                                      \
	[TOP_##NAME] = { #key, title, text, width, from, TOP_KIND_##kind },
#include "top_columns.h"
};

static const char *const freeze_names[] = {
#define FREEZE_STATE(number, NAME, name, text) [number] = (name),
#include "tbl/freeze_state.h"
};

enum top_column
top_column_find(const char *key)
{
	unsigned i = 0;

	while (i < TOP_COLUMNS && strcmp(top_columns[i].key, key) != 0)
		i++;
	return (enum top_column)i;
}

/* --- a row --- */

/* What the letter of proc(5) says. */
static const char *
process_state(char letter)
{
	static const struct {
		char letter;
		const char *name;
	} states[] = { { 'R', "runs" }, { 'S', "sleeps" }, { 'D', "waits" }, { 'I', "sleeps" },
		{ 'T', "stopped" }, { 't', "traced" }, { 'Z', "ended" }, { 'X', "ended" } };

	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
		if (states[i].letter == letter)
			return states[i].name;
	return "-";
}

static const char *
state_text(const struct top_beside *beside, const struct top_row *row)
{
	size_t known = sizeof(freeze_names) / sizeof(freeze_names[0]);

	if (beside->freeze > 0)
		return beside->freeze < known && freeze_names[beside->freeze]
			   ? freeze_names[beside->freeze]
			   : "?";
	return row->by[TOP_STALL_LIMIT] > 0 ? "limit" : process_state(beside->state);
}

static const struct pager_wire_client *
client_before(const struct top_sample *last, uint64_t session)
{
	for (size_t i = 0; last && i < last->count; i++)
		if (last->clients[i].session_id == session)
			return &last->clients[i];
	return NULL;
}

/* The increase of an entry that only grows, a second. A client that was not there before has begun
 * since. */
static double
rate(const struct pager_wire_client *now, const struct pager_wire_client *before,
    enum pager_ledger_entry entry, double seconds)
{
	uint64_t was = before ? before->ledger[entry] : 0;

	if (seconds <= 0 || now->ledger[entry] < was)
		return 0;
	return (double)(now->ledger[entry] - was) / seconds;
}

static void
row_rates(struct top_row *row, const struct pager_wire_client *c,
    const struct pager_wire_client *before, double seconds)
{
	static const enum pager_ledger_entry stalls[TOP_STALLS] = {
		[TOP_STALL_FILL] = PAGER_LEDGER_STALL_FILL,
		[TOP_STALL_SWAP] = PAGER_LEDGER_STALL_SWAP,
		[TOP_STALL_FRAME] = PAGER_LEDGER_STALL_FRAME,
		[TOP_STALL_LIMIT] = PAGER_LEDGER_STALL_LIMIT,
	};

	row->faults = rate(c, before, PAGER_LEDGER_FAULTS, seconds);
	row->swapins = rate(c, before, PAGER_LEDGER_SWAPINS, seconds);
	row->refills = rate(c, before, PAGER_LEDGER_DECOMPRESSIONS, seconds) + row->swapins +
		       rate(c, before, PAGER_LEDGER_FILE_READS, seconds);
	for (size_t i = 0; i < TOP_STALLS; i++) {
		row->by[i] = rate(c, before, stalls[i], seconds) / 1e9 * 100;
		row->stall_percent += row->by[i];
	}
}

_Static_assert(PAGER_WIRE_LIMIT_INACTIVE == PAGER_WIRE_LIMIT_ACTIVE + 1 &&
		   PAGER_WIRE_LIMIT_RESIDENT_INACTIVE == PAGER_WIRE_LIMIT_RESIDENT_ACTIVE + 1,
    "that of idle processes stands behind the other");

uint64_t
top_limit(const struct pager_rep_process_limits *limits)
{
	static const uint32_t kinds[] = { PAGER_WIRE_LIMIT_ACTIVE,
		PAGER_WIRE_LIMIT_RESIDENT_ACTIVE };
	uint64_t least = limits->hard;

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		uint64_t limit = limits->limits[kinds[i]], idle = limits->limits[kinds[i] + 1];

		if (limits->band == 0 && idle != 0)
			limit = idle;
		if (limit != 0 && (least == 0 || limit < least))
			least = limit;
	}
	return least;
}

static void
row_make(struct top_row *row, const struct pager_wire_client *c, const struct top_beside *beside,
    const struct pager_wire_client *before, double seconds)
{
	*row = (struct top_row){
		.session = c->session_id,
		.pid = c->pid,
		.uid = c->uid,
		.parent = beside->parent,
		.footprint = c->ledger[PAGER_LEDGER_PHYS_FOOTPRINT],
		.resident = c->ledger[PAGER_LEDGER_PHYS_MEM],
		.compressed = c->ledger[PAGER_LEDGER_INTERNAL_COMPRESSED],
		.has_swapped = beside->has_swapped,
		.swapped = beside->swapped,
		.wired = c->ledger[PAGER_LEDGER_WIRED_MEM],
		.limit = beside->has_limit ? beside->limit : c->limit_bytes,
		.peak = c->phys_footprint_peak,
		.virtual_bytes = c->virtual_bytes,
		.regions = c->regions,
		.band = beside->band,
		.user = beside->user,
		.run = beside->group,
		.run_name = beside->group_name,
	};
	row_rates(row, c, before, seconds);
	row->state = state_text(beside, row);
	out_text(row->name, sizeof(row->name), c->name, sizeof(c->name));
}

/* --- which rows --- */

static bool
text_has(const char *text, const char *part)
{
	size_t length = strlen(part);

	for (; strlen(text) >= length; text++)
		if (strncasecmp(text, part, length) == 0)
			return true;
	return false;
}

static bool
row_passes(const struct top_row *row, const char *filter)
{
	char pid[OUT_NUMBER];

	snprintf(pid, sizeof(pid), "%" PRIu32, row->pid);
	return filter[0] == '\0' || text_has(row->name, filter) || text_has(row->user, filter) ||
	       (row->run && text_has(row->run_name, filter)) || text_has(row->state, filter) ||
	       strcmp(pid, filter) == 0;
}

/* --- their order --- */

static double
number_of(const struct top_row *row, enum top_column column)
{
	switch (column) {
	case TOP_PID:
		return (double)row->pid;
	case TOP_FOOTPRINT:
		return (double)row->footprint;
	case TOP_RESIDENT:
		return (double)row->resident;
	case TOP_COMPRESSED:
		return (double)row->compressed;
	case TOP_SWAPPED:
		return row->has_swapped ? (double)row->swapped : -1;
	case TOP_WIRED:
		return (double)row->wired;
	case TOP_FAULTS:
		return row->faults;
	case TOP_REFILLS:
		return row->refills;
	case TOP_SWAPINS:
		return row->swapins;
	case TOP_STALL:
		return row->stall_percent;
	case TOP_LIMIT:
		return (double)row->limit;
	case TOP_BAND:
		return (double)row->band;
	default:
		return 0;
	}
}

static const char *
text_of(const struct top_row *row, enum top_column column)
{
	return column == TOP_USER ? row->user : column == TOP_STATE ? row->state : row->name;
}

/* Rows that are the same there stay in the order of their sessions, whichever way is asked for, so
 * that they do not change places from picture to picture. */
static int
compare(const void *a, const void *b, void *context)
{
	const struct top_row *x = a, *y = b;
	const struct top_view *view = context;
	int order;

	if (top_columns[view->sort].kind == TOP_KIND_TEXT) {
		order = strcasecmp(text_of(x, view->sort), text_of(y, view->sort));
	} else {
		double p = number_of(x, view->sort), q = number_of(y, view->sort);

		order = p < q ? 1 : p > q ? -1 : 0;
	}
	if (order != 0)
		return view->is_reversed ? -order : order;
	return x->session < y->session ? -1 : x->session > y->session;
}

/* --- the tree --- */

/* Rows in their order are put behind their parents, and all below the row of their user, or of
 * their run, which is below the user's. */
struct tree {
	const struct top_row *from;
	size_t from_count;
	bool *placed;
	struct top_row *rows;
	size_t count;
};

static bool
is_child(const struct top_row *row, const struct top_row *parent)
{
	return row->uid == parent->uid && row->run == parent->run && row->parent != 0 &&
	       row->parent == parent->pid && row->pid != parent->pid;
}

static void
place(struct tree *tree, size_t i, unsigned depth)
{
	struct top_row *row = &tree->rows[tree->count++];

	*row = tree->from[i];
	row->depth = depth < TOP_DEPTH_MAX ? depth : TOP_DEPTH_MAX;
	tree->placed[i] = true;
	for (size_t child = 0; child < tree->from_count; child++)
		if (!tree->placed[child] && is_child(&tree->from[child], &tree->from[i]))
			place(tree, child, depth + 1);
}

static bool
has_parent(const struct tree *tree, size_t i)
{
	for (size_t k = 0; k < tree->from_count; k++)
		if (is_child(&tree->from[i], &tree->from[k]))
			return true;
	return false;
}

static void
group_add(struct top_row *group, const struct top_row *row)
{
	group->members++;
	group->footprint += row->footprint;
	group->resident += row->resident;
	group->compressed += row->compressed;
	group->has_swapped &= row->has_swapped;
	group->swapped += row->swapped;
	group->wired += row->wired;
	group->peak += row->peak;
	group->virtual_bytes += row->virtual_bytes;
	group->regions += row->regions;
	group->faults += row->faults;
	group->refills += row->refills;
	group->swapins += row->swapins;
	group->stall_percent += row->stall_percent;
	for (size_t i = 0; i < TOP_STALLS; i++)
		group->by[i] += row->by[i];
}

/* The row of which a client's is a part: its user's, or its run's. */
static void
group_make(struct top_row *group, const struct top_row *row, bool is_run)
{
	*group = (struct top_row){
		.is_group = true,
		.has_swapped = true,
		.uid = row->uid,
		.session = is_run ? TOP_RUN(row->run) : row->uid,
		.run = is_run ? row->run : 0,
		.run_name = row->run_name,
		.band = TOP_BAND_UNKNOWN,
		.user = row->user,
		.state = "-",
		.depth = is_run,
	};
	if (!is_run)
		snprintf(group->name, sizeof(group->name), "user %s", row->user);
	else if (row->run_name[0] != '\0')
		snprintf(group->name, sizeof(group->name), "run %.55s", row->run_name);
	else
		snprintf(group->name, sizeof(group->name), "run %" PRIu64, row->run);
}

/* The rows of users, or those of the runs of users. => how many */
static size_t
groups_make(const struct top_row *rows, size_t count, bool are_runs, struct top_row *groups)
{
	size_t made = 0, g;

	for (size_t i = 0; i < count; i++) {
		if (are_runs && rows[i].run == 0)
			continue;
		for (g = 0; g < made; g++)
			if (groups[g].uid == rows[i].uid &&
			    (!are_runs || groups[g].run == rows[i].run))
				break;
		if (g == made)
			group_make(&groups[made++], &rows[i], are_runs);
		group_add(&groups[g], &rows[i]);
	}
	return made;
}

/* Places a user's clients of one run, or those of none. First those without a parent; what is left
 * then is a circle, of process ids that were used again. */
static void
place_all(struct tree *tree, uint32_t uid, uint64_t run, unsigned depth)
{
	for (unsigned round = 0; round < 2; round++)
		for (size_t i = 0; i < tree->from_count; i++)
			if (!tree->placed[i] && tree->from[i].uid == uid &&
			    tree->from[i].run == run && (round == 1 || !has_parent(tree, i)))
				place(tree, i, depth);
}

/* => 0 or -ENOMEM */
static int
tree_make(const struct top_view *view, struct top_row **rows, size_t *count)
{
	struct tree tree = { .from = *rows, .from_count = *count };
	struct top_row *users = calloc(*count + 1, sizeof(*users));
	struct top_row *runs = calloc(*count + 1, sizeof(*runs));
	size_t user_count, run_count;

	tree.placed = calloc(*count + 1, sizeof(*tree.placed));
	tree.rows = calloc(3 * *count + 1, sizeof(*tree.rows));
	if (!users || !runs || !tree.placed || !tree.rows) {
		free(users);
		free(runs);
		free(tree.placed);
		free(tree.rows);
		return -ENOMEM;
	}
	user_count = groups_make(*rows, *count, false, users);
	qsort_r(users, user_count, sizeof(*users), compare, (void *)(uintptr_t)view);
	run_count = groups_make(*rows, *count, true, runs);
	qsort_r(runs, run_count, sizeof(*runs), compare, (void *)(uintptr_t)view);
	for (size_t u = 0; u < user_count; u++) {
		tree.rows[tree.count++] = users[u];
		for (size_t g = 0; g < run_count; g++) {
			if (runs[g].uid != users[u].uid)
				continue;
			tree.rows[tree.count++] = runs[g];
			place_all(&tree, users[u].uid, runs[g].run, 2);
		}
		place_all(&tree, users[u].uid, 0, 1);
	}
	free(users);
	free(runs);
	free(tree.placed);
	free(*rows);
	*rows = tree.rows;
	*count = tree.count;
	return 0;
}

int
top_rows(const struct top_sample *now, const struct top_sample *last, const struct top_view *view,
    struct top_row **ret, size_t *ret_count)
{
	struct top_row *rows = calloc(now->count + 1, sizeof(*rows));
	double seconds = last ? now->seconds - last->seconds : 0;
	size_t count = 0;
	int r = 0;

	if (!rows)
		return -ENOMEM;
	for (size_t i = 0; i < now->count; i++) {
		const struct pager_wire_client *c = &now->clients[i];

		row_make(
		    &rows[count], c, &now->beside[i], client_before(last, c->session_id), seconds);
		count += row_passes(&rows[count], view->filter);
	}
	qsort_r(rows, count, sizeof(*rows), compare, (void *)(uintptr_t)view);
	if (view->is_tree)
		r = tree_make(view, &rows, &count);
	if (r < 0) {
		free(rows);
		return r;
	}
	*ret = rows;
	*ret_count = count;
	return 0;
}
