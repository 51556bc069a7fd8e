/* SPDX-License-Identifier: MIT
 *
 * Names of jetsam's bands and causes.
 */
#ifndef BANDS_H
#define BANDS_H

#include <stdint.h>

/* A band's name, or its number as text. => 0 or -EINVAL */
int band_parse(const char *text, int32_t *ret);
/* => "-": there is no such band */
const char *band_text(int32_t band);
const char *cause_text(uint32_t cause);

#endif
