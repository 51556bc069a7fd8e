/* SPDX-License-Identifier: MIT
 *
 * The file of a profile. Numbers in, numbers out: no file is opened here.
 */
#include "profile.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "base.h"
#include "check.h"

static uint64_t
fnv(uint64_t hash, const void *memory, size_t bytes)
{
	const unsigned char *at = memory;

	for (size_t i = 0; i < bytes; i++)
		hash = (hash ^ at[i]) * UINT64_C(0x100000001b3);
	return hash;
}
#define FNV_FIRST UINT64_C(0xcbf29ce484222325)

/* Of a file in memory. */
static uint64_t
checksum(const void *file, size_t bytes)
{
	size_t from = offsetof(struct profile_header, checksum) + sizeof(uint64_t);

	CHECK(bytes >= sizeof(struct profile_header));
	return fnv(FNV_FIRST, (const char *)file + from, bytes - from);
}

static uint32_t
program_bytes(const char *program)
{
	return (uint32_t)(strlen(program) / 8 + 1) * 8;
}

uint64_t
profile_program_number(const char *program)
{
	return fnv(FNV_FIRST, program, strlen(program));
}

size_t
profile_bytes(const struct profile *p, const struct profile_owner *owner)
{
	return sizeof(struct profile_header) + program_bytes(owner->program) +
	       p->region_count * sizeof(p->regions[0]) + p->page_count * sizeof(p->pages[0]);
}

/* Copies the pages, those of one process after those of another. */
static void
pages_put(const struct profile *p, struct profile_page *to)
{
	uint32_t starts[PROFILE_REGIONS_MAX + 1] = { 0 }; /* by process: where its next one goes */

	for (uint32_t i = 0; i < p->page_count; i++) {
		uint32_t process = p->regions[p->pages[i].region].process;

		CHECK(process < PROFILE_REGIONS_MAX);
		starts[process + 1]++;
	}
	for (uint32_t process = 1; process < PROFILE_REGIONS_MAX; process++)
		starts[process] += starts[process - 1];
	for (uint32_t i = 0; i < p->page_count; i++)
		to[starts[p->regions[p->pages[i].region].process]++] = p->pages[i];
}

void
profile_encode(const struct profile *p, const struct profile_owner *owner, void *file)
{
	struct profile_header *header = file;
	char *program = (char *)(header + 1);
	char *regions = program + program_bytes(owner->program);

	CHECK(strlen(owner->program) < PROFILE_PROGRAM_MAX && (uintptr_t)file % 8 == 0);
	CHECK(p->region_count <= PROFILE_REGIONS_MAX && p->page_count <= PROFILE_PAGES_MAX);
	*header = (struct profile_header){
		.version = PROFILE_VERSION,
		.header_bytes = sizeof(*header),
		.page_size = owner->page_size,
		.uid = owner->uid,
		.program_bytes = program_bytes(owner->program),
		.region_count = p->region_count,
		.page_count = p->page_count,
		.strikes = p->strikes,
		.rests = p->rests,
	};
	memcpy(header->magic, PROFILE_MAGIC, sizeof(header->magic));
	memset(program, 0, header->program_bytes);
	memcpy(program, owner->program, strlen(owner->program));
	if (p->region_count > 0)
		memcpy(regions, p->regions, p->region_count * sizeof(p->regions[0]));
	pages_put(p, (void *)(regions + p->region_count * sizeof(p->regions[0])));
	header->checksum = checksum(file, profile_bytes(p, owner));
}

/* Whether pages are of regions that are there, and within them. */
static bool
content_is_valid(const struct profile *p)
{
	for (uint32_t i = 0; i < p->region_count; i++)
		if (p->regions[i].pages == 0 || p->regions[i].pages > UINT32_MAX ||
		    p->regions[i].process >= PROFILE_REGIONS_MAX)
			return false;
	for (uint32_t i = 0; i < p->page_count; i++)
		if (p->pages[i].region >= p->region_count ||
		    p->pages[i].offset >= p->regions[p->pages[i].region].pages)
			return false;
	return true;
}

int
profile_decode(void *file, size_t bytes, const struct profile_owner *owner, struct profile *ret)
{
	const struct profile_header *header = file;
	char *program = (char *)file + sizeof(*header);
	struct profile p;

	CHECK((uintptr_t)file % 8 == 0);
	if (bytes < sizeof(*header) ||
	    memcmp(header->magic, PROFILE_MAGIC, sizeof(header->magic)) != 0)
		return -EBADMSG;
	if (header->version != PROFILE_VERSION || header->header_bytes != sizeof(*header))
		return -EPROTO;
	if (header->checksum != checksum(file, bytes) || header->reserved != 0 ||
	    header->program_bytes > PROFILE_PROGRAM_MAX || header->program_bytes % 8 != 0 ||
	    header->program_bytes == 0 || header->region_count > PROFILE_REGIONS_MAX ||
	    header->page_count > PROFILE_PAGES_MAX ||
	    bytes != sizeof(*header) + header->program_bytes +
			 header->region_count * sizeof(p.regions[0]) +
			 header->page_count * sizeof(p.pages[0]) ||
	    program[header->program_bytes - 1] != '\0')
		return -EBADMSG;
	if (strcmp(program, owner->program) != 0 || header->uid != owner->uid ||
	    header->page_size != owner->page_size)
		return -ESTALE;
	p.regions = (void *)(program + header->program_bytes);
	p.region_count = header->region_count;
	p.pages = (void *)(p.regions + p.region_count);
	p.page_count = header->page_count;
	p.strikes = header->strikes;
	p.rests = header->rests;
	if (!content_is_valid(&p))
		return -EBADMSG;
	*ret = p;
	return 0;
}
