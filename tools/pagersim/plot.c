/* SPDX-License-Identifier: MIT
 *
 * SVG written directly: major faults over the number of frames, MIN as the lower envelope; in the
 * pager model a second panel with soft against major faults.
 */
#include "replay.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "output.h"
#include "pagersim.h"

enum { PANEL_W = 560, PANEL_H = 380, LEFT = 90, TOP = 50, BOTTOM = 60, LEGEND_W = 190 };

struct axis {
	double min, max;
	bool log;
};

static const char *const colours[] = { "#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd",
	"#8c564b", "#e377c2", "#bcbd22", "#17becf", "#7f7f7f", "#aec7e8", "#98df8a", "#c49c94",
	"#f7b6d2" };

static const char *
colour(const struct replay *r, unsigned p)
{
	return (int)p == r->min ? "#000000" : colours[p % ARRAY_LEN(colours)];
}

static double
axis_place(const struct axis *a, double v)
{
	if (a->log)
		return a->max > a->min
			   ? (log(fmax(v, a->min)) - log(a->min)) / (log(a->max) - log(a->min))
			   : 0;
	return a->max > a->min ? (v - a->min) / (a->max - a->min) : 0;
}

static void
axis_extend(struct axis *a, double v)
{
	a->min = fmin(a->min, v);
	a->max = fmax(a->max, v);
}

/* Logarithmic when the values span more than a decade and a half. */
static void
axis_finish(struct axis *a)
{
	a->log = a->min > 0 && a->max / a->min > 30;
	if (!a->log)
		a->min = 0;
	if (a->max <= a->min)
		a->max = a->min + 1;
}

static void
text(FILE *out, double x, double y, const char *anchor, const char *s)
{
	fprintf(out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"%s\">", x, y, anchor);
	for (; *s != '\0'; s++) {
		if (*s == '<' || *s == '&')
			fputs(*s == '<' ? "&lt;" : "&amp;", out);
		else
			fputc(*s, out);
	}
	fputs("</text>\n", out);
}

static void
draw_ticks(FILE *out, const struct axis *a, bool vertical, double x0)
{
	for (int i = 0; i <= 5; i++) {
		double part = i / 5.0, v = a->min + part * (a->max - a->min);
		char label[32];

		if (a->log)
			v = exp(log(a->min) + part * (log(a->max) - log(a->min)));
		snprintf(label, sizeof(label), "%.*g", v < 1e6 ? 6 : 4,
		    v < 100 ? round(v * 10) / 10 : round(v));
		if (vertical) {
			double y = TOP + PANEL_H * (1 - part);

			fprintf(out,
			    "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" "
			    "stroke=\"#ddd\"/>\n",
			    x0, y, x0 + PANEL_W, y);
			text(out, x0 - 6, y + 4, "end", label);
		} else {
			text(out, x0 + PANEL_W * part, TOP + PANEL_H + 18, "middle", label);
		}
	}
}

static void
draw_frame(FILE *out, double x0, const struct axis *x, const struct axis *y, const char *x_name,
    const char *y_name)
{
	draw_ticks(out, y, true, x0);
	draw_ticks(out, x, false, x0);
	fprintf(out,
	    "<rect x=\"%.1f\" y=\"%d\" width=\"%d\" height=\"%d\" fill=\"none\" "
	    "stroke=\"#444\"/>\n",
	    x0, TOP, PANEL_W, PANEL_H);
	text(out, x0 + PANEL_W / 2.0, TOP + PANEL_H + 42, "middle", x_name);
	text(out, x0, TOP - 10, "start", y_name);
}

static int
by_frames(const void *a, const void *b, void *arg)
{
	const struct replay *r = arg;
	uint32_t fa = r->frames[*(const unsigned *)a], fb = r->frames[*(const unsigned *)b];

	return (fa > fb) - (fa < fb);
}

static double
value(const struct replay *r, unsigned p, unsigned i, bool soft)
{
	const struct sim_result *c = &replay_cell(r, p, i)->result;

	return (double)(soft ? c->soft : c->majors);
}

