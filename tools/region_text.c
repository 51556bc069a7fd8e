/* SPDX-License-Identifier: MIT */
#include "region_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <sys/mman.h>

const char *
region_protection(uint32_t protection, char buf[4])
{
	buf[0] = protection & PROT_READ ? 'r' : '-';
	buf[1] = protection & PROT_WRITE ? 'w' : '-';
	buf[2] = protection & PROT_EXEC ? 'x' : '-';
	buf[3] = '\0';
	return buf;
}

static const struct {
	const char *mode; /* as vmmap shows it */
	const char *name;
} share_modes[] = {
	[PAGER_SHARE_COW] = { "COW", "cow" },
	[PAGER_SHARE_PRIVATE] = { "PRV", "private" },
	[PAGER_SHARE_EMPTY] = { "NUL", "empty" },
	[PAGER_SHARE_SHARED] = { "SHM", "shared" },
	[PAGER_SHARE_TRUESHARED] = { "SHM", "trueshared" },
	[PAGER_SHARE_PRIVATE_ALIASED] = { "ALI", "private_aliased" },
	[PAGER_SHARE_SHARED_ALIASED] = { "S/A", "shared_aliased" },
	[PAGER_SHARE_LARGE_PAGE] = { "LAR", "large_page" },
};

/* => the row of an unknown mode is that of none, whose texts are NULL */
static uint32_t
share_mode_row(uint32_t mode)
{
	return mode < sizeof(share_modes) / sizeof(share_modes[0]) ? mode : 0;
}

const char *
region_tag(uint32_t tag, char buf[OUT_NUMBER])
{
	static const char *const names[PAGER_TAG_MAX + 1] = {
#define TAG(number, name) [number] = (name),
#include "tbl/tag.h"
	};

	if (tag <= PAGER_TAG_MAX && names[tag])
		return names[tag];
	snprintf(buf, OUT_NUMBER, "tag %" PRIu32, tag);
	return buf;
}

const char *
region_share_mode(uint32_t mode)
{
	const char *text = share_modes[share_mode_row(mode)].mode;

	return text ? text : "?";
}

const char *
region_share_name(uint32_t mode)
{
	const char *text = share_modes[share_mode_row(mode)].name;

	return text ? text : "?";
}
