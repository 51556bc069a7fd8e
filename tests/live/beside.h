/* SPDX-License-Identifier: MIT
 *
 * Daemons beside the harness: several at once, some of which do not start, in a directory of the
 * test's own.
 */
#ifndef LIVE_BESIDE_H
#define LIVE_BESIDE_H

#include "harness.h"

struct process {
	pid_t pid;
	char log[256]; /* both streams */
};

/* In the child, before pagerd. */
typedef void prepare(unsigned argument);

/* The directory, removed at the end. */
void place_make(void);
/* A name in it; good for seven calls more. */
const char *place_path(const char *name);
/* How many names in it begin so. */
unsigned names_in_place(const char *beginning);
void file_write(const char *path, const char *text);
void file_is(const char *path, const char *expected);

/* pagerd with 4 MiB and no swap; before: NULL or what the child does first; more: options, ended by
 * NULL. */
void process_start(struct process *p, const char *socket, prepare *before, unsigned argument,
    const char *const *more);
/* What it has said so far. */
const char *process_text(const struct process *p);
bool process_serves(const struct process *p);
void process_wait_serves(struct process *p);
/* => whether it has ended, and how */
bool process_ended(struct process *p, int *ret_status);
/* It must end well. */
void process_stop(struct process *p, int signal);
/* It must not start, and say why. */
void process_refuses(const char *socket, const char *expected);

/* => the pid of who answers, or -errno */
int who_answers(const char *socket);
/* A message that ends its session. => when that has ended */
void break_protocol(const char *socket_path);
int socket_bound(const char *path, int type);

uint64_t now_ms(void);
/* How many lines one place may have said from then to now. */
unsigned lines_allowed(uint64_t since_ms);

#endif
