/* SPDX-License-Identifier: MIT
 *
 * XNU's "parameter validation matrix (every call, every edge of addr/size/prot/flags) compared with
 * a golden result", which is a rule here; with "remap zero size" and "unaligned, huge, overflow and
 * null sizes".
 *
 * usage: e_matrix matrix [page size]
 */
#include <sys/mman.h>

#include "page.h"

#define RW (PROT_READ | PROT_WRITE)

enum { MATRIX_PAGES = 4 };

struct call {
	const char *name;
	int (*run)(struct pager *p, void *at, size_t size);
};

static int
call_wire(struct pager *p, void *at, size_t size)
{
	int r = pager_wire(p, at, size), unwired = pager_unwire(p, at, size);

	/* What has been refused is not wired. */
	EQ(unwired, r);
	return r;
}

static int
call_protect(struct pager *p, void *at, size_t size)
{
	return pager_protect(p, at, size, RW);
}

static int
call_maximum(struct pager *p, void *at, size_t size)
{
	return pager_protect(p, at, size, RW | PAGER_PROT_MAXIMUM);
}

static int
call_inherit(struct pager *p, void *at, size_t size)
{
	return pager_inherit(p, at, size, PAGER_INHERIT_COPY);
}

static int
call_tag(struct pager *p, void *at, size_t size)
{
	return pager_tag(p, at, size, 0);
}

static int
call_lasting(struct pager *p, void *at, size_t size)
{
	return pager_behavior(p, at, size, PAGER_BEHAVIOR_DEFAULT);
}

static int
call_once(struct pager *p, void *at, size_t size)
{
	return pager_behavior(p, at, size, PAGER_BEHAVIOR_PAGEOUT);
}

/* The golden result. */
static int
golden(struct live *d, const unsigned char *base, uintptr_t at, size_t size)
{
	uintptr_t from = (uintptr_t)base, end = from + MATRIX_PAGES * d->page_bytes;

	return at % d->page_bytes == 0 && size > 0 && at >= from && at < end && size <= end - at
		   ? 0
		   : -EINVAL;
}

static void
matrix_values(struct pager *p, void *at, size_t size)
{
	int fd = -1;

	EQ(pager_protect(p, at, size, 8), -EINVAL);
	EQ(pager_protect(p, at, size, PAGER_PROT_MAXIMUM << 1), -EINVAL);
	EQ(pager_protect(p, at, size, -1), -EINVAL);
	EQ(pager_protect(p, at, size, RW | PROT_EXEC), -EACCES);
	EQ(pager_inherit(p, at, size, (enum pager_inheritance)3), -EINVAL);
	EQ(pager_inherit(p, at, size, (enum pager_inheritance) - 1), -EINVAL);
	EQ(pager_tag(p, at, size, PAGER_TAG_MAX + 1), -EINVAL);
	EQ(pager_tag(p, at, size, UINT32_MAX), -EINVAL);
	EQ(pager_behavior(p, at, size, (enum pager_behavior)(PAGER_BEHAVIOR_REUSE + 1)), -EINVAL);
	EQ(pager_behavior(p, at, size, (enum pager_behavior) - 1), -EINVAL);
	EQ(pager_make_entry(p, at, size, PROT_WRITE, 0, &fd), -EINVAL);
	EQ(pager_make_entry(p, at, size, RW | PROT_EXEC, 0, &fd), -EINVAL);
	EQ(pager_make_entry(p, at, size, PROT_NONE, 0, &fd), -EINVAL);
	EQ(pager_make_entry(p, at, size, RW, 1, &fd), -EINVAL);
	EQ(pager_make_entry(p, at, size, RW, 0, &fd), -ENOTSUP);
	EQ(fd, -1);
}

static void
matrix(struct live *d, void *argument)
{
	static const struct call calls[] = { { "wire", call_wire }, { "protect", call_protect },
		{ "maximum", call_maximum }, { "inherit", call_inherit }, { "tag", call_tag },
		{ "lasting", call_lasting }, { "once", call_once },
		{ "deallocate", pager_deallocate } };
	struct pager *p = client_connect(d);
	const size_t page = d->page_bytes, all = MATRIX_PAGES * page;
	unsigned char *base = client_allocate(p, all);
	struct pager_statistics statistics;
	struct pager_region_info info;
	const uintptr_t from = (uintptr_t)base;
	const uintptr_t places[] = { 0, 1, page, from - page, from - 1, from, from + 1,
		from + page / 2, from + page, from + all - page, from + all - 1, from + all,
		from + all + page, 1ul << 47, UINTPTR_MAX - page + 1, UINTPTR_MAX };
	const size_t sizes[] = { 0, 1, page - 1, page, page + 1, all - page, all - 1, all, all + 1,
		all + page, (size_t)1 << 46, (size_t)1 << 47, (size_t)1 << 63, SIZE_MAX - page + 1,
		SIZE_MAX, 0 - from };

	(void)argument;
	memset(base, 7, all);
	for (size_t c = 0; c < sizeof(calls) / sizeof(calls[0]); c++)
		for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
			for (size_t k = 0; k < sizeof(sizes) / sizeof(sizes[0]); k++) {
				int want = golden(d, base, places[i], sizes[k]), got;

				/* There would be nothing left for the rest. */
				if (calls[c].run == pager_deallocate && want == 0)
					continue;
				got = calls[c].run(p, (void *)places[i], sizes[k]);
				REQUIRE(got == want, "%s(base%+lld, %zu): %d, not %d",
				    calls[c].name, (long long)(places[i] - from), sizes[k], got,
				    want);
			}
	matrix_values(p, base, all);
	/* Nothing has changed. */
	for (size_t i = 0; i < all; i++)
		EQ(base[i], 7);
	OK(pager_region(p, base, &info));
	REQUIRE(info.addr == base);
	EQ(info.size_bytes, all);
	EQ(info.protection, RW);
	EQ(info.max_protection, RW);
	EQ(info.inheritance, PAGER_INHERIT_COPY);
	EQ(info.user_wired_count, 0);
	live_rest(d);
	OK(pager_statistics(p, &statistics));
	EQ(statistics.virtual_size, all);
	EQ(statistics.wired_mem, 0);
	live_check(d);
	OK(pager_disconnect(p));
}

int
main(int argc, char **argv)
{
	static const struct page_test tests[] = { { "matrix", matrix, "zap=1" } };

	return PAGE_RUN(argc, argv, tests);
}
