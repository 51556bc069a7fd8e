/* SPDX-License-Identifier: MIT */
#include <stdio.h>

#include "gnuplot.h"
#include "picture.h"
#include "results.h"

/* A line of data for each cell: number, name, pagerd / plain, pagerd / peer as median, least,
 * greatest; what there is not is "?". */
static void
script_write(FILE *f, const struct results *r)
{
	unsigned number = 0, pairs;

	fputs("$data << EOD\n", f);
	for (unsigned i = 0; i < r->count; i++)
		for (unsigned k = 0; k < r->programs[i].cell_count; k++) {
			const struct cell *c = &r->programs[i].cells[k];
			struct spread peer = cell_ratio(c, &pairs),
				      plain = cell_plain_ratio(&r->programs[i], c);

			fprintf(f, "%u \"%s, %u %%%s\"", number++, r->programs[i].program->name,
			    c->level, c->pagerd == SIDE_SLOW ? ", slow" : "");
			if (plain.median > 0)
				fprintf(f, " %g", plain.median);
			else
				fputs(" ?", f);
			if (pairs)
				fprintf(f, " %g %g %g\n", peer.median, peer.min, peer.max);
			else
				fputs(" ? ? ?\n", f);
		}
	fprintf(f,
	    "EOD\n"
	    "set terminal svg size 1000,560 noenhanced font 'sans,12' background rgb 'white'\n"
	    "set title 'programs under pagerctl run: time, less is better'\n"
	    "set datafile missing '?'\n"
	    "set logscale y\nset yrange [*:*]\nset ylabel 'ratio'\n"
	    "set grid y\nset boxwidth 0.6\nset style fill solid 0.5\nset xrange [-0.6:%u - 0.4]\n"
	    "set xtics rotate by 40 right\nset key outside bottom center horizontal\n"
	    "plot 1 with lines lc rgb 'black' title 'the same', \\\n"
	    " $data using 1:4:xtic(2) with boxes lc rgb '#4477aa' title 'pagerd / peer, median', "
	    "\\\n"
	    " '' using 1:4:5:6 with yerrorbars lc rgb 'black' pt 7 ps 0.3 title 'least to "
	    "greatest', \\\n"
	    " '' using 1:3:xtic(2) with points lc rgb '#cc3311' pt 2 title 'pagerd / plain'\n",
	    number ? number : 1);
}

int
programs_plot(const struct results *r, const char *path)
{
	FILE *script = tmpfile();

	if (script)
		script_write(script, r);
	return picture_write(script, path);
}
