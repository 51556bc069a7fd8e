/* SPDX-License-Identifier: MIT
 *
 * Words of others, before they are shown on a terminal or written to a log.
 */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

/* Replaces each byte that is no part of a printable character by '?', in place: control
 * characters (the C1 ones too, alone or in UTF-8), what is not UTF-8, and the marks that turn
 * the direction of the text, end a line or begin a file. Any thread. */
void text_clean(char *text);
/* The same, but ends of lines and tabs stay. */
void text_clean_lines(char *text);

#endif
