/* SPDX-License-Identifier: MIT
 *
 * A policy of another ABI, for c_policy: must be refused.
 */
#include "policy.h"

extern const struct pol_ops pagerd_policy;
__attribute__((visibility("default")))
const struct pol_ops pagerd_policy = { .abi = POLICY_ABI + 1, .name = "future" };
