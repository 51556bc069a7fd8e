/* SPDX-License-Identifier: MIT
 *
 * Parsing of arguments, and output of numbers, texts and JSON.
 */
#ifndef OUT_H
#define OUT_H

#include <json-c/json.h>

#include "ctl.h"

#define OUT_NUMBER 32 /* room for any number with its unit */

/* A decimal number. => 0, -EINVAL or -ERANGE. */
int out_parse_number(const char *text, uint64_t minimum, uint64_t maximum, uint64_t *ret);
/* A process id, or s and the number of a session. => 0 or -EINVAL. */
int out_parse_client(const char *text, struct ctl_client *ret);
/* The same for an argument. => CTL_OK or CTL_USAGE, explained. */
int out_take_client(const struct ctl *ctl, const char *text, struct ctl_client *ret);
/* As ctl_fail, for a request about the client that the user named. => CTL_FAILED, explained. */
int out_no_client(const struct ctl *ctl, int error, const char *text);

/* Formats bytes in the unit of --units. => buf. */
const char *out_bytes(const struct ctl *ctl, uint64_t bytes, char buf[OUT_NUMBER]);
/* Copies a text of another process, of at most `text_size` bytes, and makes it fit for a terminal
 * (text_clean). out_lines keeps line ends and tabs. => buf. */
const char *out_text(char *buf, size_t buf_size, const char *text, size_t text_size);
const char *out_lines(char *buf, size_t buf_size, const char *text, size_t text_size);

/* Prints an object, on one line when reports repeat, and frees it. */
void out_json(const struct ctl *ctl, struct json_object *object);
void out_add_u64(struct json_object *object, const char *name, uint64_t value);
void out_add_i64(struct json_object *object, const char *name, int64_t value);
void out_add_text(struct json_object *object, const char *name, const char *text);

#endif
