/* SPDX-License-Identifier: MIT
 *
 * pagerctl top, what it reads: the daemon's clients and statistics, and processes in /proc.
 */
#ifndef TOP_SAMPLE_H
#define TOP_SAMPLE_H

#include "clients.h"
#include "top_model.h"

struct top_source;

/* Once connected. stat is the caller's, becomes that of another worker where one has come, and
 * outlives the source. => NULL: no memory */
struct top_source *top_source_open(struct ctl *ctl, struct statread *stat);
void top_source_close(struct top_source *source);
/* Takes a sample, whose content the caller frees with top_sample_free. => as ctl_ask, or a negative
 * errno */
int top_sample_take(struct top_source *source, struct top_sample *ret);
void top_sample_free(struct top_sample *sample);

/* Whether process ids mean the same to the daemon and here: not where one of them runs in a
 * container. */
bool top_pids_are_ours(struct ctl *ctl);

/* A client's regions, in the order of addresses. The caller frees *ret. => as ctl_ask */
int top_regions_take(
    struct ctl *ctl, uint64_t session, struct pager_wire_region **ret, size_t *ret_count);

#endif
