/* SPDX-License-Identifier: MIT
 *
 * The command line's options, of all subcommands. 0 or a negative number stands for the scenario's
 * own value.
 */
#ifndef BENCH_OPTIONS_H
#define BENCH_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "pool.h"

#define MAX_SCENARIOS 16

enum peer_kind { PEER_NONE, PEER_ZRAM, PEER_SWAPFILE, PEER_PAGERD };
extern const char *const peer_names[]; /* [enum peer_kind], then NULL */

struct options {
	const char *scenarios[MAX_SCENARIOS];
	unsigned scenario_count;
	uint64_t memory_bytes;
	bool memory_given;          /* on the command line */
	uint64_t working_set_bytes; /* 0: memory * ratio */
	double ratio;
	unsigned threads;
	double seconds;
	uint64_t seed;
	uint64_t touches;
	int write_percent;
	const char *page_size; /* of the daemon: 4K, 16K, 64K */
	const char *socket;
	const char *directory;     /* for swap files and other large temporary files */
	const char *daemon;        /* the program; NULL: program_find */
	const char *daemon_config; /* more lines for the private daemon's configuration */
	enum pool_data data;
	double timeout_s; /* for a run with a private daemon; 0: none */
	bool json, pin, plain;
	bool beside_plain; /* also on plain memory, in slices in turn */
	/* from compare to the runs that it starts */
	int pool_fd, gate_fd;
	/* compare */
	enum peer_kind peer;
	const char *peer_path; /* of the other build */
	double limit;          /* for the ratio of two builds; 0: none */
	unsigned pairs;
	int page_cluster;
	const char *plot;
	bool strict;
	/* policies */
	const char *workloads, *policies, *fractions; /* lists */
	const char *tsv, *markdown;
	unsigned repeat, window;
	unsigned kills; /* takeover; 0: the default */
	bool fractions_given;
	double scale; /* programs: of their inputs */
};

void options_init(struct options *o);
/* argv[0]: the subcommand. => 0; -EINVAL: wrong usage, printed; 1: help was asked for and has been
 * printed. */
int options_parse(struct options *o, int argc, char **argv);
void options_usage(void);

/* The subcommands. => the exit status. */
int list_command(const struct options *o);
int run_command(const struct options *o);
int compare_command(const struct options *o);
int check_command(const struct options *o);
int policies_command(const struct options *o);
int shared_command(const struct options *o);
int ool_command(const struct options *o);
int greedy_command(const struct options *o);
int halve_command(const struct options *o);
int fork_command(const struct options *o);
int first_write_command(const struct options *o);
int ledger_command(const struct options *o);
int takeover_command(const struct options *o);
int programs_command(const struct options *o);

#endif
