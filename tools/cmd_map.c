/* SPDX-License-Identifier: MIT
 *
 * pagerctl map CLIENT: a client's regions, as vmmap shows them.
 */
#include <inttypes.h>
#include <stdio.h>

#include "clients.h"
#include "region_text.h"

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

/* Purgeable memory's state: vmmap's letter, and a word. The first: it is not purgeable. */
static const struct {
	const char *letter, *name;
} purgeable_states[] = {
	{ "-", "none" },
	[1 + PAGER_PURGEABLE_NONVOLATILE] = { "N", "nonvolatile" },
	[1 + PAGER_PURGEABLE_VOLATILE] = { "V", "volatile" },
	[1 + PAGER_PURGEABLE_EMPTY] = { "E", "empty" },
};
#define PURGEABLE_STATES (sizeof(purgeable_states) / sizeof(purgeable_states[0]))

/* A row of the tables: a region, or the sum of some. */
struct map_sum {
	uint64_t regions, size, resident, dirty, compressed, swapped, wired; /* bytes */
};

struct map_sums {
	struct map_sum total, elsewhere;        /* elsewhere: billed to other clients */
	struct map_sum tags[PAGER_TAG_MAX + 1]; /* those with other tags: under 0 */
	uint64_t shared;                        /* regions of which there are several references */
	uint64_t proportional_resident, proportional_stored;
};

static void
sum_add(struct map_sum *sum, const struct map_sum *s)
{
	sum->regions += s->regions;
	sum->size += s->size;
	sum->resident += s->resident;
	sum->dirty += s->dirty;
	sum->compressed += s->compressed;
	sum->swapped += s->swapped;
	sum->wired += s->wired;
}

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
print_region(const struct ctl *ctl, const struct pager_wire_region *r, struct map_sums *sums)
{
	uint64_t page = ctl->hello.page_size;
	const struct map_sum s = { 1, r->size, r->pages_resident * page, r->pages_dirty * page,
		r->pages_compressed * page, r->pages_swapped * page, r->pages_wired * page };
	char prot[4], max[4], tag[OUT_NUMBER];

	if (sums->total.regions == 0)
		printf("%-16s %-29s  %8s %8s %8s %10s %8s %8s  %-7s %-6s %4s %-5s %-10s %-5s %5s "
		       "%8s %s\n",
		    "REGION TYPE", "RANGE", "SIZE", "RESIDENT", "DIRTY", "COMPRESSED", "SWAPPED",
		    "WIRED", "PRT/MAX", "SHRMOD", "REFS", "FORK", "BEHAVIOR", "PURGE", "WIRES",
		    "OBJECT", "OFFSET");
	printf("%-16s %014" PRIx64 "-%014" PRIx64 "  ", region_tag(r->tag, tag), r->address,
	    r->address + r->size);
	print_sizes(ctl, &s);
	printf("  %s/%s %-6s %4" PRIu32 " %-5s %-10s %-5s %5" PRIu32 " %8" PRIu64 " %" PRIx64
	       "%s%s\n",
	    region_protection(r->protection, prot), region_protection(r->max_protection, max),
	    region_share_mode(r->share_mode), r->ref_count, inheritance_name(r->inheritance),
	    behavior_name(r->behavior),
	    r->purgeable < PURGEABLE_STATES ? purgeable_states[r->purgeable].letter : "?",
	    r->user_wired_count, r->object_id, r->object_offset,
	    r->external_pager ? " external" : "", r->depth > 0 ? " in a submap" : "");
	sum_add(&sums->total, &s);
	sum_add(&sums->tags[r->tag <= PAGER_TAG_MAX ? r->tag : 0], &s);
	if (!r->billed)
		sum_add(&sums->elsewhere, &s);
	sums->shared += r->ref_count > 1;
	sums->proportional_resident += r->proportional_resident;
	sums->proportional_stored += r->proportional_stored;
}

static void
print_sum(const struct ctl *ctl, const char *name, const struct map_sum *s)
{
	printf("%-47s ", name);
	print_sizes(ctl, s);
	printf("  %" PRIu64 " regions\n", s->regions);
}

