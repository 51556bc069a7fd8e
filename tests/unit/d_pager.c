/* SPDX-License-Identifier: MIT
 *
 * libpager's calls, one thread, against the fake daemon.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "d_test.h"

#define PAGE FAKE_PAGE_SIZE

static void
connect_errors(void **state)
{
	struct pager_options options = { .size = sizeof(options) };
	struct pager *p = NULL;
	char path[200];

	assert_int_equal(pager_connect("/nonexistent/socket", NULL, &p), -ENOENT);
	assert_int_equal(pager_connect("", NULL, &p), -EINVAL);
	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = '\0';
	assert_int_equal(pager_connect(path, NULL, &p), -EINVAL);
	options.flags = 2;
	assert_int_equal(pager_connect(NULL, &options, &p), -EINVAL);
	options.flags = 0;
	options.size = 4;
	assert_int_equal(pager_connect(NULL, &options, &p), -EINVAL);
	assert_int_equal(pager_connect(NULL, NULL, NULL), -EINVAL);
	setenv("PAGERD_SOCKET", "/nonexistent/from-env", 1);
	assert_int_equal(pager_connect(NULL, NULL, &p), -ENOENT);
	unsetenv("PAGERD_SOCKET");
	assert_null(p);
}

static void
connect_refusals(void **state)
{
	struct d_fixture *d = *state;
	struct pager *p = NULL;
	unsigned before = fds_settled(d);

	for (int round = 0; round < 3; round++) {
		fake_fail_next(d->fake, PAGER_MSG_HELLO, -EPERM);
		assert_int_equal(pager_connect(fake_socket(d->fake), NULL, &p), -EPERM);
		fake_fail_next(d->fake, PAGER_MSG_ATTACH, -ENOMEM);
		assert_int_equal(pager_connect(fake_socket(d->fake), NULL, &p), -ENOMEM);
		fake_mangle_next(d->fake, PAGER_MSG_HELLO, FAKE_MANGLE_NO_FD);
		assert_int_equal(pager_connect(fake_socket(d->fake), NULL, &p), -EPROTO);
		fake_mangle_next(
		    d->fake, PAGER_MSG_HELLO, FAKE_MANGLE_FD); /* a socket, not a userfaultfd */
		assert_int_equal(pager_connect(fake_socket(d->fake), NULL, &p), -EPROTO);
		fake_mangle_next(d->fake, PAGER_MSG_ATTACH, FAKE_MANGLE_HANGUP);
		assert_int_equal(pager_connect(fake_socket(d->fake), NULL, &p), -ENOTCONN);
	}
	assert_null(p);
	WAIT_UNTIL(fake_sessions(d->fake) == 1);
	WAIT_UNTIL(fds_open() == before); /* no descriptor is left behind */
}

static void
connect_name(void **state)
{
	struct d_fixture *d = *state;
	struct pager_options options = { .size = sizeof(options), .name = "a name of our own" };
	struct pager *p;
	char name[64];

	fake_last_name(d->fake, name);
	assert_string_equal(name, "d_pager");
	assert_int_equal(pager_connect(fake_socket(d->fake), &options, &p), 0);
	fake_last_name(d->fake, name);
	assert_string_equal(name, "a name of our own");
	assert_int_equal(pager_disconnect(p), 0);
}

