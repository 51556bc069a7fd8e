/* SPDX-License-Identifier: MIT
 *
 * `pagerctl wired`: the reasons for which clients' memory is wired, and the daemon's own memory: at
 * rest, each thing that it has is counted once, and what a client leaves behind is nothing.
 *
 * usage: e_wired reasons|own
 */
#include "device.h"

#include <json-c/json.h>

#define MIB (1ull << 20)

enum { CLIENTS = 3, REGIONS = 20 };

static struct json_object *
wired_json(struct live *d)
{
	static char text[1 << 16];
	struct json_object *object;

	EQ(live_pagerctl(d, text, sizeof(text), "wired", "--json", NULL), 0);
	object = json_tokener_parse(text);
	REQUIRE(object, "%s", text);
	return object;
}

static uint64_t
number(struct json_object *object, const char *name)
{
	struct json_object *member;

	REQUIRE(json_object_object_get_ex(object, name, &member), "%s", name);
	return json_object_get_uint64(member);
}

static struct json_object *
member(struct json_object *object, const char *name)
{
	struct json_object *member;

	REQUIRE(json_object_object_get_ex(object, name, &member), "%s", name);
	return member;
}

/* The row of a process among the clients; NULL: none. */
static struct json_object *
row_of(struct json_object *wired, pid_t pid)
{
	struct json_object *clients = member(wired, "clients");

	for (size_t i = 0; i < json_object_array_length(clients); i++) {
		struct json_object *row = json_object_array_get_idx(clients, i);

		if (number(row, "pid") == (uint64_t)pid)
			return row;
	}
	return NULL;
}

#define ROW(name, value) EQ(number(row, name), value)

/* One client that wires in each way, a step at a time. */
static void
reasons_client(struct live *d, void *argument)
{
	static const char *const gone[] = { "wired", "promised", "called", "calls", "pinned",
		"pins", "regions", "listed", "lists", "device" };
	struct pager *p = client_connect(d);
	const size_t page = d->page_bytes;
	unsigned char *base = client_allocate(p, 64 * page);
	unsigned char *listed = client_allocate(p, 8 * page);
	struct json_object *wired, *row;
	const struct pager_memory_piece *pieces;
	struct pager_memory_descriptor *md;
	struct pager_upl *u;
	void *device;
	size_t count;

	OK(pager_wire(p, base, 10 * page));
	OK(pager_wire(p, base, 4 * page));
	OK(pager_memory_descriptor_create(p, base + 8 * page, 6 * page, PAGER_DIRECTION_IN, &md));
	OK(pager_memory_descriptor_prepare(md, &pieces, &count));
	OK(pager_upl_create(p, listed, 8 * page, 0, &u));
	device = device_map(p, "board", 3 * page, PROT_READ);
	wired = wired_json(d);
	row = row_of(wired, getpid());
	REQUIRE(row);
	ROW("promised", 14 * page);
	ROW("wired", 14 * page);
	ROW("called", 10 * page);
	ROW("calls", 2 + 1 + 1); /* regions of 4, 4 and 2 pages, the first one twice */
	ROW("pinned", 6 * page);
	ROW("pins", 2);
	ROW("regions", 4);
	ROW("listed", 8 * page);
	ROW("lists", 1);
	ROW("device", 3 * page);
	ROW("by_others", 0);
	EQ(number(wired, "promised"), 22 * page);
	EQ(number(wired, "listed"), 8 * page);
	EQ(number(member(member(wired, "costs"), "page_list"), "count"), 1);
	json_object_put(wired);
	OK(pager_upl_abort(u, 0, NULL));
	OK(pager_upl_destroy(u));
	OK(pager_memory_descriptor_complete(md));
	OK(pager_memory_descriptor_release(md));
	OK(pager_unwire(p, base, 10 * page));
	OK(pager_unwire(p, base, 4 * page));
	OK(pager_deallocate(p, device, 3 * page));
	wired = wired_json(d);
	row = row_of(wired, getpid());
	for (unsigned i = 0; i < sizeof(gone) / sizeof(gone[0]); i++)
		ROW(gone[i], 0);
	json_object_put(wired);
	OK(pager_disconnect(p));
}

/* Another user's clients are nobody's business. */
static void
stranger(struct live *d, void *argument)
{
	struct json_object *wired = wired_json(d);

	EQ(json_object_array_length(member(wired, "clients")), 0);
	json_object_put(wired);
}

