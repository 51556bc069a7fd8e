/* SPDX-License-Identifier: MIT */
#ifndef TOP_ACTIONS_H
#define TOP_ACTIONS_H

#include "top_keys.h"

/* Does it, by the messages of pagerctl limit, priority, freeze and thaw, or by a signal; `message`
 * says what came of it. => 0; -errno, of which -ENOTCONN means that the daemon is gone */
int top_action_do(
    struct ctl *ctl, const struct top_action *action, char *message, size_t message_size);

#endif
