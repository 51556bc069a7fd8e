/* SPDX-License-Identifier: MIT
 *
 * What a session is for the worker that comes after this one, where there is a keeper. A request
 * stays in the socket until its answer was sent, so whoever takes over finds it there; and before
 * an answer is sent it is noted, so that a request that was answered is not carried out again.
 */
#ifndef KEPT_H
#define KEPT_H

#include "control/session.h"
#include "pager/proto.h"

/* What is kept of a client, with a part of its memory. */
#define KEPT_OF_CLIENT 7u

/* Whether requests of that type can be taken over, or need not be. */
bool kept_is_allowed(uint16_t type);
/* The client is about to be attached: it gets a record, and the keeper its descriptors. agents_end:
 * that goes with the answer, which may have to be sent again; the caller's. => 0 or -errno. Jobs,
 * no lock held */
int kept_attach(struct session *session, int agents_end);
/* The record says what session->outlives_socket says. */
void kept_outlives(struct session *session);

/* Here and below on the control loop. Whether the session outlives a worker. */
bool kept_is(const struct session *session);
/* Whether a packet of that type stays in the session's socket until it is answered. */
bool kept_stays(const struct session *session, uint16_t type);
/* A request has been looked at. => true: its answer was noted by the worker before this one, and is
 * now in `reply`, with the descriptor that goes with it, or -1 */
bool kept_begin(struct session *session, const struct pager_msg_header *request, void *reply,
    size_t *ret_bytes, int *ret_fd);
/* An answer is about to be sent, and has been sent. Whom it attaches counts in its group from now
 * on. */
void kept_answer(struct session *session, const void *reply, size_t bytes);
void kept_answered(struct session *session);
/* Threads of a client that wait for an answer of the worker before this one fault again. */
void kept_faults_again(struct task *task);

#endif
