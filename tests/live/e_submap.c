/* SPDX-License-Identifier: MIT
 *
 * Submaps, one rule after the other: what a hole and a protection answer, what rights names have,
 * what wires and advice do, and what somebody who means ill can do to those who map the same.
 *
 * usage: e_submap rules|names|wired|waiting|hostile|audited [page=SIZE] [memory=SIZE]
 */
#include <fcntl.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "pager/uffd_compat.h"
#include "share.h"
#include "view.h"

enum { PAGES = 64 };

/* --- rules --- */

static void
rules_holes(const struct view *v)
{
	view_expect_touch(v, 0, PAGES, SIGSEGV, SIGSEGV);
	view_add(v, 8, 8, RW);
	view_expect_touch(v, 7, 1, SIGSEGV, SIGSEGV);
	view_expect(v, 8, 8, -1);
	view_expect_touch(v, 8, 8, 0, 0);
	view_expect_touch(v, 16, 1, SIGSEGV, SIGSEGV);
	view_write(v, 8, 8, 1);
	/* In the midst: what was there is gone, what lies around it is not. */
	OK(view_remove(v, 10, 3));
	view_expect_touch(v, 10, 3, SIGSEGV, SIGSEGV);
	view_expect(v, 8, 2, 1);
	view_expect(v, 13, 3, 1);
	EQ(view_remove(v, 9, 3), -EINVAL);
	EQ(view_remove(v, 10, 1), -EINVAL);
	view_add(v, 10, 3, RW);
	view_expect(v, 10, 3, -1);
	OK(view_remove(v, 8, 8));
	view_expect_touch(v, 0, PAGES, SIGSEGV, SIGSEGV);
}

static void
rules_places(const struct view *v)
{
	uint64_t at = 77 * v->live->page_bytes, page = v->live->page_bytes;
	unsigned log2 = 3 + (unsigned)__builtin_ctzll(page);

	view_add(v, 1, 2, RW);
	OK(pager_submap_allocate(v->pager, v->fd, &at, page, RW, 0));
	EQ(at, 0);
	OK(pager_submap_allocate(v->pager, v->fd, &at, 2 * page, RW, PAGER_SUBMAP_TAG(9)));
	EQ(at, 3 * page);
	OK(pager_submap_allocate(v->pager, v->fd, &at, 1, RW, PAGER_ALLOC_ALIGNED(log2)));
	EQ(at, 8 * page);
	OK(view_remove(v, at / page, 1));
	at = 2 * page;
	EQ(pager_submap_allocate(v->pager, v->fd, &at, page, RW, PAGER_ALLOC_FIXED), -EEXIST);
	EQ(at, 2 * page);
	at = PAGES * page;
	EQ(pager_submap_allocate(v->pager, v->fd, &at, page, RW, PAGER_ALLOC_FIXED), -EINVAL);
	at = page / 2;
	EQ(pager_submap_allocate(v->pager, v->fd, &at, page, RW, PAGER_ALLOC_FIXED), -EINVAL);
	EQ(pager_submap_allocate(v->pager, v->fd, &at, PAGES * page, RW, 0), -ENOMEM);
	EQ(pager_submap_allocate(v->pager, v->fd, &at, 0, RW, 0), -EINVAL);
	EQ(pager_submap_allocate(v->pager, v->fd, &at, page, PROT_WRITE, 0), -EINVAL);
	EQ(pager_submap_allocate(v->pager, v->fd, &at, page, RW | PROT_EXEC, 0), -EINVAL);
	EQ(pager_submap_allocate(v->pager, v->fd, &at, page, RW, PAGER_ALLOC_WIRED), -EINVAL);
	EQ(pager_submap_protect(v->pager, v->fd, 1, page, RW), -EINVAL);
	EQ(pager_submap_protect(v->pager, v->fd, PAGES * page, page, RW), -EINVAL);
	OK(view_remove(v, 0, 5));
}

