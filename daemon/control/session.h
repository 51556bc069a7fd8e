/* SPDX-License-Identifier: MIT
 *
 * A session: one connection of a client or a tool, from accept(2) to its end. A client's session
 * has a task from HELLO on, which may outlive it.
 *
 *   NEW (HELLO is expected) --> TOOL ---------+
 *        |      |                             v
 *        |      +-----> CLIENT (has a task) --> ENDED --> freed, when its request has come back
 *        +------------------------------------^           and its task has been taken apart
 *
 * Created, changed and freed by the control loop, but for its state, which jobs look at.
 */
#ifndef SESSION_H
#define SESSION_H

#include "control/loop_thread.h"
#include "daemon.h"
#include "vm/task.h"

#define SESSION_MAGIC 0x5e551041u

enum session_state { SESSION_NEW, SESSION_TOOL, SESSION_CLIENT, SESSION_ENDED };

struct session {
	uint32_t magic;
	struct daemon *daemon;            /* (C) */
	uint64_t id;                      /* (C) the task has the same */
	_Atomic enum session_state state; /* (A) written by session_commit, on the control loop */
	int socket;                       /* (L) */
	int pidfd;                        /* (C) the task's once there is one */
	pid_t pid;                        /* (C) */
	uid_t uid;                        /* (C) */
	bool is_control;                  /* (C) root or the daemon's own user */
	struct share_account *account;    /* (C) the user's, with a reference */
	struct task *task;                /* (C) from HELLO on, with a reference; NULL: a tool */
	uint64_t created_ns;              /* (C) */
	bool job_running;                 /* (L) a jobs thread has its request */
};

/* Fills in a session; takes over socket and pidfd. => 0, -EDQUOT (the user has its share of
 * sessions or descriptors), -ENFILE (all are in use) or -ENOMEM, and takes over nothing. */
int session_init(
    struct session *session, struct daemon *d, int socket, pid_t pid, uid_t uid, int pidfd);
/* => ended, and no job has it. The descriptors go to the closers. */
void session_fini(struct session *session);
/* Changes the state; any change but those in tbl/session_arrow.h is a panic. Runs on: the control
 * loop. */
void session_commit(struct session *session, enum session_state from, enum session_state to);
/* HELLO of a client: the session gets its task. => 0 or -ENOMEM. Runs on: the control loop */
int session_task_create(struct session *session, const char *name);
static inline bool
session_is_ended(struct session *session)
{
	return load_acquire(&session->state) == SESSION_ENDED;
}

#endif
