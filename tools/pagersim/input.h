/* SPDX-License-Identifier: MIT
 *
 * A file or standard input as a stream of plain bytes, whatever it is compressed with (gzip, zstd,
 * xz).
 */
#ifndef PAGERSIM_INPUT_H
#define PAGERSIM_INPUT_H

#include <stddef.h>
#include <stdint.h>

struct input;

/* path "-": standard input. Messages go to stderr. => 0 or a negative errno. */
int input_open(const char *path, struct input **ret);
void input_close(struct input *in);

/* The plain bytes that have been read and not taken. Grows to want unless the input ends before.
 * => 0, or a negative errno, and the message has been printed. */
int input_fill(struct input *in, size_t want, const uint8_t **ret, size_t *ret_bytes);
/* Takes n bytes, at most what input_fill gave. */
void input_take(struct input *in, size_t n);

/* Where in the stored file we are, and its size (0: unknown): for progress. */
uint64_t input_position(const struct input *in);
uint64_t input_size(const struct input *in);

#endif
