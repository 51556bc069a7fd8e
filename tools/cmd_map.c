/* SPDX-License-Identifier: MIT
 *
 * pagerctl map CLIENT: a client's regions, as vmmap shows them.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "out.h"

static const char *const behavior_names[] = { "default", "random", "sequential", "reverse" };

static const char *
behavior_name(uint32_t behavior)
{
	return behavior < sizeof(behavior_names) / sizeof(behavior_names[0])
		   ? behavior_names[behavior]
		   : "?";
}

static const char *
inheritance_name(uint32_t inheritance)
{
	static const char *const names[] = { "share", "copy", "none" };

	return inheritance < sizeof(names) / sizeof(names[0]) ? names[inheritance] : "?";
}

static const char *
protection_name(uint32_t protection, char buf[4])
{
	buf[0] = protection & PROT_READ ? 'r' : '-';
	buf[1] = protection & PROT_WRITE ? 'w' : '-';
	buf[2] = protection & PROT_EXEC ? 'x' : '-';
	buf[3] = '\0';
	return buf;
}

/* A row of the table, or the total. */
struct map_sum {
	uint64_t regions, size, resident, dirty, compressed, swapped, wired; /* bytes */
};

static void
print_sizes(const struct ctl *ctl, const struct map_sum *s)
{
	char n[6][OUT_NUMBER];

	printf("%8s %8s %8s %10s %8s %8s", out_bytes(ctl, s->size, n[0]),
	    out_bytes(ctl, s->resident, n[1]), out_bytes(ctl, s->dirty, n[2]),
	    out_bytes(ctl, s->compressed, n[3]), out_bytes(ctl, s->swapped, n[4]),
	    out_bytes(ctl, s->wired, n[5]));
}

static void
print_region(const struct ctl *ctl, const struct pager_wire_region *r, struct map_sum *total)
{
	uint64_t page = ctl->hello.page_size;
	struct map_sum s = { 1, r->size, r->pages_resident * page, r->pages_dirty * page,
		r->pages_compressed * page, r->pages_swapped * page, r->pages_wired * page };
	char prot[4], max[4];

	if (total->regions == 0)
		printf("%-31s %8s %8s %8s %10s %8s %8s  %-7s %-5s %-10s %3s %5s %8s %s\n", "RANGE",
		    "SIZE", "RESIDENT", "DIRTY", "COMPRESSED", "SWAPPED", "WIRED", "PRT/MAX",
		    "FORK", "BEHAVIOR", "TAG", "WIRES", "OBJECT", "OFFSET");
	printf("%014" PRIx64 "-%014" PRIx64 "   ", r->address, r->address + r->size);
	print_sizes(ctl, &s);
	printf("  %s/%s %-5s %-10s %3" PRIu32 " %5" PRIu32 " %8" PRIu64 " %" PRIx64 "\n",
	    protection_name(r->protection, prot), protection_name(r->max_protection, max),
	    inheritance_name(r->inheritance), behavior_name(r->behavior), r->tag,
	    r->user_wired_count, r->object_id, r->object_offset);
	total->regions++;
	total->size += s.size;
	total->resident += s.resident;
	total->dirty += s.dirty;
	total->compressed += s.compressed;
	total->swapped += s.swapped;
	total->wired += s.wired;
}

static struct json_object *
region_json(const struct pager_wire_region *r)
{
	struct json_object *object = json_object_new_object();
	char prot[4];

	out_add_u64(object, "address", r->address);
	out_add_u64(object, "size", r->size);
	out_add_u64(object, "object_id", r->object_id);
	out_add_u64(object, "object_offset", r->object_offset);
	out_add_text(object, "protection", protection_name(r->protection, prot));
	out_add_text(object, "max_protection", protection_name(r->max_protection, prot));
	out_add_text(object, "behavior", behavior_name(r->behavior));
	out_add_text(object, "inheritance", inheritance_name(r->inheritance));
	out_add_u64(object, "tag", r->tag);
	out_add_u64(object, "wired_count", r->wired_count);
	out_add_u64(object, "user_wired_count", r->user_wired_count);
	out_add_u64(object, "pages_resident", r->pages_resident);
	out_add_u64(object, "pages_dirty", r->pages_dirty);
	out_add_u64(object, "pages_compressed", r->pages_compressed);
	out_add_u64(object, "pages_swapped", r->pages_swapped);
	out_add_u64(object, "pages_wired", r->pages_wired);
	return object;
}

/* Asks for a map piece by piece and shows each piece as it arrives. => as ctl_ask. */
static int
map_walk(
    struct ctl *ctl, struct ctl_client client, struct json_object *array, struct map_sum *total)
{
	struct pager_req_map request = { .pid = client.pid, .session = client.session };
	struct pager_rep_map *reply = malloc(sizeof(*reply));
	int r = reply ? 0 : -ENOMEM;

	while (r == 0) {
		struct chan_call call = { CHAN_CALL(MAP, &request, reply) };

		call.reply_bytes_min = offsetof(struct pager_rep_map, regions);
		r = ctl_ask(ctl, &call);
		if (r != CTL_OK)
			break;
		if (reply->count > PAGER_REGIONS_PER_REPLY ||
		    call.reply_bytes <
			call.reply_bytes_min + reply->count * sizeof(reply->regions[0]))
			r = -EPROTO;
		for (uint32_t i = 0; r == 0 && i < reply->count; i++) {
			if (array)
				json_object_array_add(array, region_json(&reply->regions[i]));
			else
				print_region(ctl, &reply->regions[i], total);
		}
		if (reply->next_cursor == 0)
			break;
		if (reply->next_cursor <= request.cursor)
			r = -EPROTO; /* it would never end */
		request.cursor = reply->next_cursor;
	}
	free(reply);
	return r;
}

int
cmd_map(struct ctl *ctl, int argc, char **argv)
{
	struct json_object *array = NULL;
	struct map_sum total = { 0 };
	struct ctl_client client;
	int r;

	(void)argc;
	r = out_take_client(ctl, argv[0], &client);
	if (r != CTL_OK)
		return r;
	if (ctl->json)
		array = json_object_new_array();
	r = map_walk(ctl, client, array, &total);
	if (r != CTL_OK) {
		json_object_put(array);
		return out_no_client(ctl, r, argv[0]);
	}
	if (array) {
		out_json(ctl, array);
	} else if (total.regions == 0) {
		printf("%s %s has no regions\n", client.session ? "session" : "process", argv[0]);
	} else {
		printf("%-31s ", "total");
		print_sizes(ctl, &total);
		printf("  %" PRIu64 " regions\n", total.regions);
	}
	return CTL_OK;
}
