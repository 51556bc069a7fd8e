/* SPDX-License-Identifier: MIT
 *
 * The other forms of pagerctl footprint.
 */
#ifndef FOOTPRINT_H
#define FOOTPRINT_H

#include "out.h"

/* text: the client as the user has named it. => exit status, explained */
int footprint_explain(struct ctl *ctl, struct ctl_client client, const char *text);
int footprint_entries(struct ctl *ctl, struct ctl_client client, const char *text);
/* A line for each interval, until the client is gone. */
int footprint_watch(struct ctl *ctl, struct ctl_client client, const char *text);

#endif
