/* SPDX-License-Identifier: MIT
 *
 * The policies that are compiled in, one object each. The order of pol_table in pol_table.c is the
 * order shown.
 */
#ifndef POL_PRIV_H
#define POL_PRIV_H

#include "policy.h"

extern const struct pol_ops pol_mach2q, pol_fifo, pol_random, pol_lru, pol_clock, pol_clock_hand,
    pol_twoq, pol_arc, pol_s3fifo, pol_sieve, pol_car, pol_generations, pol_clockpro, pol_min;

#endif
