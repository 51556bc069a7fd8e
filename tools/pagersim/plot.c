/* SPDX-License-Identifier: MIT
 *
 * The picture: major faults over the number of frames, with MIN as the lower bound; in the pager
 * model a second panel with soft against major faults.
 */
#include "report.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base.h"
#include "gnuplot.h"
#include "message.h"
#include "output.h"

enum { PANEL_WIDTH = 760, HEIGHT = 560, POINTS_MAX = 32 };
/* The columns of a policy's data. */
enum column { FRAMES, MAJORS, SOFTS };

static const char *const colours[] = { "#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd",
	"#8c564b", "#e377c2", "#bcbd22", "#17becf", "#7f7f7f", "#aec7e8", "#98df8a", "#c49c94",
	"#f7b6d2" };

static uint64_t
value(const struct replay *r, unsigned p, unsigned i, enum column column)
{
	const struct sim_result *c = &replay_cell(r, p, i)->result;

	return column == FRAMES ? r->frames[i] : column == MAJORS ? c->majors : c->soft;
}

static int
by_frames(const void *a, const void *b, void *arg)
{
	const struct replay *r = arg;
	uint32_t fa = r->frames[*(const unsigned *)a], fb = r->frames[*(const unsigned *)b];

	return (fa > fb) - (fa < fb);
}

/* order: the sizes, ascending. */
static void
write_data(FILE *script, const struct replay *r, unsigned p, const unsigned *order)
{
	fprintf(script, "$policy_%u << EOD\n", p);
	for (unsigned i = 0; i < r->nframes; i++)
		fprintf(script, "%" PRIu64 " %" PRIu64 " %" PRIu64 "\n",
		    value(r, p, order[i], FRAMES), value(r, p, order[i], MAJORS),
		    value(r, p, order[i], SOFTS));
	fputs("EOD\n", script);
}

/* Logarithmic when the values span more than a decade and a half. */
static void
write_axis(FILE *script, const struct replay *r, char axis, enum column column, const char *name)
{
	uint64_t min = UINT64_MAX, max = 0;

	for (unsigned p = 0; p < r->nall; p++)
		for (unsigned i = 0; i < r->nframes; i++) {
			uint64_t v = value(r, p, i, column);

			min = v < min ? v : min;
			max = v > max ? v : max;
		}
	fprintf(script, "set %clabel '%s'\nunset logscale %c\n", axis, name, axis);
	if (min > 0 && max / min > 30)
		fprintf(script, "set logscale %c\nset %crange [*:*]\n", axis, axis);
	else
		fprintf(script, "set %crange [0:%s]\n", axis, max > 0 ? "*" : "1");
}

static void
write_panel(FILE *script, const struct replay *r, enum column x, const char *name)
{
	const char *before = "plot ";

	write_axis(script, r, 'x', x, name);
	write_axis(script, r, 'y', MAJORS, "major faults");
	for (unsigned p = 0; p < r->nall; p++) {
		bool min = (int)p == r->min;

		/* MIN is drawn as the bound even if it was not asked for. */
		if (p >= r->npolicies && !(min && x == FRAMES))
			continue;
		fprintf(script, "%s$policy_%u using %d:%d with %s lw %s lc rgb '%s' title ", before,
		    p, x + 1, MAJORS + 1,
		    r->nframes <= POINTS_MAX ? "linespoints pt 7 ps 0.4" : "lines",
		    min ? "2.5" : "1.5", min ? "#000000" : colours[p % ARRAY_LEN(colours)]);
		gnuplot_quote(script, r->policies[p].label);
		before = ", \\\n ";
	}
	fputc('\n', script);
}

static void
write_script(FILE *script, const struct replay *r, const unsigned *order)
{
	unsigned panels = r->model == SIM_PAGER ? 2 : 1;
	char title[512];

	for (unsigned p = 0; p < r->nall; p++)
		write_data(script, r, p, order);
	snprintf(title, sizeof(title), "%s: %zu references, %" PRIu32 " pages, %s model", r->title,
	    r->trace->references, r->trace->npages, r->model == SIM_PAGER ? "pager" : "textbook");
	fprintf(script,
	    "set terminal svg size %u,%d noenhanced font 'sans,12' background rgb 'white'\n"
	    "set grid\nset key outside bottom center horizontal\nset multiplot layout 1,%u title ",
	    panels * PANEL_WIDTH, HEIGHT, panels);
	gnuplot_quote(script, title);
	fputc('\n', script);
	write_panel(script, r, FRAMES, "frames");
	if (panels == 2)
		write_panel(script, r, SOFTS, "soft faults");
	fputs("unset multiplot\n", script);
}

static int
draw(const struct replay *r, const unsigned *order, const char *path)
{
	FILE *script = tmpfile();
	struct output out;
	int error, closed;

	if (script == NULL)
		return error_print(-errno, "temporary file: %s", strerror(errno));
	write_script(script, r, order);
	error = output_open(&out, path);
	if (error == 0) {
		error = gnuplot_draw(script, out.file);
		if (error != 0 && ferror(out.file))
			output_failed(&out);
		else if (error != 0)
			error_print(error, "--plot %s: %s", path, gnuplot_strerror(error));
		closed = output_close(&out, error == 0);
		error = error != 0 ? error : closed;
	}
	fclose(script);
	return error;
}

int
report_plot(const struct replay *r, const char *path)
{
	unsigned *order = calloc(r->nframes, sizeof(*order));
	int error;

	if (order == NULL)
		return error_print(-ENOMEM, "not enough memory");
	for (unsigned i = 0; i < r->nframes; i++)
		order[i] = i;
	qsort_r(order, r->nframes, sizeof(*order), by_frames, (void *)r);
	error = draw(r, order, path);
	free(order);
	return error;
}