/* One policy's line; x is frames, or soft faults in the second panel. */
static void
draw_policy(FILE *out, const struct replay *r, unsigned p, const unsigned *order, double x0,
    const struct axis *x, const struct axis *y, bool soft)
{
	fprintf(out,
	    "<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"%s\" "
	    "stroke-linejoin=\"round\" points=\"",
	    colour(r, p), (int)p == r->min ? "2.5" : "1.5");
	for (unsigned i = 0; i < r->nframes; i++) {
		double h = soft ? value(r, p, order[i], true) : r->frames[order[i]];

		fprintf(out, "%.1f,%.1f ", x0 + PANEL_W * axis_place(x, h),
		    TOP + PANEL_H * (1 - axis_place(y, value(r, p, order[i], false))));
	}
	fputs("\"/>\n", out);
	for (unsigned i = 0; i < r->nframes && r->nframes <= 32; i++) {
		double h = soft ? value(r, p, order[i], true) : r->frames[order[i]];

		fprintf(out, "<circle r=\"2.5\" fill=\"%s\" cx=\"%.1f\" cy=\"%.1f\"/>\n",
		    colour(r, p), x0 + PANEL_W * axis_place(x, h),
		    TOP + PANEL_H * (1 - axis_place(y, value(r, p, order[i], false))));
	}
}

static void
draw_legend(FILE *out, const struct replay *r, double x0)
{
	for (unsigned p = 0; p < r->nall; p++) {
		double y = TOP + 12 + 20.0 * p;

		if (p >= r->npolicies && (int)p != r->min)
			continue;
		fprintf(out,
		    "<line x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\" stroke=\"%s\" "
		    "stroke-width=\"3\"/>\n",
		    x0, y, x0 + 22, y, colour(r, p));
		text(out, x0 + 28, y + 4, "start", r->policies[p].label);
	}
}

static void
draw(FILE *out, const struct replay *r, const unsigned *order)
{
	unsigned panels = r->model == SIM_PAGER ? 2 : 1;
	struct axis frames = { .min = INFINITY }, majors = { .min = INFINITY },
		    softs = { .min = INFINITY };
	double x0 = LEFT;
	char title[512];

	for (unsigned i = 0; i < r->nframes; i++) {
		axis_extend(&frames, r->frames[i]);
		for (unsigned p = 0; p < r->nall; p++) {
			axis_extend(&majors, value(r, p, i, false));
			axis_extend(&softs, value(r, p, i, true));
		}
	}
	axis_finish(&frames);
	axis_finish(&majors);
	axis_finish(&softs);
	fprintf(out,
	    "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%u\" height=\"%d\" "
	    "font-family=\"sans-serif\" "
	    "font-size=\"12\">\n<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n",
	    panels * (LEFT + PANEL_W) + 20 + LEGEND_W, TOP + PANEL_H + BOTTOM);
	snprintf(title, sizeof(title), "%s: %zu references, %" PRIu32 " pages, %s model", r->title,
	    r->trace->references, r->trace->npages, r->model == SIM_PAGER ? "pager" : "textbook");
	text(out, LEFT, 18, "start", title);
	for (unsigned panel = 0; panel < panels; panel++, x0 += LEFT + PANEL_W) {
		const struct axis *x = panel == 0 ? &frames : &softs;

		draw_frame(
		    out, x0, x, &majors, panel == 0 ? "frames" : "soft faults", "major faults");
		for (unsigned p = 0; p < r->nall; p++)
			if (p < r->npolicies || ((int)p == r->min && panel == 0))
				draw_policy(out, r, p, order, x0, x, &majors, panel == 1);
	}
	draw_legend(out, r, x0 - LEFT + 16);
	fputs("</svg>\n", out);
}

int
report_plot(const struct replay *r, const char *path)
{
	unsigned *order = calloc(r->nframes, sizeof(*order));
	struct output out;
	int error =
	    order != NULL ? output_open(&out, path) : error_print(-ENOMEM, "not enough memory");

	if (error != 0) {
		free(order);
		return error;
	}
	for (unsigned i = 0; i < r->nframes; i++)
		order[i] = i;
	qsort_r(order, r->nframes, sizeof(*order), by_frames, (void *)r);
	draw(out.file, r, order);
	free(order);
	return output_close(&out, true);
}
