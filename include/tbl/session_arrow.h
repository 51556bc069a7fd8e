/* SPDX-License-Identifier: MIT
 *
 * SESSION_ARROW(FROM, TO, when): every change of a session's state (control/session.h), made by
 * session_commit. TASK_ARROW: the same for a task (vm/task.h), made by task_commit. Both panic on
 * any other change.
 */
#ifndef SESSION_ARROW
#define SESSION_ARROW(FROM, TO, when)
#endif
#ifndef TASK_ARROW
#define TASK_ARROW(FROM, TO, when)
#endif
SESSION_ARROW(NEW, TOOL, "HELLO of a tool")
SESSION_ARROW(NEW, CLIENT, "HELLO of a client: it has a task")
SESSION_ARROW(NEW, ENDED, "the socket or the process has gone, or nothing was said in time")
SESSION_ARROW(TOOL, ENDED, "the socket or the process has gone, or a message was malformed")
SESSION_ARROW(CLIENT, ENDED, "likewise, or the client held a thread up for too long")
TASK_ARROW(ATTACHING, ATTACHED, "ATTACH has been proven and its userfaultfd is polled")
TASK_ARROW(ATTACHING, DEAD, "its session ends")
TASK_ARROW(ATTACHED, DEAD, "its session ends")
#undef SESSION_ARROW
#undef TASK_ARROW
