/* SPDX-License-Identifier: MIT
 *
 * Guesses the format of a trace from its first bytes.
 */
#ifndef PAGERSIM_TRACE_GUESS_H
#define PAGERSIM_TRACE_GUESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TRACE_GUESS_BYTES   4096 /* the length of the file's beginning that is looked at */
#define ORACLE_RECORD_BYTES 24

/* libCacheSim's oracleGeneral: packed, little-endian, in this order. */
struct oracle_record {
	uint32_t time; /* seconds */
	uint64_t object;
	uint32_t bytes;
	int64_t next; /* the record with the object's next access; -1 or INT64_MAX: none */
};

/* => the name of the most likely format; "oracle" for all binary data but recordings. */
const char *trace_guess(const uint8_t *data, size_t bytes);
/* => the name, for iconv, of an encoding of 16 or 32 bits; NULL: the file has none. */
const char *trace_guess_wide(const uint8_t *data, size_t bytes);

void oracle_record_get(const uint8_t *data, struct oracle_record *ret);
/* number: counted from 0; before: the record before it, if there is one. => a property that no
 * record of a trace has; NULL: it may be one. */
const char *oracle_record_check(
    const struct oracle_record *r, const struct oracle_record *before, uint64_t number);

/* Whether the line is a message of valgrind itself, and not part of the trace. */
bool trace_is_valgrind(const char *p, const char *end);
const char *trace_skip_blanks(const char *p, const char *end);
/* => true, with the number and *p after it; false: there is no digit, or the number overflows. */
bool trace_parse_number(const char **p, const char *end, unsigned base, uint64_t *ret);

#endif