static void
rules_protection(const struct view *v)
{
	view_add(v, 0, 16, RW);
	view_write(v, 0, 16, 3);
	OK(view_protect(v, 4, 8, PROT_READ));
	view_expect_touch(v, 3, 1, 0, 0);
	view_expect_touch(v, 4, 8, 0, SIGSEGV);
	view_expect_touch(v, 12, 1, 0, 0);
	OK(view_protect(v, 6, 2, PROT_NONE));
	view_expect_touch(v, 6, 2, SIGSEGV, SIGSEGV);
	/* The library looks whether the mapping is its own, and maps nothing by that. */
	OK(pager_protect(v->pager, view_page(v, 6), view_bytes(v, 10), PROT_READ));
	OK(pager_protect(v->pager, view_page(v, 6), view_bytes(v, 10), RW));
	view_expect_touch(v, 6, 2, SIGSEGV, SIGSEGV);
	OK(view_protect(v, 0, 16, RW));
	view_expect(v, 0, 16, 3);
	view_write(v, 0, 16, 5);
	/* What a region may only be read of is filled so, too; and one that is made so. */
	OK(view_protect(v, 0, 16, PROT_NONE));
	view_add(v, 16, 8, PROT_READ);
	view_expect(v, 16, 8, -1);
	view_expect_touch(v, 16, 8, 0, SIGSEGV);
	OK(view_protect(v, 0, 24, PROT_READ));
	view_expect(v, 0, 16, 5);
	view_expect_touch(v, 0, 24, 0, SIGSEGV);
	OK(view_protect(v, 0, 24, RW));
	view_expect_touch(v, 0, 24, 0, 0);
	view_expect(v, 16, 8, -1);
	/* The maximum is never raised. */
	OK(view_protect(v, 8, 4, PROT_READ | PAGER_PROT_MAXIMUM));
	view_expect_touch(v, 8, 4, 0, SIGSEGV);
	EQ(view_protect(v, 0, 24, RW), -EACCES);
	EQ(view_protect(v, 8, 4, RW | PAGER_PROT_MAXIMUM), -EACCES);
	OK(view_protect(v, 8, 4, PROT_NONE | PAGER_PROT_MAXIMUM));
	view_expect_touch(v, 8, 4, SIGSEGV, SIGSEGV);
	EQ(view_protect(v, 8, 4, PROT_READ), -EACCES);
	EQ(view_protect(v, 20, 8, RW), -EINVAL);
	view_expect(v, 0, 8, 5);
	OK(view_remove(v, 0, 24));
}

/* Pages that are stored, not resident. */
static void
rules_stored(const struct view *v)
{
	view_add(v, 0, 16, RW);
	view_write(v, 0, 16, 7);
	OK(pager_behavior(v->pager, v->base, view_bytes(v, PAGES), PAGER_BEHAVIOR_PAGEOUT));
	OK(view_protect(v, 0, 8, PROT_NONE));
	view_expect_touch(v, 0, 8, SIGSEGV, SIGSEGV);
	OK(view_protect(v, 0, 8, PROT_READ));
	view_expect(v, 0, 16, 7);
	view_expect_touch(v, 0, 8, 0, SIGSEGV);
	OK(pager_behavior(v->pager, v->base, view_bytes(v, PAGES), PAGER_BEHAVIOR_PAGEOUT));
	OK(pager_behavior(v->pager, v->base, view_bytes(v, PAGES), PAGER_BEHAVIOR_WILLNEED));
	OK(pager_behavior(v->pager, v->base, view_bytes(v, PAGES), PAGER_BEHAVIOR_DONTNEED));
	/* Its regions keep the content, though nobody else maps it. */
	OK(pager_behavior(v->pager, v->base, view_bytes(v, PAGES), PAGER_BEHAVIOR_FREE));
	view_expect(v, 0, 16, 7);
	OK(pager_behavior(v->pager, v->base, view_bytes(v, PAGES), PAGER_BEHAVIOR_PAGEOUT));
	OK(view_remove(v, 0, 16));
	view_add(v, 0, 16, RW);
	view_expect(v, 0, 16, -1);
	OK(view_remove(v, 0, 16));
}

/* A run of touches brings in neighbours, but none beyond the region. */
static void
rules_run(const struct view *v)
{
	OK(pager_behavior(v->pager, v->base, view_bytes(v, PAGES), PAGER_BEHAVIOR_SEQUENTIAL));
	view_add(v, 0, 10, RW);
	view_add(v, 20, 10, PROT_READ);
	view_expect(v, 0, 10, -1);
	view_expect(v, 20, 10, -1);
	view_expect_touch(v, 20, 10, 0, SIGSEGV);
	view_expect_touch(v, 10, 10, SIGSEGV, SIGSEGV);
	view_write(v, 0, 10, 1);
	OK(pager_behavior(v->pager, v->base, view_bytes(v, PAGES), PAGER_BEHAVIOR_DONTNEED));
	OK(view_protect(v, 4, 3, PROT_NONE));
	view_expect(v, 0, 4, 1);
	view_expect(v, 7, 3, 1);
	view_expect_touch(v, 4, 3, SIGSEGV, SIGSEGV);
	OK(pager_behavior(v->pager, v->base, view_bytes(v, PAGES), PAGER_BEHAVIOR_DEFAULT));
	OK(view_remove(v, 0, 10));
	OK(view_remove(v, 20, 10));
}

