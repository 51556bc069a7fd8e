/* SPDX-License-Identifier: MIT
 *
 * The agent: does to this process what the daemon cannot do from outside (drops page-table
 * entries, opens windows), and notices when the daemon dies. Runs on: its own thread,
 * "pager-agent", with all signals blocked, in the keeper's descriptor table. Locks: see
 * pager_priv.h. It touches no managed memory. It uses its descriptors by raw system calls: see
 * keeper.c.
 */
#include "pager_priv.h"
#include "release.h"

#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { AGENT_POLL_STOP, AGENT_POLL_SOCKET, AGENT_POLL_CONTROL };

void
agent_init(struct agent *agent)
{
	agent->socket = agent->stop_fd = agent->pidfd = -1;
}

int
agent_open(struct agent *agent)
{
	int r = agent->stop_fd = chan_fd_above_standard(eventfd(0, EFD_CLOEXEC));

	if (r < 0)
		return r;
	agent->pidfd = chan_fd_above_standard((int)syscall(SYS_pidfd_open, getpid(), 0));
	return 0;
}

void
agent_shut(struct agent *agent)
{
	if (agent->stop_fd >= 0)
		close(agent->stop_fd);
	if (agent->pidfd >= 0)
		close(agent->pidfd);
	agent->stop_fd = agent->pidfd = -1;
}

void
agent_close(struct agent *agent)
{
	if (agent->socket >= 0)
		close(agent->socket);
	agent_shut(agent);
	agent_init(agent);
}

/* Drops the entries of page tables; the pages stay in their memfd. Linux before 6.13 refuses
 * process_madvise with this advice. */
static void
agent_drop(struct agent *agent, struct iovec *iov, size_t count)
{
	size_t total = 0, i;
	int fd;

	if (count == 0)
		return;
	for (i = 0; i < count; i++)
		total += iov[i].iov_len;
	if (agent->pidfd >= 0) {
		if (syscall(SYS_process_madvise, agent->pidfd, iov, count, MADV_DONTNEED, 0) ==
		    (long)total)
			return;
		fd = agent->pidfd;
		agent->pidfd = -1; /* before the close: a child forked in between must not close a
				      number that names another file by then */
		syscall(SYS_close, fd);
	}
	for (i = 0; i < count; i++)
		madvise(iov[i].iov_base, iov[i].iov_len, MADV_DONTNEED);
}

/* Ranges to be dropped together. */
struct drop {
	struct iovec iov[PAGER_AGENT_RANGES_MAX];
	size_t count;
};

static void
drop_add(struct agent *agent, struct drop *drop, uint64_t start, uint64_t size)
{
	if (drop->count == PAGER_AGENT_RANGES_MAX) {
		agent_drop(agent, drop->iov, drop->count);
		drop->count = 0;
	}
	drop->iov[drop->count++] = (struct iovec){ (void *)(uintptr_t)start, size };
}

/* Adds the parts of one range that are ours. */
static void
drop_parts(struct pager *p, struct drop *drop, uint64_t start, uint64_t end)
{
	for (uint64_t size; start < end; start += size ? size : HARDWARE_PAGE) {
		size = space_registered_part(p, start, end - start);
		if (size > 0)
			drop_add(&p->agent, drop, start, size);
	}
}

/* How many ranges, from the first on, lie in one mapping of ours. Asking takes as long as dropping,
 * so most batches need one question. => at least 1; ranges in ascending order */
static size_t
ranges_in_one_mapping(struct pager *p, const struct iovec *ranges, size_t count)
{
	uint64_t start = (uintptr_t)ranges[0].iov_base;

	for (; count > 1; count /= 2) {
		uint64_t end = (uintptr_t)ranges[count - 1].iov_base + ranges[count - 1].iov_len;

		if (end > start && space_is_registered(p, start, end - start))
			return count;
	}
	return 1;
}

static bool
ranges_ascend(const struct iovec *ranges, size_t count)
{
	for (size_t i = 1; i < count; i++)
		if ((uintptr_t)ranges[i].iov_base <
		    (uintptr_t)ranges[i - 1].iov_base + ranges[i - 1].iov_len)
			return false;
	return true;
}

/* Drops only ranges that are managed at this moment: since the daemon sent an address it may have
 * been given back, and may be anything now. space_lock keeps the check true until the advice has
 * been given. Drops only our own mappings: the advice would destroy private memory that the program
 * has mapped in their place. */
static void
agent_zap(struct pager *p, const struct pager_agent_message *message)
{
	struct iovec ranges[PAGER_AGENT_RANGES_MAX];
	struct drop drop = { .count = 0 };
	uint64_t mask = p->page_size - 1;
	size_t count = 0, together;
	bool ascend;

	hold_lock(&p->space_lock);
	for (uint32_t i = 0; i < message->count; i++) {
		uint64_t start = message->ranges[i].address, end = start + message->ranges[i].size;

		if (end > start && ((start | end) & mask) == 0 &&
		    range_set_contains(&p->managed, start, end))
			ranges[count++] = (struct iovec){ (void *)(uintptr_t)start, end - start };
	}
	ascend = ranges_ascend(ranges, count);
	for (size_t i = 0; i < count; i += together) {
		together = ascend ? ranges_in_one_mapping(p, ranges + i, count - i) : 1;
		for (size_t k = i; together > 1 && k < i + together; k++)
			drop_add(
			    &p->agent, &drop, (uintptr_t)ranges[k].iov_base, ranges[k].iov_len);
		if (together == 1)
			drop_parts(p, &drop, (uintptr_t)ranges[i].iov_base,
			    (uintptr_t)ranges[i].iov_base + ranges[i].iov_len);
	}
	agent_drop(&p->agent, drop.iov, drop.count);
	hold_unlock(&p->space_lock);
}

