/* SPDX-License-Identifier: MIT
 *
 * A page on its way out of the queues.
 */
#ifndef VICTIM_H
#define VICTIM_H

#include <stdint.h>

#include "policy.h"

struct vm_object;

struct victim {
	pol_page page;
	uint32_t frame;
	/* Without a reference, so it may have ended (doc/locking.md), unless the function that has
	 * chosen the page says that there is one. pageq_launder_begin_locked notes the present
	 * object, and takes a reference. */
	struct vm_object *object;
};

#endif
