/* SPDX-License-Identifier: MIT
 *
 * Ending processes. Allocates nothing.
 */
#include "memorystatus/reap.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "daemon.h"
#include "failpt.h"
#include "memorystatus/freeze_look.h"
#include "memorystatus/tell.h"
#include "pagers/store.h"
#include "vm/process.h"
#include "vm/task.h"

int
reap_band(const struct daemon *d, const struct process *process, uint64_t now_ns)
{
	struct process *p = (struct process *)(uintptr_t)process;
	int band = load_relaxed(&p->band), now;
	uint64_t since_ns = load_relaxed(&p->band_since_ns);

	if (band == PROCESS_BAND_NONE)
		return BAND_IMPORTANT;
	now = jetsam_band_now(band, since_ns < now_ns ? since_ns : now_ns, now_ns,
	    param(d, jetsam_aging_seconds) * 1000000000u);
	/* It has nothing in memory whose end would help. */
	return now < BAND_FREEZER && load_relaxed(&p->freeze.state) == FREEZE_FROZEN ? BAND_FREEZER
										     : now;
}

static bool
may_be_ended(const struct daemon *d, struct process *process)
{
	uint64_t who = param(d, jetsam);

	return process_pidfd(process) >= 0 &&
	       (who > 1 || (who == 1 && load_relaxed(&process->band) != PROCESS_BAND_NONE));
}

/* Of a pair of limits the one that holds for a process of that band. */
static struct process_limit *
limit_of(struct process_limit limits[2], int band)
{
	struct process_limit *inactive = &limits[PROCESS_INACTIVE];

	return band == BAND_IDLE && load_relaxed(&inactive->pages) != 0 ? inactive
									: &limits[PROCESS_ACTIVE];
}

/* Percent of its limit at which a program is told. */
#define LIMIT_WARN 80u

/* How near to its limit a process is, as its clients are told. resident: the limit, if it is fatal,
 * keeps it from having more. */
static unsigned
percent_of(uint64_t has, uint64_t most)
{
	return most == 0 ? 0 : has > most ? 100 : has * 100 / most >= LIMIT_WARN ? LIMIT_WARN : 0;
}

/* Tells the process's clients that it has come near a limit, or is over it: each once, until it
 * has less again. */
static void
limit_tell(struct memorystatus *s, struct process *process, unsigned percent)
{
	unsigned told = load_relaxed(&process->limit_told);

	store_relaxed(&process->limit_told, percent);
	for (size_t i = 0; percent > told && i < s->count; i++)
		if (s->tasks[i]->bill.process == process)
			(void)agent_tell(
			    s->tasks[i], PAGER_AGENT_LIMIT, PAGER_AGENT_LIMIT_VALUE(0, percent));
}

/* What faults are held to. A request may change the limit meanwhile, and holds from its answer on
 * (handle_limits): the limit first, then what is held to. */
static void
limit_hold(atomic_ullong *held, struct process_limit *limit)
{
	uint64_t most;
	bool is_fatal;

	do {
		most = load_acquire(&limit->pages);
		is_fatal = load_acquire(&limit->is_fatal);
		(void)exchange_acq_rel(held, is_fatal ? most : 0);
	} while (load_acquire(&limit->pages) != most || load_acquire(&limit->is_fatal) != is_fatal);
}

/* What its limit makes of the process. */
static void
limit_look(struct memorystatus *s, struct process *process, struct jetsam_process *c)
{
	struct process_limit *limit = limit_of(process->footprint_limits, c->band);
	struct process_limit *of_resident = limit_of(process->resident_limits, c->band);
	uint64_t most = load_relaxed(&limit->pages), resident = process_counted(process);
	uint64_t resident_most = load_relaxed(&of_resident->pages);
	bool is_fatal = load_relaxed(&limit->is_fatal);
	bool resident_fatal = load_relaxed(&of_resident->is_fatal);
	unsigned percent = percent_of(c->footprint, most);

	limit_hold(&process->footprint_most, limit);
	limit_hold(&process->resident_most, of_resident);
	c->is_over_soft = (most != 0 && !is_fatal && c->footprint > most) ||
			  (resident_most != 0 && !resident_fatal && resident > resident_most);
	if (most != 0 && is_fatal && c->footprint > most)
		process_over_fatal(process, most);
	if (percent_of(resident, resident_most) > percent)
		percent = percent_of(resident, resident_most);
	limit_tell(s, process, percent);
}

