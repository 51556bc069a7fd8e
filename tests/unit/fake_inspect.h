/* SPDX-License-Identifier: MIT */
#ifndef FAKE_INSPECT_H
#define FAKE_INSPECT_H

#include <stddef.h>

#include "pager/proto.h"

/* The fake daemon's answers to tools: a statistics segment with known numbers, three invented
 * clients. Descriptors that came with the request are taken over. => 0 or -errno; *bytes the
 * length of the reply's body; *fd one to send. */
int fake_inspect(
    const struct pager_msg_header *header, void *reply, size_t *bytes, int *fd, const int *fds);

#endif
