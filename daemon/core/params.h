/* SPDX-License-Identifier: MIT
 *
 * Parameters: rows of tbl/param.h, atomic so that a live one can change at any time.
 */
#ifndef PARAMS_H
#define PARAMS_H

#include <stdbool.h>
#include <stddef.h>

#include "atomics.h"
#include "pager/proto.h"

struct params {
#define PARAM(name, minimum, maximum, def, unit, live, text) atomic_ullong name;
#include "tbl/param.h"
};

/* "name = value". => 0, -ENOENT unknown name, -EINVAL no number, -ERANGE */
int param_set(struct params *params, const char *name, const char *value);
void params_init(struct params *params);
int params_load(struct params *params, const char *path, char *message, size_t message_size);
int param_describe(const struct params *params, unsigned index, struct pager_rep_param *ret);
/* => 0 or -ENOENT */
int param_index(const char *name, unsigned *ret_index);
bool param_is_live(const char *name);
/* The value of the one with that index. */
uint64_t param_get(const struct params *params, unsigned index);
#define param(d, name) load_relaxed(&(d)->params.name)

#endif
