/* SPDX-License-Identifier: MIT
 *
 * A private pagerd: started in a directory of its own, ended with the process that started it.
 */
#ifndef BENCH_PRIVATE_DAEMON_H
#define BENCH_PRIVATE_DAEMON_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct private_daemon {
	pid_t pid;
	char directory[256];
	char socket[300];
	int output; /* reads the daemon's standard output */
};

struct private_daemon_config {
	const char *program;   /* NULL: $PAGERD, beside this program, PATH */
	const char *directory; /* in which the daemon's own directory is made */
	uint64_t memory_bytes;
	const char *page_size;   /* NULL: the daemon's default */
	const char *config_text; /* lines of its configuration file; NULL: none */
	const char *more_config; /* more lines; NULL: none */
	bool under_keeper;       /* and without swap: then `pid` is the keeper */
};

/* Starts it and waits until it is ready. Prints what went wrong. => 0 or -errno. */
int private_daemon_start(const struct private_daemon_config *config, struct private_daemon *ret);
/* Sends SIGTERM, and SIGKILL after ten seconds; removes the directory. => 0; -EIO: it did not end
 * with exit status 0. */
int private_daemon_stop(struct private_daemon *d);
/* Has the daemon that listens on `socket` check its invariants; prints those that do not hold.
 * => 0 or -errno. */
int private_daemon_check(const char *socket, unsigned *ret_failures);
/* Prints the last lines of its standard error. */
void private_daemon_show_log(const struct private_daemon *d);

#endif
