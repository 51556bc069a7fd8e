/* SPDX-License-Identifier: MIT
 *
 * pagerctl top as text: lines of the list and of the machine, for the screen and for pipes; and as
 * JSON.
 */
#ifndef TOP_TEXT_H
#define TOP_TEXT_H

#include "top_model.h"

#define TOP_LINE 320 /* room for any line */
#define TOP_WIDE 0   /* as a width: all columns, and names to their end */

/* Lines that fit `width` characters. => ret */
char *top_text_titles(size_t width, enum top_column sort, char ret[TOP_LINE]);
char *top_text_row(
    const struct ctl *ctl, const struct top_row *row, size_t width, char ret[TOP_LINE]);
/* The line about the daemon, and those below it, without the memory bar. */
char *top_text_daemon(
    const struct top_levels *levels, uint32_t pid, size_t clients, char ret[TOP_LINE]);
#define TOP_HEAD_LINES 4
char *top_text_head(
    const struct ctl *ctl, const struct top_levels *levels, unsigned line, char ret[TOP_LINE]);
/* Cuts a text so that it takes at most `columns` characters of a terminal, and no character is cut
 * in two. => text */
char *top_text_cut(char *text, size_t columns);
/* A number that is to take few characters: 0.4, 12, 3.1k. => buf */
const char *top_text_number(double value, char buf[OUT_NUMBER]);

/* A client with its rates; what the list of clients says of it is in the object already. */
void top_text_json(struct json_object *object, const struct top_row *row);

#endif
