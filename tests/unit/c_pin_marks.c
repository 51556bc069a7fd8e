/* SPDX-License-Identifier: MIT
 *
 * For how long frames have been pinned, and what the kernel says of its types.
 */
#include "c_unit.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "pmap/kernel_types.h"
#include "vm/pin_marks.h"

#define SECOND 1000000000ull

static enum pin_stay
mark(struct daemon *d, uint32_t frame, bool is_pinned, uint64_t second)
{
	enum pin_stay stay;

	pageq_lock(d);
	stay = pin_mark_locked(d, frame, is_pinned, second * SECOND, frames_wire_most(d) / 2);
	pageq_unlock(d);
	return stay;
}

static void
forget(struct daemon *d, uint32_t frame)
{
	pageq_lock(d);
	pin_mark_forget_locked(d, frame);
	pageq_unlock(d);
}

/* A pin passes for ten seconds, is held from then on, and is no more once it is not found, or the
 * frame is freed. */
static void
a_mark_ages(void **state)
{
	struct unit u;
	struct daemon *d;
	(void)state;

	unit_start(&u);
	d = u.daemon;
	assert_int_equal(pin_marks_create(d), 0);
	assert_int_equal(mark(d, 3, false, 100), PIN_LEAVES);
	assert_false(pin_marks_any(&d->pin_marks));
	for (uint64_t second = 100; second <= 110; second++)
		assert_int_equal(mark(d, 3, true, second), PIN_PASSES);
	assert_int_equal(d->pin_marks.marked, 1);
	assert_int_equal(d->pin_marks.held, 0);
	assert_int_equal(mark(d, 3, true, 111), PIN_HELD);
	assert_int_equal(mark(d, 3, true, 100000), PIN_HELD);
	assert_int_equal(d->pin_marks.held, 1);
	assert_int_equal(mark(d, 3, false, 100001), PIN_LEAVES);
	assert_int_equal(d->pin_marks.held, 0);
	assert_int_equal(mark(d, 3, true, 100001), PIN_PASSES);
	forget(d, 3);
	assert_false(pin_marks_any(&d->pin_marks));
	forget(d, 3);
	assert_int_equal(mark(d, 3, true, 100020), PIN_PASSES);
	forget(d, 3);
	pin_marks_destroy(d);
	unit_stop(&u);
}

/* Moments go round: a mark that is made before the end ages over it. */
static void
moments_go_round(void **state)
{
	struct unit u;
	struct daemon *d;
	(void)state;

	unit_start(&u);
	d = u.daemon;
	assert_int_equal(pin_marks_create(d), 0);
	for (uint64_t second = 16370; second < 16400; second++) {
		assert_int_equal(mark(d, 0, true, second), PIN_PASSES);
		assert_int_equal(mark(d, 0, true, second + 9), PIN_PASSES);
		assert_int_equal(mark(d, 0, true, second + 12), PIN_HELD);
		forget(d, 0);
	}
	pin_marks_destroy(d);
	unit_stop(&u);
}

/* Half of what may be wired can be held; a further page leaves, until one of those is let go. */
static void
few_are_held(void **state)
{
	struct unit u;
	struct daemon *d;
	uint32_t most;
	(void)state;

	unit_start(&u);
	d = u.daemon;
	assert_int_equal(pin_marks_create(d), 0);
	most = (uint32_t)(frames_wire_most(d) / 2);
	assert_true(most > 0 && most + 1 < UNIT_FRAMES);
	for (uint32_t i = 0; i <= most; i++)
		assert_int_equal(mark(d, i, true, 5), PIN_PASSES);
	for (uint32_t i = 0; i < most; i++)
		assert_int_equal(mark(d, i, true, 30), PIN_HELD);
	assert_int_equal(mark(d, most, true, 30), PIN_LEAVES);
	forget(d, 0);
	assert_int_equal(mark(d, most, true, 30), PIN_HELD);
	for (uint32_t i = 0; i <= most; i++)
		forget(d, i);
	assert_int_equal(d->pin_marks.held, 0);
	pin_marks_destroy(d);
	unit_stop(&u);
}

/* --- the kernel's types --- */

#define TYPES "/sys/kernel/btf/vmlinux"

static void
types_are_found(void **state)
{
	struct kernel_types k;
	uint32_t refcount, mapcount, value;
	(void)state;

	if (access(TYPES, R_OK) < 0)
		skip();
	assert_int_equal(kernel_types_open(TYPES, &k), 0);
	assert_int_equal(kernel_types_offset(&k, "page", "_refcount", &refcount), 0);
	/* In a nameless union. */
	assert_int_equal(kernel_types_offset(&k, "page", "_mapcount", &mapcount), 0);
	assert_int_equal(refcount, mapcount + 4);
	assert_int_equal(kernel_types_offset(&k, "page", "no_such_member", &value), -ENOENT);
	assert_int_equal(kernel_types_offset(&k, "no_such_structure", "flags", &value), -ENOENT);
	assert_int_equal(kernel_types_value(&k, "PG_locked", &value), 0);
	assert_int_equal(value, 0);
	assert_int_equal(kernel_types_value(&k, "PG_no_such_flag", &value), -ENOENT);
	assert_int_equal(kernel_types_function(&k, "schedule", &value), 0);
	assert_true(value > 0 && value < k.count);
	assert_int_equal(kernel_types_function(&k, "no_such_function", &value), -ENOENT);
	kernel_types_close(&k);
}

/* A file that was cut off, or is none of these, is refused. */
static void
bad_types_are_refused(void **state)
{
	static const unsigned char other[64] = { 0x9f, 0xeb, 2 };
	char path[] = "/tmp/c_pin_marks.XXXXXX";
	static char bytes[100000];
	struct kernel_types k;
	int in = open(TYPES, O_RDONLY | O_CLOEXEC), fd = mkstemp(path);
	ssize_t have = in < 0 ? 0 : read(in, bytes, sizeof(bytes));
	(void)state;

	assert_true(fd >= 0 && have >= 0);
	assert_int_equal(kernel_types_open("/no/such/file", &k), -ENOENT);
	assert_int_equal(kernel_types_open(path, &k), -EINVAL);
	assert_int_equal(write(fd, other, sizeof(other)), sizeof(other));
	assert_int_equal(kernel_types_open(path, &k), -EINVAL);
	assert_int_equal(pwrite(fd, bytes, (size_t)have, 0), have);
	assert_int_equal(kernel_types_open(path, &k), -EINVAL);
	close(fd);
	close(in);
	unlink(path);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_mark_ages),
		cmocka_unit_test(moments_go_round),
		cmocka_unit_test(few_are_held),
		cmocka_unit_test(types_are_found),
		cmocka_unit_test(bad_types_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