static void
allocate_and_use(void **state)
{
	struct d_fixture *d = *state;
	unsigned char *a, *b, *large;
	void *v;

	assert_int_equal(pager_allocate(d->pager, 10 * PAGE, 0, &v), 0);
	a = v;
	assert_int_equal((uintptr_t)a % PAGE, 0);
	for (size_t i = 0; i < 10 * PAGE; i++)
		assert_int_equal(a[i], 0);
	memset(a, 0x5a, 10 * PAGE);
	/* One byte is a page; the next allocation follows at once. */
	assert_int_equal(pager_allocate(d->pager, 1, 0, &v), 0);
	b = v;
	assert_ptr_equal(b, a + 10 * PAGE);
	assert_int_equal(fake_allocated_bytes(d->fake), 11 * PAGE);
	b[PAGE - 1] = 1;
	assert_int_equal(a[10 * PAGE - 1], 0x5a);
	/* A large one stands alone. */
	assert_int_equal(pager_allocate(d->pager, (64u << 20) + 1, 0, &v), 0);
	large = v;
	assert_int_equal((uintptr_t)large % (2u << 20), 0);
	large[64u << 20] = 9;
	assert_int_equal(fake_allocated_bytes(d->fake), 12 * PAGE + (64u << 20));
	assert_int_equal(pager_deallocate(d->pager, large, (64u << 20) + 1), 0);
	assert_int_equal(pager_deallocate(d->pager, a, 11 * PAGE), 0); /* two allocations at once */
	assert_int_equal(fake_allocated_bytes(d->fake), 0);
	assert_int_equal(fake_strays(d->fake), 0);
}

/* More than one window of small allocations; freed ranges are used again. */
static void
allocate_windows(void **state)
{
	struct d_fixture *d = *state;
	const size_t size = 24u << 20;
	uintptr_t lowest, again;
	void *blocks[30], *v;

	for (int i = 0; i < 30; i++) {
		assert_int_equal(pager_allocate(d->pager, size, 0, &blocks[i]), 0);
		((char *)blocks[i])[size - 1] = (char)i;
	}
	for (int i = 0; i < 30; i++)
		assert_int_equal(((char *)blocks[i])[size - 1], i);
	lowest = (uintptr_t)blocks[0];
	for (int i = 0; i < 30; i++) {
		lowest = (uintptr_t)blocks[i] < lowest ? (uintptr_t)blocks[i] : lowest;
		assert_int_equal(pager_deallocate(d->pager, blocks[i], size), 0);
	}
	assert_int_equal(pager_allocate(d->pager, PAGE, 0, &v), 0);
	again = (uintptr_t)v;
	assert_int_equal(again, lowest);
	assert_int_equal(fake_allocated_bytes(d->fake), PAGE);
	assert_int_equal(fake_range_errors(d->fake), 0);
}

static void
allocate_kernel_access(void **state)
{
	struct d_fixture *d = *state;
	char back[6] = "";
	int pipe_fds[2];
	void *v;

	assert_int_equal(pager_allocate(d->pager, 4 * PAGE, 0, &v), 0);
	assert_int_equal(pipe(pipe_fds), 0);
	assert_int_equal(write(pipe_fds[1], "paged", 5), 5);
	assert_int_equal(read(pipe_fds[0], v, 5), 5);
	assert_int_equal(write(pipe_fds[1], v, 5), 5);
	assert_int_equal(read(pipe_fds[0], back, 5), 5);
	assert_string_equal(back, "paged");
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}

static void
deallocate_parts(void **state)
{
	struct d_fixture *d = *state;
	struct pager *p = d->pager;
	char *a;
	void *v, *again;

	assert_int_equal(pager_allocate(p, 100 * PAGE, 0, &v), 0);
	a = v;
	memset(a, 1, 100 * PAGE);
	assert_int_equal(pager_deallocate(p, a + 10 * PAGE, 5 * PAGE), 0);
	assert_int_equal(pager_deallocate(p, a + 10 * PAGE, 5 * PAGE), -EINVAL); /* twice */
	assert_int_equal(
	    pager_deallocate(p, a + 14 * PAGE, 2 * PAGE), -EINVAL); /* half of it is gone */
	assert_int_equal(pager_deallocate(p, a, 100 * PAGE), -EINVAL);
	assert_int_equal(fake_allocated_bytes(d->fake), 95 * PAGE);
	assert_int_equal(a[9 * PAGE], 1);
	assert_int_equal(a[15 * PAGE], 1);
	/* The hole is used again, and reads as zeroes. */
	assert_int_equal(pager_allocate(p, 5 * PAGE, 0, &again), 0);
	assert_ptr_equal(again, a + 10 * PAGE);
	assert_int_equal(a[10 * PAGE], 0);
	assert_int_equal(pager_deallocate(p, a, 100 * PAGE), 0);
	assert_int_equal(fake_range_errors(d->fake), 0);
}

