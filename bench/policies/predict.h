/* SPDX-License-Identifier: MIT */
#ifndef BENCH_PREDICT_H
#define BENCH_PREDICT_H

#include "plan.h"

/* Fills predicted[load] from the recording `trace`. => 0 or -errno; prints what went wrong. */
int policies_predict(struct policies *p, unsigned load, const char *trace);

#endif