/* The process may not be killed, is not to be seen from here, or does not get to its end: its
 * sessions end all the same. */
static void
sessions_end(struct daemon *d, const struct process *process)
{
	const struct memorystatus *s = &d->memorystatus;

	for (size_t i = 0; i < s->count; i++)
		if (s->tasks[i]->bill.process == process)
			store_release(&s->tasks[i]->end_wanted, true);
	store_release(&d->tasks_end_wanted, true);
	pulse_beat(&d->pulse);
}

/* It was killed, and something holds it at its end: a debugger that asked for that
 * (PTRACE_O_TRACEEXIT), or a system call that does not return. It runs no more, and what it has is
 * given back by taking its sessions from it. Until then nobody else is chosen, see DYING_NS. */
static void
held_look(struct daemon *d, struct process *process, uint64_t dying_ns, uint64_t now_ns)
{
	if (dying_ns == 0 || now_ns - dying_ns < HELD_NS || process->is_held ||
	    process_has_ended(process))
		return;
	process->is_held = true;
	log_warning_limited("process %d was killed and is held at its end: its sessions end",
	    (int)process_pid(process));
	sessions_end(d, process);
}

static void
processes_look(struct daemon *d, uint64_t now_ns)
{
	struct memorystatus *s = &d->memorystatus;

	s->is_timed = false;
	s->process_count = processes_take(d, s->processes, d->tasks.room);
	for (uint32_t i = 0; i < s->process_count; i++) {
		struct process *process = s->processes[i];
		uint64_t dying_ns = load_relaxed(&process->dying_ns);

		s->choices[i] = (struct jetsam_process){
			.band = reap_band(d, process, now_ns),
			.may_be_ended = may_be_ended(d, process),
			.is_dying = dying_ns != 0,
			.dying_ns = dying_ns,
			.moved = load_relaxed(&process->band_moved),
			.since_ns = load_relaxed(&process->band_since_ns),
			.footprint = (uint64_t)load_relaxed(&process->footprint),
		};
		limit_look(s, process, &s->choices[i]);
		held_look(d, process, dying_ns, now_ns);
		/* It ages in its band, or is on its way out. */
		s->is_timed |= load_relaxed(&process->band) != PROCESS_BAND_NONE || dying_ns != 0 ||
			       load_relaxed(&process->is_over_fatal);
	}
}

/* A client of that process, or NULL: its tasks are being taken apart. */
static const struct task *
task_of(const struct memorystatus *s, const struct process *process)
{
	for (size_t i = 0; i < s->count; i++)
		if (s->tasks[i]->bill.process == process)
			return s->tasks[i];
	return NULL;
}

static void
snapshot_processes(
    const struct daemon *d, size_t chosen, uint64_t now_ns, struct pager_wire_event *ret)
{
	const struct memorystatus *s = &d->memorystatus;

	ret->process_count = s->process_count;
	for (size_t i = 0; i < s->process_count && ret->count < PAGER_EVENT_PROCESSES; i++) {
		const struct jetsam_process *c = &s->choices[i];
		const struct task *task = task_of(s, s->processes[i]);
		struct pager_wire_event_process *p = &ret->processes[ret->count++];

		*p = (struct pager_wire_event_process){
			.pid = (uint32_t)process_pid(s->processes[i]),
			.band = c->band,
			.flags = (i == chosen ? PAGER_PROCESS_CHOSEN : 0) |
				 (c->is_dying ? PAGER_PROCESS_DYING : 0) |
				 (c->may_be_ended ? PAGER_PROCESS_ENDABLE : 0) |
				 (c->is_over_soft ? PAGER_PROCESS_OVER_SOFT : 0),
			.uid = task ? task->uid : 0,
			.footprint = c->footprint << d->page_shift,
			.moved = c->moved,
			.band_ns = c->since_ns ? now_ns - c->since_ns : 0,
		};
		snprintf(p->name, sizeof(p->name), "%.31s", task ? task->name : "");
	}
}