static void
arguments(void **state)
{
	struct d_fixture *d = *state;
	struct pager *p = d->pager;
	struct pager_region_info info;
	unsigned disposition;
	char *a, *own = malloc(PAGE);
	void *v = own;

	assert_int_equal(pager_allocate(p, 0, 0, &v), -EINVAL);
	assert_int_equal(pager_allocate(p, PAGE, 1u << 31, &v), -EINVAL);
	v = own + 1; /* no page begins there */
	assert_int_equal(pager_allocate(p, PAGE, PAGER_ALLOC_FIXED, &v), -EINVAL);
	v = own;
	assert_int_equal(pager_allocate(p, PAGE, 0, NULL), -EINVAL);
	assert_int_equal(pager_allocate(p, SIZE_MAX, 0, &v), -ENOMEM);
	assert_int_equal(pager_allocate(p, SIZE_MAX / 2, 0, &v), -ENOMEM);
	assert_int_equal(pager_allocate(NULL, PAGE, 0, &v), -EINVAL);
	assert_ptr_equal(v, own); /* left alone */
	assert_int_equal(fake_requests(d->fake, PAGER_MSG_ALLOCATE), 0);

	assert_int_equal(pager_allocate(p, 4 * PAGE, 0, &v), 0);
	a = v;
	assert_int_equal(pager_deallocate(p, a + 1, PAGE), -EINVAL);
	assert_int_equal(pager_deallocate(p, a, 0), -EINVAL);
	assert_int_equal(pager_deallocate(p, a, SIZE_MAX), -EINVAL);
	assert_int_equal(pager_deallocate(p, a, 5 * PAGE), -EINVAL);
	assert_int_equal(pager_deallocate(p, own, PAGE), -EINVAL);
	assert_int_equal(pager_wire(p, a + 3 * PAGE, 2 * PAGE), -EINVAL);
	assert_int_equal(pager_unwire(p, NULL, PAGE), -EINVAL);
	assert_int_equal(pager_behavior(p, a, PAGE, PAGER_BEHAVIOR_REUSE + 1), -EINVAL);
	assert_int_equal(pager_behavior(p, a, PAGE, -1), -EINVAL);
	assert_int_equal(pager_behavior(p, a + 2 * PAGE, 3 * PAGE, PAGER_BEHAVIOR_FREE), -EINVAL);
	assert_int_equal(pager_page_query(p, own, &disposition), -EINVAL);
	assert_int_equal(pager_page_query(p, a, NULL), -EINVAL);
	assert_int_equal(pager_region(p, a, NULL), -EINVAL);
	assert_int_equal(pager_statistics(p, NULL), -EINVAL);
	assert_int_equal(pager_region(p, a + 4 * PAGE, &info), -ENOENT);
	assert_int_equal(fake_requests(d->fake, PAGER_MSG_DEALLOCATE), 0);
	assert_int_equal(fake_requests(d->fake, PAGER_MSG_WIRE), 0);
	free(own);
}

