/* SPDX-License-Identifier: MIT
 *
 * Sessions that outlive a worker. Runs on: the control loop; kept_attach on jobs.
 */
#include "control/kept.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/closer.h"
#include "pmap/uffd.h"
#include "region/range.h"
#include "vm/kept_task.h"
#include "vm/vm_mapping.h"
#include "vm/vm_object.h"

bool
kept_is_allowed(uint16_t type)
{
	static const uint16_t allowed[] = { PAGER_MSG_HELLO, PAGER_MSG_ATTACH, PAGER_MSG_ALLOCATE,
		PAGER_MSG_DEALLOCATE, PAGER_MSG_BEHAVIOR, PAGER_MSG_REGION, PAGER_MSG_PAGE_QUERY,
		PAGER_MSG_STATISTICS, PAGER_MSG_PROTECT, PAGER_MSG_INHERIT, PAGER_MSG_TAG,
		PAGER_MSG_STAT_SEGMENT, PAGER_MSG_CLIENTS, PAGER_MSG_MAP, PAGER_MSG_FOOTPRINT,
		PAGER_MSG_CHECK, PAGER_MSG_DEBUG, PAGER_MSG_POLICY, PAGER_MSG_PARAM,
		PAGER_MSG_DEVICES, PAGER_MSG_PORTS, PAGER_MSG_EVENTS, PAGER_MSG_LEDGER,
		PAGER_MSG_EXPLAIN, PAGER_MSG_FROZEN, PAGER_MSG_WIRED, PAGER_MSG_TABLES,
		PAGER_MSG_WIRE, PAGER_MSG_UNWIRE, PAGER_MSG_PURGEABLE, PAGER_MSG_PURGE,
		PAGER_MSG_LIMIT, PAGER_MSG_LIMITS, PAGER_MSG_PROCESS_LIMITS, PAGER_MSG_PRIORITY,
		PAGER_MSG_LEDGER_LIMIT, PAGER_MSG_FORK_BEGIN, PAGER_MSG_FORK_CHILD,
		PAGER_MSG_FORK_STEP, PAGER_MSG_FILES, PAGER_MSG_MAKE_ENTRY, PAGER_MSG_MAP_ENTRY,
		PAGER_MSG_UPGRADE, PAGER_MSG_UPGRADE_GO, PAGER_MSG_GROUP_MAKE, PAGER_MSG_GROUP_JOIN,
		PAGER_MSG_GROUP, PAGER_MSG_GROUPS, PAGER_MSG_PROFILE };
	bool is_allowed = false;

	for (unsigned i = 0; i < ARRAY_LEN(allowed); i++)
		is_allowed |= allowed[i] == type;
	return is_allowed;
}

static struct task_record *
record_of(const struct session *session)
{
	return session->task ? session->task->map.record : NULL;
}

bool
kept_stays(const struct session *session, uint16_t type)
{
	return kept_is(session) || (session->daemon->keeper && type == PAGER_MSG_ATTACH);
}

bool
kept_is(const struct session *session)
{
	struct task_record *record = record_of(session);

	return record && load_relaxed(&record->is_attached);
}

int
kept_attach(struct session *session, int agents_end)
{
	struct task *task = session->task;
	struct keeper_link *link = session->daemon->keeper;
	int fd, error;

	locks_assert_none();
	if (!link)
		return 0;
	if (!keeper_has_room(link, KEPT_OF_CLIENT))
		return -ENFILE;
	CHECK(task->uffd >= 0 && task->agent >= 0 && task->pidfd >= 0);
	error = task_record_create(task, session->is_control, &fd);
	if (error)
		return error;
	kept_outlives(session);
	keeper_keep(link, KEPT_SOCKET, task->id, session->socket);
	keeper_keep(link, KEPT_USERFAULTFD, task->id, task->uffd);
	keeper_keep(link, KEPT_AGENT, task->id, task->agent);
	keeper_keep(link, KEPT_AGENTS_END, task->id, agents_end);
	session->has_agents_end = true;
	keeper_keep(link, KEPT_PROCESS, task->id, task->pidfd);
	keeper_keep(link, KEPT_RECORD, task->id, fd);
	close(fd);
	return 0;
}

