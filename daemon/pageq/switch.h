/* SPDX-License-Identifier: MIT
 *
 * A policy is switched while its pages are under way.
 */
#ifndef SWITCH_H
#define SWITCH_H

struct daemon;
struct task;

/* Switches the daemon's policy (task NULL), or gives a client a policy of its own ("": it goes back
 * to the daemon's). What is resident is replayed into the policy that comes. => 0, -ENOENT,
 * -EINVAL, -ENOMEM, -ESRCH (the client has ended); no lock held */
int policy_switch(struct daemon *d, struct task *task, const char *policy);

#endif
