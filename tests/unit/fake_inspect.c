/* SPDX-License-Identifier: MIT
 *
 * Invented answers for tools. Names contain what a hostile client might put into them.
 */
#include "fake_inspect.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "pager/shmstat.h"

enum { QUEUE = SHMSTAT_QUEUE, GAUGE = SHMSTAT_GAUGE, COUNTER = SHMSTAT_COUNTER };

#define INSPECT_SHARDS 3
#define INSPECT_STRIDE 80
#define INSPECT_PID    4242

/* One row of each kind that matters, and queues that add up: free 100 = total - the others. */
static const struct {
	const char *name, *unit;
	uint32_t kind;
	int64_t value; /* of a counter: in each shard */
} stat_rows[] = {
	{ "total", "pages", QUEUE, 1000 },
	{ "free", "pages", QUEUE, 100 },
	{ "active", "pages", QUEUE, 300 },
	{ "inactive", "pages", QUEUE, 250 },
	{ "laundry", "pages", QUEUE, 50 },
	{ "wired", "pages", QUEUE, 60 },
	{ "speculative", "pages", QUEUE, 40 },
	{ "compressor", "pages", QUEUE, 200 },
	{ "page_size", "bytes", GAUGE, 4096 },
	{ "stored_pages", "pages", GAUGE, 600 },
	{ "stored_away", "pages", GAUGE, 100 },
	{ "compressed_bytes", "bytes", GAUGE, 819200 },
	{ "faults", "count", COUNTER, 7 },
	{ "a_row_nobody_knows", "things", GAUGE, -5 },
};
#define STAT_ROWS (sizeof(stat_rows) / sizeof(stat_rows[0]))

static int
inspect_segment(uint64_t *ret_bytes, int *ret_fd)
{
	const uint32_t descriptors = 128,
		       levels = descriptors + STAT_ROWS * sizeof(struct shmstat_descriptor);
	const uint32_t counters = levels + STAT_ROWS * 8;
	const size_t bytes = counters + INSPECT_SHARDS * INSPECT_STRIDE * 8;
	int fd = memfd_create("fake-stats", MFD_CLOEXEC);
	struct shmstat_header *h;

	if (fd < 0 || ftruncate(fd, (off_t)bytes) < 0)
		return -errno;
	h = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (h == MAP_FAILED)
		return -errno;
	*h = (struct shmstat_header){
		.magic = SHMSTAT_MAGIC,
		.version = SHMSTAT_VERSION,
		.ready = 1,
		.segment_bytes = bytes,
		.daemon_pid = (uint32_t)getpid(),
		.stat_count = STAT_ROWS,
		.descriptors_offset = descriptors,
		.levels_offset = levels,
		.counters_offset = counters,
		.shard_count = INSPECT_SHARDS,
		.shard_stride = INSPECT_STRIDE,
		.sequence = 2,
	};
	for (uint32_t i = 0; i < STAT_ROWS; i++) {
		struct shmstat_descriptor *d =
		    (struct shmstat_descriptor *)((char *)h + descriptors) + i;

		snprintf(d->name, sizeof(d->name), "%s", stat_rows[i].name);
		snprintf(d->unit, sizeof(d->unit), "%s", stat_rows[i].unit);
		snprintf(d->text, sizeof(d->text), "text of %s", stat_rows[i].name);
		d->kind = stat_rows[i].kind;
		d->index = i;
		((int64_t *)((char *)h + levels))[i] = stat_rows[i].value;
		for (uint32_t shard = 0; shard < INSPECT_SHARDS; shard++)
			((int64_t *)((char *)h + counters))[shard * INSPECT_STRIDE + i] =
			    stat_rows[i].value;
	}
	munmap(h, bytes);
	*ret_bytes = bytes;
	*ret_fd = fd;
	return 0;
}

static void
inspect_client(struct pager_wire_client *c, uint32_t pid)
{
	static const char name[] = "evil\033[2J\"\x9b"
				   "3J\\n\xc3\xa4me";

	*c = (struct pager_wire_client){ .session_id = pid,
		.pid = pid,
		.uid = 1000,
		.virtual_bytes = 1 << 30,
		.regions = 65,
		.limit_bytes = 64 << 20,
		.phys_footprint_peak = 50 << 20 };
	for (size_t i = 0; i < PAGER_LEDGER_COUNT; i++)
		c->ledger[i] = 1000 * pid + i;
	memset(c->name, 'n', sizeof(c->name)); /* not ended */
	memcpy(c->name, name, sizeof(name) - 1);
}

/* Three clients, two and one. */
static void
inspect_clients(const struct pager_req_clients *req, struct pager_rep_clients *rep, size_t *bytes)
{
	rep->count = req->cursor == 0 ? 2 : 1;
	rep->next_cursor = req->cursor == 0 ? 77 : 0;
	for (uint32_t i = 0; i < rep->count; i++)
		inspect_client(&rep->clients[i], INSPECT_PID + i + (req->cursor ? 2 : 0));
	*bytes = offsetof(struct pager_rep_clients, clients) + rep->count * sizeof(rep->clients[0]);
}

