/* SPDX-License-Identifier: MIT
 *
 * pagerctl top: samples the daemon at each interval and shows it: on a terminal with keys
 * (top_screen.c, top_keys.c); else, with --batch or --json, one picture after the other.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "top_actions.h"
#include "top_sample.h"
#include "top_screen.h"
#include "top_text.h"

/* The regions of a client are not asked for again for this many times as long as that took. */
#define REGIONS_PAUSE 20

struct top {
	struct ctl *ctl;
	struct statread stat;
	struct top_source *source;
	struct top_sample now, last;
	bool has_last;
	struct top_ui ui;
	struct top_levels levels;
	struct top_row *rows;
	size_t row_count;
	struct pager_wire_region *regions;
	size_t region_count;
	double regions_next; /* not before then; seconds */
};

/* => 0 or -ENOMEM */
static int
rows_make(struct top *top)
{
	struct top_row *rows;
	size_t count;
	int r =
	    top_rows(&top->now, top->has_last ? &top->last : NULL, &top->ui.view, &rows, &count);

	if (r < 0)
		return r;
	free(top->rows);
	top->rows = rows;
	top->row_count = count;
	return 0;
}

/* Takes a new sample; the current one becomes the last. => 0, CTL_FAILED or -errno. */
static int
sample(struct top *top)
{
	struct top_sample next;
	int r = top_sample_take(top->source, &next);

	if (r != 0)
		return r;
	top_sample_free(&top->last);
	top->last = top->now;
	top->has_last = top->last.values != NULL;
	top->now = next;
	top_levels_read(&top->stat, &top->now, top->has_last ? &top->last : NULL,
	    top->ctl->hello.page_size, &top->levels);
	return rows_make(top);
}

/* --- without a terminal --- */

static void
print_picture(const struct top *top)
{
	char text[TOP_LINE];

	puts(top_text_daemon(&top->levels, top->stat.header->daemon_pid, top->now.count, text));
	for (unsigned i = 0; i < TOP_HEAD_LINES; i++)
		puts(top_text_head(top->ctl, &top->levels, i, text));
	puts(top_text_titles(TOP_WIDE, top->ui.view.sort, text));
	for (size_t i = 0; i < top->row_count; i++)
		puts(top_text_row(top->ctl, &top->rows[i], TOP_WIDE, text));
	putchar('\n');
}

/* A row's client, with all that is known of it. */
static struct json_object *
row_json(const struct top *top, const struct top_row *row)
{
	for (size_t i = 0; i < top->now.count; i++) {
		struct json_object *object;

		if (row->is_group || top->now.clients[i].session_id != row->session)
			continue;
		object = clients_json(&top->now.clients[i]);
		top_text_json(object, row);
		return object;
	}
	return NULL;
}

static void
print_json(const struct top *top)
{
	struct json_object *object = json_object_new_object(), *stat = json_object_new_object();
	struct json_object *array = json_object_new_array();

	for (uint32_t i = 0; i < top->stat.count; i++)
		out_add_i64(stat, top->stat.descriptors[i].name, top->now.values[i]);
	for (size_t i = 0; i < top->row_count; i++) {
		struct json_object *client = row_json(top, &top->rows[i]);

		if (client)
			json_object_array_add(array, client);
	}
	json_object_object_add(object, "stat", stat);
	json_object_object_add(object, "clients", array);
	out_json(top->ctl, object);
}

static int
run_batch(struct top *top)
{
	uint64_t reports = 0;
	int r;

	do {
		r = sample(top);
		if (r != 0)
			return r;
		if (top->ctl->json)
			print_json(top);
		else
			print_picture(top);
	} while (ctl_next_report(top->ctl, ++reports));
	return 0;
}

/* --- on a terminal --- */

/* A client that has ended, or is not to be looked at, has no regions to be shown, and the last line
 * says so. => 0, CTL_FAILED or -errno */
static int
regions_read(struct top *top)
{
	double begin = clock_seconds(), end;
	struct pager_wire_region *regions = NULL;
	size_t count = 0;
	int r = top_regions_take(top->ctl, top->ui.shown, &regions, &count);

	end = clock_seconds();
	top->regions_next = end + (end - begin) * REGIONS_PAUSE;
	if (r != 0 && r != -ESRCH && r != -ENOENT && r != -EPERM && r != -EACCES)
		return r;
	if (r == -EPERM || r == -EACCES)
		snprintf(top->ui.message, sizeof(top->ui.message),
		    "only the client's own user, root and the daemon's user may see its regions");
	free(top->regions);
	top->regions = regions;
	top->region_count = count;
	top_ui_regions(&top->ui, count, top_screen_rows(&top->ui));
	return 0;
}

static int
sample_for_screen(struct top *top)
{
	int r = sample(top);

	top_ui_follow(&top->ui, top->rows, top->row_count, top_screen_rows(&top->ui));
	if (r == 0 && top->ui.page == TOP_REGIONS && clock_seconds() >= top->regions_next)
		r = regions_read(top);
	return r;
}