/* By tag, and the totals. */
static void
print_summary(const struct ctl *ctl, const struct map_sums *sums)
{
	char tag[OUT_NUMBER], n[2][OUT_NUMBER];

	printf("\n%-47s %8s %8s %8s %10s %8s %8s\n", "REGION TYPE", "SIZE", "RESIDENT", "DIRTY",
	    "COMPRESSED", "SWAPPED", "WIRED");
	for (uint32_t i = 0; i <= PAGER_TAG_MAX; i++)
		if (sums->tags[i].regions > 0)
			print_sum(ctl, region_tag(i, tag), &sums->tags[i]);
	print_sum(ctl, "total", &sums->total);
	if (sums->elsewhere.regions > 0)
		print_sum(ctl, "of that billed to other clients", &sums->elsewhere);
	if (sums->shared > 0)
		printf("\nproportional, each page divided by the number of places that map it: "
		       "resident %s, compressed or swapped %s\n",
		    out_bytes(ctl, sums->proportional_resident, n[0]),
		    out_bytes(ctl, sums->proportional_stored, n[1]));
}

static struct json_object *
region_json(const struct pager_wire_region *r)
{
	struct json_object *object = json_object_new_object();
	char prot[4], tag[OUT_NUMBER];

	out_add_text(object, "type", region_tag(r->tag, tag));
	out_add_u64(object, "address", r->address);
	out_add_u64(object, "size", r->size);
	out_add_u64(object, "object_id", r->object_id);
	out_add_u64(object, "object_offset", r->object_offset);
	out_add_text(object, "protection", region_protection(r->protection, prot));
	out_add_text(object, "max_protection", region_protection(r->max_protection, prot));
	out_add_text(object, "behavior", behavior_name(r->behavior));
	out_add_text(object, "inheritance", inheritance_name(r->inheritance));
	out_add_text(object, "purgeable",
	    r->purgeable < PURGEABLE_STATES ? purgeable_states[r->purgeable].name : "?");
	out_add_u64(object, "tag", r->tag);
	out_add_u64(object, "cache_mode", r->cache_mode);
	out_add_u64(object, "wired_count", r->wired_count);
	out_add_u64(object, "user_wired_count", r->user_wired_count);
	out_add_text(object, "share_mode", region_share_name(r->share_mode));
	out_add_u64(object, "ref_count", r->ref_count);
	out_add_u64(object, "shadow_depth", r->shadow_depth);
	out_add_u64(object, "external_pager", r->external_pager);
	out_add_u64(object, "billed", r->billed);
	out_add_u64(object, "depth", r->depth);
	out_add_u64(object, "pages_resident", r->pages_resident);
	out_add_u64(object, "pages_dirty", r->pages_dirty);
	out_add_u64(object, "pages_compressed", r->pages_compressed);
	out_add_u64(object, "pages_swapped", r->pages_swapped);
	out_add_u64(object, "pages_wired", r->pages_wired);
	out_add_u64(object, "proportional_resident", r->proportional_resident);
	out_add_u64(object, "proportional_stored", r->proportional_stored);
	return object;
}

/* What is made of each region. */
struct map_show {
	const struct ctl *ctl;
	struct json_object *array; /* JSON, or NULL: the table */
	struct map_sums sums;
};

static void
region_show(void *context, const struct pager_wire_region *region)
{
	struct map_show *show = context;

	if (show->array)
		json_object_array_add(show->array, region_json(region));
	else
		print_region(show->ctl, region, &show->sums);
}

int
cmd_map(struct ctl *ctl, int argc, char **argv)
{
	struct map_show show = { .ctl = ctl };
	struct ctl_client client;
	int r;

	(void)argc;
	r = out_take_client(ctl, argv[0], &client);
	if (r != CTL_OK)
		return r;
	if (ctl->json)
		show.array = json_object_new_array();
	r = clients_map(
	    ctl, client, PAGER_REGION_EXTENDED | PAGER_REGION_RECURSIVE, region_show, &show);
	if (r != CTL_OK) {
		json_object_put(show.array);
		return out_no_client(ctl, r, argv[0]);
	}
	if (show.array)
		out_json(ctl, show.array);
	else if (show.sums.total.regions == 0)
		printf("%s %s has no regions\n", client.session ? "session" : "process", argv[0]);
	else
		print_summary(ctl, &show.sums);
	return CTL_OK;
}
