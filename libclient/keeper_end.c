/* SPDX-License-Identifier: MIT
 *
 * The end of a keeper, as any thread may begin it, the agent too.
 */
#include "pager_priv.h"

void
keeper_end(struct pager *p)
{
	struct keeper *k = &p->keeper;

	pthread_mutex_lock(&k->lock);
	if (k->state < KEEPER_ENDING)
		k->state = KEEPER_ENDING;
	pthread_cond_broadcast(&k->changed);
	pthread_mutex_unlock(&k->lock);
}