static void
rules_body(struct live *d, void *argument)
{
	struct view v = view_make(d, PAGES);

	(void)argument;
	for (unsigned round = 0; round < 3; round++) {
		rules_holes(&v);
		rules_places(&v);
		rules_protection(&v);
		rules_stored(&v);
		rules_run(&v);
	}
	view_expect_touch(&v, 0, PAGES, SIGSEGV, SIGSEGV);
	view_end(&v);
}

static void
rules(void)
{
	view_run(rules_body);
}

/* --- names: what a holder may do --- */

/* A holder who may map for writing, but not change. */
static void
names_writer(const struct view *v)
{
	struct view less = *v;
	int name;
	void *base;

	OK(pager_submap_name(v->pager, v->fd, RW, &less.fd));
	EQ(view_protect(&less, 0, 4, PROT_READ), -EACCES);
	EQ(view_remove(&less, 0, 4), -EACCES);
	EQ(pager_submap_allocate(v->pager, less.fd, &(uint64_t){ 0 }, 1, RW, 0), -EACCES);
	EQ(pager_submap_name(v->pager, less.fd, RW | PAGER_SUBMAP_CHANGE, &name), -EACCES);
	OK(pager_map_entry(v->pager, less.fd, view_bytes(v, 2), view_bytes(v, 6), RW, 0, &base));
	memset(base, 9, view_bytes(v, 2));
	view_expect(v, 0, 2, 1);
	EQ(view_page(v, 3)[7], 9);
	OK(pager_deallocate(v->pager, base, view_bytes(v, 6)));
	view_write(v, 2, 2, 1);
	close(less.fd);
}

static void
names_reader(const struct view *v)
{
	struct view reader = *v;
	int name;
	void *base;

	OK(pager_submap_name(v->pager, v->fd, PROT_READ, &reader.fd));
	EQ(pager_submap_name(v->pager, reader.fd, RW, &name), -EACCES);
	EQ(pager_submap_name(v->pager, reader.fd, PROT_READ | PAGER_SUBMAP_CHANGE, &name), -EACCES);
	EQ(view_protect(&reader, 0, 4, PROT_READ), -EACCES);
	EQ(pager_map_entry(v->pager, reader.fd, 0, view_bytes(v, PAGES), RW, 0, &base), -EACCES);
	OK(pager_map_entry(v->pager, reader.fd, 0, view_bytes(v, PAGES), PROT_READ, 0, &base));
	reader.base = base;
	view_expect(&reader, 0, 4, 1);
	view_expect_touch(&reader, 0, 4, 0, SIGSEGV);
	view_expect_touch(&reader, 4, 1, SIGSEGV, SIGSEGV);
	/* Its own page tables are its own affair, and no way around the daemon. */
	REQUIRE(mprotect(base, view_bytes(v, PAGES), RW) == 0);
	view_expect_touch(&reader, 0, 4, 0, SIGSEGV);
	view_expect_touch(&reader, 4, 1, SIGSEGV, SIGSEGV);
	/* What changes is the same for it. */
	OK(view_protect(v, 0, 2, PROT_NONE));
	view_expect_touch(&reader, 0, 2, SIGSEGV, SIGSEGV);
	view_expect_touch(&reader, 2, 2, 0, SIGSEGV);
	OK(view_protect(v, 0, 2, RW));
	view_add(v, 4, 1, RW);
	view_expect(&reader, 4, 1, -1);
	view_write(v, 4, 1, 1);
	view_expect(&reader, 0, 5, 1);
	OK(view_remove(v, 4, 1));
	view_expect_touch(&reader, 4, 1, SIGSEGV, SIGSEGV);
	view_expect(v, 0, 4, 1);
	OK(pager_deallocate(v->pager, base, view_bytes(v, PAGES)));
	close(reader.fd);
}

