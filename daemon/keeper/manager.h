/* SPDX-License-Identifier: MIT
 *
 * A service manager as the keeper (systemd's FileDescriptorStoreMax=).
 */
#ifndef KEEPER_MANAGER_H
#define KEEPER_MANAGER_H

#include <stdbool.h>
#include <stdint.h>

#include "keeper/kept.h"

/* Whether one that keeps descriptors has started this process ($NOTIFY_SOCKET, $FDSTORE). */
bool manager_is_there(void);
/* It is the keeper. It starts a successor if it is told to (Restart=). Runs on: the main thread,
 * before there are others. => 0 or -errno */
int manager_open(struct keeper_link *ret);

/* Its side of the functions of keeper.h. A descriptor is kept when manager_keep returns. */
void manager_keep(struct keeper_link *link, uint32_t kind, uint64_t id, int fd);
void manager_drop(struct keeper_link *link, uint32_t kind, uint64_t id);
/* Whether so many more can be kept. */
bool manager_has_room(unsigned count);
void manager_ready(struct keeper_link *link, uint64_t waited_ns);

#endif
