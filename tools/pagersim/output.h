/* SPDX-License-Identifier: MIT
 *
 * A file that is written as a whole or not at all: what was there, which may be what is being read,
 * stays until everything has been written.
 */
#ifndef PAGERSIM_OUTPUT_H
#define PAGERSIM_OUTPUT_H

#include <stdbool.h>
#include <stdio.h>

struct output {
	FILE *file;
	const char *name; /* for messages */
	char *path;       /* what `temporary` is to become */
	char *temporary;  /* NULL: written directly (standard output, a device, a pipe) */
	bool failed;      /* and that has been said */
};

/* path NULL or "-": standard output. Must stay valid. Messages are printed. => 0 or a negative
 * errno, and nothing is open */
int output_open(struct output *o, const char *path);
/* Says why something could not be written, once. => -EIO */
int output_failed(struct output *o);
/* good false: what was there stays. => 0 or a negative errno, said: then the file is not good */
int output_close(struct output *o, bool good);

#endif