/* Chooses the processor on which entries are dropped. Dropping a range interrupts each other
 * processor that runs the program at that moment, and waits for it: 10 to 20 us where processors
 * are virtual. Until it ends, every flush that pageout makes for this program becomes an interrupt
 * too (the kernel's mm_tlb_flush_nested). If threads fault on one processor only, the agent goes
 * there: nobody else is interrupted. If they fault on several, it goes to any other processor, so
 * that none of them has to wait for its own. */
static void
agent_choose_processors(struct agent *agent, uint64_t faulting)
{
	bool one = (faulting & (faulting - 1)) == 0;
	cpu_set_t now;

	if (faulting == agent->faulting || sched_getaffinity(0, sizeof(now), &now) != 0)
		return;
	agent->faulting = faulting;
	/* The mask is not the one set here: somebody else has decided where this thread may run. */
	if (!CPU_EQUAL(&now, &agent->used))
		agent->allowed = now;
	agent->used = agent->allowed;
	for (int cpu = 0; faulting != 0 && cpu < CPU_SETSIZE; cpu++)
		if ((cpu < 64 && (faulting >> cpu & 1)) != one)
			CPU_CLR(cpu, &agent->used);
	if (CPU_COUNT(&agent->used) == 0)
		agent->used = agent->allowed;
	if (sched_setaffinity(0, sizeof(agent->used), &agent->used) != 0)
		agent->used = now;
}

/* Receives one message; ignores it if it is malformed or unknown. => false: no more messages can
 * come. */
static bool
agent_receive(struct pager *p)
{
	struct pager_agent_message message;
	const size_t head = offsetof(struct pager_agent_message, ranges);
	ssize_t n = syscall(SYS_recvfrom, p->agent.socket, &message, sizeof(message),
	    MSG_DONTWAIT | MSG_TRUNC, NULL, NULL);

	if (n < 0)
		return errno == EINTR || errno == EAGAIN;
	if (n == 0)
		return false;
	if ((size_t)n < head || (size_t)n > sizeof(message) ||
	    message.count > PAGER_AGENT_RANGES_MAX)
		return true;
	if ((size_t)n != head + message.count * sizeof(message.ranges[0]))
		return true;
	if (message.op == PAGER_AGENT_ZAP) {
		agent_choose_processors(&p->agent, message.value);
		agent_zap(p, &message);
	} else if (message.op == PAGER_AGENT_WINDOW && message.count == 1) {
		show_open(p, message.ranges[0].address);
	} else if (message.op == PAGER_AGENT_RELEASE) {
		release_run(p);
	} else if (message.op == PAGER_AGENT_PRESSURE) {
		event_post(&p->events, PAGER_EVENT_PRESSURE, message.value);
	} else if (message.op == PAGER_AGENT_LIMIT) {
		event_post(&p->events, PAGER_EVENT_LIMIT, message.value);
	}
	return true;
}

static int
agent_watch(int epoll, int fd, uint32_t events, uint64_t which)
{
	struct epoll_event event = { .events = events, .data.u64 = which };

	return syscall(SYS_epoll_ctl, epoll, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static void
agent_unwatch(const struct agent *agent, int fd)
{
	syscall(SYS_epoll_ctl, agent->epoll, EPOLL_CTL_DEL, fd, NULL);
}

static void *
agent_run(void *argument)
{
	struct pager *p = argument;
	struct agent *agent = &p->agent;
	struct epoll_event event;

	pthread_setname_np(pthread_self(), "pager-agent");
	for (;;) {
		if (syscall(SYS_epoll_pwait, agent->epoll, &event, 1, -1, NULL, 0) <= 0)
			continue;
		switch (event.data.u64) {
		case AGENT_POLL_STOP:
			return NULL;
		case AGENT_POLL_CONTROL:
			/* The event is posted once: from here on the agent waits only for the stop.
			 */
			agent_unwatch(agent, p->chan.fd);
			agent_unwatch(agent, agent->socket);
			chan_break(&p->chan);
			event_post(&p->events, PAGER_EVENT_DAEMON_DIED, 0);
			break;
		default:
			if (!agent_receive(p))
				agent_unwatch(agent, agent->socket);
			break;
		}
	}
}

int
agent_start(struct pager *p)
{
	struct agent *agent = &p->agent;
	sigset_t all, old;
	int r = 0;

	/* Not poll(2): it fails for good in a process whose RLIMIT_NOFILE is lower than the number
	 * of descriptors it is asked about. */
	agent->epoll = (int)syscall(SYS_epoll_create1, EPOLL_CLOEXEC);
	if (agent->epoll < 0)
		return -errno;
	r = agent_watch(agent->epoll, agent->stop_fd, EPOLLIN, AGENT_POLL_STOP);
	if (r == 0)
		r = agent_watch(agent->epoll, agent->socket, EPOLLIN, AGENT_POLL_SOCKET);
	if (r == 0)
		r = agent_watch(agent->epoll, p->chan.fd, 0, AGENT_POLL_CONTROL); /* hang-up only */
	if (r < 0)
		return r;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	r = -pthread_create(&agent->thread, NULL, agent_run, p);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return r == -EAGAIN ? -ENOMEM : r;
}

void
agent_stop(struct pager *p)
{
	uint64_t one = 1;

	while (syscall(SYS_write, p->agent.stop_fd, &one, sizeof(one)) < 0 && errno == EINTR)
		continue;
	pthread_join(p->agent.thread, NULL);
}
