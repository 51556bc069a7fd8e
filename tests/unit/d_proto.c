/* SPDX-License-Identifier: MIT
 *
 * The check that every request passes before the daemon looks at it.
 */
#include <string.h>

#include "d_test.h"

struct row {
	const char *what;
	uint16_t type;
	int length_delta, body_delta; /* in the length field; received */
	uint16_t reserved;
	uint32_t reserved2;
	int32_t error;
	uint32_t op; /* first word of the body */
	unsigned fds;
	bool good;
};

static const struct row rows[] = {
	{ .what = "hello", .type = PAGER_MSG_HELLO, .good = true },
	{ .what = "hello with a descriptor", .type = PAGER_MSG_HELLO, .fds = 1 },
	{ .what = "attach", .type = PAGER_MSG_ATTACH, .fds = 1, .good = true },
	{ .what = "attach without a descriptor", .type = PAGER_MSG_ATTACH },
	{ .what = "attach with two descriptors", .type = PAGER_MSG_ATTACH, .fds = 2 },
	{ .what = "trace start",
	    .type = PAGER_MSG_TRACE,
	    .op = PAGER_TRACE_START,
	    .fds = 1,
	    .good = true },
	{ .what = "trace start without a descriptor",
	    .type = PAGER_MSG_TRACE,
	    .op = PAGER_TRACE_START },
	{ .what = "trace stop", .type = PAGER_MSG_TRACE, .op = PAGER_TRACE_STOP, .good = true },
	{ .what = "trace stop with a descriptor",
	    .type = PAGER_MSG_TRACE,
	    .op = PAGER_TRACE_STOP,
	    .fds = 1 },
	{ .what = "protect", .type = PAGER_MSG_PROTECT, .good = true },
	{ .what = "protect with a descriptor", .type = PAGER_MSG_PROTECT, .fds = 1 },
	{ .what = "inherit", .type = PAGER_MSG_INHERIT, .good = true },
	{ .what = "inherit cut short",
	    .type = PAGER_MSG_INHERIT,
	    .length_delta = -4,
	    .body_delta = -4 },
	{ .what = "tag", .type = PAGER_MSG_TAG, .good = true },
	{ .what = "tag one byte long", .type = PAGER_MSG_TAG, .length_delta = 1, .body_delta = 1 },
	{ .what = "allocate", .type = PAGER_MSG_ALLOCATE, .good = true },
	{ .what = "allocate cut short",
	    .type = PAGER_MSG_ALLOCATE,
	    .length_delta = -1,
	    .body_delta = -1 },
	{ .what = "allocate one byte long",
	    .type = PAGER_MSG_ALLOCATE,
	    .length_delta = 1,
	    .body_delta = 1 },
	{ .what = "length says less than came", .type = PAGER_MSG_ALLOCATE, .length_delta = -8 },
	{ .what = "length says more than came", .type = PAGER_MSG_ALLOCATE, .length_delta = 8 },
	{ .what = "length of nearly 2^32", .type = PAGER_MSG_ALLOCATE, .length_delta = -25 - 24 },
	{ .what = "another message's size",
	    .type = PAGER_MSG_DEALLOCATE,
	    .length_delta = 8,
	    .body_delta = 8 },
	{ .what = "reserved is set", .type = PAGER_MSG_ALLOCATE, .reserved = 1 },
	{ .what = "reserved2 is set", .type = PAGER_MSG_ALLOCATE, .reserved2 = 0x80000000u },
	{ .what = "a request with an error", .type = PAGER_MSG_ALLOCATE, .error = -1 },
	{ .what = "map device", .type = PAGER_MSG_MAP_DEVICE, .good = true },
	{ .what = "map device with a descriptor", .type = PAGER_MSG_MAP_DEVICE, .fds = 1 },
	{ .what = "map device cut short",
	    .type = PAGER_MSG_MAP_DEVICE,
	    .length_delta = -8,
	    .body_delta = -8 },
	{ .what = "make device", .type = PAGER_MSG_MAKE_DEVICE, .fds = 1, .good = true },
	{ .what = "make device without a descriptor", .type = PAGER_MSG_MAKE_DEVICE },
	{ .what = "make device with two", .type = PAGER_MSG_MAKE_DEVICE, .fds = 2 },
	{ .what = "descriptor", .type = PAGER_MSG_DESCRIPTOR, .good = true },
	{ .what = "descriptor with a descriptor", .type = PAGER_MSG_DESCRIPTOR, .fds = 1 },
	{ .what = "devices", .type = PAGER_MSG_DEVICES, .good = true },
	{ .what = "devices with a descriptor", .type = PAGER_MSG_DEVICES, .fds = 1 },
	{ .what = "type 0", .type = 0 },
	{ .what = "submap create", .type = PAGER_MSG_SUBMAP_CREATE, .good = true },
	{ .what = "submap create with a descriptor", .type = PAGER_MSG_SUBMAP_CREATE, .fds = 1 },
	{ .what = "submap change", .type = PAGER_MSG_SUBMAP_CHANGE, .fds = 1, .good = true },
	{ .what = "submap change without a name", .type = PAGER_MSG_SUBMAP_CHANGE },
	{ .what = "submap change cut short",
	    .type = PAGER_MSG_SUBMAP_CHANGE,
	    .fds = 1,
	    .length_delta = -8,
	    .body_delta = -8 },
	{ .what = "submap name", .type = PAGER_MSG_SUBMAP_NAME, .fds = 1, .good = true },
	{ .what = "submap name without a name", .type = PAGER_MSG_SUBMAP_NAME },
	{ .what = "submap name with two", .type = PAGER_MSG_SUBMAP_NAME, .fds = 2 },
	{ .what = "copy", .type = PAGER_MSG_COPY, .good = true },
	{ .what = "copy with a descriptor", .type = PAGER_MSG_COPY, .fds = 1 },
	{ .what = "copy cut short", .type = PAGER_MSG_COPY, .length_delta = -8, .body_delta = -8 },
	{ .what = "copyin", .type = PAGER_MSG_COPYIN, .good = true },
	{ .what = "copyin one byte long",
	    .type = PAGER_MSG_COPYIN,
	    .length_delta = 1,
	    .body_delta = 1 },
	{ .what = "copyout", .type = PAGER_MSG_COPYOUT, .good = true },
	{ .what = "copyout cut short",
	    .type = PAGER_MSG_COPYOUT,
	    .length_delta = -8,
	    .body_delta = -8 },
	{ .what = "copy discard", .type = PAGER_MSG_COPY_DISCARD, .good = true },
	{ .what = "copy discard with a descriptor", .type = PAGER_MSG_COPY_DISCARD, .fds = 1 },
	{ .what = "copy file", .type = PAGER_MSG_COPY_FILE, .fds = 1, .good = true },
	{ .what = "copy file without a descriptor", .type = PAGER_MSG_COPY_FILE },
	{ .what = "copy file cut short",
	    .type = PAGER_MSG_COPY_FILE,
	    .fds = 1,
	    .length_delta = -8,
	    .body_delta = -8 },
	{ .what = "shared load", .type = PAGER_MSG_SHARED_LOAD, .fds = 1, .good = true },
	{ .what = "shared load without a descriptor", .type = PAGER_MSG_SHARED_LOAD },
	{ .what = "shared change", .type = PAGER_MSG_SHARED_CHANGE, .good = true },
	{ .what = "shared change with a descriptor", .type = PAGER_MSG_SHARED_CHANGE, .fds = 1 },
	{ .what = "fork begin", .type = PAGER_MSG_FORK_BEGIN, .good = true },
	{ .what = "fork begin with a descriptor", .type = PAGER_MSG_FORK_BEGIN, .fds = 1 },
	{ .what = "fork child", .type = PAGER_MSG_FORK_CHILD, .good = true },
	{ .what = "fork child cut short",
	    .type = PAGER_MSG_FORK_CHILD,
	    .length_delta = -8,
	    .body_delta = -8 },
	{ .what = "fork step", .type = PAGER_MSG_FORK_STEP, .good = true },
	{ .what = "fork step one byte long",
	    .type = PAGER_MSG_FORK_STEP,
	    .length_delta = 1,
	    .body_delta = 1 },
	{ .what = "upl create", .type = PAGER_MSG_UPL_CREATE, .good = true },
	{ .what = "upl create with a descriptor", .type = PAGER_MSG_UPL_CREATE, .fds = 1 },
	{ .what = "upl create cut short",
	    .type = PAGER_MSG_UPL_CREATE,
	    .length_delta = -4,
	    .body_delta = -4 },
	{ .what = "pressure watch", .type = PAGER_MSG_PRESSURE_WATCH, .good = true },
	{ .what = "pressure watch with a descriptor", .type = PAGER_MSG_PRESSURE_WATCH, .fds = 1 },
	{ .what = "pressure done", .type = PAGER_MSG_PRESSURE_DONE, .good = true },
	{ .what = "pressure", .type = PAGER_MSG_PRESSURE, .good = true },
	{ .what = "limits", .type = PAGER_MSG_LIMITS, .good = true },
	{ .what = "limits with a descriptor", .type = PAGER_MSG_LIMITS, .fds = 1 },
	{ .what = "limits of a process", .type = PAGER_MSG_PROCESS_LIMITS, .good = true },
	{ .what = "purgeable", .type = PAGER_MSG_PURGEABLE, .good = true },
	{ .what = "purgeable with a descriptor", .type = PAGER_MSG_PURGEABLE, .fds = 1 },
	{ .what = "purge", .type = PAGER_MSG_PURGE, .good = true },
	{ .what = "purge with a descriptor", .type = PAGER_MSG_PURGE, .fds = 1 },
	{ .what = "priority", .type = PAGER_MSG_PRIORITY, .good = true },
	{ .what = "priority with a descriptor", .type = PAGER_MSG_PRIORITY, .fds = 1 },
	{ .what = "events", .type = PAGER_MSG_EVENTS, .good = true },
	{ .what = "wired", .type = PAGER_MSG_WIRED, .good = true },
	{ .what = "files", .type = PAGER_MSG_FILES, .good = true },
	{ .what = "upgrade", .type = PAGER_MSG_UPGRADE, .fds = 1, .good = true },
	{ .what = "upgrade without a program", .type = PAGER_MSG_UPGRADE },
	{ .what = "upgrade go", .type = PAGER_MSG_UPGRADE_GO, .good = true },
	{ .what = "upgrade go with a descriptor", .type = PAGER_MSG_UPGRADE_GO, .fds = 1 },
	{ .what = "upgrade go cut short",
	    .type = PAGER_MSG_UPGRADE_GO,
	    .length_delta = -8,
	    .body_delta = -8 },
	{ .what = "forget file", .type = PAGER_MSG_FORGET_FILE, .good = true },
	{ .what = "forget file with a descriptor", .type = PAGER_MSG_FORGET_FILE, .fds = 1 },
	{ .what = "tables", .type = PAGER_MSG_TABLES, .good = true },
	{ .what = "tables with a descriptor", .type = PAGER_MSG_TABLES, .fds = 1 },
	{ .what = "freeze", .type = PAGER_MSG_FREEZE, .good = true },
	{ .what = "freeze with a descriptor", .type = PAGER_MSG_FREEZE, .fds = 1 },
	{ .what = "frozen", .type = PAGER_MSG_FROZEN, .good = true },
	{ .what = "frozen cut short",
	    .type = PAGER_MSG_FROZEN,
	    .length_delta = -8,
	    .body_delta = -8 },
	{ .what = "memory", .type = PAGER_MSG_MEMORY, .good = true },
	{ .what = "memory with a descriptor", .type = PAGER_MSG_MEMORY, .fds = 1 },
	{ .what = "pressure cut short",
	    .type = PAGER_MSG_PRESSURE,
	    .length_delta = -8,
	    .body_delta = -8 },
	{ .what = "upl finish", .type = PAGER_MSG_UPL_FINISH, .good = true },
	{ .what = "upl finish with a descriptor", .type = PAGER_MSG_UPL_FINISH, .fds = 1 },
	{ .what = "upl finish one byte long",
	    .type = PAGER_MSG_UPL_FINISH,
	    .length_delta = 1,
	    .body_delta = 1 },
	{ .what = "a type in a gap", .type = 30 },
	{ .what = "a type beyond the last", .type = 200 },
	{ .what = "type 65535", .type = 65535 },
};

