/* SPDX-License-Identifier: MIT */
#include "pagers/vnode_index.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "vm/books.h"

/* Chains at first, as a power of two. */
#define BITS_LEAST 6u
#define BITS_MOST  24u

static uint64_t
mix(uint64_t key)
{
	key *= 0x9e3779b97f4a7c15u;
	return key ^ key >> 29;
}

static size_t
place_of_identity(unsigned bits, dev_t device, ino_t inode)
{
	return mix(mix(inode) + device) * 0x9e3779b97f4a7c15u >> (64 - bits);
}

static size_t
place_of_handle(unsigned bits, const struct vnode_handle *h)
{
	uint64_t key = (uint64_t)h->type << 32 | h->length, word;

	for (unsigned at = 0; at < h->length; at += sizeof(word)) {
		word = 0;
		memcpy(&word, h->bytes + at,
		    h->length - at < sizeof(word) ? h->length - at : sizeof(word));
		key = mix(key ^ word);
	}
	return mix(key) * 0x9e3779b97f4a7c15u >> (64 - bits);
}

static bool
is_same(const struct vnode_handle *a, const struct vnode_handle *b)
{
	return a->type == b->type && a->length == b->length &&
	       memcmp(a->bytes, b->bytes, a->length) == 0;
}

/* => both arrays of that many chains, in one block; NULL: no memory */
static struct vnode **
chains_make(unsigned bits)
{
	return calloc(2ul << bits, sizeof(struct vnode *));
}

static struct vnode **
identity_chain(const struct vnode_table *t, const struct vnode *v)
{
	return &t->chains[place_of_identity(t->bits, v->device, v->inode)];
}

static struct vnode **
handle_chain(const struct vnode_table *t, const struct vnode_handle *handle)
{
	return &t->chains[(1ul << t->bits) + place_of_handle(t->bits, handle)];
}

int
vnode_index_create(struct vnode_table *t)
{
	CHECK(!t->chains);
	t->bits = BITS_LEAST;
	t->chains = chains_make(t->bits);
	return t->chains ? 0 : -ENOMEM;
}

void
vnode_index_destroy(struct vnode_table *t)
{
	CHECK(t->count == 0);
	free(t->chains);
	t->chains = NULL;
}

/* Puts all files into the new chains. => the old ones */
static struct vnode **
chains_change_locked(struct vnode_table *t, struct vnode **chains, unsigned bits)
{
	struct vnode **old = t->chains, *v, *next, **to;
	size_t count = 1ul << t->bits;

	lock_assert_held(&t->lock);
	t->chains = chains;
	t->bits = bits;
	for (size_t i = 0; i < count; i++)
		for (v = old[i]; v; v = next) {
			next = v->next;
			to = identity_chain(t, v);
			v->next = *to;
			*to = v;
			if (!v->is_watched)
				continue;
			to = handle_chain(t, &v->handle);
			v->next_watched = *to;
			*to = v;
		}
	return old;
}

void
vnode_index_grow(struct vnode_table *t)
{
	struct vnode **chains;
	unsigned bits;
	bool is_full;

	locks_assert_none();
	lock_acquire(&t->lock);
	bits = t->bits + 1;
	is_full = t->count >= 1ul << t->bits && bits <= BITS_MOST;
	lock_release(&t->lock);
	chains = is_full ? chains_make(bits) : NULL;
	if (!chains)
		return;
	lock_acquire(&t->lock);
	/* Another thread may have been faster. */
	if (t->bits + 1 == bits)
		chains = chains_change_locked(t, chains, bits);
	lock_release(&t->lock);
	free(chains);
}

struct vnode *
vnode_index_find_locked(const struct vnode_table *t, dev_t device, ino_t inode)
{
	struct vnode *v = t->chains[place_of_identity(t->bits, device, inode)];

	lock_assert_held(&t->lock);
	while (v && (v->device != device || v->inode != inode))
		v = v->next;
	return v;
}

void
vnode_index_add_locked(struct vnode_table *t, struct vnode *v)
{
	struct vnode **chain = identity_chain(t, v);

	lock_assert_held(&t->lock);
	CHECK(!v->is_watched);
	v->next = *chain;
	*chain = v;
	t->count++;
}

void
vnode_index_remove_locked(struct vnode_table *t, struct vnode *v)
{
	struct vnode **at = identity_chain(t, v);

	lock_assert_held(&t->lock);
	for (; *at != v; at = &(*at)->next)
		CHECK(*at);
	*at = v->next;
	t->count--;
	if (!v->is_watched)
		return;
	for (at = handle_chain(t, &v->handle); *at != v; at = &(*at)->next_watched)
		CHECK(*at);
	*at = v->next_watched;
}

void
vnode_index_watch_locked(struct vnode_table *t, struct vnode *v)
{
	struct vnode **chain = handle_chain(t, &v->handle);

	lock_assert_held(&t->lock);
	CHECK(!v->is_watched);
	v->is_watched = true;
	v->next_watched = *chain;
	*chain = v;
}

struct vnode *
vnode_index_next_locked(
    const struct vnode_table *t, const struct vnode_handle *handle, const struct vnode *after)
{
	struct vnode *v = after ? after->next_watched : *handle_chain(t, handle);

	lock_assert_held(&t->lock);
	while (v && !is_same(&v->handle, handle))
		v = v->next_watched;
	return v;
}
