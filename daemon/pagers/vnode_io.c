/* SPDX-License-Identifier: MIT
 *
 * The vnode pager's transfers. Runs on: fault servers and jobs (reads), the cleaner (writes). Never
 * blocks: io_uring hands what would wait for a file system to threads of the kernel. Past the page
 * cache it finds that out by itself. Through it, a file system in user space may wait though it is
 * asked not to, for the file's attributes; so those transfers begin in such a thread.
 */
#include "pagers/vnode.h"

#include <errno.h>
#include <string.h>

#include "daemon.h"

/* What direct writes are made in, at least: takes_direct of vnode.c. */
#define DIRECT_BLOCK 4096u

bool
vnode_is_away(struct daemon *d, struct cref copy)
{
	(void)d;
	CHECK(copy.v == CREF_PLACE.v);
	return true;
}

void
vnode_prefetch(struct daemon *d, struct cref copy)
{
	(void)d;
	CHECK(copy.v == CREF_PLACE.v);
}

enum pager_result
vnode_data_request(struct daemon *d, struct cref copy, void *page)
{
	(void)d;
	CHECK(copy.v == CREF_PLACE.v && page);
	return PAGER_AWAY;
}

enum pager_room
vnode_room_take(struct daemon *d, size_t pages)
{
	(void)d;
	CHECK(pages > 0);
	return PAGER_ROOM_LATER;
}

bool
vnode_copies_fit(const struct daemon *d)
{
	(void)d;
	return true;
}

void
vnode_drop(struct daemon *d, struct cref copy)
{
	(void)d;
	CHECK(copy.v == CREF_PLACE.v);
}

enum pager_result
vnode_read_begin(const struct vm_object *o, uint64_t index, const struct cref *copies,
    unsigned count, size_t most_bytes, struct pager_read *ret)
{
	uint64_t most = most_bytes >> o->daemon->page_shift;

	CHECK(most > 0 && index + count <= o->page_count && copies[0].v == CREF_PLACE.v);
	ret->count = (unsigned)min_u64(count, most);
	ret->place = o->external->offset + (index << o->daemon->page_shift);
	ret->offset = 0;
	ret->length = ret->count << o->daemon->page_shift;
	return PAGER_OK;
}

static enum pager_result
answer_of(int error)
{
	return error == 0 ? PAGER_OK : error == -EAGAIN ? PAGER_AGAIN : PAGER_FAILED;
}

enum pager_result
vnode_read_submit(const struct vm_object *o, const struct pager_read *read,
    struct swap_channel *channel, void *buffer, uint64_t cookie)
{
	struct vnode *v = o->external->vnode;
	int direct = -1, plain = -1;

	for (unsigned i = 0; i < ARRAY_LEN(v->files) && direct < 0; i++)
		direct = load_acquire(&v->files[i].direct);
	for (unsigned i = 0; i < ARRAY_LEN(v->files) && plain < 0; i++)
		plain = load_acquire(&v->files[i].plain);
	CHECK(direct >= 0 || plain >= 0);
	return answer_of(
	    swap_channel_submit_file(channel, direct >= 0 ? SWAP_READ : SWAP_READ | SWAP_MAY_WAIT,
		direct >= 0 ? direct : plain, read->place, read->length, buffer, cookie));
}

enum pager_result
vnode_read_decode(const struct vm_object *o, const struct pager_read *read, unsigned i,
    const void *buffer, void *page)
{
	size_t bytes = o->daemon->page_bytes, from = i * bytes, have;

	CHECK(i < read->count);
	if (read->transferred <= from)
		return PAGER_FAILED;
	have = min_u64(read->transferred - from, bytes);
	memcpy(page, (const char *)buffer + from, have);
	memset((char *)page + have, 0, bytes - have);
	return PAGER_OK;
}

void
vnode_read_end(const struct vm_object *o, const struct pager_read *read, int error)
{
	(void)error;
	CHECK(o->external && read->count > 0);
}

bool
vnode_size_submit(const struct vm_object *o, struct swap_channel *channel, uint64_t cookie)
{
	struct vnode *v = o->external->vnode;
	int fd = load_acquire(&v->files[1].plain);

	if (fd < 0)
		fd = load_acquire(&v->files[0].plain);
	CHECK(fd >= 0);
	return swap_channel_submit_size(channel, fd, cookie) == 0;
}

enum pager_result
vnode_write_submit(const struct vm_object *o, uint64_t offset, size_t bytes,
    struct swap_channel *channel, void *buffer, uint64_t cookie)
{
	struct vnode *v = o->external->vnode;
	/* A part of a block would lengthen the file to the end of the block, past the page cache.
	 */
	int direct = bytes % DIRECT_BLOCK == 0 ? load_acquire(&v->files[1].direct) : -1;
	int plain = load_acquire(&v->files[1].plain);

	/* Dirty pages of a file that nobody could write to: a client has lied to somebody. */
	if (direct < 0 && plain < 0)
		return PAGER_FAILED;
	return answer_of(
	    swap_channel_submit_file(channel, direct >= 0 ? SWAP_WRITE : SWAP_WRITE | SWAP_MAY_WAIT,
		direct >= 0 ? direct : plain, o->external->offset + offset, bytes, buffer, cookie));
}

void
vnode_write_end(const struct vm_object *o, int error)
{
	if (error)
		store_release(&o->external->vnode->error, error);
}

bool
vnode_sync_submit(const struct vm_object *o, struct swap_channel *channel, uint64_t cookie)
{
	int fd = load_acquire(&o->external->vnode->files[1].plain);

	/* The channel has an entry for it. */
	CHECK(fd < 0 || swap_channel_submit_sync(channel, fd, cookie) == 0);
	return fd >= 0;
}

int
vnode_sync_result(const struct vm_object *o, int error)
{
	int kept = exchange_acq_rel(&o->external->vnode->error, 0);

	return kept ? kept : error;
}

bool
vnode_is_changed(const struct vm_object *o)
{
	struct external *x = o->external;
	unsigned changes = load_acquire(&x->vnode->changes);
	bool is_changed = changes != x->changes_seen;

	x->changes_seen = changes;
	return is_changed;
}