/* 65 regions: one reply is not enough. Of shareable ones, which libpager asks for, each has the
 * same share. */
static void
inspect_map(const struct pager_req_map *req, struct pager_rep_map *rep, size_t *bytes)
{
	const uint64_t first = 0x7f0000000000, step = 1 << 20;
	uint64_t index = req->cursor ? (req->cursor - first) / step : 0;

	for (; index < 65 && rep->count < PAGER_REGIONS_PER_REPLY; index++) {
		rep->regions[rep->count++] =
		    (struct pager_wire_region){ .address = first + index * step,
			    .size = 65536,
			    .object_id = 3,
			    .object_offset = index * 65536,
			    .protection = 3,
			    .max_protection = 7,
			    .behavior = (uint32_t)index % 4,
			    .inheritance = (uint32_t)index % 3,
			    .tag = (uint32_t)index,
			    .share_mode = 1 + (uint32_t)index % 9, /* the last is none */
			    .ref_count = 2,
			    .external_pager = index == 64,
			    .billed = index < 60,
			    .pages_resident = 4,
			    .pages_compressed = 2,
			    .proportional_resident = 8192,
			    .proportional_stored = 4096 };
	}
	rep->next_cursor = index < 65 ? first + index * step : 0;
	*bytes = offsetof(struct pager_rep_map, regions) + rep->count * sizeof(rep->regions[0]);
}

static void
inspect_ledger(struct pager_rep_ledger *rep)
{
	rep->sessions = 1;
	for (uint64_t i = 0; i < PAGER_LEDGER_COUNT; i++)
		rep->entries[i] = (struct pager_wire_ledger_entry){ .balance = 3 * (i + 1) << 20,
			.credit = 10 * (i + 1) << 20,
			.debit = 7 * (i + 1) << 20,
			.lifetime_most = 5 * (i + 1) << 20,
			.interval_most = 4 * (i + 1) << 20 };
}

/* 65 objects: one reply is not enough. The fourth is that of the regions. */
static void
inspect_explain(const struct pager_req_explain *req, struct pager_rep_explain *rep, size_t *bytes)
{
	uint64_t index = req->cursor;

	for (; index < 65 && rep->count < PAGER_EXPLAIN_PER_REPLY; index++)
		rep->objects[rep->count++] = (struct pager_wire_billed){ .object_id = index,
			.address = index % 2 ? 0x7f0000000000 : 0,
			.standing = (uint32_t)index, /* most are none */
			.flags = (uint32_t)index % 8,
			.own = 1,
			.all = 2,
			.footprint = 5 << 20,
			.resident = 4 << 20,
			.stored = 1 << 20,
			.wired = 1 << 20,
			.resident_by = { 3 << 20, 1 << 20 },
			.stored_by = { [2] = 1 << 20 } };
	rep->next_cursor = index < 65 ? index : 0;
	*bytes = offsetof(struct pager_rep_explain, objects) + rep->count * sizeof(rep->objects[0]);
}

static int
inspect_param(const struct pager_req_param *req, struct pager_rep_param *rep)
{
	static const char *const names[] = { "fault_cluster", "swap_depth" };

	if (req->set && strcmp(req->name, names[1]) == 0)
		return -EBUSY;
	if (req->set && strcmp(req->name, names[0]) != 0)
		return -ENOENT;
	if (req->set && strcmp(req->value, "9999") == 0)
		return -ERANGE;
	if (!req->set && req->index >= 2)
		return -ENOENT;
	snprintf(rep->name, sizeof(rep->name), "%s", req->set ? names[0] : names[req->index]);
	snprintf(rep->value, sizeof(rep->value), "%s", req->set ? req->value : "32");
	snprintf(rep->unit, sizeof(rep->unit), "pages");
	snprintf(rep->minimum, sizeof(rep->minimum), "1");
	snprintf(rep->maximum, sizeof(rep->maximum), "64");
	snprintf(rep->text, sizeof(rep->text), "a parameter");
	rep->live = req->set || req->index == 0;
	return 0;
}

static int
inspect_trace(const struct pager_req_trace *req, struct pager_rep_trace *rep, const int *fds)
{
	if (req->op == PAGER_TRACE_START && write(fds[0], "trace\n", 6) != 6)
		return -errno;
	*rep = (struct pager_rep_trace){
		.records = 3, .bytes = req->window, .active = req->op == PAGER_TRACE_START
	};
	return 0;
}

static void
inspect_check(struct pager_rep_check *rep)
{
	static unsigned calls;

	rep->checks = 12;
	rep->clients = 3;
	rep->clients_unseen = 1;
	rep->regions = 5;
	rep->pages = 678;
	rep->pages_left_out = 9;
	rep->notes = 2;
	if (calls++ % 2 == 0)
		return;
	rep->failures = 2;
	snprintf(rep->text, sizeof(rep->text), "first thing is wrong\nsecond\033thing\n");
}

