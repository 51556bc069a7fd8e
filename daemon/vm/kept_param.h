/* SPDX-License-Identifier: MIT
 *
 * Parameters that were changed while the daemon runs, for the worker that comes after this one. A
 * row has the parameter's name, so a program that knows others, too, can take it over. Only where
 * there is a keeper.
 */
#ifndef KEPT_PARAM_H
#define KEPT_PARAM_H

#include <stdint.h>

#include "atomics.h"

struct daemon;

struct kept_param {
	char name[40];
	atomic_ullong value;
	atomic_uint is_set; /* written last */
	uint32_t reserved;
};

struct kept_params {
	struct kept_param *rows; /* NULL: there is no keeper */
	int fd;
};

/* => 0, -EPROTO: what was left is of another build, or -errno */
int kept_params_create(struct daemon *d);
void kept_params_destroy(struct daemon *d);
/* Whether the parameter may change: other tables were made with some. => 0 or -EOPNOTSUPP; 0
 * without a keeper, where nothing is done, here and below. Runs on: the control loop, here and
 * below */
int kept_param_check(struct daemon *d, const char *name);
/* The parameter has that value from now on. */
void kept_param_note(struct daemon *d, const char *name, uint64_t value);
/* Parameters are what they were in the worker before this one. Runs on: the main thread, before
 * there are others */
void kept_params_apply(struct daemon *d);

#endif