static void
advice_and_questions(void **state)
{
	struct d_fixture *d = *state;
	struct pager *p = d->pager;
	struct pager_region_info info;
	struct pager_statistics stat;
	unsigned disposition = 0;
	char *a;
	void *v;

	assert_int_equal(pager_allocate(p, 16 * PAGE, 0, &v), 0);
	a = v;
	a[3 * PAGE] = 42;
	assert_int_equal(pager_wire(p, a, 16 * PAGE), 0);
	assert_int_equal(fake_missing(d->fake), 16); /* every page was touched, none twice */
	assert_int_equal(a[3 * PAGE], 42);
	assert_int_equal(pager_unwire(p, a, 16 * PAGE), 0);
	for (int b = PAGER_BEHAVIOR_DEFAULT; b <= PAGER_BEHAVIOR_REUSE; b++)
		assert_int_equal(pager_behavior(p, a, 16 * PAGE, b), 0);
	assert_int_equal(fake_requests(d->fake, PAGER_MSG_BEHAVIOR), 10);
	assert_int_equal(pager_region(p, a + 5, &info), 0);
	assert_ptr_equal(info.addr, a);
	assert_int_equal(info.size_bytes, 16 * PAGE);
	assert_int_equal(info.object_id, 7);
	assert_int_equal(info.protection, PROT_READ | PROT_WRITE);
	assert_int_equal(pager_page_query(p, a + 5, &disposition), 0);
	assert_int_equal(disposition, PAGER_PAGE_PRESENT | PAGER_PAGE_DIRTY);
	assert_int_equal(pager_statistics(p, &stat), 0);
	assert_int_equal(stat.page_size, PAGE);
	fake_fail_next(d->fake, PAGER_MSG_WIRE, -EAGAIN);
	assert_int_equal(pager_wire(p, a, PAGE), -EAGAIN);
	assert_int_equal(pager_statistics(p, &stat), 0); /* a refusal is not the end */
}

static void
regions(void **state)
{
	struct d_fixture *d = *state;
	struct pager *p = d->pager;
	struct pager_region_query q = { .size = sizeof(q) };
	struct pager_region_info info;
	char *a;
	void *v;

	assert_int_equal(pager_allocate(p, 16 * PAGE, 0, &v), 0);
	a = v;
	assert_int_equal(pager_region_query(p, a, PAGER_REGION_BASIC, NULL), -EINVAL);
	assert_int_equal(pager_region_query(p, a, 1u << 30, &q), -EINVAL);
	q.size--;
	assert_int_equal(pager_region_query(p, a, PAGER_REGION_BASIC, &q), -EINVAL);
	assert_int_equal(fake_requests(d->fake, PAGER_MSG_REGION), 0);
	q.size = sizeof(q);
	assert_int_equal(pager_region_query(p, a + 16 * PAGE, PAGER_REGION_BASIC, &q), -ENOENT);
	assert_int_equal(pager_region_query(p, NULL, PAGER_REGION_BASIC, &q), 0);
	assert_int_equal(q.size, sizeof(q));
	assert_ptr_equal(q.info.addr, a);
	assert_int_equal(q.info.size_bytes, 16 * PAGE);
	assert_int_equal(q.info.pages_resident, 0);
	assert_int_equal(q.depth, 0);
	q.depth = 4; /* is not looked at */
	assert_int_equal(pager_region_query(p, a, PAGER_REGION_BASIC, &q), 0);
	assert_int_equal(q.depth, 0);
	q.depth = 4;
	assert_int_equal(pager_region_query(p, a, PAGER_REGION_RECURSIVE, &q), 0);
	assert_int_equal(q.depth, 4);
	assert_int_equal(q.share_mode, PAGER_SHARE_SHARED);
	assert_int_equal(q.ref_count, 2);
	assert_int_equal(q.shadow_depth, 0);
	assert_int_equal(q.external_pager, 0);
	assert_int_equal(q.billed, 1);
	assert_int_equal(pager_region_query(p, a, PAGER_REGION_EXTENDED, &q), 0);
	assert_int_equal(q.info.pages_resident, 3);
	assert_int_equal(q.proportional_resident, 3 * PAGE / 2);
	assert_int_equal(q.proportional_stored, 5);
	/* The short question counts pages, as it always did. */
	assert_int_equal(pager_region(p, a, &info), 0);
	assert_int_equal(info.pages_resident, 3);
}

