/* SPDX-License-Identifier: MIT
 *
 * Shared by the tests of devices.
 */
#ifndef LIVE_DEVICE_H
#define LIVE_DEVICE_H

#include "share.h"

enum { DEVICE_BYTES = 2 << 20 };

static inline struct pager_statistics
statistics(struct pager *p)
{
	struct pager_statistics s;

	OK(pager_statistics(p, &s));
	return s;
}

static inline void *
device_map(struct pager *p, const char *name, size_t size, int protection)
{
	void *base;

	OK(pager_map_device(p, name, 0, size, protection, 0, &base));
	return base;
}

/* What every byte of a page is to be, so that a page in another's place is seen. */
static inline void
pattern_write(struct live *d, unsigned char *base, size_t bytes, unsigned seed)
{
	for (size_t at = 0; at < bytes; at += d->page_bytes)
		memset(base + at, (int)(seed + at / d->page_bytes) & 0xff, d->page_bytes);
}

static inline void
pattern_verify(struct live *d, const unsigned char *base, size_t bytes, unsigned seed)
{
	for (size_t at = 0; at < bytes; at++)
		if (base[at] != ((seed + at / d->page_bytes) & 0xff))
			FAIL("byte %zu of the device is %u", at, base[at]);
}

#endif
