/* SPDX-License-Identifier: MIT
 *
 * The offline core: runs one policy over one trace, with the pages, their states and the rule
 * "mapped means referenced".
 */
#ifndef PAGERSIM_SIM_H
#define PAGERSIM_SIM_H

#include <stdatomic.h>

#include "policy.h"
#include "trace.h"

enum sim_model {
	/* The model of the literature: each reference to a resident page is delivered as soft() and
	 * costs nothing. All resident pages count as inactive. */
	SIM_TEXTBOOK,
	/* Only faults are seen: a touch of a mapped page is invisible, a touch of an inactive page
	 * is a soft fault. */
	SIM_PAGER,
};

struct sim_config {
	const struct pol_ops *ops;
	const char *params; /* NULL: none */
	uint32_t nframes;   /* at least 1 */
	enum sim_model model;
	uint32_t window; /* mapped pages; for policies without deactivate() in the pager model */
	uint64_t seed;
	bool check;              /* call ops->check after every event */
	atomic_ullong *progress; /* grows by the number of events done; NULL: not wanted */
};

struct sim_result {
	uint64_t majors, cold; /* cold: the page had never been resident; majors include them */
	uint64_t soft;         /* soft faults; the textbook model has none */
	uint64_t write_faults; /* first write to a page mapped for reading (pager model) */
	uint64_t written;      /* dirty pages evicted */
	uint64_t clean;        /* clean pages evicted */
	uint64_t violations;   /* proposals refused because the page was not inactive */
	uint64_t fallbacks;    /* the policy proposed nothing and the core chose */
	uint64_t ns;           /* processor time for the whole trace */
	double bytes_per_page; /* footprint / pages of the trace */
	const char *broken;    /* the first failure of check(); NULL: none */
	uint64_t broken_at;    /* index of the event */
};

/* trace_link() must have been called when the policy is POL_OFFLINE_ONLY.
 * => 0; -EINVAL: the policy refused its parameters; -ENOMEM. */
int sim_run(const struct trace *trace, const struct sim_config *config, struct sim_result *ret);
/* => the bytes_per_page that sim_run would report; 0: the policy refused its parameters. */
double sim_bytes_per_page(const struct trace *trace, const struct sim_config *config);

#endif