/* => 0; 1: the user has ended it; CTL_FAILED or -errno in *ret_error */
static int
key_take(struct top *top, int key, int *ret_error)
{
	enum top_do what = top_ui_key(
	    &top->ui, key, top->rows, top->row_count, top_screen_rows(&top->ui), top->region_count);

	switch (what) {
	case TOP_DO_QUIT:
		return 1;
	case TOP_DO_ROWS:
		*ret_error = rows_make(top);
		break;
	case TOP_DO_REGIONS:
		*ret_error = regions_read(top);
		break;
	case TOP_DO_ACT:
		*ret_error = top_action_do(
		    top->ctl, &top->ui.action, top->ui.message, sizeof(top->ui.message));
		/* What was refused is said on the last line. */
		if (*ret_error != -ENOTCONN && *ret_error != CTL_FAILED)
			*ret_error = sample_for_screen(top);
		break;
	case TOP_DO_SAMPLE:
		*ret_error = sample_for_screen(top);
		break;
	case TOP_DO_DRAW:
		break;
	}
	/* The screen may have another size now. */
	top_ui_follow(&top->ui, top->rows, top->row_count, top_screen_rows(&top->ui));
	top_ui_regions(&top->ui, top->region_count, top_screen_rows(&top->ui));
	return 0;
}

static int
run_screen(struct top *top)
{
	struct top_picture picture = { .ctl = top->ctl, .ui = &top->ui, .levels = &top->levels };
	uint64_t count = 1;
	int r = sample_for_screen(top), quits = 0;
	double next = clock_seconds() + top->ui.interval;

	while (r == 0 && !quits) {
		double now;
		int key;

		picture.rows = top->rows;
		picture.row_count = top->row_count;
		picture.client_count = top->now.count;
		picture.regions = top->regions;
		picture.region_count = top->region_count;
		top_screen_draw(&picture);
		now = clock_seconds();
		/* The interval may have become shorter. */
		next = next > now + top->ui.interval ? now + top->ui.interval : next;
		key = top_screen_key(next - now);
		if (key >= 0)
			quits = key_take(top, key, &r);
		if (r != 0 || quits || clock_seconds() < next)
			continue;
		if (top->ctl->count != 0 && ++count > top->ctl->count)
			break;
		r = sample_for_screen(top);
		next = clock_seconds() + top->ui.interval;
	}
	return r;
}

/* --- the whole --- */

static int
view_take(struct ctl *ctl, struct top_ui *ui)
{
	if (ctl->interval <= 0)
		ctl->interval = 1;
	*ui = (struct top_ui){ .interval = ctl->interval, .view = { .sort = TOP_FOOTPRINT } };
	ui->view.is_tree = ctl->tree;
	if (ctl->sort) {
		ui->view.sort = top_column_find(ctl->sort);
		if (ui->view.sort == TOP_COLUMNS)
			return ctl_usage(ctl,
			    "there is no column \"%s\"; say footprint, resident or stall, for "
			    "example (the manual has them all)",
			    ctl->sort);
	}
	if (!ctl->filter)
		return CTL_OK;
	if (strlen(ctl->filter) >= sizeof(ui->view.filter))
		return ctl_usage(ctl, "\"%.20s...\" is too long", ctl->filter);
	snprintf(ui->view.filter, sizeof(ui->view.filter), "%s", ctl->filter);
	return CTL_OK;
}

static int
run(struct top *top)
{
	struct ctl *ctl = top->ctl;
	int r;

	top->source = top_source_open(ctl, &top->stat);
	if (!top->source)
		return -ENOMEM;
	if (ctl->json || ctl->batch || !isatty(STDIN_FILENO) || !isatty(STDOUT_FILENO))
		return run_batch(top);
	r = top_screen_open();
	if (r < 0) {
		fprintf(stderr,
		    "pagerctl top: cannot draw on this terminal; set TERM, or use --batch\n");
		return CTL_FAILED;
	}
	r = run_screen(top);
	top_screen_close();
	return r;
}

int
cmd_top(struct ctl *ctl, int argc, char **argv)
{
	struct top top = { .ctl = ctl };
	int r;

	(void)argc;
	(void)argv;
	r = view_take(ctl, &top.ui);
	if (r == CTL_OK)
		r = ctl_connect(ctl);
	if (r != CTL_OK)
		return r;
	r = statread_open(&ctl->chan, &top.stat);
	if (r < 0)
		return ctl_fail(ctl, r, "cannot read the statistics segment");
	r = run(&top);
	top_sample_free(&top.now);
	top_sample_free(&top.last);
	free(top.rows);
	free(top.regions);
	top_source_close(top.source);
	statread_close(&top.stat);
	return r != 0 ? ctl_fail(ctl, r, "cannot read statistics and clients") : CTL_OK;
}
