/* SPDX-License-Identifier: MIT
 *
 * Shared by the fake daemon's threads. One mutex covers all of it.
 */
#ifndef FAKE_PRIV_H
#define FAKE_PRIV_H

#include <pthread.h>

#include "fake_daemon.h"
#include "pager/uffd_compat.h"
#include "range_set.h"

#define FAKE_SESSIONS_MAX 32
#define FAKE_TYPES_MAX    128
#define FAKE_PORT_QUEUE   2u
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
	struct pager_req_submap_change changed;                 /* the last one */
	uint32_t rights;                                        /* of the last SUBMAP_NAME */
	struct pager_req_upl_finish finished;                   /* the last one */
	struct pager_req_descriptor descriptor;                 /* the last one */
	unsigned descriptor_ops[PAGER_DESCRIPTOR_COMPLETE + 1]; /* how many there were */
	unsigned descriptor_bad_piece; /* the number of a piece whose size is told as this */
	uint64_t descriptor_bad_size;
	struct pager_req_port_open port_opened; /* the last ones, here and below */
	struct pager_req_port_send port_sent;
	uint64_t port_closed, port_numbers;
	int port_bell; /* of the port that was opened last; -1: none */
	unsigned port_count;
	struct pager_req_port_send port_queue[FAKE_PORT_QUEUE + 1];
};

#define FAKE_UFFD_FEATURES                                                                         \
	(UFFD_FEATURE_MISSING_SHMEM | UFFD_FEATURE_MINOR_SHMEM | UFFD_FEATURE_PAGEFAULT_FLAG_WP |  \
	    UFFD_FEATURE_WP_HUGETLBFS_SHMEM | UFFD_FEATURE_WP_UNPOPULATED)

/* Sends an answer to that request, with a descriptor where there is one (-1: none). */
void fake_reply(struct fake *f, struct fake_session *s, const struct pager_msg_header *request,
    int error, const void *body, size_t bytes, int fd);
/* FORK_BEGIN, FORK_CHILD and FORK_STEP. => 0 or -errno; *bytes the length of the reply's body; *fd
 * one to send, which is closed afterwards with FORK_BEGIN */
int fake_fork(struct fake *f, struct fake_session *s, const struct pager_msg_header *h, void *reply,
    size_t *bytes, int *fd);
/* PORT_OPEN (whose descriptor is closed afterwards), PORT_CLOSE, PORT_SEND and PORT_RECEIVE. As
 * fake_fork */
int fake_port(struct fake *f, struct fake_session *s, const struct pager_msg_header *h, void *reply,
    size_t *bytes, int *fd);
void fake_session_close(struct fake_session *s);
/* The control thread; the argument is the struct fake. */
void *fake_control_run(void *arg);

#endif
