/* SPDX-License-Identifier: MIT
 *
 * Shared by the fake daemon's threads. One mutex covers all of it.
 */
#ifndef FAKE_PRIV_H
#define FAKE_PRIV_H

#include <pthread.h>

#include "fake_daemon.h"
#include "range_set.h"

#define FAKE_SESSIONS_MAX 32
#define FAKE_TYPES_MAX    64
#define FAKE_OBJECT_BYTES (1ull << 34)

struct fake_session {
	bool used;
	int fd, uffd, agent, memfd; /* -1: none */
	uint64_t object_next;       /* bytes of the object that are given out */
	struct range_set ranges;
	struct pager_req_protect protect; /* the last one that was granted; size 0: none */
	char name[64];
};

struct fake {
	pthread_mutex_t lock;
	pthread_t control, faults;
	int listen_fd, dev_fd, wake_fd;
	bool stopping, killed, hold;
	char directory[64], socket[108];
	struct fake_session sessions[FAKE_SESSIONS_MAX];
	int last; /* index of the session that attached last */
	unsigned requests[FAKE_TYPES_MAX];
	int fail[FAKE_TYPES_MAX];
	enum fake_mangle mangle[FAKE_TYPES_MAX];
	unsigned malformed, missing, minor, held, strays, range_errors;
	char last_name[64];
	struct pager_req_submap_change changed; /* the last one */
	uint32_t rights;                        /* of the last SUBMAP_NAME */
	struct pager_req_upl_finish finished;   /* the last one */
};

void fake_session_close(struct fake_session *s);
/* The control thread; the argument is the struct fake. */
void *fake_control_run(void *arg);

#endif