static uint64_t
bytes_of(struct daemon *d, enum stat_index gauge)
{
	return (uint64_t)load_relaxed(&d->stats.levels[gauge]) << d->page_shift;
}

static void
snapshot_machine(struct daemon *d, const struct jetsam_input *in, const struct space *space,
    struct pager_wire_event *ret)
{
	unsigned shift = d->page_shift;

	ret->available = in->available;
	memcpy(ret->below, in->limits.below, sizeof(ret->below));
	ret->announced = load_relaxed(&d->memorystatus.announced);
	ret->is_squeezed = in->is_squeezed;
	ret->short_seconds =
	    in->short_ns ? (uint32_t)((in->now_ns - in->short_ns) / 1000000000u) : 0;
	ret->movable = space->movable << shift;
	ret->free_above = space->free_above << shift;
	ret->files = space->files << shift;
	ret->compressible = pressure_compressible(space) << shift;
	ret->swap_room = space->swap_room << shift;
	ret->total = bytes_of(d, STAT_FRAMES_TOTAL);
	ret->free = bytes_of(d, STAT_FRAMES_FREE);
	ret->active = bytes_of(d, STAT_FRAMES_ACTIVE);
	ret->inactive = bytes_of(d, STAT_FRAMES_INACTIVE);
	ret->laundry = bytes_of(d, STAT_FRAMES_LAUNDRY);
	ret->wired = bytes_of(d, STAT_FRAMES_WIRED);
	ret->speculative = bytes_of(d, STAT_FRAMES_SPECULATIVE);
	ret->compressor = bytes_of(d, STAT_FRAMES_COMPRESSOR);
}

/* The limit that the process was over: a fatal one may have been changed since. Pages */
static uint64_t
limit_over(struct process *process, int band)
{
	return load_acquire(&process->is_over_fatal)
		   ? load_relaxed(&process->over_pages)
		   : load_relaxed(&limit_of(process->footprint_limits, band)->pages);
}

/* One that ends by itself at this very moment is counted as ended all the same. */
static void
process_kill(struct daemon *d, struct process *process)
{
	int error = failpt_hit(FAIL_PROCESS_KILL_EPERM);

	if (!error &&
	    syscall(SYS_pidfd_send_signal, process_pidfd(process), SIGKILL, NULL, 0u) != 0)
		error = errno;
	if (!error || error == ESRCH)
		return;
	log_warning_limited("process %d cannot be killed (%s): only its sessions end",
	    (int)process_pid(process), strerror(error));
	sessions_end(d, process);
}

/* The process is ended, and the event kept: before, so that whoever sees that it has ended finds
 * it. */
