/* SPDX-License-Identifier: MIT */
#include "view.h"

#include "share.h"

unsigned char *
view_page(const struct view *v, uint64_t page)
{
	return v->base + page * v->live->page_bytes;
}

uint64_t
view_bytes(const struct view *v, uint64_t pages)
{
	return pages * v->live->page_bytes;
}

struct view
view_make(struct live *d, uint64_t pages)
{
	struct view v = { .live = d, .pager = client_connect(d) };
	void *base;

	guard_begin();
	OK(pager_submap_create(v.pager, view_bytes(&v, pages), 0, &v.fd));
	OK(pager_map_entry(v.pager, v.fd, 0, view_bytes(&v, pages), RW, 0, &base));
	v.base = base;
	return v;
}

void
view_end(struct view *v)
{
	close(v->fd);
	OK(pager_disconnect(v->pager));
}

void
view_add(const struct view *v, uint64_t page, uint64_t pages, int protection)
{
	uint64_t offset = view_bytes(v, page);

	OK(pager_submap_allocate(
	    v->pager, v->fd, &offset, view_bytes(v, pages), protection, PAGER_ALLOC_FIXED));
	EQ(offset, view_bytes(v, page));
}

int
view_protect(const struct view *v, uint64_t page, uint64_t pages, int protection)
{
	return pager_submap_protect(
	    v->pager, v->fd, view_bytes(v, page), view_bytes(v, pages), protection);
}

int
view_remove(const struct view *v, uint64_t page, uint64_t pages)
{
	return pager_submap_deallocate(v->pager, v->fd, view_bytes(v, page), view_bytes(v, pages));
}

void
view_expect_touch(const struct view *v, uint64_t page, uint64_t pages, int load, int store)
{
	for (uint64_t i = page; i < page + pages; i++) {
		volatile unsigned char *at = view_page(v, i) + i % v->live->page_bytes;
		unsigned char byte = 0;

		EQ(guard_load(at, &byte), load);
		EQ(guard_store(at, byte), store);
	}
}

void
view_write(const struct view *v, uint64_t page, uint64_t pages, unsigned char value)
{
	for (uint64_t i = page; i < page + pages; i++)
		memset(view_page(v, i), (int)(value + i), v->live->page_bytes);
}

void
view_expect(const struct view *v, uint64_t page, uint64_t pages, int value)
{
	for (uint64_t i = page; i < page + pages; i++) {
		unsigned char want = value < 0 ? 0 : (unsigned char)(value + (int)i);
		const unsigned char *at = view_page(v, i);

		for (size_t k = 0; k < v->live->page_bytes; k++)
			REQUIRE(at[k] == want, "page %llu byte %zu: %u, not %u",
			    (unsigned long long)i, k, at[k], want);
	}
}

struct view
view_join(struct live *d, int fd, uint64_t first, uint64_t pages, int protection)
{
	struct view v = { .live = d, .pager = client_connect(d), .fd = fd };
	void *base;

	guard_begin();
	OK(pager_map_entry(
	    v.pager, v.fd, view_bytes(&v, first), view_bytes(&v, pages), protection, 0, &base));
	v.base = base;
	return v;
}

void
view_run(client_body *body)
{
	struct live d = { 0 };

	daemon_start(&d);
	client_join(&d, client_start(&d, body, NULL), false);
	WAIT_UNTIL(&d, live_stat(&d, "sessions") == 0);
	WAIT_UNTIL(&d, resident(&d) == 0);
	live_stop(&d);
}
