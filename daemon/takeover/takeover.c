/* SPDX-License-Identifier: MIT
 *
 * Books: clients by their records, objects by their rows, entries of maps, then pages and what is
 * left. Runs on: the main thread, before there are others.
 */
#include "takeover/takeover.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pagers/store.h"
#include "takeover/page.h"
#include "takeover/wrong.h"
#include "vm/kept_frame.h"
#include "vm/kept_name.h"
#include "vm/kept_task.h"
#include "vm/slot.h"
#include "vm/task.h"
#include "vm/vm_map.h"
#include "vm/vm_mapping.h"
#include "vm/named_entry.h"
#include "vm/vm_object.h"
#include "vm/vm_share.h"

/* --- clients -------------------------------------------------------------------------------- */

/* => 0; -ENOENT: the record is not whole, and its client was not told that it is attached; or
 * -errno */
static int
client_take_over(struct daemon *d, uint64_t id, int record_fd)
{
	struct keeper_link *link = d->keeper;
	struct task_record *record = task_record_open(d, record_fd);
	struct successor *s = calloc(1, sizeof(*s));
	struct task_birth birth;
	struct share_account *account;

	if (!record || !s || record->id != id || !load_acquire(&record->is_attached)) {
		if (!record)
			close(record_fd);
		task_record_close(d, record);
		free(s);
		return -ENOENT;
	}
	account = share_account_get(d, record->uid, record->is_control);
	if (!account)
		return -ENOMEM;
	birth = (struct task_birth){
		.id = id,
		.pid = (pid_t)record->pid,
		.uid = record->uid,
		.lane = LANE_COMMON,
		.is_control = record->is_control,
		.pidfd = keeper_take(link, KEPT_PROCESS, id),
		.account = account,
		.name = record->name,
		.group = group_find(d, load_acquire(&record->group), NULL),
	};
	s->task = task_create(d, &birth);
	share_account_put(d, account);
	if (birth.group)
		group_put(d, birth.group);
	if (!s->task)
		return -ENOMEM;
	s->task->uffd = keeper_take(link, KEPT_USERFAULTFD, id);
	s->task->agent = keeper_take(link, KEPT_AGENT, id);
	s->socket = keeper_take(link, KEPT_SOCKET, id);
	/* The map is the record's once it is whole. */
	s->task->map.record = record;
	if (s->task->uffd < 0 || s->task->agent < 0 || s->socket < 0 || birth.pidfd < 0) {
		task_record_forsake(s->task, "one of its descriptors was not left");
		takeover_again();
	}
	task_record_limits_apply(s->task, record);
	s->next = d->successors;
	d->successors = s;
	return 0;
}

static int
clients_take_over(struct daemon *d)
{
	struct keeper_link *link = d->keeper;
	int error = 0;

	CHECK(!d->successors);
	for (unsigned i = 0; i < link->count && (!error || error == -ENOENT); i++) {
		uint64_t id = link->found[i].id;

		if (link->found[i].kind == KEPT_RECORD && link->found[i].fd >= 0)
			error = client_take_over(d, id, keeper_take(link, KEPT_RECORD, id));
		if (error == -ENOENT) {
			keeper_drop(link, KEPT_RECORD, id);
			error = 0;
		}
	}
	return error;
}

/* --- objects, names and maps ----------------------------------------------------------------- */

/* What is made anew. */
struct books {
	struct daemon *daemon;
	struct vm_object **objects; /* [object_count], by their index, each with a reference */
	uint32_t object_count;
	struct remade {
		struct vm_mapping *mapping; /* with a reference */
		uint32_t kept;              /* what entries call it */
	} * mappings;
	uint32_t mapping_count, mapping_room;
};

static struct task *
task_of(struct daemon *d, uint64_t id)
{
	for (struct successor *s = d->successors; s; s = s->next)
		if (s->task->id == id)
			return s->task;
	return NULL;
}

static bool
has_entry_of(const struct task *task, uint64_t object)
{
	uint32_t count;
	const struct kept_entry *e = task_record_entries(task->map.record, &count);

	for (uint32_t i = 0; i < count; i++)
		if (e[i].object == object)
			return true;
	return false;
}

