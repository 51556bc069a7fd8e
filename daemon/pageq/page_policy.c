/* SPDX-License-Identifier: MIT
 *
 * Instances of page-out policies. Runs on: the thread that holds PAGEQ; jobs and start make and
 * destroy them. Allocates when one is made.
 */
#include "pageq/page_policy.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "own.h"
#include "pol_load.h"
#include "vm/vm_page.h"

static enum pol_state
policy_state(const void *core, pol_page page)
{
	const struct daemon *d = core;
	uint64_t slot;

	pageq_assert_held(d);
	/* A policy from outside may ask about anything. */
	if (unlikely(page >= d->slots.count))
		return POL_NONRESIDENT;
	slot = load_acquire(slot_look(&d->slots, page));
	if (slot_kind(slot) != SLOT_RESIDENT)
		return POL_NONRESIDENT;
	switch (page_word_state(load_acquire(&d->frames.pages[slot_frame(slot)].word))) {
	case PAGE_ACTIVE:
		return POL_MAPPED;
	case PAGE_INACTIVE:
		return POL_INACTIVE;
	default:
		return POL_PINNED;
	}
}

/* Sparse memory: a policy touches its entries only where pages have come. entries: the offset of an
 * array of entries, which begins at a hardware page, as does every run of slots. So the entries of
 * pages that have not come take no memory. => the first of `bytes`, or NULL */
