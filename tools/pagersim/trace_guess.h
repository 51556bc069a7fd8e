/* SPDX-License-Identifier: MIT
 *
 * What a file's bytes look like, for who reads it without having been told.
 */
#ifndef PAGERSIM_TRACE_GUESS_H
#define PAGERSIM_TRACE_GUESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* So many bytes of the file's beginning are looked at. */
#define TRACE_GUESS_BYTES   4096
#define ORACLE_RECORD_BYTES 24

/* libCacheSim's oracleGeneral: packed, little-endian, in this order. */
struct oracle_record {
	uint32_t time; /* seconds */
	uint64_t object;
	uint32_t bytes;
	int64_t
	    next; /* number of the record with the object's next access, -1 or INT64_MAX: none */
};

/* => the name of the format that the file has most likely; "oracle" for all that is binary and no
 * recording */
const char *trace_guess(const uint8_t *data, size_t bytes);
/* => what the text is encoded in (as iconv calls it), when it is not in bytes; else NULL */
const char *trace_guess_wide(const uint8_t *data, size_t bytes);

void oracle_record_get(const uint8_t *data, struct oracle_record *ret);
/* before: the record before, when number (from 0) is not 0. => what it has that no trace has, or
 * NULL */
const char *oracle_record_check(
    const struct oracle_record *r, const struct oracle_record *before, uint64_t number);

/* Whether the line is not of the trace, but what valgrind itself says. */
bool trace_is_valgrind(const char *p, const char *end);
const char *trace_skip_blanks(const char *p, const char *end);
/* => true, the number and the first character behind it; false when there is no digit or it
 * overflows. */
bool trace_parse_number(const char **p, const char *end, unsigned base, uint64_t *ret);

#endif