/* Shared memory is counted where there may be any, in as many replies as it takes. */
static void
shared_statistics(void **state)
{
	struct d_fixture *d = *state;
	struct pager *p = d->pager;
	struct pager_statistics stat;
	void *v;

	assert_int_equal(pager_allocate(p, PAGE, 0, &v), 0);
	assert_int_equal(pager_statistics(p, &stat), 0);
	assert_int_equal(stat.shared_resident | stat.shared_proportional_resident, 0);
	assert_int_equal(fake_requests(d->fake, PAGER_MSG_MAP), 0);
	assert_int_equal(pager_allocate(p, PAGE, PAGER_ALLOC_SHAREABLE, &v), 0);
	assert_int_equal(pager_statistics(p, &stat), 0);
	assert_int_equal(fake_requests(d->fake, PAGER_MSG_MAP), 2);
	assert_int_equal(stat.page_size, PAGE);
	assert_int_equal(stat.shared_resident, 65 * 4 * PAGE);
	assert_int_equal(stat.shared_stored, 65 * 2 * PAGE);
	assert_int_equal(stat.shared_proportional_resident, 65 * 8192);
	assert_int_equal(stat.shared_proportional_stored, 65 * 4096);
	fake_fail_next(d->fake, PAGER_MSG_MAP, -ENOMEM);
	stat.faults = 12345;
	assert_int_equal(pager_statistics(p, &stat), -ENOMEM);
	assert_int_equal(stat.faults, 12345); /* left alone */
}

static void
daemon_refuses(void **state)
{
	struct d_fixture *d = *state;
	struct pager *p = d->pager;
	void *a, *b, *keep = NULL;

	assert_int_equal(pager_allocate(p, PAGE, 0, &a), 0);
	fake_fail_next(d->fake, PAGER_MSG_ALLOCATE, -ENOMEM);
	assert_int_equal(pager_allocate(p, PAGE, 0, &keep), -ENOMEM);
	assert_null(keep);
	assert_int_equal(pager_allocate(p, PAGE, 0, &b), 0);
	assert_ptr_equal(b, (char *)a + PAGE); /* the refused address was not lost */
	/* A daemon without room to split a region: the memory is as it was, and the call can be
	 * tried again. */
	*(volatile char *)b = 7;
	fake_fail_next(d->fake, PAGER_MSG_DEALLOCATE, -ENOMEM);
	assert_int_equal(pager_deallocate(p, b, PAGE), -ENOMEM);
	assert_int_equal(*(volatile char *)b, 7);
	*(volatile char *)b = 8;
	assert_int_equal(pager_deallocate(p, b, PAGE), 0);
	assert_int_equal(pager_allocate(p, PAGE, 0, &keep), 0);
	assert_ptr_equal(keep, b);
	assert_int_equal(*(volatile char *)b, 0);
	/* No refusal has changed anything. */
	*(volatile char *)b = 9;
	fake_fail_next(d->fake, PAGER_MSG_DEALLOCATE, -EIO);
	assert_int_equal(pager_deallocate(p, b, PAGE), -EIO);
	assert_int_equal(*(volatile char *)b, 9);
	assert_int_equal(pager_deallocate(p, b, PAGE), 0);
	assert_int_equal(fake_allocated_bytes(d->fake), PAGE);
	assert_int_equal(fake_range_errors(d->fake), 0);
}

/* Registration cannot succeed: the daemon's descriptor is no memfd. The range is given back. */
static void
mapping_fails(void **state)
{
	struct d_fixture *d = *state;
	void *v = NULL;

	fake_mangle_next(d->fake, PAGER_MSG_ALLOCATE, FAKE_MANGLE_FD);
	assert_true(pager_allocate(d->pager, PAGE, 0, &v) < 0);
	assert_null(v);
	assert_int_equal(fake_requests(d->fake, PAGER_MSG_DEALLOCATE), 1);
	assert_int_equal(fake_allocated_bytes(d->fake), 0);
	assert_int_equal(pager_allocate(d->pager, PAGE, 0, &v), 0);
	assert_int_equal(*(char *)v, 0);
}