static void
end_process(struct daemon *d, size_t chosen, enum jetsam_cause cause, const struct jetsam_input *in,
    const struct space *space)
{
	struct memorystatus *s = &d->memorystatus;
	struct process *process = s->processes[chosen];
	const struct task *task = task_of(s, process);
	static struct pager_wire_event event; /* the thread's: it is too large for a stack */
	struct timespec now;

	CHECK(cause != JETSAM_NONE && !s->choices[chosen].is_dying && process_pidfd(process) >= 0);
	store_relaxed(&process->dying_ns, in->now_ns);
	if (process_has_ended(process))
		return;
	clock_gettime(CLOCK_REALTIME, &now);
	event = (struct pager_wire_event){
		.time_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec,
		.cause = cause,
		.pid = (uint32_t)process_pid(process),
		.uid = task ? task->uid : 0,
		.band = s->choices[chosen].band,
		.session_id = task ? task->id : 0,
		.footprint = s->choices[chosen].footprint << d->page_shift,
		.limit = limit_over(process, s->choices[chosen].band) << d->page_shift,
	};
	snprintf(event.name, sizeof(event.name), "%s", task ? task->name : "");
	snapshot_machine(d, in, space, &event);
	snapshot_processes(d, chosen, in->now_ns, &event);
	events_add(&s->events, &event);
	stat_add(
	    stats_shard(&d->stats, shard_index_extra(d, SHARD_MEMORYSTATUS)), STAT_JETSAM_KILLS, 1);
	log_notice_limited(
	    "process %d (%s, band %d, footprint %llu) is ended: %s (pagerctl events)",
	    (int)process_pid(process), event.name, event.band, (unsigned long long)event.footprint,
	    jetsam_cause_name(cause));
	process_kill(d, process);
}

/* Processes that want more than their fatal limit, whatever is available. */
static void
end_over_fatal(struct daemon *d, const struct jetsam_input *in, const struct space *space)
{
	struct memorystatus *s = &d->memorystatus;

	for (uint32_t i = 0; i < s->process_count; i++) {
		/* A forked child may be over its limit, by what its parent writes, before it is
		 * known which process it is. */
		if (!load_acquire(&s->processes[i]->is_over_fatal) || s->choices[i].is_dying ||
		    process_pidfd(s->processes[i]) < 0)
			continue;
		end_process(d, i, JETSAM_PER_PROCESS_LIMIT, in, space);
		s->choices[i].is_dying = true;
		s->choices[i].dying_ns = in->now_ns;
	}
}

static bool
is_settling(struct daemon *d, const struct jetsam_input *in)
{
	struct memorystatus *s = &d->memorystatus;
	bool somebody_dies = false;

	for (uint32_t i = 0; i < s->process_count; i++)
		somebody_dies |=
		    s->choices[i].is_dying && in->now_ns - s->choices[i].dying_ns < DYING_NS;
	/* What the dead had in swap lies between others' pages, which have to be moved first. */
	return jetsam_settles(&s->settle, somebody_dies, in->pass,
	    load_relaxed(&d->writeback.passes),
	    in->available >= in->limits.below[PRESSURE_WARNING] ||
		(d->compressor && store_compaction_worth(d, true)));
}

void
reap(struct daemon *d, struct jetsam_input *in, const struct space *space)
{
	struct memorystatus *s = &d->memorystatus;
	enum jetsam_cause cause;
	bool settles;
	size_t chosen;

	CHECK(s->process_count == 0);
	locks_assert_none();
	processes_look(d, in->now_ns);
	end_over_fatal(d, in, space);
	settles = is_settling(d, in);
	cause = settles ? JETSAM_NONE : jetsam_choose(s->choices, s->process_count, in, &chosen);
	/* One that has ended by itself gives its memory back, which may be enough. */
	if (cause != JETSAM_NONE && process_has_ended(s->processes[chosen])) {
		store_relaxed(&s->processes[chosen]->dying_ns, in->now_ns);
		s->choices[chosen].is_dying = true;
		s->choices[chosen].dying_ns = in->now_ns;
	} else if (cause != JETSAM_NONE) {
		end_process(d, chosen, cause, in, space);
	}
	s->settle.was_dying |= cause != JETSAM_NONE;
	store_relaxed(
	    &s->can_help, settles || jetsam_can_help(s->choices, s->process_count, in->now_ns));
	freeze_look(d, space, in->now_ns);
	while (s->process_count > 0)
		process_put(d, s->processes[--s->process_count]);
}
