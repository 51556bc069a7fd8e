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
 * A forked child's session has its task from the beginning, and FORK_CHILD is expected.
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
	int pidfd;                        /* likewise: the task's once there is one */
	pid_t pid;                        /* (C), of a forked child from FORK_CHILD on */
	uid_t uid;                        /* (C) */
	bool is_control;                  /* likewise: root or the daemon's own user */
	struct share_account *account;    /* (C) the user's, with a reference */
	struct task *task;                /* (C) from HELLO on, with a reference; NULL: a tool */
	uint64_t created_ns;              /* (C) */
	bool job_running;                 /* (L) a jobs thread has its request */
	/* Of a child that its parent forks (control/forked.h). */
	bool is_forked;           /* (C) */
	struct task *fork_parent; /* (L) with a reference; NULL once the child has spoken */
	bool fork_is_void; /* (L) the barrier ended before the child had spoken: what it would have
			      is not what its parent's memory was */
	bool outlives_socket; /* (L) of a client without threads: the program may have closed
				 its descriptors, and the session ends with the address space */
	bool is_deaf;         /* (L) its socket has gone, and it lives on */
	/* Where there is a keeper (control/kept.h). */
	bool is_lying;       /* (L) the request under way lies in the socket */
	int lying_fd;        /* (L) a copy of the descriptor that lies with it; -1: none */
	bool has_agents_end; /* the keeper has what goes with ATTACH's answer, until that was sent:
				written by the job, and read here once it is over */
	int agents_end;      /* (L) that, of the worker before this one; -1: it is not needed */
	bool is_asked_again; /* (L) a worker that died had begun the request */
};

/* A forked child before its session (control/forked.h). */
#define CONNECTION_BYTES_MAX 1024u
struct forked {
	struct task *task;             /* with a reference */
	struct task *parent;           /* likewise */
	struct share_account *account; /* likewise: the session's */
	int socket;                    /* the daemon's end */
	bool is_control;
	void *connection; /* memory for it: CONNECTION_BYTES_MAX of zeroes */
};

/* Fills in a session; takes over socket and pidfd. => 0, -EDQUOT (the user has its share of
 * sessions or descriptors), -ENFILE (all are in use) or -ENOMEM, and takes over nothing. */
int session_init(
    struct session *session, struct daemon *d, int socket, pid_t pid, uid_t uid, int pidfd);
/* What a session takes of its user's shares. => 0, -EDQUOT or -ENFILE. Any thread */
int session_shares_take(struct daemon *d, struct share_account *account);
void session_shares_give(struct daemon *d, struct share_account *account);
/* A number that no session has had. Any thread */
uint64_t session_next_id(void);
/* Fills in a forked child's session; takes over all that `forked` has. */
void session_init_forked(struct session *session, struct forked *forked);
/* A client's session that another worker has begun, with its task, whose reference it takes over
 * like the socket. => 0, or as session_init */
int session_init_taken(struct session *session, struct task *task, int socket, bool is_control);
/* The child has spoken, and the kernel has said who it is. Takes over pidfd. */
void session_born(struct session *session, pid_t pid, uid_t uid, int pidfd);
/* => ended, and no job has it. The descriptors go to the closers. */
void session_fini(struct session *session);
/* Changes the state; any change but those in tbl/session_arrow.h is a panic. Runs on: the control
 * loop. */
void session_commit(struct session *session, enum session_state from, enum session_state to);
/* HELLO of a client: the session gets its task. => 0 or -ENOMEM. Runs on: the control loop */
int session_task_create(struct session *session, const char *name);
/* The group of the process that has connected, as it was then. => false: it cannot be found out */
bool session_group(const struct session *session, gid_t *ret);
/* Whether that process was in the group then. */
bool session_is_in_group(const struct session *session, gid_t group);
static inline bool
session_is_ended(struct session *session)
{
	return load_acquire(&session->state) == SESSION_ENDED;
}

#endif
