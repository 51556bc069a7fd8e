/* SPDX-License-Identifier: MIT
 *
 * Which page-out policy was chosen while the daemon ran, for the worker that comes after this one:
 * the daemon's in an arena, a client's own in its record. Only where there is a keeper.
 */
#ifndef KEPT_POLICY_H
#define KEPT_POLICY_H

#include "vm/policy_choice.h"

struct daemon;
struct task;

struct kept_policy {
	struct policy_choice *choice; /* NULL: there is no keeper */
	int fd;
};

/* => 0, -EPROTO: what was left is of another build, or -errno */
int kept_policy_create(struct daemon *d);
void kept_policy_destroy(struct daemon *d);
/* The policy of a client, or (NULL) of the daemon, is that text from now on; "": the client has
 * none of its own. Takes PAGEQ */
void kept_policy_note(struct daemon *d, struct task *task, const char *text);
/* The text that was noted of a client, or (NULL) of the daemon. => NULL: none was. Runs on: the
 * main thread, before there are others */
const char *kept_policy_noted(const struct daemon *d, const struct task *task);

#endif
