/* SPDX-License-Identifier: MIT
 *
 * A file that is written completely or not at all. The old file, which may be the one that is being
 * read, stays until everything has been written.
 */
#ifndef PAGERSIM_OUTPUT_H
#define PAGERSIM_OUTPUT_H

#include <stdbool.h>
#include <stdio.h>

struct output {
	FILE *file;
	const char *name; /* for messages */
	char *path;       /* `temporary` is renamed to this */
	char *temporary;  /* NULL: written directly (standard output, a device, a pipe) */
	bool failed;      /* the failure has been printed */
};

/* path: NULL or "-" for standard output; must stay valid. => 0; or a negative errno, printed:
 * nothing is open. */
int output_open(struct output *o, const char *path);
/* Prints errno as the reason of a failed write, once. => -EIO. */
int output_failed(struct output *o);
/* good false: the old file stays. => 0; or a negative errno, printed: the file is not complete. */
int output_close(struct output *o, bool good);

#endif
