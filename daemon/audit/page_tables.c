/* SPDX-License-Identifier: MIT
 *
 * Page tables are read without any lock, and compared with what slots and words say afterwards. A
 * difference is a suspicion only, because the page may have changed in between. It becomes a
 * finding if it is there while the page is kept still: busy, or, without a frame, in a hole. Runs
 * on: jobs.
 */
#include "audit/page_tables.h"

#include <errno.h>
#include <sys/mman.h>

#include "daemon.h"
#include "pmap/pagemap.h"
#include "transit/release.h"
#include "vm/copy_look.h"
#include "vm/submap.h"
#include "vm/task.h"
#include "vm/vm_object.h"

#define RUNS_MAX 64u
/* Of a client's addresses that are read with one call, during which the client's mappings cannot
 * change: less than a millisecond. */
#define SCAN_BYTES (256ull << 20)
/* Pages compared while O is held. */
#define STEP_PAGES 512u

/* What keeps a page still. */
enum hold { HOLD_NONE, HOLD_BUSY, HOLD_HOLE };

static uint64_t
page_address(const struct client_entry *e, uint64_t index)
{
	return e->base + (index << e->mapping->object->daemon->page_shift);
}

/* Whether the books exclude what the page tables say of the page. => O held */
static bool
page_is_suspect_locked(const struct vm_object *o, uint64_t index, bool writable)
{
	uint64_t slot = load_relaxed(vm_object_slot(o, index));
	uint32_t word;

	lock_assert_held(&o->lock);
	if (slot_kind(slot) != SLOT_RESIDENT)
		return !vm_object_hole_at(o, index);
	word = load_relaxed(&o->daemon->frames.pages[slot_frame(slot)].word);
	return writable && !(word & PAGE_BUSY) &&
	       (!(word & PAGE_DIRTY) || copy_is_lacking(o, index));
}

/* Whether the object is a submap that forbids what the page tables say of the page. */
static bool
page_is_forbidden(struct vm_object *o, uint64_t index, bool writable)
{
	uint32_t rights;

	if (likely(!o->submap))
		return false;
	rights = submap_rights(o, index);
	return !(rights & PROT_READ) || (writable && !(rights & PROT_WRITE));
}

/* => O held */
static enum hold
page_hold_locked(struct vm_object *o, uint64_t index, struct hole *hole, struct vm_page **ret)
{
	uint64_t slot = load_relaxed(vm_object_slot(o, index));

	lock_assert_held(&o->lock);
	if (slot_kind(slot) == SLOT_RESIDENT) {
		*ret = &o->daemon->frames.pages[slot_frame(slot)];
		return vm_page_busy_only(*ret) ? HOLD_BUSY : HOLD_NONE;
	}
	if (vm_object_hole_at(o, index))
		return HOLD_NONE;
	vm_object_hole_begin(o, hole, index, index + 1);
	return HOLD_HOLE;
}

/* What the page tables say of a page. */
struct page_entries {
	bool present, writable; /* any part of it */
};

static struct page_entries
page_entries(const struct client *c, uint64_t address)
{
	const struct daemon *d = c->task->daemon;
	uint64_t end = address + d->page_bytes;
	struct page_entries found = { false, false };

	while (address < end) {
		struct pagemap_run runs[8];
		int count = pagemap_scan(c->task, address, end, runs, ARRAY_LEN(runs), &address);

		if (count < 0)
			return (struct page_entries){ false, false };
		found.present |= count > 0;
		for (int i = 0; i < count; i++)
			found.writable |= runs[i].writable;
	}
	return found;
}

/* Whether the page, which is kept still, is in the page tables as it must not be. p: NULL: it has
 * no frame. => false: it may be so */
