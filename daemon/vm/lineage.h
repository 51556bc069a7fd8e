/* SPDX-License-Identifier: MIT
 *
 * A process and all that it has forked, as those that are shown what their parents have (window.h):
 * how much of what was shown they have opened, that is written in most cases. What is opened takes
 * longer and more memory than what was never shown, so children of such writers are shown nothing,
 * until the next try.
 */
#ifndef LINEAGE_H
#define LINEAGE_H

#include <stdbool.h>
#include <stdint.h>

struct lineage;

/* => with a reference; NULL: no memory */
struct lineage *lineage_create(void);
/* Both accept NULL. */
struct lineage *lineage_get(struct lineage *l);
void lineage_put(struct lineage *l);
/* One of them forks: whether the child is to be shown what it has. */
bool lineage_reads(struct lineage *l);
/* Pages of one of them. => accept NULL */
void lineage_shown(struct lineage *l, uint64_t pages);
void lineage_opened(struct lineage *l, uint64_t pages);

#endif
