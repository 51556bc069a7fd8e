/* SPDX-License-Identifier: MIT
 *
 * One run of a program: as it is, under `pagerctl run` with a daemon that serves already, or in a
 * memory cgroup. Its standard output and error are compared with those of the first run, byte for
 * byte, as they come.
 */
#ifndef BENCH_PROGRAMS_ONE_H
#define BENCH_PROGRAMS_ONE_H

#include <stdbool.h>

#include "journal.h"
#include "peak.h"
#include "table.h"

/* Where what the first run has printed is kept; files of the plan's directory. */
struct reference {
	int fds[2]; /* standard output and error */
	uint64_t bytes[2];
	int status; /* as of wait(2) */
};

struct one_request {
	const struct program_plan *plan;
	struct journal *journal; /* the guardian's: it ends the processes if this one is killed */
	bool in_cgroup;          /* the journal's */
	const char *pagerctl;    /* the program, for a run under pagerd; NULL */
	const char *socket;      /* of its daemon */
	double limit_s;          /* then it is ended; 0: never */
	struct peak *peak;       /* looked at; NULL */
	bool smaps;              /* see peak_look */
	bool is_first;           /* what it prints is the reference */
	struct reference *reference;
};

struct one_result {
	double seconds; /* from the fork to the end of the process */
	double cpu_s;   /* of the process and the children that it has waited for */
	bool is_slow;   /* ended at the limit; nothing else is known */
	bool is_equal;  /* output, error and exit status */
	int status;
};

/* => 0; -EINTR: a signal asked this process to end; another -errno */
int one_run(const struct one_request *request, struct one_result *ret);

#endif
