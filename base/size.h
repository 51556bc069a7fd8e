/* SPDX-License-Identifier: MIT */
#ifndef BASE_SIZE_H
#define BASE_SIZE_H

#include <stddef.h>
#include <stdint.h>

/* "64M", "2G", "4096": bytes with an optional K, M, G or T (powers of 1024).
 * => returns 0; -EINVAL for anything else; -ERANGE if the number does not fit. */
int size_parse(const char *text, uint64_t *ret_bytes);
/* Writes a short human form ("1.5G") into buf and returns buf. */
const char *size_format(uint64_t bytes, char *buf, size_t buf_size);

#endif
