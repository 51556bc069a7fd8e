/* SPDX-License-Identifier: MIT
 *
 * pagerctl footprint --explain: the objects that make a client's bill, the regions in which it maps
 * them, and the ways by which their pages came.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "clients.h"
#include "footprint.h"

static const char *const door_names[] = {
#define DOOR(NAME, name, text) #name,
#include "tbl/door.h"
};
#define DOORS (sizeof(door_names) / sizeof(door_names[0]))
_Static_assert(DOORS <= PAGER_DOORS, "each door has a name");

static const char *const standing_names[] = {
#define LEDGER_STANDING(NAME, RESIDENT, WIRED, STORED, text) #NAME,
#include "tbl/ledger_standing.h"
};
#define STANDINGS (sizeof(standing_names) / sizeof(standing_names[0]))

struct bill {
	struct pager_wire_billed *objects;
	size_t object_count;
	struct pager_wire_region *regions;
	size_t region_count, region_room;
	bool is_short; /* of memory */
};

static int
objects_fetch(struct ctl *ctl, struct ctl_client client, struct bill *bill)
{
	struct pager_req_explain request = { .pid = client.pid, .session = client.session };
	struct pager_rep_explain *reply = malloc(sizeof(*reply));
	int r = reply ? 0 : -ENOMEM;

	while (r == 0) {
		struct chan_call call = { CHAN_CALL(EXPLAIN, &request, reply) };
		struct pager_wire_billed *more;

		call.reply_bytes_min = offsetof(struct pager_rep_explain, objects);
		r = ctl_ask(ctl, &call);
		if (r != CTL_OK)
			break;
		if (reply->count > PAGER_EXPLAIN_PER_REPLY ||
		    call.reply_bytes <
			call.reply_bytes_min + reply->count * sizeof(reply->objects[0]) ||
		    (reply->next_cursor != 0 && reply->next_cursor <= request.cursor)) {
			r = -EPROTO;
			break;
		}
		more = realloc(bill->objects,
		    (bill->object_count + reply->count + 1) * sizeof(bill->objects[0]));
		if (!more) {
			r = -ENOMEM;
			break;
		}
		bill->objects = more;
		for (uint32_t i = 0; i < reply->count; i++)
			bill->objects[bill->object_count++] = reply->objects[i];
		if (reply->next_cursor == 0)
			break;
		request.cursor = reply->next_cursor;
	}
	free(reply);
	return r;
}

static void
region_add(void *context, const struct pager_wire_region *region)
{
	struct bill *bill = context;

	if (bill->region_count == bill->region_room) {
		size_t room = bill->region_room ? 2 * bill->region_room : 64;
		struct pager_wire_region *more =
		    realloc(bill->regions, room * sizeof(bill->regions[0]));

		if (!more) {
			bill->is_short = true;
			return;
		}
		bill->regions = more;
		bill->region_room = room;
	}
	bill->regions[bill->region_count++] = *region;
}

static int
by_footprint(const void *a, const void *b)
{
	const struct pager_wire_billed *x = a, *y = b;
	uint64_t of_x = x->footprint + x->resident, of_y = y->footprint + y->resident;

	return of_x < of_y ? 1 : of_x > of_y ? -1 : 0;
}

static const char *
standing_name(uint32_t standing)
{
	return standing < STANDINGS ? standing_names[standing] : "?";
}

/* A mapping of a device is billed at its size, whoever has made it. */
static bool
is_device(const struct pager_wire_region *r)
{
	return r->is_device != 0;
}

static uint64_t
devices_bytes(const struct bill *bill)
{
	uint64_t bytes = 0;

	for (size_t i = 0; i < bill->region_count; i++)
		bytes += is_device(&bill->regions[i]) ? bill->regions[i].size : 0;
	return bytes;
}

/* --- text --- */

static void
print_doors(const struct ctl *ctl, const char *what, const uint64_t *by)
{
	const char *between = "";
	char n[OUT_NUMBER];

	for (size_t i = 0; i < DOORS; i++) {
		if (by[i] == 0)
			continue;
		if (!*between)
			printf("    %s by ", what);
		printf("%s%s %s", between, door_names[i], out_bytes(ctl, by[i], n));
		between = ", ";
	}
	if (*between)
		putchar('\n');
}

static void
print_region(const struct ctl *ctl, const struct pager_wire_region *r)
{
	uint64_t page = ctl->hello.page_size;
	char n[3][OUT_NUMBER];

	printf("    %014" PRIx64 "-%014" PRIx64 " tag %" PRIu32 ": size %s, resident %s, stored "
	       "%s\n",
	    r->address, r->address + r->size, r->tag, out_bytes(ctl, r->size, n[0]),
	    out_bytes(ctl, r->pages_resident * page, n[1]),
	    out_bytes(ctl, (r->pages_compressed + r->pages_swapped) * page, n[2]));
}

static void
print_object(const struct ctl *ctl, const struct bill *bill, const struct pager_wire_billed *o)
{
	char n[5][OUT_NUMBER];

	printf("%-8" PRIu64 " %-11s %3" PRIu32 "/%-3" PRIu32 " %10s %10s %10s %10s %10s%s%s%s\n",
	    o->object_id, standing_name(o->standing), o->own, o->all,
	    out_bytes(ctl, o->footprint, n[0]), out_bytes(ctl, o->resident, n[1]),
	    out_bytes(ctl, o->stored, n[2]), out_bytes(ctl, o->wired, n[3]),
	    out_bytes(ctl, o->reusable, n[4]),
	    o->flags & PAGER_BILLED_SHAREABLE ? "  shareable" : "",
	    o->flags & PAGER_BILLED_COPIED ? "  copied" : "",
	    o->flags & PAGER_BILLED_DEVICE ? "  device"
	    : o->address == 0              ? "  not mapped: held, in a queue, or only named"
					   : "");
	print_doors(ctl, "resident", o->resident_by);
	print_doors(ctl, "stored", o->stored_by);
	for (size_t i = 0; i < bill->region_count; i++)
		if (bill->regions[i].object_id == o->object_id && !is_device(&bill->regions[i]))
			print_region(ctl, &bill->regions[i]);
}