static bool
is_named(const struct daemon *d, uint32_t index)
{
	const struct keeper_link *link = d->keeper;

	for (unsigned i = 0; i < link->count; i++)
		if (link->found[i].kind == KEPT_NAME && link->found[i].fd >= 0 &&
		    kept_name_unpack(link->found[i].id).object == index)
			return true;
	return false;
}

/* Whether anybody sees the object, or may come to see it. */
static bool
is_seen(const struct daemon *d, uint32_t index, uint64_t id, const struct task *owner)
{
	bool is_shareable = d->kept_objects.rows[index].use & OBJECT_SHAREABLE;

	if (!owner)
		return false;
	if (has_entry_of(owner, id))
		return true;
	for (const struct successor *s = d->successors; s && is_shareable; s = s->next)
		if (has_entry_of(s->task, id))
			return true;
	return is_shareable && is_named(d, index);
}

/* Who pays for the object. Where that was a forked child that was not attached yet, another one
 * that sees it does. => NULL: nobody */
static struct task *
owner_of(struct daemon *d, struct kept_object *row)
{
	uint64_t id = load_acquire(&row->id);
	struct task *owner = task_of(d, load_acquire(&row->task));

	for (struct successor *s = d->successors; s && !owner && row->use & OBJECT_SHAREABLE;
	     s = s->next) {
		if (!has_entry_of(s->task, id))
			continue;
		owner = s->task;
		store_release(&row->task, owner->id);
	}
	return owner;
}

/* The state of a purgeable object, which has no pages yet. Where its content was on its way out
 * they go when they are looked at (takeover/page.c). */
static void
purgeable_take_over(struct vm_object *o)
{
	struct daemon *d = o->daemon;
	uint32_t word = load_acquire(&d->kept_objects.rows[o->index].purgeable);

	CHECK(!purgeable_is_queued(&o->purgeable));
	lock_acquire(&o->lock);
	pageq_lock(d);
	if ((word & PAGER_PURGEABLE_STATE_MASK) != PURGEABLE_NONVOLATILE)
		vm_object_purgeable_switch_locked(o,
		    (enum purgeable_state)(word & PAGER_PURGEABLE_STATE_MASK),
		    word & PURGEABLE_HOW_MASK, word & KEPT_PURGING);
	pageq_unlock(d);
	lock_release(&o->lock);
}

/* All that see the object, or pay for it, are ended. */
static void NORETURN
object_forsake(struct daemon *d, uint64_t id, struct task *owner, const char *why)
{
	if (owner)
		task_record_forsake(owner, why);
	for (const struct successor *s = d->successors; s; s = s->next)
		if (has_entry_of(s->task, id))
			task_record_forsake(s->task, why);
	takeover_again();
}

/* The object, or NULL: nobody sees it, and it is no more. */
static int
object_take_over(struct daemon *d, uint32_t index, struct vm_object **ret)
{
	struct kept_object *row = &d->kept_objects.rows[index];
	uint64_t id = load_acquire(&row->id);
	struct task *owner = owner_of(d, row);
	int memfd = keeper_take(d->keeper, KEPT_OBJECT, id), error;

	*ret = NULL;
	if (is_seen(d, index, id, owner)) {
		if (memfd < 0)
			object_forsake(d, id, owner, "an object of it was left without its memory");
		if (row_wrong(d, row))
			object_forsake(d, id, owner, row_wrong(d, row));
		error = vm_object_restore(d, owner, index, memfd, ret);
		if (error == -EINVAL)
			object_forsake(d, id, owner, "an object of it has another's pages");
		if (!error && (*ret)->is_purgeable)
			purgeable_take_over(*ret);
		return error;
	}
	if (memfd >= 0)
		pages_drop(memfd);
	store_release(&row->id, 0);
	keeper_drop(d->keeper, KEPT_OBJECT, id);
	if (memfd >= 0)
		close(memfd);
	return 0;
}

/* The keeper has the daemon's end of each name's pipe; who has the other end sees nothing. */
static int
names_take_over_entries(struct books *b)
{
	struct daemon *d = b->daemon;
	struct keeper_link *link = d->keeper;

	for (unsigned i = 0; i < link->count; i++) {
		uint64_t id = link->found[i].id;
		struct kept_name name = kept_name_unpack(id);
		struct left_name *left;
		int pipe, error;

		if (link->found[i].kind != KEPT_NAME || link->found[i].fd < 0)
			continue;
		if (name.object >= b->object_count || !b->objects[name.object])
			continue;
		left = calloc(1, sizeof(*left));
		if (!left)
			return -ENOMEM;
		pipe = keeper_take(link, KEPT_NAME, id);
		error = named_entry_restore(d, &name, b->objects[name.object], pipe, &left->entry);
		if (error) {
			free(left);
			return error;
		}
		left->next = d->left_names;
		d->left_names = left;
	}
	return 0;
}

