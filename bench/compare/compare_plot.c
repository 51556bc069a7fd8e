/* SPDX-License-Identifier: MIT */
#include "compare_plot.h"

#include <stdio.h>
#include <stdlib.h>

#include "gnuplot.h"
#include "picture.h"
#include "spread.h"

/* Writes a row's figure as a line of data. => whether it has any ratio. */
static bool
bar_write(FILE *f, const struct row_result *r, const struct target *t, unsigned number)
{
	double *v = calloc(r->pairs, sizeof(*v));
	struct spread s;
	size_t n = 0;

	for (unsigned i = 0; v && i < r->pairs; i++)
		if (r->a[i].figure[t->figure] > 0)
			v[n++] = r->b[i].figure[t->figure] / r->a[i].figure[t->figure];
	s = spread_of(v, n);
	if (n)
		fprintf(f, "%u \"%s, %u: %s\" %g %g %g %g\n", number, r->row.scenario,
		    r->row.threads, figure_names[t->figure], s.min, s.median, s.max, t->at_most);
	free(v);
	return n > 0;
}

static void
script_write(FILE *f, const struct row_result *rows, unsigned count)
{
	unsigned number = 0;

	fputs("$data << EOD\n", f);
	for (unsigned i = 0; i < count; i++)
		for (unsigned j = 0; j < TARGETS_MAX; j++)
			if (rows[i].row.targets[j].at_most > 0)
				number += bar_write(f, &rows[i], &rows[i].row.targets[j], number);
	fprintf(f,
	    "EOD\n"
	    "set terminal svg size 1000,560 noenhanced font 'sans,12' background rgb 'white'\n"
	    "set title 'pagerd / what it is compared with: median, least and greatest pair'\n"
	    "set logscale y\nset yrange [*:*]\nset ylabel 'ratio, less is better'\n"
	    "set grid y\nset boxwidth 0.6\nset style fill solid 0.5\nset xrange [-0.6:%u - 0.4]\n"
	    "set xtics rotate by 40 right\nset key outside bottom center horizontal\n"
	    "plot 1 with lines lc rgb 'black' title 'the same', \\\n"
	    " $data using 1:4:xtic(2) with boxes lc rgb '#4477aa' title 'median', \\\n"
	    " '' using 1:4:3:5 with yerrorbars lc rgb 'black' pt 7 ps 0.3 title 'least to "
	    "greatest', \\\n"
	    " '' using 1:6 with points lc rgb '#cc3311' pt 2 title 'target'\n",
	    number ? number : 1);
}

int
plot_write(const char *path, const struct row_result *rows, unsigned count)
{
	FILE *script = tmpfile();

	if (script)
		script_write(script, rows, count);
	return picture_write(script, path);
}
