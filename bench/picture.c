/* SPDX-License-Identifier: MIT */
#include "picture.h"

#include <errno.h>

#include "gnuplot.h"

int
picture_write(FILE *script, const char *path)
{
	FILE *file = script ? fopen(path, "we") : NULL;
	int error = file ? gnuplot_draw(script, file) : -errno;

	if (file && fclose(file) && !error)
		error = -errno;
	if (script)
		fclose(script);
	if (error)
		fprintf(stderr, "pagerbench: cannot draw %s: %s\n", path, gnuplot_strerror(error));
	return error;
}
