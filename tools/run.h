/* SPDX-License-Identifier: MIT
 *
 * `pagerctl run`: a pagerd of its own (run_daemon.c), what is left when that has ended (run_end.c),
 * the group to which its programs belong
 * (run_group.c), what the program is (run_look.c), and the report (run_report.c, run_sample.c).
 */
#ifndef RUN_H
#define RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/types.h>

#include "ctl.h"
#include "exec_look.h"
#include "pager/run_page.h"

/* A program expects pages of this. */
#define RUN_PROGRAM_PAGE 4096u

struct run_daemon {
	pid_t pid;
	bool has_ended;     /* and has been waited for */
	int output;         /* what it prints */
	int log;            /* what it has logged; -1: nothing */
	int hold;           /* the directory, locked: it is in use */
	char directory[64]; /* the socket, the log, swap files unless they go elsewhere */
	char socket[80];
};

/* Finds a file of the build tree or of the installation. near: its path from the directory of this
 * program in the build tree; installed: where it is installed, absolute or from there. => whether
 * one of them is there */
bool run_find(const char *near, const char *installed, char *path, size_t path_size);
/* The program that a private pagerd is. */
const char *run_daemon_program(char *buf, size_t buf_size);

/* Starts it as --memory, --swap-dir and --profiles say, and waits until it serves; removes what
 * others have left behind that were killed. => CTL_OK; CTL_FAILED, explained: nothing is left */
int run_daemon_start(const struct ctl *ctl, struct run_daemon *ret);
/* Prints the end of its log. */
void run_daemon_show_log(const struct run_daemon *d);
/* Ends it, if it has not ended, and removes its directory. is_gone: it has been waited for. */
void run_daemon_stop(struct run_daemon *d, bool is_gone);

/* --- run_end.c --- */
/* Processes that descend from this one and are not its children become its children. */
void run_rest_adopt(void);
/* The daemon has ended: kills what descends from this process and has the library, and waits until
 * it has gone. */
void run_rest_end(void);

/* --- run_look.c --- */
/* The file that execvp(3) would run. => 0; or an errno, as that has it */
int run_path(const char *program, char *path, size_t path_size);
/* The library that is preloaded. => whether it is there; path says where it was looked for last */
bool run_library(char *path, size_t path_size);
/* What of the program makes it unmanaged, as a text. => NULL: nothing does */
const char *run_kind_text(enum exec_kind kind);
/* => of one that has such a text */
enum pager_run_reason run_kind_reason(enum exec_kind kind);
/* Says what would be done, and what stands in the way. => the status to exit with */
int run_pretend(struct ctl *ctl, uint64_t limit, char **argv);

/* --- run_group.c --- */
/* What the programs of one run share. */
struct run_group {
	uint64_t id, key;
	int page_fd;                 /* -1: nothing is counted */
	struct pager_run_page *page; /* likewise NULL */
};
/* Makes the group in the daemon, and with --report the page. limit: bytes, 0: none. => CTL_OK;
 * CTL_FAILED, explained */
int run_group_make(struct ctl *ctl, uint64_t limit, int32_t band, struct run_group *ret);
/* What the command finds in its environment, in the process that becomes it. => CTL_OK or
 * CTL_FAILED, explained */
int run_environment_set(
    const struct ctl *ctl, const struct run_group *group, pid_t counter, const char *program);

/* --- cmd_trace.c --- */
/* The recording of what the group's clients touch, into the file that --output names, and its end,
 * which says on standard error how much there is. => CTL_OK or CTL_FAILED, explained */
int record_start(struct ctl *ctl, uint64_t group);
int record_stop(struct ctl *ctl);

/* --- run_profile.c --- */
struct json_object;
#define RUN_IMAGES_MAX 16u
/* What has come of the profiles of a run's programs. */
struct run_profile {
	struct pager_rep_profile all; /* together */
	unsigned count;
	struct pager_rep_profile images[RUN_IMAGES_MAX]; /* each of them */
};
/* The daemon keeps profiles of the group's programs, and uses them. */
void run_profile_begin(struct ctl *ctl, uint64_t group);
/* => whether the group has profiles */
bool run_profile_ask(struct ctl *ctl, uint64_t group, struct run_profile *ret);
void run_profile_print(FILE *file, const struct run_profile *profile);
struct json_object *run_profile_json(const struct run_profile *profile);

/* --- run_sample.c --- */
/* What is no entry of a bill is looked at now and then while the program runs. */
struct run_samples;
/* => NULL: no memory, or the daemon does not tell */
struct run_samples *run_samples_open(struct ctl *ctl, uint64_t group);
void run_samples_close(struct run_samples *s);
void run_samples_take(struct run_samples *s);
struct run_sampled {
	uint64_t times;   /* that was looked */
	uint64_t swapped; /* bytes on disk, the most that was seen */
	double ratio;     /* of the compressor, when it held most; 0: it held nothing */
};
void run_sampled(const struct run_samples *s, struct run_sampled *ret);

/* --- run_report.c --- */
struct run_report {
	FILE *file;
	const char *program;
	pid_t pid;
	int status; /* as of wait(2) */
	double seconds;
};
/* => CTL_OK; CTL_FAILED, explained: it cannot be written there */
int run_report_open(const struct ctl *ctl, struct run_report *ret);
/* Writes it, when the program has ended. => CTL_OK; CTL_FAILED, explained */
int run_report_write(struct ctl *ctl, struct run_report *report, const struct run_group *group,
    const struct run_samples *samples);

#endif