static struct vm_object *
object_of(const struct books *b, uint64_t id)
{
	for (uint32_t i = 0; i < b->object_count; i++)
		if (b->objects[i] && b->objects[i]->id == id)
			return b->objects[i];
	return NULL;
}

/* What of an object that several may see the entries of one mapping show: pages [*first, *end). */
static void
hull_of(const struct task *task, const struct kept_entry *of, uint64_t *first, uint64_t *end)
{
	unsigned page_shift = task->daemon->page_shift;
	uint32_t count;
	const struct kept_entry *e = task_record_entries(task->map.record, &count);

	*first = UINT64_MAX;
	*end = 0;
	for (uint32_t i = 0; i < count; i++) {
		if (e[i].object != of->object || e[i].mapping != of->mapping)
			continue;
		*first = min_u64(*first, e[i].offset >> page_shift);
		*end = max_u64(*end, (e[i].offset + (e[i].end - e[i].start)) >> page_shift);
	}
}

static struct vm_mapping *
mapping_known(const struct books *b, const struct task *task, const struct kept_entry *e)
{
	/* Entries of a mapping stand side by side. */
	for (uint32_t i = b->mapping_count; i-- > 0;) {
		const struct vm_mapping *m = b->mappings[i].mapping;

		if (m->task == task && m->object->id == e->object &&
		    b->mappings[i].kept == e->mapping)
			return b->mappings[i].mapping;
	}
	return NULL;
}

static bool
mappings_reserve(struct books *b)
{
	uint32_t room = b->mapping_room ? 2 * b->mapping_room : 64;
	struct remade *mappings;

	if (b->mapping_count < b->mapping_room)
		return true;
	mappings = realloc(b->mappings, room * sizeof(*mappings));
	if (!mappings)
		return false;
	b->mappings = mappings;
	b->mapping_room = room;
	return true;
}

/* The entry's mapping, which others before it may have, too. */
static int
mapping_take_over(
    struct books *b, struct task *task, const struct kept_entry *e, struct vm_mapping **ret)
{
	struct vm_object *o = object_of(b, e->object);
	uint64_t first = 0, end;
	int error;

	/* records_look has seen to that. */
	CHECK(o && (o->is_shareable || o->owner == task));
	*ret = mapping_known(b, task, e);
	if (*ret)
		return 0;
	if (!mappings_reserve(b))
		return -ENOMEM;
	end = o->page_count;
	if (o->is_shareable)
		hull_of(task, e, &first, &end);
	error = vm_mapping_create(o, task, e->start - e->offset, first, end, ret);
	if (error)
		return error;
	(*ret)->is_read_only = e->mapping & KEPT_READ_ONLY;
	b->mappings[b->mapping_count++] = (struct remade){ *ret, e->mapping };
	return 0;
}

static int
entry_take_over(struct books *b, struct task *task, const struct kept_entry *e)
{
	struct vm_map *m = &task->map;
	struct task_record *record = m->record;
	struct vm_mapping *mapping;
	int error = mapping_take_over(b, task, e, &mapping);

	if (error)
		return error;
	if (mapping->base != e->start - e->offset) {
		task_record_forsake(
		    task, "two ranges of one mapping of it lie wrong to each other");
		takeover_again();
	}
	lock_acquire(&m->lock);
	/* What is being read is not written meanwhile. */
	m->record = NULL;
	error = vm_map_reserve(m);
	if (!error)
		vm_map_restore(m, &(struct vm_entry){ .start = e->start,
				      .end = e->end,
				      .mapping = vm_mapping_get(mapping),
				      .offset = e->offset,
				      .behavior = e->behavior,
				      .inheritance = e->inheritance,
				      .protection = e->protection,
				      .max_protection = e->max_protection,
				      .tag = e->tag,
				      .user_wired_count = e->user_wired_count,
				      .wired_count = e->user_wired_count > 0 });
	m->record = record;
	lock_release(&m->lock);
	return error;
}

