/* SPDX-License-Identifier: MIT
 *
 * One stored page: write, verify, expand. Runs on: any thread; no locks.
 *
 * The checksum covers the bytes, their description in the directory (length, codec, slot), the
 * owner and the generation of the segment. So bytes that are intact but belong elsewhere (a lost
 * write, a read from the wrong place, a segment's former content) fail too.
 */
#include "cpage.h"

#include <errno.h>
#include <string.h>

#include "cexpander.h"
#include "cstat.h"
#include "failpt.h"

static uint32_t
cpage_checksum(struct compressor *c, uint64_t owner, const void *payload, uint64_t entry,
    uint32_t slot, uint64_t generation)
{
	uint64_t v = c->hash(payload, entry_length(entry)) ^ generation;

	v = (v ^ owner) * UINT64_C(0x9e3779b185ebca87);
	v = (v ^ v >> 29 ^ entry_length(entry) ^ (uint64_t)entry_codec(entry) << 17 ^
		(uint64_t)slot << 20) *
	    UINT64_C(0x165667b19e3779f9);
	return (uint32_t)(v ^ v >> 32);
}

void
cpage_write(struct compressor *c, void *stored, struct cowner owner, const void *payload,
    uint64_t entry, uint32_t slot, uint64_t generation)
{
	struct cpage_header h = { .owner = owner.v };
	char *bytes = (char *)stored + sizeof(h);

	memcpy(bytes, payload, entry_length(entry));
	/* The checksum is of the copy, not of the payload: it always fits the bytes that are
	 * stored. */
	h.checksum = cpage_checksum(c, owner.v, bytes, entry, slot, generation);
	memcpy(stored, &h, sizeof(h));
}

bool
cpage_renamed(struct compressor *c, const void *stored, struct cowner owner, uint64_t entry,
    uint32_t slot, uint64_t generation, struct cpage_header *ret)
{
	struct cowner before;

	/* A damaged page stays damaged: a new checksum would be right for wrong bytes. */
	if (cpage_verify(c, stored, entry, slot, generation, &before) != 0)
		return false;
	ret->owner = owner.v;
	ret->checksum = cpage_checksum(
	    c, owner.v, (const char *)stored + sizeof(*ret), entry, slot, generation);
	return true;
}

void
cpage_header_put(void *stored, const struct cpage_header *h)
{
	memcpy(stored, &h->owner, sizeof(h->owner));
	failpt_die(FAIL_DIE_RENAME);
	memcpy((char *)stored + sizeof(h->owner), &h->checksum, sizeof(h->checksum));
}

int
cpage_verify(struct compressor *c, const void *stored, uint64_t entry, uint32_t slot,
    uint64_t generation, struct cowner *ret_owner)
{
	struct cpage_header h;

	memcpy(&h, stored, sizeof(h));
	if (cpage_checksum(c, h.owner, (const char *)stored + sizeof(h), entry, slot, generation) !=
	    h.checksum)
		return -EIO;
	*ret_owner = (struct cowner){ h.owner };
	return 0;
}

int
cpage_expand(struct compressor *c, const void *stored, uint64_t entry, uint32_t slot,
    uint64_t generation, void *page)
{
	struct cowner owner;
	int error = cpage_verify(c, stored, entry, slot, generation, &owner);

	if (likely(error == 0)) {
		enum codec_id id = entry_codec(entry);
		const struct codec *codec = codec_find(id);

		error = codec == NULL ? -EIO
				      : cexpander_expand(c, codec, id,
					    (const char *)stored + CPAGE_HEADER_BYTES,
					    entry_length(entry), page);
	}
	cstat_add(c, error ? CSTAT_ERRORS : CSTAT_DECOMPRESSIONS, 1);
	return error;
}
