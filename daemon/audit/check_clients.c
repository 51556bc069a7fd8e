/* SPDX-License-Identifier: MIT
 *
 * Clients' maps against the address spaces of their processes, and their page tables against the
 * books. A process can do to both what it likes: it has its userfaultfd and its objects' memfds.
 * So a difference is a failure only where it cannot be meant (verify_client), and a note
 * elsewhere. Runs on: jobs.
 */
#include "audit/audit_priv.h"

#include <errno.h>
#include <inttypes.h>

#include "audit/page_tables.h"
#include "vm/task.h"
#include "vm/vm_object.h"

/* Looks at a client whose map changes meanwhile. */
#define CLIENT_TRIES 4u

/* Things of one kind, of which only the first is named. */
struct tally {
	unsigned count;
	uint64_t first;
};

struct comparison {
	struct tally wrong;   /* entries where something else of the client's paged memory is */
	struct tally absent;  /* entries that are not wholly mapped and registered */
	struct tally foreign; /* registered mappings of the client's objects in no entry */
	struct page_look look;
};

static void
tally_add(struct tally *t, uint64_t address)
{
	if (t->count++ == 0)
		t->first = address;
}

/* One entry against what is mapped at its addresses, and the page tables where that fits. => as
 * page_tables_look */
static int
entry_compare(const struct client *c, const struct client_entry *e, struct comparison *ret)
{
	const struct place *p = client_place_from(c, e->start), *end = c->places + c->place_count;
	bool wrong = false;
	uint64_t at = e->start;
	int error = 0;

	if (e->is_foreign)
		return 0;
	for (; !error && !wrong && at < e->end && p < end && p->start <= at &&
	       (p->is_registered || e->is_device);
	     p++) {
		uint64_t to = min_u64(p->end, e->end);

		wrong = !client_place_fits(c, e, p);
		if (!wrong)
			error = page_tables_look(&ret->look, e, at, to);
		else if (client_place_is_own(c, p))
			tally_add(&ret->wrong, at);
		at = wrong ? at : to;
	}
	if (!error && at < e->end)
		tally_add(&ret->absent, at);
	return error;
}

/* Mappings of the client's paged memory that no entry covers as they are. */
static void
places_compare(const struct client *c, struct comparison *ret)
{
	const struct client_entry *end = c->entries + c->entry_count;

	for (size_t i = 0; i < c->place_count; i++) {
		const struct place *p = &c->places[i];
		const struct client_entry *e = client_entry_from(c, p->start);
		uint64_t at = p->start;

		if (!p->is_registered || !p->is_accessible || !client_place_is_own(c, p))
			continue;
		while (at < p->end && e < end && e->start <= at && client_place_fits(c, e, p))
			at = e++->end;
		if (at < p->end)
			tally_add(&ret->foreign, at);
	}
}

/* => 0, -EAGAIN (the client is served elsewhere), or -errno: it could not be looked at */
static int
client_compare(struct client *c, struct comparison *ret)
{
	int error = client_places_read(c);

	*ret = (struct comparison){ .look.client = c };
	for (size_t i = 0; !error && i < c->entry_count; i++)
		error = entry_compare(c, &c->entries[i], ret);
	if (error)
		return error;
	places_compare(c, ret);
	/* What was found counts only where the client's mapping is still the one looked through. */
	return ret->look.finding_count > 0 ? client_places_read(c) : 0;
}

static void
findings_tell(struct report *r, const struct client *c, const struct page_look *look)
{
	static const char *const texts[] = {
		[PAGE_WITHOUT_FRAME] = "in the page tables, and the books have no frame for it",
		[PAGE_CLEAN_WRITABLE] = "clean, and not write-protected in the page tables",
		[PAGE_LACKING_WRITABLE] =
		    "lacked by a copy, and not write-protected in the page tables",
		[PAGE_FORBIDDEN] = "in the page tables, and its submap forbids that",
	};

	for (unsigned i = 0; i < look->finding_count; i++) {
		const struct page_finding *f = &look->findings[i];
		const struct place *p = client_place_from(c, f->address);
		bool is_there = p < c->places + c->place_count && p->start <= f->address &&
				p->is_registered && client_place_fits(c, f->entry, p);

		verify_client(r, task_is_trusted(c->task), !is_there,
		    "process %d: object %llu page %" PRIu64 " at 0x%" PRIx64 ": %s",
		    (int)c->task->pid, (unsigned long long)f->entry->mapping->object->id, f->index,
		    f->address, texts[f->why]);
	}
}

