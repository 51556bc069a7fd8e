/* SPDX-License-Identifier: MIT
 *
 * Replays a trace through a policy. One thread, no locks; several simulations may run at the same
 * time.
 *
 * The calls for a fault while all frames are in use: miss(page), deactivate, select,
 * done(victim, EVICTED), fault(page); then deactivate again for policies that keep a target. This
 * is the daemon's order when its free queue is empty.
 */
#include "sim.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#include "base.h"
#include "pol_window.h"

/* A page's byte: enum pol_state in the low two bits. */
enum { STATE = 3, DIRTY = 4, WRITABLE = 8, SEEN = 16 };
enum { BATCH = 64, STALLS = 4, CHUNK = 1 << 16 };

struct sim {
	const struct pol_ops *ops;
	void *mem;
	uint8_t *pages;
	uint32_t npages, nframes, resident, inactive;
	struct pol_window
	    *window; /* NULL: the policy deactivates, or the model has no mapped pages */
	bool textbook, keeps_target;
	uint32_t *next_use; /* of each resident page; NULL for online policies */
	uint32_t fallback_hand;
	struct sim_result result;
};

static enum pol_state
sim_state(const void *core, pol_page page)
{
	return ((const struct sim *)core)->pages[page] & STATE;
}

static uint64_t
sim_next_use(const void *core, pol_page page)
{
	return ((const struct sim *)core)->next_use[page];
}

static void
sim_set_state(struct sim *s, pol_page page, enum pol_state state)
{
	enum pol_state old = s->pages[page] & STATE;

	s->inactive += (state == POL_INACTIVE) - (old == POL_INACTIVE);
	s->resident += (state != POL_NONRESIDENT) - (old != POL_NONRESIDENT);
	s->pages[page] = (uint8_t)((s->pages[page] & ~STATE) | state);
}

static void
sim_unmap(struct sim *s, pol_page page)
{
	if (page >= s->npages || (s->pages[page] & STATE) == POL_NONRESIDENT) {
		s->result.violations++;
		return;
	}
	s->pages[page] &= (uint8_t)~WRITABLE;
	sim_set_state(s, page, POL_INACTIVE);
}

static void
sim_map(struct sim *s, pol_page page)
{
	sim_set_state(s, page, POL_MAPPED);
	if (s->window != NULL)
		pol_window_map(s->window, page);
}

/* Unmaps the pages that the policy, or the window, proposes. => their number. */
static unsigned
sim_deactivate(struct sim *s, unsigned want, uint32_t keep)
{
	pol_page out[BATCH];
	unsigned n;

	if (s->ops->deactivate != NULL)
		n = s->ops->deactivate(s->mem, want, out);
	else if (s->window != NULL)
		n = pol_window_deactivate(s->window, keep, want, out);
	else
		return 0;
	for (unsigned i = 0; i < n; i++)
		sim_unmap(s, out[i]);
	return n;
}

/* After a fault or soft fault: shrinks the mapped pages to the window, or to the policy's own
 * target while frames are scarce. */
static void
sim_settle(struct sim *s)
{
	if (s->window != NULL)
		while (s->window->lists[1].count > s->window->width)
			sim_deactivate(s, BATCH, s->window->width);
	else if (s->keeps_target && s->resident >= s->nframes)
		while (sim_deactivate(s, BATCH, 0) > 0)
			;
}

static void
sim_evict(struct sim *s, pol_page page)
{
	if (s->pages[page] & DIRTY)
		s->result.written++;
	else
		s->result.clean++;
	if (s->window != NULL)
		pol_window_forget(s->window, page);
	sim_set_state(s, page, POL_NONRESIDENT);
	s->pages[page] &= SEEN;
	s->ops->done(s->mem, page, POL_EVICTED);
}

/* Evicts any inactive page, else any resident page, because the policy has proposed none. */
static void
sim_fall_back(struct sim *s)
{
	enum pol_state wanted = s->inactive > 0 ? POL_INACTIVE : POL_MAPPED;

	s->result.fallbacks++;
	while ((s->pages[s->fallback_hand] & STATE) != wanted)
		s->fallback_hand = (s->fallback_hand + 1) % s->npages;
	sim_evict(s, s->fallback_hand);
}

