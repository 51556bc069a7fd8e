/* SPDX-License-Identifier: MIT
 *
 * Expanders for the codecs that need one, made at the start, because any thread may expand a page
 * at any time and none may allocate for it. Each thread uses the one it had last if it can: that is
 * in its processor's cache. Runs on: any thread; no lock.
 */
#include "cexpander.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>

int
cexpanders_create(struct compressor *c)
{
	size_t bytes = c->expander_count * sizeof(*c->expanders);

	c->expanders = aligned_alloc(CACHE_LINE, bytes);
	if (!c->expanders)
		return -1;
	memset(c->expanders, 0, bytes);
	for (unsigned i = 0; i < c->expander_count; i++)
		for (unsigned id = 0; id < CODEC_COUNT; id++) {
			const struct codec *codec = codec_find(id);

			if (!codec->expander_create)
				continue;
			c->expanders[i].state[id] = codec->expander_create();
			if (!c->expanders[i].state[id])
				return -1;
		}
	return 0;
}

void
cexpanders_destroy(struct compressor *c)
{
	for (unsigned i = 0; c->expanders && i < c->expander_count; i++)
		for (unsigned id = 0; id < CODEC_COUNT; id++)
			if (c->expanders[i].state[id])
				codec_find(id)->expander_destroy(c->expanders[i].state[id]);
	free(c->expanders);
}

int
cexpander_expand(struct compressor *c, const struct codec *codec, enum codec_id id, const void *src,
    size_t bytes, void *page)
{
	static _Thread_local unsigned last;
	struct cexpander *e;
	int error;

	if (!codec->expander_create)
		return codec->expand(NULL, src, bytes, page, c->page_bytes);
	/* There is one for each thread that expands: this yields only if compressor_create was told
	 * of too few threads. */
	for (unsigned tries = 0;; tries++) {
		bool is_free = false;

		e = &c->expanders[last % c->expander_count];
		if (!load_relaxed(&e->busy) && cas_acq_rel(&e->busy, &is_free, true))
			break;
		last++;
		if (tries > 2 * c->expander_count)
			sched_yield();
	}
	error = codec->expand(e->state[id], src, bytes, page, c->page_bytes);
	store_release(&e->busy, false);
	return error;
}