/* Each kind of senseless answer breaks the connection, is reported once, and blocks nothing. */
static void
senseless_answers(void **state)
{
	for (enum fake_mangle mangle = FAKE_MANGLE_SEQUENCE; mangle < FAKE_MANGLE_COUNT; mangle++) {
		struct pager_statistics stat = { .page_size = 1 };
		struct d_fixture *d;
		void *fixture, *v = NULL;
		int r;

		if (mangle == FAKE_MANGLE_NO_FD)
			continue;
		assert_int_equal(d_setup(&fixture), 0);
		d = fixture;
		fake_mangle_next(d->fake, PAGER_MSG_STATISTICS, mangle);
		r = pager_statistics(d->pager, &stat);
		assert_int_equal(r, mangle == FAKE_MANGLE_HANGUP ? -ENOTCONN : -EPROTO);
		assert_int_equal(stat.page_size, 1);
		assert_int_equal(pager_statistics(d->pager, &stat), -ENOTCONN);
		assert_int_equal(pager_allocate(d->pager, PAGE, 0, &v), -ENOTCONN);
		WAIT_UNTIL(atomic_load(&d->died) > 0);
		assert_int_equal(d_teardown(&fixture), 0);
	}
}

/* Messages that name the first page and are malformed, or of an unknown kind, do nothing; the agent
 * takes them in order, so they have passed when it has dropped the second page. */
static void
agent_nonsense(void **state)
{
	struct d_fixture *d = *state;
	struct pager_agent_message message = { .op = PAGER_AGENT_ZAP };
	const size_t head = offsetof(struct pager_agent_message, ranges);
	unsigned seen;
	char *a;
	void *v;

	assert_int_equal(pager_allocate(d->pager, 2 * PAGE, 0, &v), 0);
	a = v;
	memset(a, 7, 2 * PAGE);
	seen = fake_minor(d->fake);
	message.ranges[0] = (struct pager_agent_range){ (uintptr_t)a, PAGE };
	message.count = 1;
	fake_agent_send(d->fake, &message, 3);
	fake_agent_send(d->fake, &message, head + 1);
	fake_agent_send(d->fake, &message, head);
	message.count = 2;
	fake_agent_send(d->fake, &message, head + sizeof(message.ranges[0]));
	message.count = UINT32_MAX;
	fake_agent_send(d->fake, &message, sizeof(message));
	message.count = 1;
	message.op = 99;
	fake_agent_send(d->fake, &message, head + sizeof(message.ranges[0]));

	message.ranges[0].address += PAGE;
	fake_agent_zap(d->fake, message.ranges, 1);
	WAIT_UNTIL(((volatile char *)a)[PAGE] == 7 && fake_minor(d->fake) == seen + 1);
	assert_int_equal(*(volatile char *)a, 7);
	assert_int_equal(fake_minor(d->fake), seen + 1);
	assert_int_equal(atomic_load(&d->died), 0);
}

#define WITH_DAEMON(name) cmocka_unit_test_setup_teardown(name, d_setup, d_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(connect_errors),
		WITH_DAEMON(connect_refusals),
		WITH_DAEMON(connect_name),
		WITH_DAEMON(allocate_and_use),
		WITH_DAEMON(allocate_windows),
		WITH_DAEMON(allocate_kernel_access),
		WITH_DAEMON(deallocate_parts),
		WITH_DAEMON(arguments),
		WITH_DAEMON(advice_and_questions),
		WITH_DAEMON(regions),
		WITH_DAEMON(shared_statistics),
		WITH_DAEMON(daemon_refuses),
		WITH_DAEMON(mapping_fails),
		cmocka_unit_test(senseless_answers),
		WITH_DAEMON(agent_nonsense),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
