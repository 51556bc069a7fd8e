/* SPDX-License-Identifier: MIT
 *
 * The programs of `pagerbench programs`: what is started, on which input, and which Debian package
 * has it.
 */
#ifndef BENCH_PROGRAMS_TABLE_H
#define BENCH_PROGRAMS_TABLE_H

#include <limits.h>
#include <stdint.h>

#define PROGRAM_ARGS 12

struct program_plan;

struct program {
	const char *name;
	const char *file;     /* what is looked for */
	const char *package;  /* Debian's, which has it */
	const char *text;     /* what it does at full size */
	unsigned least_level; /* of memory, percent of its peak: less is no use to anybody */
	/* Writes its input into the plan's directory, and the arguments. => 0 or -errno */
	int (*prepare)(struct program_plan *plan);
};

/* A program that is installed, with an input of one size. */
struct program_plan {
	const struct program *program;
	const char *directory;
	double scale;  /* 1: full size */
	uint64_t seed; /* of what is random in the input */
	char path[PATH_MAX];
	char text[PROGRAM_ARGS][PATH_MAX]; /* room for arguments that are made */
	unsigned texts;
	const char *argv[PROGRAM_ARGS + 1]; /* ends with NULL */
};

extern const struct program programs[]; /* ends with a name of NULL */

const struct program *program_named(const char *name);
/* Finds the program; ret->directory, scale and seed are the caller's. => 0; -ENOENT: it is not
 * installed; another -errno, printed: its input cannot be made. */
int program_prepare(const struct program *p, struct program_plan *ret);

#endif
