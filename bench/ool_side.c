/* SPDX-License-Identifier: MIT */
#include "ool_side.h"

#include <inttypes.h>
#include <stdio.h>

static const char *
share_text(uint32_t mode)
{
	static const char *const names[] = { "-", "COW", "PRIVATE", "EMPTY", "SHARED", "TRUESHARED",
		"PRIVATE_ALIASED", "SHARED_ALIASED", "LARGE_PAGE" };

	return mode < sizeof(names) / sizeof(names[0]) ? names[mode] : "?";
}

bool
side_look(struct pager *p, void *at, struct side *ret)
{
	struct pager_region_query query = { .size = sizeof(query) };

	if (pager_region_query(p, at, PAGER_REGION_EXTENDED, &query) != 0 || query.info.addr > at)
		return false;
	*ret = (struct side){ query.info.object_id, (uint64_t)(uintptr_t)query.info.addr,
		query.info.size_bytes, query.info.pages_resident, query.ref_count, query.share_mode,
		query.shadow_depth };
	return true;
}

uint64_t
word_of(uint64_t index)
{
	return (index + 1) * 0x9e3779b97f4a7c15ull;
}

bool
frames_look(struct ool *t, int64_t *ret)
{
	while (statread_snapshot(&t->stats, t->values) != 0)
		continue;
	*ret = t->values[t->internal];
	return true;
}

void
side_print(const char *name, const struct side *side, uint64_t page_bytes)
{
	if (side->size == 0)
		printf("    %-8s %-12s\n", name, "(none)");
	else
		printf("    %-8s %12" PRIx64 "-%12" PRIx64 " %5" PRIu64 " pages, %3" PRIu64
		       " resident, references %" PRIu32 ", %s, shadow depth %" PRIu32 "\n",
		    name, side->start, side->start + side->size, side->size / page_bytes,
		    side->pages_resident, side->ref_count, share_text(side->share_mode),
		    side->shadow_depth);
}

struct json_object *
side_json(const struct side *side)
{
	struct json_object *object;

	if (side->size == 0)
		return NULL;
	object = json_object_new_object();
	json_object_object_add(object, "start", json_object_new_uint64(side->start));
	json_object_object_add(object, "end", json_object_new_uint64(side->start + side->size));
	json_object_object_add(object, "size", json_object_new_uint64(side->size));
	json_object_object_add(
	    object, "pages_resident", json_object_new_uint64(side->pages_resident));
	json_object_object_add(object, "ref_count", json_object_new_int64(side->ref_count));
	json_object_object_add(
	    object, "share_mode", json_object_new_string(share_text(side->share_mode)));
	json_object_object_add(object, "shadow_depth", json_object_new_int64(side->shadow_depth));
	return object;
}
