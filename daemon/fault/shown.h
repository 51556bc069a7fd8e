/* SPDX-License-Identifier: MIT
 *
 * Faults at places where a copy's page is not mapped, but what it was copied from (vm/window.h).
 */
#ifndef SHOWN_H
#define SHOWN_H

#include "fault/target.h"

/* The window of the fault's address is to be opened. => what becomes of the fault; no lock held */
enum fault_outcome shown_ask(struct fault_server *server, const struct fault *f);
/* Whether the page, which the caller has busy, may still be seen there. From then on it is
 * PAGE_SHOWN. */
bool shown_begin(const struct target *t, uint64_t index, struct vm_page *p);

#endif
