/* SPDX-License-Identifier: MIT */
#ifndef TEXT_REPLY_H
#define TEXT_REPLY_H

#include "ctl.h"

/* Shows a text that the daemon wrote; as JSON an object with the one member "text". */
void text_reply_print(const struct ctl *ctl, const char *text, size_t text_size);
/* Copies an argument into a fixed field of a request. => 0 or CTL_USAGE, explained. */
int text_reply_argument(
    const struct ctl *ctl, char *field, size_t field_size, const char *argument);

#endif
