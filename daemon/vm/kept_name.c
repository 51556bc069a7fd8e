/* SPDX-License-Identifier: MIT */
#include "vm/kept_name.h"

#include "vm/vm_mapping.h"

/* User 32 | object 20 | writable 1 | privileged 1 | number 10. */
#define OBJECT_SHIFT     32
#define OBJECT_BITS      20
#define WRITABLE_SHIFT   52
#define PRIVILEGED_SHIFT 53
#define NUMBER_SHIFT     54
_Static_assert(OBJECTS_MAX <= 1u << OBJECT_BITS, "a name has room for each object");
_Static_assert(COVERS_MAX <= 1u << (64 - NUMBER_SHIFT), "and for each cover of it");

uint64_t
kept_name_pack(const struct kept_name *name)
{
	CHECK(name->object < OBJECTS_MAX && name->number < COVERS_MAX);
	return (uint64_t)name->uid | (uint64_t)name->object << OBJECT_SHIFT |
	       (uint64_t)name->is_writable << WRITABLE_SHIFT |
	       (uint64_t)name->is_privileged << PRIVILEGED_SHIFT |
	       (uint64_t)name->number << NUMBER_SHIFT;
}

struct kept_name
kept_name_unpack(uint64_t id)
{
	return (struct kept_name){ .object = (uint32_t)(id >> OBJECT_SHIFT) & (OBJECTS_MAX - 1),
		.uid = (uid_t)id,
		.is_privileged = id >> PRIVILEGED_SHIFT & 1,
		.is_writable = id >> WRITABLE_SHIFT & 1,
		.number = (unsigned)(id >> NUMBER_SHIFT) };
}