/* A name made of a mapping, and names of memory that is no submap. */
static void
names_others(const struct view *v)
{
	struct view other = *v;
	void *memory;
	int pair[2], name;

	OK(pager_make_entry(v->pager, v->base, view_bytes(v, PAGES), RW, 0, &other.fd));
	EQ(view_protect(&other, 0, 4, PROT_READ), -EACCES);
	close(other.fd);
	OK(pager_allocate(v->pager, view_bytes(v, 4), PAGER_ALLOC_SHAREABLE, &memory));
	OK(pager_make_entry(v->pager, memory, view_bytes(v, 4), RW, 0, &other.fd));
	EQ(view_protect(&other, 0, 4, PROT_READ), -ENOTSUP);
	EQ(pager_submap_name(v->pager, other.fd, RW | PAGER_SUBMAP_CHANGE, &name), -EACCES);
	OK(pager_submap_name(v->pager, other.fd, PROT_READ, &name));
	close(name);
	close(other.fd);
	OK(pager_deallocate(v->pager, memory, view_bytes(v, 4)));
	REQUIRE(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair) == 0);
	other.fd = pair[0];
	EQ(view_protect(&other, 0, 4, PROT_READ), -EBADF);
	EQ(pager_submap_name(v->pager, pair[0], PROT_READ, &name), -EBADF);
	close(pair[0]);
	close(pair[1]);
	EQ(view_protect(&other, 0, 4, PROT_READ), -EBADF);
	EQ(pager_submap_name(v->pager, v->fd, PROT_WRITE, &name), -EINVAL);
	EQ(pager_submap_name(v->pager, v->fd, PROT_READ | PROT_EXEC, &name), -EINVAL);
	EQ(pager_submap_create(v->pager, 0, 0, &name), -EINVAL);
	EQ(pager_submap_create(v->pager, 1, 1, &name), -EINVAL);
	EQ(pager_submap_create(v->pager, (1ull << 47) + 1, 0, &name), -EINVAL);
}

static void
names_body(struct live *d, void *argument)
{
	struct view v = view_make(d, PAGES);

	(void)argument;
	view_add(&v, 0, 4, RW);
	view_write(&v, 0, 4, 1);
	names_writer(&v);
	names_reader(&v);
	names_others(&v);
	view_expect(&v, 0, 4, 1);
	/* No holder can end it for the others. */
	REQUIRE(shutdown(v.fd, SHUT_RDWR) < 0);
	OK(view_protect(&v, 0, 4, PROT_READ));
	OK(pager_behavior(v.pager, v.base, view_bytes(&v, PAGES), PAGER_BEHAVIOR_PAGEOUT));
	view_expect_touch(&v, 4, 1, SIGSEGV, SIGSEGV);
	view_end(&v);
}

static void
names(void)
{
	view_run(names_body);
}

/* --- wired --- */

static uint64_t
wired_pages(const struct view *v)
{
	struct pager_statistics s;

	OK(pager_statistics(v->pager, &s));
	return s.wired_mem / v->live->page_bytes;
}

static void
wired_body(struct live *d, void *argument)
{
	struct view v = view_make(d, PAGES);

	(void)argument;
	EQ(pager_wire(v.pager, v.base, view_bytes(&v, 4)), -EFAULT);
	view_add(&v, 0, 16, RW);
	view_write(&v, 0, 16, 1);
	EQ(pager_wire(v.pager, v.base, view_bytes(&v, 17)), -EFAULT);
	OK(view_protect(&v, 4, 1, PROT_READ));
	EQ(pager_wire(v.pager, v.base, view_bytes(&v, 16)), -EACCES);
	EQ(wired_pages(&v), 0);
	OK(pager_wire(v.pager, v.base, view_bytes(&v, 4)));
	OK(view_protect(&v, 4, 1, RW));
	OK(pager_wire(v.pager, view_page(&v, 4), view_bytes(&v, 12)));
	EQ(wired_pages(&v), 16);
	/* Protected and removed, wired as they are. */
	OK(view_protect(&v, 0, 4, PROT_READ));
	view_expect_touch(&v, 0, 4, 0, SIGSEGV);
	OK(view_protect(&v, 4, 4, PROT_NONE));
	view_expect_touch(&v, 4, 4, SIGSEGV, SIGSEGV);
	EQ(wired_pages(&v), 16);
	OK(view_protect(&v, 0, 8, RW));
	view_expect(&v, 0, 16, 1);
	OK(view_remove(&v, 0, 8));
	EQ(wired_pages(&v), 8);
	view_expect_touch(&v, 0, 8, SIGSEGV, SIGSEGV);
	/* A wire is one of addresses. */
	view_add(&v, 2, 2, RW);
	view_expect(&v, 2, 2, -1);
	/* The touch returns before the server has counted it. */
	WAIT_UNTIL(d, wired_pages(&v) == 10);
	OK(pager_unwire(v.pager, v.base, view_bytes(&v, 16)));
	EQ(wired_pages(&v), 0);
	EQ(pager_unwire(v.pager, v.base, view_bytes(&v, 16)), -EINVAL);
	view_expect(&v, 8, 8, 1);
	view_end(&v);
}