static bool
page_is_wrong(const struct client *c, const struct client_entry *e, uint64_t index,
    const struct vm_page *p, enum page_wrong *ret)
{
	struct page_entries found = page_entries(c, page_address(e, index));

	if (!p && found.present)
		*ret = PAGE_WITHOUT_FRAME;
	else if (p && found.writable && !(load_relaxed(&p->word) & PAGE_DIRTY))
		*ret = PAGE_CLEAN_WRITABLE;
	/* A copy that is being made protects the page later, because it is busy now. */
	else if (p && found.writable && copy_is_lacking(e->mapping->object, index) &&
		 load_acquire(&e->mapping->object->daemon->copies.making) == 0)
		*ret = PAGE_LACKING_WRITABLE;
	/* Asked last: a change that has begun since cannot be done before the page is let go. */
	else if (p && found.present && page_is_forbidden(e->mapping->object, index, found.writable))
		*ret = PAGE_FORBIDDEN;
	else
		return false;
	return true;
}

static void
suspect_look(struct page_look *look, const struct client_entry *e, uint64_t index)
{
	struct vm_object *o = e->mapping->object;
	struct vm_page *p = NULL;
	enum page_wrong why;
	struct hole hole;
	enum hold hold;
	bool wrong;

	lock_acquire(&o->lock);
	hold = page_hold_locked(o, index, &hole, &p);
	lock_release(&o->lock);
	if (hold == HOLD_NONE) {
		look->left_out++;
		return;
	}
	wrong = page_is_wrong(look->client, e, index, p, &why);
	if (hold == HOLD_BUSY)
		vm_object_unbusy(o, index, p);
	else
		vm_object_hole_close(o, &hole);
	if (wrong && look->finding_count < PAGE_FINDINGS_MAX)
		look->findings[look->finding_count++] = (struct page_finding){
			.entry = e, .address = page_address(e, index), .index = index, .why = why
		};
}

/* Pages [first, last), at most STEP_PAGES, are in the page tables. */
static void
step_look(struct page_look *look, const struct client_entry *e, uint64_t first, uint64_t last,
    bool writable)
{
	struct vm_object *o = e->mapping->object;
	uint16_t suspects[STEP_PAGES];
	bool forbidden[STEP_PAGES];
	unsigned count = 0;

	CHECK(first < last && last - first <= STEP_PAGES);
	for (uint64_t i = first; i < last; i++)
		forbidden[i - first] = page_is_forbidden(o, i, writable);
	lock_acquire(&o->lock);
	for (uint64_t i = first; i < last; i++)
		if (forbidden[i - first] || page_is_suspect_locked(o, i, writable))
			suspects[count++] = (uint16_t)(i - first);
	lock_release(&o->lock);
	look->pages += last - first;
	for (unsigned i = 0; i < count; i++) {
		if (look->suspects >= PAGE_SUSPECTS_MAX ||
		    look->finding_count == PAGE_FINDINGS_MAX) {
			look->left_out += count - i;
			return;
		}
		look->suspects++;
		suspect_look(look, e, first + suspects[i]);
	}
}

static void
run_look(struct page_look *look, const struct client_entry *e, const struct pagemap_run *run)
{
	const struct daemon *d = look->client->task->daemon;
	uint64_t first = (run->start - e->base) >> d->page_shift;
	uint64_t last = (run->end - e->base + d->page_bytes - 1) >> d->page_shift;

	while (first < last) {
		uint64_t to = min_u64(last, first + STEP_PAGES);

		step_look(look, e, first, to, run->writable);
		first = to;
	}
}

int
page_tables_look(struct page_look *look, const struct client_entry *e, uint64_t start, uint64_t end)
{
	struct task *task = look->client->task;

	locks_assert_none();
	CHECK(start >= e->start && end <= e->end);
	while (start < end && look->finding_count < PAGE_FINDINGS_MAX) {
		struct pagemap_run runs[RUNS_MAX];
		int count;

		/* Who holds calls up is moved to another lane, and waits alone from then on. */
		if (load_acquire(&task->lane) != watch_lane())
			return -EAGAIN;
		count = pagemap_scan(
		    task, start, min_u64(end, start + SCAN_BYTES), runs, RUNS_MAX, &start);
		if (count < 0)
			return count;
		for (int i = 0; i < count; i++)
			run_look(look, e, &runs[i]);
	}
	return 0;
}
