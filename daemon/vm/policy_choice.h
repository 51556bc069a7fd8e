/* SPDX-License-Identifier: MIT
 *
 * The text of a policy that was chosen, written while a reader may come at any moment.
 */
#ifndef POLICY_CHOICE_H
#define POLICY_CHOICE_H

#include "atomics.h"
#include "pager/proto.h"

#define POLICY_TEXT_BYTES sizeof(((struct pager_req_policy *)0)->policy)

struct policy_choice {
	atomic_ullong
	    times; /* that it was written; 0: never. An odd time: the second text counts */
	char text[2][POLICY_TEXT_BYTES];
};

#endif