static void
comparison_tell(struct report *r, const struct client *c, const struct comparison *found)
{
	int pid = (int)c->task->pid;

	r->pages += found->look.pages;
	r->pages_left_out += found->look.left_out;
	r->regions += c->entry_count;
	verify(r, c->misplaced == 0, "process %d: regions that do not lie in their mappings: %u",
	    pid, c->misplaced);
	verify_client(r, task_is_trusted(c->task), found->wrong.count == 0,
	    "process %d: regions that show other pages than the books say: %u, the first at "
	    "0x%" PRIx64,
	    pid, found->wrong.count, found->wrong.first);
	if (found->absent.count > 0)
		note(r,
		    "process %d: regions not mapped, or not registered: %u, the first at "
		    "0x%" PRIx64,
		    pid, found->absent.count, found->absent.first);
	if (found->foreign.count > 0)
		note(r,
		    "process %d: mappings of paged memory in no region: %u, the first at "
		    "0x%" PRIx64,
		    pid, found->foreign.count, found->foreign.first);
	findings_tell(r, c, &found->look);
}

/* => whether it could be looked at, or has ended */
static bool
client_check(struct report *r, struct task *task)
{
	for (unsigned tries = 0; tries < CLIENT_TRIES; tries++) {
		struct comparison found;
		struct client c;
		bool last;
		int error;

		/* Nobody waits for a client of another lane but that lane's threads. */
		if (load_acquire(&task->lane) != watch_lane())
			return false;
		error = client_begin(&c, task);
		if (!error)
			error = client_compare(&c, &found);
		/* A region that is not mapped may be about to be. */
		last = tries + 1 == CLIENT_TRIES;
		if (!error && client_is_still(&c) && (found.absent.count == 0 || last)) {
			comparison_tell(r, &c, &found);
			client_end(&c);
			r->clients++;
			return true;
		}
		client_end(&c);
		if (task_is_dead(task))
			return true;
		if (error)
			return false;
	}
	return false;
}

/* A mapping whose pages have all been given back stands there until its last reference goes. => O
 * held */
static unsigned
mappings_foreign_locked(const struct vm_object *o)
{
	unsigned foreign = 0;

	lock_assert_held(&o->lock);
	for (const struct vm_mapping *m = o->mappings; m; m = m->next)
		foreign += m->object != o || m->end > o->page_count ||
			   (o->is_shareable ? m->first > m->end : m->first >= m->end);
	return foreign;
}

static void
check_mappings(struct daemon *d, struct report *r)
{
	struct vm_object *o;
	uint32_t cursor = 0;

	while ((o = vm_object_next(d, &cursor)) != NULL) {
		unsigned foreign;

		lock_acquire(&o->lock);
		foreign = mappings_foreign_locked(o);
		lock_release(&o->lock);
		verify(r, foreign == 0,
		    "object %llu: mappings on its list that are not its own: %u",
		    (unsigned long long)o->id, foreign);
		vm_object_put(o);
	}
}

void
check_clients(struct daemon *d, struct report *r)
{
	uint64_t client = watch_client(0);
	struct task *task;
	uint32_t cursor = 0;

	locks_assert_none();
	check_mappings(d, r);
	while ((task = task_next(d, &cursor)) != NULL) {
		watch_client(task_cookie(task));
		if (!client_check(r, task))
			r->clients_unseen++;
		watch_client(client);
		task_put(task);
	}
}
