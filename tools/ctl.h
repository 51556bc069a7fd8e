/* SPDX-License-Identifier: MIT
 *
 * pagerctl: what every command sees. A command is a row in pagerctl.c and a function cmd_<verb> in
 * cmd_<verb>.c that returns an exit status and has said why when it is not CTL_OK.
 */
#ifndef CTL_H
#define CTL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "chan.h"

enum ctl_status { CTL_OK = 0, CTL_FAILED = 1, CTL_USAGE = 2 };

enum ctl_option {
#define OPTION(NAME, letter, name, argument, text) CTL_OPT_##NAME,
#include "options.h"
	CTL_OPT_COUNT_OF
};
#define CTL_ACCEPTS(NAME) (1u << CTL_OPT_##NAME)

/* Who is meant: a session, or all of a process; neither: nobody in particular. */
struct ctl_client {
	uint64_t session;
	uint32_t pid;
};

struct ctl {
	const char *verb;
	const char *socket; /* NULL: the default */
	bool json;
	char unit;                /* 'a' auto, 'B', 'K', 'M', 'G' */
	double interval;          /* seconds; 0: once */
	uint64_t count;           /* 0: no end */
	struct ctl_client client; /* of --client */
	const char *client_text;  /* NULL: not given */
	uint32_t window;
	struct chan chan;
	struct pager_rep_hello hello;
};

/* Connects and says hello as a tool: a command does it once its arguments are known to be right. =>
 * CTL_OK or CTL_FAILED, explained. */
int ctl_connect(struct ctl *ctl);
/* Says what failed, why, and what can be done. error: a negative errno. => CTL_FAILED. */
int ctl_fail(const struct ctl *ctl, int error, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* => CTL_USAGE. */
int ctl_usage(const struct ctl *ctl, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Waits one interval, or not at all after the last report. reports: how many are out. => false:
 * that was the last. */
bool ctl_next_report(const struct ctl *ctl, uint64_t reports);

int cmd_stat(struct ctl *ctl, int argc, char **argv);
int cmd_top(struct ctl *ctl, int argc, char **argv);
int cmd_clients(struct ctl *ctl, int argc, char **argv);
int cmd_map(struct ctl *ctl, int argc, char **argv);
int cmd_footprint(struct ctl *ctl, int argc, char **argv);
int cmd_limit(struct ctl *ctl, int argc, char **argv);
int cmd_check(struct ctl *ctl, int argc, char **argv);
int cmd_debug(struct ctl *ctl, int argc, char **argv);
int cmd_policy(struct ctl *ctl, int argc, char **argv);
int cmd_trace(struct ctl *ctl, int argc, char **argv);
int cmd_param(struct ctl *ctl, int argc, char **argv);

#endif