static void
proto_rows(void **state)
{
	union {
		struct pager_msg_header header;
		uint32_t words[PAGER_MSG_BYTES_MAX / 4];
	} message;

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *row = &rows[i];
		size_t bytes = sizeof(message.header) + pager_msg_request_bytes(row->type);
		const char *fault;

		memset(&message, 0, sizeof(message));
		message.header.type = row->type;
		message.header.length = (uint32_t)((int)bytes + row->length_delta);
		message.header.reserved = row->reserved;
		message.header.reserved2 = row->reserved2;
		message.header.error = row->error;
		message.words[sizeof(message.header) / 4] = row->op;
		fault = pager_msg_request_check(
		    &message, (size_t)((int)bytes + row->body_delta), row->fds);
		if ((fault == NULL) != row->good)
			fail_msg("%s: %s", row->what, fault ? fault : "accepted");
	}
}

/* Every type: its own size is right, each shorter one is wrong, and nothing beyond the bytes given
 * is read (the message stands at the end of its allocation, where ASan watches). */
static void
proto_truncation(void **state)
{
	for (unsigned type = 0; type < 64; type++) {
		size_t body = pager_msg_request_bytes((uint16_t)type),
		       whole = sizeof(struct pager_msg_header) + body;

		for (size_t bytes = 0; body && bytes <= whole; bytes++) {
			struct pager_msg_header h = { .length = (uint32_t)bytes,
				.type = (uint16_t)type };
			char *copy = calloc(1, bytes ? bytes : 1);
			unsigned fds =
			    type == PAGER_MSG_ATTACH || type == PAGER_MSG_MAP_ENTRY ||
			    type == PAGER_MSG_SUBMAP_CHANGE || type == PAGER_MSG_SUBMAP_NAME ||
			    type == PAGER_MSG_MAKE_DEVICE || type == PAGER_MSG_MAP_FILE ||
			    type == PAGER_MSG_COPY_FILE || type == PAGER_MSG_SHARED_LOAD;

			memcpy(copy, &h, bytes < sizeof(h) ? bytes : sizeof(h));
			assert_int_equal(
			    pager_msg_request_check(copy, bytes, fds) == NULL, bytes == whole);
			free(copy);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(proto_rows),
		cmocka_unit_test(proto_truncation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