static int
entries_take_over(struct books *b, struct task *task)
{
	uint32_t count;
	const struct kept_entry *e = task_record_entries(task->map.record, &count);
	int error = 0;

	lock_acquire(&task->map.lock);
	task->map.counted = task_record_counted(task->map.record);
	lock_release(&task->map.lock);
	for (uint32_t i = 0; i < count && !error; i++)
		error = entry_take_over(b, task, &e[i]);
	if (!error)
		task_wired_restore(task);
	return error;
}

static int
maps_take_over(struct books *b)
{
	struct daemon *d = b->daemon;
	int error = 0;

	for (uint32_t i = 0; i < b->object_count && !error; i++)
		if (load_acquire(&d->kept_objects.rows[i].id) != 0)
			error = object_take_over(d, i, &b->objects[i]);
	if (!error)
		error = names_take_over_entries(b);
	for (struct successor *s = d->successors; s && !error; s = s->next)
		error = entries_take_over(b, s->task);
	for (uint32_t i = 0; i < b->object_count && !error; i++)
		if (b->objects[i] && b->objects[i]->is_shareable) {
			vm_object_owner_settle(b->objects[i]);
			vm_object_lane_settle(b->objects[i]);
		}
	return error;
}

/* Entries and names keep what they have. */
static void
books_close(struct books *b)
{
	for (uint32_t i = 0; i < b->mapping_count; i++)
		vm_mapping_put(b->mappings[i].mapping);
	for (uint32_t i = 0; i < b->object_count; i++)
		if (b->objects[i])
			vm_object_put(b->objects[i]);
	free(b->mappings);
	free(b->objects);
}

/* --- all of it ------------------------------------------------------------------------------ */

/* Stored pages that nobody has named go; frames are free, or the compressor's. */
static int
rest_take_over(struct daemon *d)
{
	size_t compressor_bytes = store_adopt_end(d);
	char text[256] = "";
	int error = -ENOMEM;

	slots_clear_rest(d);
	if (compressor_bytes == SIZE_MAX)
		return error;
	if (!compressor_is_valid(d->compressor, text, sizeof(text))) {
		log_error_limited("the compressor's tables: %s", text);
		return -EPROTO;
	}
	error = store_adopt_places(d);
	if (error)
		return error;
	if (d->swap && !swap_is_valid(d->swap, text, sizeof(text))) {
		log_error_limited("the tables of swap: %s", text);
		return -EPROTO;
	}
	pageq_lock(d);
	error = kept_frames_end_locked(d, compressor_bytes);
	pageq_unlock(d);
	return error;
}

int
takeover_begin(struct daemon *d, char *message, size_t message_size)
{
	struct books b = { .daemon = d, .object_count = d->kept_objects.count };
	struct taken_pages sum = { 0 };
	uint32_t clients = 0;
	char *content;
	int error;

	if (!d->frames.named)
		return 0;
	d->shares.is_taking_over = true;
	b.objects = calloc((size_t)b.object_count + 1, sizeof(struct vm_object *));
	content = aligned_alloc(d->page_bytes, d->page_bytes);
	error = b.objects && content ? store_adopt_begin(d) : -ENOMEM;
	if (!error)
		error = processes_take_over(d);
	if (!error)
		error = groups_take_over(d);
	if (!error)
		error = clients_take_over(d);
	if (!error)
		records_look(d);
	if (!error)
		error = maps_take_over(&b);
	for (uint32_t i = 0; i < b.object_count && !error; i++)
		if (b.objects[i])
			pages_take_over(b.objects[i], content, &sum);
	if (!error)
		error = rest_take_over(d);
	free(content);
	if (!error)
		books_close(&b);
	d->shares.is_taking_over = false;
	if (error) {
		snprintf(message, message_size,
		    "what the worker before has left cannot be taken over: %s", strerror(-error));
		return error;
	}
	for (struct successor *s = d->successors; s; s = s->next)
		clients++;
	log_notice_limited(
	    "took over %u clients: %llu pages in memory, %llu stored, %llu discarded, %llu lost",
	    clients, (unsigned long long)sum.resident, (unsigned long long)sum.stored,
	    (unsigned long long)sum.discarded, (unsigned long long)sum.lost);
	return 0;
}
