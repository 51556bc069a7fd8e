/* SPDX-License-Identifier: MIT */
#include "port_fixture.h"

#include "descriptors.h"
#include "region/map.h"
#include "transit/run.h"

void __wrap_closer_close(struct daemon *d, int fd, pid_t pid, uid_t uid);

void
__wrap_closer_close(struct daemon *d, int fd, pid_t pid, uid_t uid)
{
	(void)d, (void)pid, (void)uid;
	if (fd >= 0)
		close(fd);
}

struct daemon *
daemon_of(void)
{
	return share.unit.daemon;
}

int
port_open(unsigned task, const char *name, unsigned limit, struct end *ret)
{
	struct port_birth birth = { .name = name, .limit = limit };
	struct port *port;
	int bell, error = descriptors_bell(&bell, &ret->bell);

	assert_int_equal(error, 0);
	ret->task = task;
	if (limit) {
		error = port_create(share.tasks[task], &birth, bell, &ret->h);
	} else {
		port = port_find(daemon_of(), name);
		error = port ? port_join(share.tasks[task], port, bell, &ret->h) : -ENOENT;
		if (port)
			port_put(daemon_of(), port);
	}
	if (error) {
		close(bell);
		close(ret->bell);
	}
	return error;
}

struct end
receiver_of(unsigned task, const char *name, unsigned limit)
{
	struct end end;

	assert_int_equal(port_open(task, name, limit, &end), 0);
	return end;
}

struct end
sender_of(unsigned task, const char *name)
{
	struct end end;

	assert_int_equal(port_open(task, name, 0, &end), 0);
	return end;
}

uint64_t
end_close(struct end *end)
{
	uint64_t messages = 0, pages;

	while (transfer_close(share.tasks[end->task], end->h, &messages, &pages))
		continue;
	close(end->bell);
	return messages;
}

struct range
content_make(unsigned task, uint64_t at, uint64_t pages)
{
	struct range range = share_pages_of(task, at, at + pages);
	struct vm_entry e;

	assert_int_equal(region_allocate(&range, PAGER_WIRE_ALLOC_SHAREABLE, &e), 0);
	for (uint64_t i = 0; i < pages; i++) {
		struct fill fill = { .task = share.tasks[task], .base = range.address };
		struct vm_object *o = e.mapping->object;

		lock_acquire(&o->lock);
		assert_int_equal(
		    fill_begin(daemon_of(), o, i, 1, 1, FRAME_FIRST, &fill), RUN_BEGUN);
		lock_release(&o->lock);
		fill_finish(NULL, &fill, 1, PAGE_ACTIVE, false);
	}
	return share_pages_of(task, at, at + pages);
}

int
send_range(const struct end *end, struct range *range, uint64_t id)
{
	struct message_label label = { .bytes = range->end - range->address,
		.id = id,
		.flags = PAGER_SEND_VIRTUAL | PAGER_SEND_DEALLOCATE,
		.done = PAGER_TRANSFER_MOVED,
		.uid = share.tasks[end->task]->uid };
	struct named_range pages;
	int error = port_place_take(daemon_of(), end->h);

	if (error)
		return error;
	error = transfer_check(range, true, &pages);
	assert_int_equal(error, 0);
	assert_int_equal(region_deallocate_begin(range), 0);
	error = port_put_message(daemon_of(), end->h, &pages, &label, false);
	vm_object_put(pages.object);
	if (error) {
		port_place_give(daemon_of(), end->h);
		return error;
	}
	while (!range_is_done(range))
		region_deallocate(range);
	share_books_agree();
	return 0;
}

int
send_pages(const struct end *end, uint64_t at, uint64_t pages, uint64_t id)
{
	struct range range = content_make(end->task, at, pages);

	return send_range(end, &range, id);
}

uint64_t
receive(const struct end *end, uint64_t at)
{
	struct message_label label;
	uint64_t number = port_look(daemon_of(), end->h, &label);
	struct named_range pages, left;
	struct message *m;
	struct range range;
	struct vm_entry e;

	if (!number)
		return 0;
	m = port_take(daemon_of(), end->h, number);
	assert_non_null(m);
	assert_null(port_take(daemon_of(), end->h, number));
	pages = message_pages(m);
	range = share_pages_of(end->task, at, at + pages.end);
	assert_int_equal(region_map(&range, &pages, 0, false, &e), 0);
	message_end(daemon_of(), m, &left);
	port_taken(daemon_of(), end->h);
	vm_object_put(left.object);
	share_books_agree();
	return label.id;
}