static void
wired(void)
{
	view_run(wired_body);
}

/* --- waiting: a thread whom the signal does not reach goes on when there is a region --- */

struct waiting {
	struct view *view;
	unsigned char byte;
};

static void *
waiting_thread(void *argument)
{
	struct waiting *w = argument;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGSEGV);
	REQUIRE(pthread_sigmask(SIG_BLOCK, &set, NULL) == 0);
	w->byte = *(volatile unsigned char *)view_page(w->view, 9);
	/* The signal that came for it is still there, and is not for what it does from now on. */
	sigpending(&set);
	REQUIRE(sigismember(&set, SIGSEGV) == 1);
	return NULL;
}

static void
waiting_body(struct live *d, void *argument)
{
	struct view v = view_make(d, PAGES);
	struct waiting w = { .view = &v, .byte = 77 };
	pthread_t thread;

	(void)argument;
	REQUIRE(pthread_create(&thread, NULL, waiting_thread, &w) == 0);
	WAIT_UNTIL(d, live_stat(d, "violations") >= 1);
	view_add(&v, 0, 16, PROT_NONE);
	WAIT_UNTIL(d, live_stat(d, "violations") >= 2);
	OK(view_protect(&v, 0, 16, PROT_READ));
	REQUIRE(pthread_join(thread, NULL) == 0);
	EQ(w.byte, 0);
	view_end(&v);
}

static void
waiting(void)
{
	view_run(waiting_body);
}

/* --- hostile: somebody who has the memfd plants pages in holes --- */

static void
hostile_maker(struct live *d, void *argument)
{
	struct common *c = argument;
	struct view v = view_make(d, PAGES);

	view_add(&v, 0, PAGES, RW);
	view_write(&v, 0, PAGES, 1);
	OK(view_remove(&v, 8, PAGES - 8));
	name_send(c->sockets[1][0], v.fd);
	stage_meet(d, &c->stage[0], 1);
	/* The pages that were planted are there, and seen by nobody. */
	view_expect_touch(&v, 8, PAGES - 8, SIGSEGV, SIGSEGV);
	view_add(&v, 8, 16, RW);
	view_add(&v, 24, 16, PROT_READ);
	view_expect(&v, 8, 32, -1);
	view_expect(&v, 0, 8, 1);
	stage_meet(d, &c->stage[0], 2);
	view_expect(&v, 24, 16, -1);
	OK(view_remove(&v, 0, 40));
	view_add(&v, 0, 40, RW);
	view_expect(&v, 0, 40, -1);
	stage_meet(d, &c->stage[0], 3);
	view_end(&v);
}

static void
hostile_body(struct live *d, void *argument)
{
	struct common *c = argument;
	unsigned char *mapped;
	char *page = malloc(d->page_bytes);
	struct peer peer;

	peer_join(d, c, 1, RW, &peer);
	memset(page, 0xee, d->page_bytes);
	for (unsigned i = 8; i < PAGES; i++)
		EQ(pwrite(peer.memfd, page, d->page_bytes, (off_t)(i * d->page_bytes)),
		    d->page_bytes);
	/* All of it mapped without any watch, too. */
	mapped = mmap(NULL, PAGES * d->page_bytes, RW, MAP_SHARED, peer.memfd, 0);
	REQUIRE(mapped != MAP_FAILED);
	for (unsigned i = 8; i < PAGES; i++)
		EQ(mapped[i * d->page_bytes], 0xee);
	stage_meet(d, &c->stage[1], 1);
	/* What was planted has gone from its page tables, too. */
	for (unsigned i = 8; i < 40; i++)
		EQ(mapped[i * d->page_bytes], 0);
	/* And some more behind what is about to be removed. */
	for (unsigned i = 40; i < PAGES; i++)
		mapped[i * d->page_bytes] = 0xdd;
	stage_meet(d, &c->stage[1], 2);
	raw_close(&peer.raw);
	free(page);
}

