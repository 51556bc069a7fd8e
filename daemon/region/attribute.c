/* SPDX-License-Identifier: MIT
 *
 * Attributes of entries. Runs on: jobs.
 */
#include "region/attribute.h"

#include <errno.h>
#include <sys/mman.h>

#include "pager/pager.h"
#include "region/change.h"

#define RIGHTS ((uint32_t)(PROT_READ | PROT_WRITE | PROT_EXEC))

static int
entry_may_have(struct change *c, const struct vm_entry *e)
{
	lock_assert_held(&c->range->task->map.lock);
	return c->value & ~e->max_protection ? -EACCES : 0;
}

static void
entry_protect(struct change *c, struct vm_entry *e)
{
	lock_assert_held(&c->range->task->map.lock);
	e->protection = c->value;
}

static void
entry_bound(struct change *c, struct vm_entry *e)
{
	lock_assert_held(&c->range->task->map.lock);
	e->max_protection = c->value;
	e->protection &= c->value;
}

int
region_protect(struct range *range, uint32_t protection)
{
	uint32_t rights = protection & ~(uint32_t)PAGER_PROT_MAXIMUM;

	locks_assert_none();
	CHECK(range->at == range->address);
	if (rights & ~RIGHTS)
		return -EINVAL;
	return change_entries(&(struct change){ .range = range,
	    .check = entry_may_have,
	    .apply = protection & PAGER_PROT_MAXIMUM ? entry_bound : entry_protect,
	    .value = rights });
}

/* What only one task may see no other can come to see: its object may hold other allocations. */
static int
entry_may_inherit(struct change *c, const struct vm_entry *e)
{
	lock_assert_held(&c->range->task->map.lock);
	return c->value == PAGER_INHERIT_SHARE && !e->mapping->object->is_shareable ? -ENOTSUP : 0;
}

static void
entry_inherit(struct change *c, struct vm_entry *e)
{
	lock_assert_held(&c->range->task->map.lock);
	e->inheritance = c->value;
}

int
region_inherit(struct range *range, uint32_t inheritance)
{
	locks_assert_none();
	CHECK(range->at == range->address);
	if (inheritance > PAGER_INHERIT_NONE)
		return -EINVAL;
	return change_entries(&(struct change){ .range = range,
	    .check = entry_may_inherit,
	    .apply = entry_inherit,
	    .value = inheritance });
}

static void
entry_tag(struct change *c, struct vm_entry *e)
{
	lock_assert_held(&c->range->task->map.lock);
	e->tag = c->value;
}

int
region_tag(struct range *range, uint32_t tag)
{
	locks_assert_none();
	CHECK(range->at == range->address);
	if (tag > PAGER_TAG_MAX)
		return -EINVAL;
	return change_entries(&(struct change){ .range = range, .apply = entry_tag, .value = tag });
}