/* Two clients, in one reply each; of the second one others have wired pages. */
static void
inspect_wired(const struct pager_req_wired *req, struct pager_rep_wired *rep, size_t *bytes)
{
	struct pager_wire_client c;
	struct pager_wire_wired *w = &rep->clients[0];

	inspect_client(&c, INSPECT_PID);
	rep->wired = 5 << 20;
	rep->limit = 64 << 20;
	rep->next_cursor = req->cursor ? 0 : 5;
	rep->count = 1;
	*w = (struct pager_wire_wired){ .session_id = req->cursor ? 8 : 7,
		.pid = c.pid,
		.wired = 3 << 20,
		.promised = req->cursor ? 1 << 20 : 4 << 20,
		.called = 1 << 20,
		.calls = 17,
		.pins = 3 };
	memcpy(w->name, c.name, sizeof(w->name));
	*bytes = offsetof(struct pager_rep_wired, clients) + sizeof(*w);
}

static void
inspect_tables(struct pager_rep_tables *rep)
{
	rep->own[PAGER_OWN_MAPPING] = (struct pager_wire_own){ 10, 1280 };
	rep->own[PAGER_OWN_VNODE] = (struct pager_wire_own){ 4, 1000 };
	rep->own[PAGER_OWN_EXTERNAL] = (struct pager_wire_own){ 5, 1002 };
	rep->units[PAGER_OWN_UNIT_MAPPING] = 10;
	rep->units[PAGER_OWN_UNIT_LIBRARY] = 4;
	rep->heap = 5000;
	rep->heap_own = 3282;
	rep->anonymous = 9000;
	rep->anonymous_own = 3282;
}

int
fake_inspect(
    const struct pager_msg_header *header, void *reply, size_t *bytes, int *fd, const int *fds)
{
	const void *req = header + 1;
	int r = 0;

	switch (header->type) {
	case PAGER_MSG_STAT_SEGMENT:
		*bytes = sizeof(struct pager_rep_stat_segment);
		return inspect_segment(
		    &((struct pager_rep_stat_segment *)reply)->segment_bytes, fd);
	case PAGER_MSG_CLIENTS:
		inspect_clients(req, reply, bytes);
		return 0;
	case PAGER_MSG_MAP:
		if (((const struct pager_req_map *)req)->pid != INSPECT_PID &&
		    ((const struct pager_req_map *)req)->session == 0)
			return -ESRCH;
		inspect_map(req, reply, bytes);
		return 0;
	case PAGER_MSG_FOOTPRINT:
		if (((const struct pager_req_footprint *)req)->pid != INSPECT_PID)
			return -ESRCH;
		*bytes = sizeof(struct pager_rep_footprint);
		inspect_client(&((struct pager_rep_footprint *)reply)->client, INSPECT_PID);
		return 0;
	case PAGER_MSG_LEDGER:
		if (((const struct pager_req_ledger *)req)->pid != INSPECT_PID)
			return -ESRCH;
		*bytes = sizeof(struct pager_rep_ledger);
		inspect_ledger(reply);
		return 0;
	case PAGER_MSG_EXPLAIN:
		if (((const struct pager_req_explain *)req)->pid != INSPECT_PID)
			return -ESRCH;
		inspect_explain(req, reply, bytes);
		return 0;
	case PAGER_MSG_LIMIT:
		if (((const struct pager_req_limit *)req)->pid != INSPECT_PID)
			return -EPERM;
		*bytes = sizeof(struct pager_rep_limit);
		((struct pager_rep_limit *)reply)->previous_bytes = 64 << 20;
		return 0;
	case PAGER_MSG_WIRED:
		inspect_wired(req, reply, bytes);
		return 0;
	case PAGER_MSG_TABLES:
		*bytes = sizeof(struct pager_rep_tables);
		inspect_tables(reply);
		return 0;
	case PAGER_MSG_CHECK:
		*bytes = sizeof(struct pager_rep_check);
		inspect_check(reply);
		return 0;
	case PAGER_MSG_DEBUG:
		*bytes = sizeof(struct pager_rep_debug);
		snprintf(reply, *bytes, "op %u argument %s",
		    ((const struct pager_req_debug *)req)->op,
		    ((const struct pager_req_debug *)req)->argument);
		return 0;
	case PAGER_MSG_POLICY:
		*bytes = sizeof(struct pager_rep_policy);
		snprintf(reply, *bytes, "pid %u set %u policy %s",
		    ((const struct pager_req_policy *)req)->pid,
		    ((const struct pager_req_policy *)req)->set,
		    ((const struct pager_req_policy *)req)->policy);
		return 0;
	case PAGER_MSG_TRACE:
		*bytes = sizeof(struct pager_rep_trace);
		r = inspect_trace(req, reply, fds);
		if (fds[0] >= 0)
			close(fds[0]);
		return r;
	case PAGER_MSG_PARAM:
		*bytes = sizeof(struct pager_rep_param);
		return inspect_param(req, reply);
	default:
		return -EOPNOTSUPP;
	}
}