static void
hostile(void)
{
	struct live d = { 0 };
	struct common *c;
	pid_t maker, other;

	daemon_start(&d);
	c = common_make_pages(&d, PAGES);
	maker = client_start(&d, hostile_maker, c);
	other = client_start(&d, hostile_body, c);
	stage_wait(&d, &c->stage[0], 1);
	stage_wait(&d, &c->stage[1], 1);
	stage_allow(&c->stage[0], 1);
	stage_wait(&d, &c->stage[0], 2);
	stage_allow(&c->stage[1], 1);
	stage_wait(&d, &c->stage[1], 2);
	stage_allow(&c->stage[0], 2);
	stage_wait(&d, &c->stage[0], 3);
	stage_allow(&c->stage[1], 2);
	client_join(&d, other, false);
	stage_allow(&c->stage[0], 3);
	client_join(&d, maker, false);
	WAIT_UNTIL(&d, live_stat(&d, "sessions") == 0);
	WAIT_UNTIL(&d, resident(&d) == 0);
	live_stop(&d);
}

/* --- audited: a page that a process has mapped for itself, against its submap, is found --- */

static void
audited_maker(struct live *d, void *argument)
{
	struct common *c = argument;
	struct view v = view_make(d, PAGES);

	view_add(&v, 0, 8, RW);
	view_write(&v, 0, 8, 1);
	OK(view_protect(&v, 4, 2, PROT_NONE));
	OK(view_protect(&v, 6, 2, PROT_READ));
	name_send(c->sockets[1][0], v.fd);
	stage_meet(d, &c->stage[0], 1);
	view_end(&v);
}

static void
audited_body(struct live *d, void *argument)
{
	struct common *c = argument;
	struct uffdio_writeprotect lift = { .mode = UFFDIO_WRITEPROTECT_MODE_DONTWAKE };
	struct uffdio_continue more = { .mode = UFFDIO_CONTINUE_MODE_WP };
	struct peer peer;
	int byte = 0;

	peer_join(d, c, 1, RW, &peer);
	raw_map(&peer.raw, peer.base, peer.bytes, peer.memfd, peer.offset);
	for (unsigned i = 0; i < 8; i++)
		byte += i < 4 || i > 5 ? peer.base[i * d->page_bytes] : 0;
	REQUIRE(byte > 0);
	stage_meet(d, &c->stage[1], 1);
	more.range.start = (uintptr_t)peer.base + 4 * d->page_bytes;
	more.range.len = d->page_bytes;
	OK(ioctl(peer.raw.uffd, UFFDIO_CONTINUE, &more));
	stage_meet(d, &c->stage[1], 2);
	OK(madvise(peer.base + 4 * d->page_bytes, d->page_bytes, MADV_DONTNEED));
	stage_meet(d, &c->stage[1], 3);
	lift.range.start = (uintptr_t)peer.base + 6 * d->page_bytes;
	lift.range.len = d->page_bytes;
	OK(ioctl(peer.raw.uffd, UFFDIO_WRITEPROTECT, &lift));
	stage_meet(d, &c->stage[1], 4);
	raw_close(&peer.raw);
}

static void
expect_forbidden(struct live *d)
{
	char text[8192];

	REQUIRE(live_pagerctl(d, text, sizeof(text), "check", NULL) != 0 &&
		    strstr(text, "its submap forbids that"),
	    "%s", text);
}

static void
audited(void)
{
	struct live d = { 0 };
	struct common *c;
	pid_t maker, other;

	daemon_start(&d);
	c = common_make_pages(&d, PAGES);
	maker = client_start(&d, audited_maker, c);
	other = client_start(&d, audited_body, c);
	stage_wait(&d, &c->stage[0], 1);
	for (unsigned at = 1; at <= 4; at++) {
		stage_wait(&d, &c->stage[1], at);
		live_rest(&d);
		if (at % 2)
			live_check(&d);
		else
			expect_forbidden(&d);
		stage_allow(&c->stage[1], at);
	}
	client_join(&d, other, false);
	stage_allow(&c->stage[0], 1);
	client_join(&d, maker, false);
	WAIT_UNTIL(&d, resident(&d) == 0);
	live_stop(&d);
}

static const struct live_test tests[] = { { "rules", rules }, { "names", names },
	{ "wired", wired }, { "waiting", waiting }, { "hostile", hostile },
	{ "audited", audited } };

int
main(int argc, char **argv)
{
	share_options_parse(argc, argv);
	live_init(argc, argv);
	return LIVE_RUN(argc, argv, tests);
}
