/* SPDX-License-Identifier: MIT
 *
 * Text from other processes, made safe to be shown on a terminal or written to a log.
 */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

/* Replaces each byte that is not part of a printable character by '?', in place: control characters
 * (also the C1 ones, alone or in UTF-8), bytes that are not UTF-8, and the code points that change
 * the direction of the text, end a line or mark the beginning of a file. Any thread. */
void text_clean(char *text);
/* The same, but ends of lines and tabs stay. */
void text_clean_lines(char *text);

#endif
