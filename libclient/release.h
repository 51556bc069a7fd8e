/* SPDX-License-Identifier: MIT
 *
 * A connection is let go of: release.c.
 */
#ifndef RELEASE_H
#define RELEASE_H

struct pager;

/* The daemon asks for it. => on the agent, with no lock held */
void release_run(struct pager *p);

#endif
