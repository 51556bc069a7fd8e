/* SPDX-License-Identifier: MIT
 *
 * Daemons beside the harness's: several at once, some of which do not start, in a directory that
 * belongs to the test.
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
/* The path of a name in it. The string is overwritten by the eighth call after this one. */
const char *place_path(const char *name);
/* How many names in it begin with this text. */
unsigned names_in_place(const char *beginning);
void file_write(const char *path, const char *text);
void file_is(const char *path, const char *expected);

/* Starts pagerd with 4 MiB and no swap. before: NULL, or called in the child before pagerd;
 * more: NULL, or further options up to a NULL. */
void process_start(struct process *p, const char *socket, prepare *before, unsigned argument,
    const char *const *more);
/* The text that it has printed so far. */
const char *process_text(const struct process *p);
bool process_serves(const struct process *p);
void process_wait_serves(struct process *p);
/* => whether it has ended, and how */
bool process_ended(struct process *p, int *ret_status);
/* Sends the signal; the process must end with status 0. */
void process_stop(struct process *p, int signal);
/* Starts it; it must end without serving, with a message that has the text. */
void process_refuses(const char *socket, const char *expected);

/* => the process id that answers on the socket, or -errno */
int who_answers(const char *socket);
/* Sends a message that ends its session, and waits until the session has ended. */
void break_protocol(const char *socket_path);
int socket_bound(const char *path, int type);

uint64_t now_ms(void);
/* The most lines that one place in the code may have logged since that time. */
unsigned lines_allowed(uint64_t since_ms);

#endif