void
kept_outlives(struct session *session)
{
	struct task_record *record = record_of(session);

	if (unlikely(record != NULL))
		store_release(&record->outlives_socket, session->outlives_socket);
}

/* The descriptor that goes with an answer of that kind, which is not the caller's. => -1: none */
static int
descriptor_of(struct session *session, const struct pager_msg_header *answer)
{
	const struct pager_rep_allocate *body = (const void *)(answer + 1);
	struct daemon *d = session->daemon;
	uint32_t cursor = 0;
	struct vm_object *o;
	int fd = -1;

	if (answer->type == PAGER_MSG_ATTACH)
		return session->agents_end;
	if (answer->type != PAGER_MSG_ALLOCATE || answer->error != 0)
		return -1;
	while (fd < 0 && (o = vm_object_next(d, &cursor)) != NULL) {
		if (o->id == body->object_id)
			fd = o->backing.memfd;
		vm_object_put(o);
	}
	return fd;
}

/* Whether an answer that was noted is no good without the worker that has noted it: with it goes a
 * descriptor that was that worker's alone. Then the request is carried out once more. */
static bool
is_answered_anew(uint16_t type)
{
	return type == PAGER_MSG_MAKE_ENTRY || type == PAGER_MSG_MAP_ENTRY ||
	       type == PAGER_MSG_FORK_BEGIN;
}

bool
kept_begin(struct session *session, const struct pager_msg_header *request, void *reply,
    size_t *ret_bytes, int *ret_fd)
{
	struct task_record *record = kept_is(session) ? record_of(session) : NULL;

	loop_assert(session->daemon);
	session->is_asked_again = false;
	if (!record)
		return false;
	if (load_acquire(&record->answered) == request->sequence && record->answer_bytes > 0 &&
	    !is_answered_anew(request->type)) {
		*ret_bytes = record->answer_bytes;
		memcpy(reply, record->answer, *ret_bytes);
		*ret_fd = descriptor_of(session, reply);
		return true;
	}
	session->is_asked_again = load_relaxed(&record->begun) == request->sequence;
	store_release(&record->begun, request->sequence);
	return false;
}

/* A forked child is in its parent's. */
static void
count_in_group(const struct task *task)
{
	struct client_group *group = load_acquire(&task->bill.group);

	if (group)
		group_count(group);
}

void
kept_answer(struct session *session, const void *reply, size_t bytes)
{
	struct task_record *record = record_of(session);
	const struct pager_msg_header *header = reply;
	bool is_attached = header->type == PAGER_MSG_ATTACH && header->error == 0;

	loop_assert(session->daemon);
	if (likely(!record)) {
		if (unlikely(is_attached))
			count_in_group(session->task);
		return;
	}
	CHECK(bytes <= sizeof(record->answer));
	/* While it is written the one before does not count either. */
	store_release(&record->answered, 0);
	memcpy(record->answer, reply, bytes);
	record->answer_bytes = (uint32_t)bytes;
	store_release(&record->answered, header->sequence);
	/* From now on it is a client to whoever comes, who finds this request in the socket until
	 * its answer was sent. */
	if (unlikely(is_attached)) {
		store_release(&record->is_attached, 1);
		count_in_group(session->task);
	}
}

void
kept_answered(struct session *session)
{
	char byte;

	loop_assert(session->daemon);
	if (likely(!session->daemon->keeper))
		return;
	/* Of what comes along with it there is a copy, so that nothing is closed for good here. */
	if (session->is_lying)
		(void)!recv(session->socket, &byte, sizeof(byte), MSG_DONTWAIT | MSG_TRUNC);
	session->is_lying = false;
	closer_close(session->daemon, session->lying_fd, session->pid, session->uid);
	session->lying_fd = -1;
	if (likely(!session->has_agents_end))
		return;
	session->has_agents_end = false;
	closer_close(session->daemon, session->agents_end, session->pid, session->uid);
	session->agents_end = -1;
	keeper_drop(session->daemon->keeper, KEPT_AGENTS_END, session->task->id);
}

void
kept_faults_again(struct task *task)
{
	struct vm_entry e;

	for (uint64_t at = 0; task_entry_get(task, at, &e); at = e.end) {
		uffd_wake(task->uffd, e.start, e.end - e.start);
		vm_mapping_put(e.mapping);
	}
}