static void
sim_make_room(struct sim *s)
{
	/* A round that unmaps no page and finds no victim is a stall; too many stalls end the
	 * search. */
	uint64_t rounds = 4 * (uint64_t)s->nframes + STALLS;
	unsigned stalls = 0;

	for (; stalls < STALLS && rounds > 0; rounds--) {
		unsigned unmapped = 0;
		pol_page victim;

		if (s->ops->deactivate != NULL)
			unmapped = sim_deactivate(s, s->keeps_target ? BATCH : 1, 0);
		else if (s->window != NULL && (s->inactive == 0 || stalls > 0))
			unmapped = sim_deactivate(s, 1, 0);
		if (s->ops->select(s->mem, 1, &victim) == 0) {
			stalls = unmapped > 0 ? stalls : stalls + 1;
			continue;
		}
		if (victim < s->npages && ((s->pages[victim] & STATE) == POL_INACTIVE ||
					      ((s->ops->flags & POL_WANTS_EVERY_REFERENCE) &&
						  (s->pages[victim] & STATE)))) {
			sim_evict(s, victim);
			return;
		}
		s->result.violations++;
		stalls++;
		if (victim < s->npages)
			s->ops->done(s->mem, victim, POL_BUSY);
	}
	sim_fall_back(s);
}

static void
sim_major(struct sim *s, pol_page page, bool write)
{
	bool seen = s->pages[page] & SEEN;
	unsigned pf = write ? PF_WRITE : 0;

	s->result.majors++;
	s->result.cold += !seen;
	if (s->ops->miss != NULL)
		s->ops->miss(s->mem, page, pf);
	if (s->resident >= s->nframes)
		sim_make_room(s);
	s->pages[page] = (uint8_t)(SEEN | (write ? DIRTY | WRITABLE : 0));
	sim_map(s, page);
	s->ops->fault(s->mem, page, pf);
	if (s->textbook)
		sim_set_state(s, page, POL_INACTIVE);
	sim_settle(s);
}

static void
sim_forget(struct sim *s, pol_page page)
{
	if (s->window != NULL)
		pol_window_forget(s->window, page);
	if (s->pages[page] & STATE)
		sim_set_state(s, page, POL_NONRESIDENT);
	s->pages[page] = 0;
	s->ops->forget(s->mem, page);
}

/* Every reference is visible. */
static inline void
sim_textbook_event(struct sim *s, uint32_t event)
{
	pol_page page = event >> TRACE_SHIFT;
	unsigned write = event & TRACE_WRITE;

	if (unlikely(!(s->pages[page] & STATE))) {
		sim_major(s, page, write);
		return;
	}
	s->pages[page] |= (uint8_t)(write * DIRTY);
	s->ops->soft(s->mem, page, write);
	if (s->keeps_target && s->resident >= s->nframes)
		while (sim_deactivate(s, BATCH, 0) > 0)
			;
}

static inline void
sim_pager_event(struct sim *s, uint32_t event)
{
	pol_page page = event >> TRACE_SHIFT;
	bool write = event & TRACE_WRITE;

	switch (s->pages[page] & STATE) {
	case POL_NONRESIDENT:
		sim_major(s, page, write);
		return;
	case POL_INACTIVE:
		s->result.soft++;
		s->pages[page] |= (uint8_t)(write ? DIRTY | WRITABLE : 0);
		sim_map(s, page);
		s->ops->soft(s->mem, page, write ? PF_WRITE : 0);
		sim_settle(s);
		return;
	default:
		if (!write || (s->pages[page] & WRITABLE))
			return;
		s->result.write_faults++;
		s->pages[page] |= DIRTY | WRITABLE;
		if (s->ops->write != NULL)
			s->ops->write(s->mem, page);
	}
}

static void
sim_events(struct sim *s, const struct trace *trace, size_t begin, size_t end)
{
	for (size_t i = begin; i < end; i++) {
		uint32_t event = trace->events[i];

		if (s->next_use != NULL)
			s->next_use[event >> TRACE_SHIFT] = trace->next[i];
		if (unlikely(event & TRACE_FORGET))
			sim_forget(s, event >> TRACE_SHIFT);
		else if (s->textbook)
			sim_textbook_event(s, event);
		else
			sim_pager_event(s, event);
	}
}

