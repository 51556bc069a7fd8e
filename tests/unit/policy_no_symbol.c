/* SPDX-License-Identifier: MIT
 *
 * A shared object that is no policy, for c_policy.
 */
extern const int nothing_here;
__attribute__((visibility("default"))) const int nothing_here = 1;
