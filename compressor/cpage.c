/* SPDX-License-Identifier: MIT
 *
 * One stored page: seal, verify, expand. Runs on: any thread; no locks.
 *
 * The checksum covers the bytes, the header and the generation of the segment. So bytes that are
 * intact but belong elsewhere (a lost write, a read from the wrong place, a segment's former
 * content) fail too.
 */
#include "cseg_priv.h"

#include <errno.h>
#include <string.h>

#include "check.h"

static uint32_t
cpage_checksum(const struct cpage_header *h, uint64_t payload_hash, uint64_t generation)
{
	uint64_t v = payload_hash ^ generation;

	v = (v ^ h->object) * UINT64_C(0x9e3779b185ebca87);
	v = (v ^ v >> 32 ^ h->page) * UINT64_C(0xc2b2ae3d27d4eb4f);
	v = (v ^ v >> 29 ^ h->meta) * UINT64_C(0x165667b19e3779f9);
	return (uint32_t)(v ^ v >> 32);
}

void
cpage_seal(struct compressor *c, struct cpage_header *h, const void *payload, uint64_t generation)
{
	h->checksum = cpage_checksum(h, c->hash(payload, META_LENGTH(h->meta)), generation);
}

int
cpage_verify(struct compressor *c, const void *stored, uint32_t stored_bytes, uint32_t slot,
    uint64_t generation, struct cpage_header *ret)
{
	struct cpage_header h;

	memcpy(&h, stored, sizeof(h));
	if (META_SLOT(h.meta) != slot || META_ZERO(h.meta) != 0 ||
	    cpage_padded(c, META_LENGTH(h.meta)) != stored_bytes)
		return -EIO;
	const char *payload = (const char *)stored + sizeof(h);
	if (cpage_checksum(&h, c->hash(payload, META_LENGTH(h.meta)), generation) != h.checksum)
		return -EIO;
	*ret = h;
	return 0;
}

int
cpage_expand(struct compressor *c, const void *stored, uint32_t stored_bytes, uint32_t slot,
    uint64_t generation, void *page)
{
	struct cpage_header h;
	int error = cpage_verify(c, stored, stored_bytes, slot, generation, &h);

	if (likely(error == 0)) {
		enum codec_id id = (enum codec_id)META_CODEC(h.meta);
		const struct codec *codec = codec_find(id);

		error = codec == NULL ? -EIO
				      : cexpander_expand(c, codec, id, (const char *)stored + sizeof(h),
					    META_LENGTH(h.meta), page);
	}
	cstat_add(c, error ? CSTAT_ERRORS : CSTAT_DECOMPRESSIONS, 1);
	return error;
}
