/* SPDX-License-Identifier: MIT
 *
 * Numbers and texts in and out.
 */
#ifndef OUT_H
#define OUT_H

#include <json-c/json.h>

#include "ctl.h"

#define OUT_NUMBER 32 /* room for any number with its unit */

/* "64M", "2G", "4096". => 0, -EINVAL or -ERANGE. */
int out_parse_size(const char *text, uint64_t *ret_bytes);
/* A decimal number from `minimum` on. => 0, -EINVAL or -ERANGE. */
int out_parse_number(const char *text, uint64_t minimum, uint64_t maximum, uint64_t *ret);
/* A process id, or s and the number of a session. => 0 or -EINVAL */
int out_parse_client(const char *text, struct ctl_client *ret);
/* The same. => 0 or CTL_USAGE, explained. */
int out_take_client(const struct ctl *ctl, const char *text, struct ctl_client *ret);
/* A request about that client failed. => CTL_FAILED, explained. */
int out_no_client(const struct ctl *ctl, int error, const char *text);

/* Bytes in the unit of --units. => buf. */
const char *out_bytes(const struct ctl *ctl, uint64_t bytes, char buf[OUT_NUMBER]);
/* A text from another process, made fit for a terminal (text_clean): it ends where `text_size`
 * says. In `lines`, line ends and tabs stay. => buf. */
const char *out_text(char *buf, size_t buf_size, const char *text, size_t text_size);
const char *out_lines(char *buf, size_t buf_size, const char *text, size_t text_size);

/* Prints on lines of its own (one line when reports repeat) and frees the object. */
void out_json(const struct ctl *ctl, struct json_object *object);
void out_add_u64(struct json_object *object, const char *name, uint64_t value);
void out_add_i64(struct json_object *object, const char *name, int64_t value);
void out_add_text(struct json_object *object, const char *name, const char *text);

#endif
