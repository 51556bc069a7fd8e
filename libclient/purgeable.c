/* SPDX-License-Identifier: MIT
 *
 * Purgeable memory. Runs on: the caller's threads.
 */
#include "pager_priv.h"

#include <errno.h>

int
pager_purgeable_control(
    struct pager *p, void *address, enum pager_purgeable_control control, int *state)
{
	struct pager_req_purgeable request = { .control = (uint32_t)control };
	struct pager_rep_purgeable reply;
	struct chan_call call = { CHAN_CALL(PURGEABLE, &request, &reply) };
	int r = pager_check(p);

	if (r < 0)
		return r;
	if ((unsigned)control > PAGER_PURGEABLE_PURGE_ALL ||
	    (!state && control != PAGER_PURGEABLE_PURGE_ALL))
		return -EINVAL;
	if (control != PAGER_PURGEABLE_PURGE_ALL)
		request.address = (uint64_t)(uintptr_t)address;
	if (control == PAGER_PURGEABLE_SET_STATE)
		request.state = (uint32_t)*state;
	r = chan_exchange(&p->chan, &call);
	if (r == 0 && control != PAGER_PURGEABLE_PURGE_ALL)
		*state = (int)reply.state;
	return r;
}