static void *
sparse_memory(const struct daemon *d, size_t bytes, size_t entries, struct policy_memory *ret)
{
	/* Entries whose offset is not aligned stay where they are: those at the ends of a range
	 * that is released share hardware pages with others, and keep their memory. */
	size_t before =
	    entries % _Alignof(max_align_t) == 0 ? round_up_u64(entries, d->hw_bytes) - entries : 0;
	void *mapping = mmap(NULL, before + bytes, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (mapping == MAP_FAILED)
		return NULL;
	own_area(OWN_POLICY, mapping, before + bytes);
	*ret = (struct policy_memory){ mapping, before + bytes };
	return (char *)mapping + before;
}

/* A policy that the daemon can run, by name. => NULL: there is none */
static const struct pol_ops *
find_ops(const char *name)
{
	const struct pol_ops *ops = policy_find(name);
	char message[256];

	if (!ops && strchr(name, '/') && policy_load(name, &ops, message, sizeof(message)) != 0)
		return NULL;
	return ops && !(ops->flags & (POL_OFFLINE_ONLY | POL_WANTS_EVERY_REFERENCE)) ? ops : NULL;
}

/* The frames for which policies plan. */
static uint32_t
frames_to_assume(struct daemon *d)
{
	uint64_t limit = param(d, resident_frames);

	uint32_t size = load_relaxed(&d->frames.size);

	return limit && limit < size ? (uint32_t)limit : size;
}

/* => 0, -EINVAL or -ENOMEM */
static int
instance_init(struct page_policy *pp, const char *params)
{
	struct daemon *d = pp->daemon;
	struct pol_env env = {
		.npages = d->slots.count,
		.nframes = frames_to_assume(d),
		.seed = 1,
		.state = policy_state,
		.core = d,
	};
	size_t bytes;

	bytes = pp->ops->footprint(&env, params);
	if (bytes == 0)
		return -EINVAL;
	pp->memory = sparse_memory(d, bytes, pp->ops->arrays[0].offset, &pp->own_memory);
	if (!pp->memory)
		return -ENOMEM;
	if (!pp->ops->deactivate) {
		pp->window = sparse_memory(d, pol_window_footprint(env.npages),
		    offsetof(struct pol_window, nodes), &pp->window_memory);
		if (!pp->window)
			return -ENOMEM;
		pol_window_init(pp->window, 0);
	}
	return pp->ops->init(pp->memory, &env, params);
}

/* Whether a user has fixed the cost, by cost= in the parameters. */
static bool
cost_is_fixed(const char *params)
{
	for (const char *p = params; p; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL)
		if (strncmp(p, "cost=", 5) == 0)
			return true;
	return false;
}

int
page_policy_create(struct daemon *d, const char *text, struct page_policy **ret)
{
	struct page_policy *pp = calloc(1, sizeof(*pp));
	char name[sizeof(pp->text)];
	const char *colon;
	size_t length;
	int error;

	locks_assert_none();
	if (!pp)
		return -ENOMEM;
	pp->magic = PAGE_POLICY_MAGIC;
	text = policy_expand(text);
	colon = strchr(text, ':');
	length = colon ? (size_t)(colon - text) : strlen(text);
	if (strlen(text) >= sizeof(pp->text)) {
		free(pp);
		return -EINVAL;
	}
	strcpy(pp->text, text);
	memcpy(name, text, length);
	name[length] = '\0';
	pp->daemon = d;
	store_relaxed(&pp->references, 1);
	pp->missed = POL_NONE;
	pp->ops = find_ops(name);
	pp->tunable = pp->ops && pp->ops->tune && !cost_is_fixed(colon ? colon + 1 : NULL);
	error = pp->ops ? instance_init(pp, colon ? colon + 1 : NULL) : -ENOENT;
	if (error) {
		page_policy_destroy(pp);
		return error;
	}
	*ret = pp;
	return 0;
}

struct page_policy *
page_policy_get(struct page_policy *pp)
{
	if (!pp)
		return NULL;
	CHECK_OBJ(pp, PAGE_POLICY_MAGIC);
	CHECK(fetch_add_relaxed(&pp->references, 1) > 0);
	return pp;
}

static void
memory_free(const struct policy_memory *m)
{
	if (!m->mapping)
		return;
	own_area_forget(m->mapping);
	munmap(m->mapping, m->bytes);
}

void
page_policy_destroy(struct page_policy *pp)
{
	if (!pp)
		return;
	CHECK_OBJ(pp, PAGE_POLICY_MAGIC);
	if (fetch_sub_acq_rel(&pp->references, 1) != 1)
		return;
	memory_free(&pp->own_memory);
	memory_free(&pp->window_memory);
	pp->magic = 0;
	free(pp);
}

/* Gives back the hardware pages that lie wholly within entries [first, first + count). */
static void
entries_release(
    const struct daemon *d, char *entries, size_t stride, pol_page first, uint32_t count)
{
	uintptr_t from = round_up_u64((uintptr_t)entries + (size_t)first * stride, d->hw_bytes);
	uintptr_t to =
	    round_down_u64((uintptr_t)entries + ((size_t)first + count) * stride, d->hw_bytes);

	/* Where the daemon may lock its memory, this memory is locked. */
	if (from < to)
		madvise((void *)from, to - from, MADV_DONTNEED_LOCKED);
}

void
page_policy_release(struct page_policy *pp, pol_page first, uint32_t count)
{
	const struct pol_array *array;
	size_t offset = 0;

	locks_assert_none();
	if (!pp)
		return;
	CHECK_OBJ(pp, PAGE_POLICY_MAGIC);
	CHECK((uint64_t)first + count <= pp->daemon->slots.count);
	for (array = pp->ops->arrays;
	     array < pp->ops->arrays + POL_ARRAYS_MAX && array->stride != 0; array++) {
		if (array->offset != 0)
			offset = array->offset;
		entries_release(
		    pp->daemon, (char *)pp->memory + offset, array->stride, first, count);
		offset += array->stride * pp->daemon->slots.count;
	}
	if (pp->window)
		entries_release(
		    pp->daemon, (char *)pp->window->nodes, sizeof(struct pol_node), first, count);
}

void
page_policy_fault(struct page_policy *pp, pol_page page, unsigned pf)
{
	pageq_assert_held(pp->daemon);
	INVARIANT(page < pp->daemon->slots.count);
	if (pp->ops->miss && pp->missed != page)
		pp->ops->miss(pp->memory, page, pf);
	if (pp->missed == page)
		pp->missed = POL_NONE;
	pp->ops->fault(pp->memory, page, pf);
	if (pp->window)
		pol_window_map(pp->window, page);
	pp->resident++;
}

void
page_policy_miss(struct page_policy *pp, pol_page page)
{
	pageq_assert_held(pp->daemon);
	INVARIANT(page < pp->daemon->slots.count);
	if (pp->ops->miss && pp->missed != page)
		pp->ops->miss(pp->memory, page, 0);
	pp->missed = page;
}

void
page_policy_soft(struct page_policy *pp, pol_page page, unsigned pf)
{
	pageq_assert_held(pp->daemon);
	INVARIANT(page < pp->daemon->slots.count);
	pp->ops->soft(pp->memory, page, pf);
	if (pp->window)
		pol_window_map(pp->window, page);
}

void
page_policy_write(struct page_policy *pp, pol_page page)
{
	pageq_assert_held(pp->daemon);
	if (pp->ops->write)
		pp->ops->write(pp->memory, page);
}

void
page_policy_unmapped(struct page_policy *pp, pol_page page)
{
	pageq_assert_held(pp->daemon);
	/* A policy from outside may have named a page that cannot be. */
	if (pp->window && likely(page < pp->daemon->slots.count))
		pol_window_forget(pp->window, page);
}

void
page_policy_forget(struct page_policy *pp, pol_page page, bool resident)
{
	pageq_assert_held(pp->daemon);
	pp->ops->forget(pp->memory, page);
	if (pp->missed == page)
		pp->missed = POL_NONE;
	page_policy_unmapped(pp, page);
	if (!resident)
		return;
	CHECK(pp->resident > 0);
	pp->resident--;
}

void
page_policy_done(struct page_policy *pp, pol_page page, enum pol_outcome outcome)
{
	pageq_assert_held(pp->daemon);
	pp->ops->done(pp->memory, page, outcome);
	if (outcome != POL_EVICTED)
		return;
	page_policy_unmapped(pp, page);
	CHECK(pp->resident > 0);
	pp->resident--;
}

unsigned
page_policy_deactivate(struct page_policy *pp, unsigned want, bool needed, pol_page *out)
{
	/* Two thirds stay mapped, as with the default policy. */
	uint32_t keep = pp->resident - pp->resident / 3;

	pageq_assert_held(pp->daemon);
	if (pp->window)
		return pol_window_deactivate(pp->window, needed ? keep / 2 : keep, want, out);
	if (needed || pp->ops->flags & POL_KEEPS_TARGET)
		return pp->ops->deactivate(pp->memory, want, out);
	return 0;
}

unsigned
page_policy_make_room(struct page_policy *pp, unsigned want, bool stalled, pol_page *out)
{
	pageq_assert_held(pp->daemon);
	if (!pp->window)
		return pp->ops->deactivate(
		    pp->memory, pp->ops->flags & POL_KEEPS_TARGET ? want : 1, out);
	if (stalled || pp->resident == pp->window->lists[1].count)
		return pol_window_deactivate(pp->window, 0, 1, out);
	return 0;
}

unsigned
page_policy_settle(struct page_policy *pp, unsigned want, bool scarce, pol_page *out)
{
	uint32_t frames = frames_to_assume(pp->daemon);

	pageq_assert_held(pp->daemon);
	/* Two thirds stay mapped, as in page_policy_deactivate. */
	if (pp->window)
		return pol_window_deactivate(pp->window, frames - frames / 3, want, out);
	return scarce && pp->ops->flags & POL_KEEPS_TARGET
		   ? pp->ops->deactivate(pp->memory, want, out)
		   : 0;
}

void
page_policy_resize(struct page_policy *pp)
{
	pageq_assert_held(pp->daemon);
	pp->ops->resize(pp->memory, frames_to_assume(pp->daemon));
}

void
page_policy_tune(struct page_policy *pp, uint32_t cost)
{
	char text[32];

	pageq_assert_held(pp->daemon);
	if (!pp->tunable || pp->cost == cost)
		return;
	snprintf(text, sizeof(text), "cost=%u", cost);
	/* A policy that has tune() may know other parameters than the cost. */
	if (pp->ops->tune(pp->memory, text) != 0)
		pp->tunable = false;
	else
		pp->cost = cost;
}

unsigned
page_policy_select(struct page_policy *pp, unsigned want, pol_page *out)
{
	pageq_assert_held(pp->daemon);
	return pp->ops->select(pp->memory, want, out);
}

void
page_policy_describe(struct page_policy *pp, char *text, size_t text_size)
{
	struct pol_stats stats = { 0 };
	char tuned[48] = "";

	pageq_assert_held(pp->daemon);
	pp->ops->stats(pp->memory, &stats);
	if (pp->cost)
		snprintf(tuned, sizeof(tuned), "measured: cost=%u\n", pp->cost);
	snprintf(text, text_size,
	    "%s: %s\nresident %llu mapped %llu inactive %llu ghosts %llu target "
	    "%llu\n%sparameters and their defaults: %s\n",
	    pp->text, pp->ops->help, (unsigned long long)stats.resident,
	    (unsigned long long)stats.mapped, (unsigned long long)stats.inactive,
	    (unsigned long long)stats.ghosts, (unsigned long long)stats.target, tuned,
	    pp->ops->params && *pp->ops->params ? pp->ops->params : "none");
}
