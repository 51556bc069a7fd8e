/* SPDX-License-Identifier: MIT
 *
 * Policies from outside: a shared object that defines
 *
 *   const struct pol_ops pagerd_policy = { .abi = POLICY_ABI, .name = ..., ... };
 */
#ifndef POL_LOAD_H
#define POL_LOAD_H

#include "policy.h"

/* The object stays loaded until the process ends; loading it again gives the same policy. It runs
 * code of that file: the caller decides which files to trust. resize, stats and check may be NULL
 * in the object, and are not NULL in *ret.
 * => 0, or a negative errno and a message in why: -ENOENT (cannot be loaded), -ENOEXEC (no such
 * symbol, another ABI, or a function is missing), -EEXIST (the name of a compiled-in
 * policy), -ENFILE. */
int policy_load(const char *path, const struct pol_ops **ret, char *why, size_t why_bytes);

#endif