static void
print_bill(const struct ctl *ctl, const struct bill *bill, uint64_t footprint)
{
	uint64_t sum = devices_bytes(bill);
	char n[2][OUT_NUMBER];

	printf("%-8s %-11s %7s %10s %10s %10s %10s %10s\n", "OBJECT", "STANDING", "REFS",
	    "FOOTPRINT", "RESIDENT", "STORED", "WIRED", "REUSABLE");
	for (size_t i = 0; i < bill->object_count; i++) {
		const struct pager_wire_billed *o = &bill->objects[i];

		sum += o->footprint;
		if (o->resident + o->stored > 0)
			print_object(ctl, bill, o);
	}
	for (size_t i = 0; i < bill->region_count; i++)
		if (is_device(&bill->regions[i]))
			printf("%-8" PRIu64 " %-11s %7s %10s  %014" PRIx64 "-%014" PRIx64 "\n",
			    bill->regions[i].object_id, "DEVICE", "",
			    out_bytes(ctl, bill->regions[i].size, n[0]), bill->regions[i].address,
			    bill->regions[i].address + bill->regions[i].size);
	printf("sum %s, phys_footprint %s\n", out_bytes(ctl, sum, n[0]),
	    out_bytes(ctl, footprint, n[1]));
}

/* --- JSON --- */

static struct json_object *
doors_json(const uint64_t *by)
{
	struct json_object *object = json_object_new_object();

	for (size_t i = 0; i < DOORS; i++)
		out_add_u64(object, door_names[i], by[i]);
	return object;
}

static struct json_object *
object_json(const struct ctl *ctl, const struct bill *bill, const struct pager_wire_billed *o)
{
	struct json_object *object = json_object_new_object(), *array = json_object_new_array();
	uint64_t page = ctl->hello.page_size;

	out_add_u64(object, "object_id", o->object_id);
	out_add_text(object, "standing", standing_name(o->standing));
	out_add_u64(object, "references_own", o->own);
	out_add_u64(object, "references", o->all);
	out_add_u64(object, "footprint", o->footprint);
	out_add_u64(object, "resident", o->resident);
	out_add_u64(object, "stored", o->stored);
	out_add_u64(object, "wired", o->wired);
	out_add_u64(object, "reusable", o->reusable);
	out_add_u64(object, "flags", o->flags);
	json_object_object_add(object, "resident_by", doors_json(o->resident_by));
	json_object_object_add(object, "stored_by", doors_json(o->stored_by));
	for (size_t i = 0; i < bill->region_count; i++) {
		const struct pager_wire_region *r = &bill->regions[i];
		struct json_object *row;

		if (r->object_id != o->object_id || is_device(r))
			continue;
		row = json_object_new_object();
		out_add_u64(row, "address", r->address);
		out_add_u64(row, "size", r->size);
		out_add_u64(row, "tag", r->tag);
		out_add_u64(row, "resident", r->pages_resident * page);
		out_add_u64(row, "stored", (r->pages_compressed + r->pages_swapped) * page);
		json_object_array_add(array, row);
	}
	json_object_object_add(object, "regions", array);
	return object;
}

static void
print_json(const struct ctl *ctl, const struct bill *bill, uint64_t footprint)
{
	struct json_object *object = json_object_new_object(), *array = json_object_new_array();
	uint64_t sum = devices_bytes(bill);

	for (size_t i = 0; i < bill->object_count; i++) {
		json_object_array_add(array, object_json(ctl, bill, &bill->objects[i]));
		sum += bill->objects[i].footprint;
	}
	out_add_u64(object, "phys_footprint", footprint);
	out_add_u64(object, "sum", sum);
	out_add_u64(object, "devices", devices_bytes(bill));
	json_object_object_add(object, "objects", array);
	out_json(ctl, object);
}

int
footprint_explain(struct ctl *ctl, struct ctl_client client, const char *text)
{
	struct pager_req_footprint request = { .pid = client.pid, .session = client.session };
	struct pager_rep_footprint reply;
	struct chan_call call = { CHAN_CALL(FOOTPRINT, &request, &reply) };
	struct bill bill = { 0 };
	int r = objects_fetch(ctl, client, &bill);

	if (r == CTL_OK)
		r = clients_map(ctl, client, PAGER_REGION_EXTENDED, region_add, &bill);
	if (r == CTL_OK)
		r = ctl_ask(ctl, &call);
	if (r == CTL_OK && bill.is_short)
		r = -ENOMEM;
	if (r != CTL_OK) {
		r = out_no_client(ctl, r, text);
	} else {
		uint64_t footprint = reply.client.ledger[PAGER_LEDGER_PHYS_FOOTPRINT];

		qsort(bill.objects, bill.object_count, sizeof(bill.objects[0]), by_footprint);
		if (ctl->json)
			print_json(ctl, &bill, footprint);
		else
			print_bill(ctl, &bill, footprint);
	}
	free(bill.objects);
	free(bill.regions);
	return r;
}