static void
idle(struct live *d, void *argument)
{
	_Atomic unsigned *stage = argument;
	struct pager *p = client_connect(d);

	++*stage;
	while (*stage != 100)
		usleep(1000);
	OK(pager_disconnect(p));
}

static void
reasons(void)
{
	_Atomic unsigned *stage = shared_alloc(sizeof(*stage));
	struct live d;
	pid_t pid;

	live_start(&d, "16M", "--device", "board=1M,mode=0666", NULL);
	pid = client_start(&d, idle, stage);
	WAIT_UNTIL(&d, *stage == 1);
	client_join(&d, client_start(&d, reasons_client, NULL), false);
	client_join(&d, client_start_as(&d, 65534, stranger, NULL), false);
	*stage = 100;
	client_join(&d, pid, false);
	live_stop(&d);
}

/* --- the daemon's own memory --- */

struct scene {
	_Atomic unsigned ready, over;
};

/* Regions that cannot be one, each with a page. */
static void
own_client(struct live *d, void *argument)
{
	struct scene *scene = argument;
	struct pager *p = client_connect(d);

	for (unsigned i = 0; i < REGIONS; i++) {
		unsigned char *base = client_allocate(p, MIB);

		*base = 1;
		OK(pager_tag(p, base, MIB, i % 2 ? 1 : 2));
	}
	scene->ready++;
	while (!scene->over)
		usleep(1000);
	OK(pager_disconnect(p));
}

static uint64_t
own(struct json_object *wired, const char *kind, const char *what)
{
	return number(member(member(wired, "own"), kind), what);
}

static uint64_t
cost_count(struct json_object *wired, const char *unit)
{
	return number(member(member(wired, "costs"), unit), "count");
}

static bool
ended(struct live *d)
{
	struct json_object *wired = wired_json(d);
	/* Two connections are the test's, and pagerctl's. */
	bool is_so = own(wired, "tasks", "pieces") == 0 && own(wired, "objects", "pieces") == 0 &&
		     own(wired, "processes", "pieces") == 0 && own(wired, "maps", "pieces") == 0 &&
		     own(wired, "mappings", "pieces") == 0 && own(wired, "slots", "bytes") == 0 &&
		     cost_count(wired, "page") == 0 && own(wired, "connections", "pieces") == 2;

	json_object_put(wired);
	return is_so;
}

static void
own_memory(void)
{
	struct scene *scene = shared_alloc(sizeof(*scene));
	pid_t pids[CLIENTS];
	struct json_object *wired;
	struct live d;

	live_start(&d, "16M", NULL);
	for (unsigned i = 0; i < CLIENTS; i++)
		pids[i] = client_start(&d, own_client, scene);
	WAIT_UNTIL(&d, scene->ready == CLIENTS);
	live_rest(&d);
	wired = wired_json(&d);
	EQ(own(wired, "tasks", "pieces"), CLIENTS);
	EQ(own(wired, "processes", "pieces"), CLIENTS);
	EQ(own(wired, "connections", "pieces"), CLIENTS + 2);
	EQ(own(wired, "maps", "pieces"), CLIENTS);
	REQUIRE(own(wired, "mappings", "pieces") >= CLIENTS);
	EQ(own(wired, "mappings", "pieces"), cost_count(wired, "mapping"));
	EQ(own(wired, "objects", "pieces"), cost_count(wired, "object"));
	EQ(cost_count(wired, "region"), CLIENTS * REGIONS);
	EQ(cost_count(wired, "page"), CLIENTS * REGIONS);
	EQ(cost_count(wired, "client"), CLIENTS);
	EQ(cost_count(wired, "frame"), 16 * MIB / d.page_bytes);
	EQ(own(wired, "frames", "bytes"), 16 * MIB / d.page_bytes * 32);
	/* Each page of slots that has one of the pages in it, and none else. */
	WAIT_UNTIL(
	    &d, own(wired, "slots", "bytes") == (uint64_t)live_stat(&d, "table_slots_bytes"));
	REQUIRE(own(wired, "stacks", "pieces") + 1 <= cost_count(wired, "thread"));
	REQUIRE(own(wired, "stacks", "bytes") > 0);
	json_object_put(wired);
	live_check(&d);
	scene->over = 1;
	for (unsigned i = 0; i < CLIENTS; i++)
		client_join(&d, pids[i], false);
	WAIT_UNTIL(&d, ended(&d));
	live_stop(&d);
}

int
main(int argc, char **argv)
{
	static const struct live_test tests[] = { { "reasons", reasons }, { "own", own_memory } };

	live_init(argc, argv);
	return LIVE_RUN(argc, argv, tests);
}
