/* SPDX-License-Identifier: MIT
 *
 * Reads a file or standard input as plain bytes, and unpacks gzip, zstd and xz.
 */
#ifndef PAGERSIM_INPUT_H
#define PAGERSIM_INPUT_H

#include <stddef.h>
#include <stdint.h>

struct input;

/* path "-": standard input. => 0 or a negative errno, printed. */
int input_open(const char *path, struct input **ret);
void input_close(struct input *in);

/* Reads until at least `want` plain bytes are there that have not been taken, or the input ends.
 * => 0, with these bytes; or a negative errno, printed. */
int input_fill(struct input *in, size_t want, const uint8_t **ret, size_t *ret_bytes);
/* Takes n of the bytes that input_fill gave. */
void input_take(struct input *in, size_t n);

/* The position in the stored file and its size (0: unknown), to show progress. */
uint64_t input_position(const struct input *in);
uint64_t input_size(const struct input *in);

#endif
