/* SPDX-License-Identifier: MIT
 *
 * pagerctl: what the commands share. A command is a row in pagerctl.c and a function cmd_<verb> in
 * cmd_<verb>.c, which returns an exit status and has printed the reason when it is not CTL_OK.
 */
#ifndef CTL_H
#define CTL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "chan.h"
#include "statread.h"

enum ctl_status { CTL_OK = 0, CTL_FAILED = 1, CTL_USAGE = 2 };

enum ctl_option {
#define OPTION(NAME, letter, name, argument, text) CTL_OPT_##NAME,
#include "options.h"
	CTL_OPT_COUNT_OF
};
_Static_assert(CTL_OPT_COUNT_OF <= 32, "a bit for each option");
#define CTL_ACCEPTS(NAME) (1u << CTL_OPT_##NAME)

/* A session, or all sessions of a process; both 0: no particular client. */
struct ctl_client {
	uint64_t session;
	uint32_t pid;
};

struct ctl {
	const char *verb;
	const char *socket; /* NULL: the default */
	bool json;
	char unit;                           /* 'a' auto, 'B', 'K', 'M', 'G' */
	double interval;                     /* between reports, seconds; 0: one report only */
	uint64_t count;                      /* of reports; 0: no end */
	struct ctl_client client;            /* of --client */
	const char *client_text;             /* NULL: not given */
	uint32_t window;                     /* of --window, pages; 0: not given */
	const char *simulate;                /* of --simulate; NULL: not given */
	uint64_t forget;                     /* of --forget, an object; 0: not given */
	const char *listen;                  /* of --listen; NULL: not given */
	const char *memory, *swap_directory; /* of --memory and --swap-dir; NULL: not given */
	const char *profiles;                /* of --profiles; NULL: not given */
	const char *limit, *priority, *name; /* of run; NULL: not given, here and below */
	const char *report;                  /* a file; "": standard error */
	const char *output;                  /* of record: a file; NULL: nothing is recorded */
	bool pretend;
	bool openmetrics;
	bool release;    /* of stop */
	double deadline; /* of upgrade, seconds; 0: not given */
	bool explain, entries;
	bool batch, tree;          /* of top */
	const char *sort, *filter; /* of top; NULL: not given */
	bool connected;
	struct chan chan; /* once connected */
	struct pager_rep_hello hello;
};

/* Connects as a tool, unless it is connected already. A command does so once it has checked its
 * arguments. => CTL_OK or CTL_FAILED, explained. */
int ctl_connect(struct ctl *ctl);
/* Ends the connection, if there is one: the next request connects anew. */
void ctl_disconnect(struct ctl *ctl);
/* Connects if necessary and makes a request; asks again where pagerd has hung up, if that
 * cannot do harm. => CTL_OK; a negative errno, which the caller explains
 * with ctl_fail; or CTL_FAILED: no connection, explained. */
int ctl_ask(struct ctl *ctl, struct chan_call *call);
/* As statread_refresh. Where another worker of pagerd has come, it is that one's segment from then
 * on. => 0; 1: it is, and counters began anew; or -errno */
int ctl_refresh(struct ctl *ctl, struct statread *stat);
/* Prints what failed, why, and what the user can do. error: a negative errno; or CTL_FAILED, which
 * has been explained already: then nothing is printed. => CTL_FAILED. */
int ctl_fail(const struct ctl *ctl, int error, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* What the user can do about an error of a request. => NULL: nothing is known */
const char *ctl_remedy(int error);
/* Prints what is wrong with the arguments. => CTL_USAGE. */
int ctl_usage(const struct ctl *ctl, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Waits for the interval before the next report. reports: the number printed so far. => false, at
 * once: that was the last report. */
bool ctl_next_report(const struct ctl *ctl, uint64_t reports);

int cmd_stat(struct ctl *ctl, int argc, char **argv);
int cmd_top(struct ctl *ctl, int argc, char **argv);
int cmd_clients(struct ctl *ctl, int argc, char **argv);
int cmd_devices(struct ctl *ctl, int argc, char **argv);
int cmd_ports(struct ctl *ctl, int argc, char **argv);
int cmd_map(struct ctl *ctl, int argc, char **argv);
int cmd_footprint(struct ctl *ctl, int argc, char **argv);
int cmd_pressure(struct ctl *ctl, int argc, char **argv);
int cmd_memory(struct ctl *ctl, int argc, char **argv);
int cmd_purge(struct ctl *ctl, int argc, char **argv);
int cmd_priority(struct ctl *ctl, int argc, char **argv);
int cmd_events(struct ctl *ctl, int argc, char **argv);
int cmd_freeze(struct ctl *ctl, int argc, char **argv);
int cmd_thaw(struct ctl *ctl, int argc, char **argv);
int cmd_release(struct ctl *ctl, int argc, char **argv);
int cmd_stop(struct ctl *ctl, int argc, char **argv);
int cmd_upgrade(struct ctl *ctl, int argc, char **argv);
int cmd_limit(struct ctl *ctl, int argc, char **argv);
int cmd_check(struct ctl *ctl, int argc, char **argv);
int cmd_debug(struct ctl *ctl, int argc, char **argv);
int cmd_files(struct ctl *ctl, int argc, char **argv);
int cmd_wired(struct ctl *ctl, int argc, char **argv);
int cmd_export(struct ctl *ctl, int argc, char **argv);
int cmd_policy(struct ctl *ctl, int argc, char **argv);
int cmd_run(struct ctl *ctl, int argc, char **argv);
int cmd_record(struct ctl *ctl, int argc, char **argv);
int cmd_trace(struct ctl *ctl, int argc, char **argv);
int cmd_param(struct ctl *ctl, int argc, char **argv);

#endif