/* The most common case, as a loop of its own because it is fast. */
static void
sim_events_textbook(struct sim *s, const struct trace *trace, size_t begin, size_t end)
{
	for (size_t i = begin; i < end; i++)
		sim_textbook_event(s, trace->events[i]);
}

static void
sim_events_checked(struct sim *s, const struct trace *trace, size_t begin, size_t end)
{
	for (size_t i = begin; i < end && s->result.broken == NULL; i++) {
		struct pol_stats stats = { 0 };

		sim_events(s, trace, i, i + 1);
		s->ops->stats(s->mem, &stats);
		s->result.broken = s->ops->check(s->mem);
		if (s->result.broken == NULL && stats.resident != 0 &&
		    stats.resident != s->resident)
			s->result.broken = "the policy's count of resident pages is not the core's";
		s->result.broken_at = i;
	}
}

static void *
sim_map_memory(size_t bytes)
{
	void *mem = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return mem == MAP_FAILED ? NULL : mem;
}

static void
sim_loop(struct sim *s, const struct trace *trace, const struct sim_config *config)
{
	struct timespec t0, t1;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t0);
	for (size_t i = 0; i < trace->count && s->result.broken == NULL; i += CHUNK) {
		size_t end = i + CHUNK < trace->count ? i + CHUNK : trace->count;

		if (config->check)
			sim_events_checked(s, trace, i, end);
		else if (s->textbook && !trace->has_forgets && s->next_use == NULL)
			sim_events_textbook(s, trace, i, end);
		else
			sim_events(s, trace, i, end);
		if (config->progress != NULL)
			atomic_fetch_add_explicit(config->progress, end - i, memory_order_relaxed);
	}
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t1);
	s->result.ns = (uint64_t)((t1.tv_sec - t0.tv_sec) * 1000000000 + (t1.tv_nsec - t0.tv_nsec));
}

double
sim_bytes_per_page(const struct trace *trace, const struct sim_config *config)
{
	const struct pol_env env = {
		.npages = trace->npages, .nframes = config->nframes, .seed = config->seed
	};

	return (double)config->ops->footprint(&env, config->params) / trace->npages;
}

int
sim_run(const struct trace *trace, const struct sim_config *config, struct sim_result *ret)
{
	const struct pol_ops *ops = config->ops;
	struct sim s = {
		.ops = ops,
		.npages = trace->npages,
		.nframes = config->nframes,
		.textbook =
		    config->model == SIM_TEXTBOOK || (ops->flags & POL_WANTS_EVERY_REFERENCE),
		.keeps_target = (ops->flags & POL_KEEPS_TARGET) && ops->deactivate != NULL,
	};
	struct pol_env env = {
		.npages = trace->npages,
		.nframes = config->nframes,
		.seed = config->seed,
		.state = sim_state,
		.next_use = ops->flags & POL_OFFLINE_ONLY ? sim_next_use : NULL,
		.core = &s,
	};
	size_t bytes = ops->footprint(&env, config->params);
	size_t window_bytes = pol_window_footprint(trace->npages);
	bool windowed = !s.textbook && ops->deactivate == NULL;
	int error = -ENOMEM;

	if (bytes == 0)
		return -EINVAL;
	s.mem = sim_map_memory(bytes);
	s.pages = calloc(trace->npages, 1);
	s.window = windowed ? sim_map_memory(window_bytes) : NULL;
	if (env.next_use != NULL)
		s.next_use = malloc(trace->npages * sizeof(*s.next_use));
	if (s.mem != NULL && s.pages != NULL && (!windowed || s.window != NULL) &&
	    (env.next_use == NULL || s.next_use != NULL))
		error = ops->init(s.mem, &env, config->params);
	if (error == 0) {
		if (windowed)
			pol_window_init(s.window, config->window);
		sim_loop(&s, trace, config);
		s.result.bytes_per_page = (double)bytes / trace->npages;
		*ret = s.result;
	}
	if (s.mem != NULL)
		munmap(s.mem, bytes);
	if (s.window != NULL)
		munmap(s.window, window_bytes);
	free(s.pages);
	free(s.next_use);
	return error;
}
