/* SPDX-License-Identifier: MIT
 *
 * A pagerd of one's own: started in a directory made for it, gone with whoever started it.
 */
#ifndef BENCH_PRIVATE_DAEMON_H
#define BENCH_PRIVATE_DAEMON_H

#include <stdint.h>
#include <sys/types.h>

struct private_daemon {
	pid_t pid;
	char directory[256];
	char socket[300];
	int output; /* its standard output */
};

struct private_daemon_config {
	const char *program;   /* NULL: $PAGERD, beside this program, PATH */
	const char *directory; /* where its own directory is made */
	uint64_t memory_bytes;
	const char *page_size;   /* NULL: its default */
	const char *config_text; /* lines for --config, may be NULL */
	const char *more_config; /* likewise */
};

/* Waits until it says that it is ready. Says on standard error what went wrong. => 0 or -errno. */
int private_daemon_start(const struct private_daemon_config *config, struct private_daemon *ret);
/* SIGTERM, after ten seconds SIGKILL; removes the directory. => 0, or -EIO when it did not end as
 * it should. */
int private_daemon_stop(struct private_daemon *d);
/* Has it walk its invariants; what does not hold is said on standard error. socket: the daemon's.
 * => 0 or -errno */
int private_daemon_check(const char *socket, unsigned *ret_failures);
/* The last lines that it wrote on standard error. */
void private_daemon_show_log(const struct private_daemon *d);

#endif
