/* SPDX-License-Identifier: MIT */
#include "text.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The character that begins at text. => its length in bytes, 0: not UTF-8 */
static unsigned
character_decode(const unsigned char *text, uint32_t *ret)
{
	/* By length: how the first byte begins, and the smallest code point that needs this many
	 * bytes.
	 */
	static const struct {
		unsigned char mask, begin;
		uint32_t smallest;
	} forms[] = { { 0x80, 0x00, 0 }, { 0xe0, 0xc0, 0x80 }, { 0xf0, 0xe0, 0x800 },
		{ 0xf8, 0xf0, 0x10000 } };

	for (unsigned more = 0; more < 4; more++) {
		uint32_t number;

		if ((text[0] & forms[more].mask) != forms[more].begin)
			continue;
		number = text[0] & (unsigned char)~forms[more].mask;
		for (unsigned i = 1; i <= more; i++) {
			/* The terminating zero is no continuation byte, so the text is not overrun.
			 */
			if ((text[i] & 0xc0) != 0x80)
				return 0;
			number = number << 6 | (text[i] & 0x3f);
		}
		if (number < forms[more].smallest)
			return 0;
		*ret = number;
		return more + 1;
	}
	return 0;
}

static bool
is_shown(uint32_t c)
{
	if (c < ' ' || (c >= 0x7f && c < 0xa0))
		return false;
	if (c == 0x61c || c == 0xfeff || c == 0x200e || c == 0x200f)
		return false;
	if ((c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069))
		return false;
	return c <= 0x10ffff && (c < 0xd800 || c > 0xdfff);
}

static void
clean(char *text, bool lines)
{
	while (*text) {
		uint32_t character = 0;
		unsigned bytes = character_decode((const unsigned char *)text, &character);

		if ((bytes > 0 && is_shown(character)) ||
		    (lines && (*text == '\n' || *text == '\t'))) {
			text += bytes;
			continue;
		}
		for (unsigned i = 0; i < (bytes ? bytes : 1); i++)
			*text++ = '?';
	}
}

void
text_clean(char *text)
{
	clean(text, false);
}

void
text_clean_lines(char *text)
{
	clean(text, true);
}
