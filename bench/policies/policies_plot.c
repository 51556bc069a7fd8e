/* SPDX-License-Identifier: MIT
 *
 * Two pictures for each workload: live miss ratios over sizes, with MIN as the lower bound; and
 * soft against major faults, that is, what a policy pays to learn about touches and what it gains.
 */
#include "policies_plot.h"

#include "gnuplot.h"
#include "load.h"
#include "picture.h"
#include "policies_report.h"

static void
curve_data(const struct policies *p, unsigned load, FILE *f)
{
	double touches = (double)(p->touches + p->pages);

	for (unsigned policy = 0; policy <= p->name_count; policy++) {
		fprintf(f, "$curve_%u_%u << EOD\n", load, policy);
		for (unsigned fraction = 0; fraction < p->fraction_count; fraction++) {
			bool live = policy < p->name_count;
			struct policy_counts c =
			    live ? policies_live(p, load, fraction, policy)
				 : p->predicted[load][fraction][policies_min(p)];

			fprintf(f, "%u %g %llu %llu\n", p->fractions[fraction],
			    (double)c.major / touches, (unsigned long long)c.major,
			    (unsigned long long)c.soft);
		}
		fputs("EOD\n", f);
	}
}

static void
curve_plot(const struct policies *p, unsigned load, FILE *f)
{
	fprintf(f,
	    "set title '%s: miss ratio, live' noenhanced\nset xlabel 'frames, percent of the "
	    "working set'\n"
	    "set ylabel 'major faults / touch'\nset xrange [*:*]\nset yrange [0:*]\nunset "
	    "logscale\n"
	    "plot $curve_%u_%u using 1:2 with filledcurves y1=0 lc rgb '#dddddd' notitle, \\\n"
	    " $curve_%u_%u using 1:2 with lines lw 2 lc rgb 'black' title 'min'",
	    load_name(p->loads[load]), load, p->name_count, load, p->name_count);
	for (unsigned policy = 0; policy < p->name_count; policy++) {
		fprintf(f,
		    ", \\\n $curve_%u_%u using 1:2 with linespoints lt %u pt %u ps 0.5 title ",
		    load, policy, policy + 1, policy + 4);
		gnuplot_quote(f, p->names[policy]);
	}
	fprintf(f,
	    "\nset title '%s: soft against major faults' noenhanced\nset xlabel 'major faults'\n"
	    "set ylabel 'soft faults'\nplot ",
	    load_name(p->loads[load]));
	for (unsigned policy = 0; policy < p->name_count; policy++) {
		fprintf(f, "%s$curve_%u_%u using 3:4 with points lt %u pt %u title ",
		    policy ? ", \\\n " : "", load, policy, policy + 1, policy + 4);
		gnuplot_quote(f, p->names[policy]);
	}
	fputc('\n', f);
}

int
policies_plot(const struct policies *p, const char *path)
{
	FILE *f = tmpfile();

	if (!f)
		return picture_write(f, path);
	for (unsigned load = 0; load < p->load_count; load++)
		curve_data(p, load, f);
	fprintf(f,
	    "set terminal svg size 1200,%u noenhanced font 'sans,11' background rgb 'white'\n"
	    "set grid\nset key outside right center\nset multiplot layout %u,2\n",
	    360 * p->load_count, p->load_count);
	for (unsigned load = 0; load < p->load_count; load++)
		curve_plot(p, load, f);
	fputs("unset multiplot\n", f);
	return picture_write(f, path);
}
