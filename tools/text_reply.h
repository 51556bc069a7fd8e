/* SPDX-License-Identifier: MIT */
#ifndef TEXT_REPLY_H
#define TEXT_REPLY_H

#include "ctl.h"

/* Prints the daemon's text; with --json an object whose one member is "text". */
void text_reply_print(const struct ctl *ctl, const char *text, size_t text_size);
/* Copies an argument into a fixed field of a request. => CTL_OK or CTL_USAGE, explained. */
int text_reply_argument(
    const struct ctl *ctl, char *field, size_t field_size, const char *argument);

#endif
