/* SPDX-License-Identifier: MIT
 *
 * `pagerbench policies`: records each workload once, predicts from the recording, then runs blocks
 * of live runs. A block runs every policy at every size once, and the first policy twice, in a new
 * random order, so that disturbances of the machine hit all policies alike.
 */

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base.h"
#include "load.h"
#include "pattern.h"
#include "plan.h"
#include "policies_plot.h"
#include "policies_report.h"
#include "policy_daemon.h"
#include "predict.h"
#include "rng.h"
#include "signals.h"

/* Processor time of the machine, in ticks: all of it, and the part stolen by the hypervisor. */
struct machine {
	unsigned long long total, steal;
};

static struct machine
machine_now(void)
{
	unsigned long long v[8] = { 0 };
	struct machine m = { 0, 0 };
	FILE *f = fopen("/proc/stat", "re");

	if (f && fscanf(f, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &v[0], &v[1], &v[2],
		     &v[3], &v[4], &v[5], &v[6], &v[7]) == 8) {
		for (int i = 0; i < 8; i++)
			m.total += v[i];
		m.steal = v[7];
	}
	if (f)
		fclose(f);
	return m;
}

/* Commas separate both policies and parameters, as in pagersim: a part with '=' and without ':' is
 * a parameter of the policy before it. */
static int
parse_names(struct policies *p, const char *list)
{
	while (*list) {
		size_t length = strcspn(list, ",");

		while (list[length] == ',') {
			const char *more = list + length + 1;
			size_t key = strcspn(more, ",:=");

			if (key == 0 || more[key] != '=')
				break;
			length += 1 + strcspn(more, ",");
		}
		if (p->name_count == POLICIES_MAX || length == 0)
			return -EINVAL;
		p->names[p->name_count++] = strndup(list, length);
		list += length + (list[length] == ',');
	}
	return p->name_count ? 0 : -EINVAL;
}

static int
parse_fractions(struct policies *p, const char *list)
{
	while (*list) {
		char *end;
		unsigned long percent = strtoul(list, &end, 10);

		if (end == list || percent < 1 || percent > 1000 || (*end && *end != ',') ||
		    p->fraction_count == FRACTIONS_MAX)
			return -EINVAL;
		p->fractions[p->fraction_count++] = (unsigned)percent;
		list = end + (*end == ',');
	}
	return p->fraction_count ? 0 : -EINVAL;
}

static int
parse_loads(struct policies *p, const char *list)
{
	while (*list) {
		size_t length = strcspn(list, ",");
		unsigned i = 0;

		while (load_name(i) &&
		       (strlen(load_name(i)) != length || strncmp(load_name(i), list, length) != 0))
			i++;
		if (!load_name(i) || p->load_count == LOADS_MAX)
			return -EINVAL;
		p->loads[p->load_count++] = i;
		list += length + (list[length] == ',');
	}
	return p->load_count ? 0 : -EINVAL;
}

static int
plan_make(struct policies *p, const struct options *o)
{
	static const char all[] =
	    "mach2q,fifo,random,lru,clock,2q,arc,s3fifo,sieve,car,generations,clock-pro";
	const char *names = o->policies ? o->policies : "mach2q,fifo,lru,clock,2q,arc,s3fifo,sieve";

	p->options = o;
	p->seed = o->seed;
	p->pages = (o->working_set_bytes ? o->working_set_bytes : (uint64_t)16 << 20) / UNIT_BYTES;
	p->touches = o->touches ? o->touches : 8 * p->pages;
	p->repeat = o->repeat;
	p->window = o->window;
	p->write_percent = o->write_percent >= 0 ? (unsigned)o->write_percent : 20;
	if (p->pages < 64)
		return fputs("pagerbench: --working-set is too small\n", stderr), -EINVAL;
	if (parse_names(p, strcmp(names, "all") == 0 ? all : names))
		return fprintf(stderr, "pagerbench: --policies cannot be '%s'\n", names), -EINVAL;
	if (parse_fractions(p, o->fractions))
		return fprintf(stderr, "pagerbench: --fractions cannot be '%s'\n", o->fractions),
		       -EINVAL;
	if (parse_loads(p, o->workloads)) {
		fprintf(
		    stderr, "pagerbench: --workloads cannot be '%s'; there are:\n", o->workloads);
		for (unsigned i = 0; load_name(i); i++)
			fprintf(stderr, "  %-8s %s\n", load_name(i), load_text(i));
		return -EINVAL;
	}
	p->runs =
	    calloc((size_t)p->load_count * p->fraction_count * (p->name_count + 1) * p->repeat,
		sizeof(*p->runs));
	return p->runs ? 0 : -ENOMEM;
}

/* What is done after the last touch and before the pages are verified. */
struct finish {
	struct policy_daemon *daemon;
	struct policy_counts counts;
	struct machine machine;
	bool recording;
};

static int
finish(void *context)
{
	struct finish *f = context;

	f->machine = machine_now();
	if (f->recording)
		return policy_daemon_record_end(f->daemon);
	return policy_daemon_counts(f->daemon, &f->counts);
}

static int
live_run(struct policies *p, struct policy_daemon *pd, struct policy_run *run)
{
	struct finish f = { .daemon = pd };
	struct policy_counts before;
	struct machine start;
	struct load_result result;
	int error = policy_daemon_set(pd, p->names[run->policy], policies_frames(p, run->fraction));

	if (!error)
		error = policy_daemon_counts(pd, &before);
	start = machine_now();
	if (!error)
		error =
		    load_run(p, p->loads[run->load], policy_daemon_socket(pd), finish, &f, &result);
	if (error)
		return error;
	run->counts.major = f.counts.major - before.major;
	run->counts.soft = f.counts.soft - before.soft;
	run->counts.written = f.counts.written - before.written;
	run->counts.deactivations = f.counts.deactivations - before.deactivations;
	run->counts.write_faults = f.counts.write_faults - before.write_faults;
	run->counts.violations = f.counts.violations - before.violations;
	run->counts.rescues = f.counts.rescues - before.rescues;
	run->seconds = result.seconds;
	if (f.machine.total > start.total)
		run->steal = 100.0 * (double)(f.machine.steal - start.steal) /
			     (double)(f.machine.total - start.total);
	return 0;
}

/* Records a workload and predicts from the recording. All pages stay resident, and the recorder
 * sees every touch except those to the last `window` pages. */
static int
record(struct policies *p, struct policy_daemon *pd, unsigned load)
{
	struct finish f = { .daemon = pd, .recording = true };
	struct load_result result;
	char path[320];
	int error = policy_daemon_set(pd, p->names[0], 0);

	snprintf(path, sizeof(path), "%s/pagerbench-policies-%d.trace", p->options->directory,
	    (int)getpid());
	if (!error)
		error = policy_daemon_record(pd, path, p->window);
	if (!error)
		error = load_run(p, p->loads[load], policy_daemon_socket(pd), finish, &f, &result);
	if (!error)
		error = policies_predict(p, load, path);
	unlink(path);
	return error;
}

/* Fills in the runs of a block, in random order. => their number. */
static unsigned
block_plan(struct policies *p, unsigned load, unsigned block, struct policy_run *runs)
{
	struct rng rng = { mix64(p->seed * 1000003 + load * 1009 + block) };
	unsigned n = 0;

	for (unsigned fraction = 0; fraction < p->fraction_count; fraction++)
		for (unsigned i = 0; i <= p->name_count; i++)
			runs[n++] = (struct policy_run){ .load = load,
				.fraction = fraction,
				.policy = i % p->name_count,
				.block = block,
				.again = i == p->name_count };
	for (unsigned i = n - 1; i > 0; i--) {
		unsigned j = (unsigned)rng_below(&rng, i + 1);
		struct policy_run swap = runs[i];

		runs[i] = runs[j];
		runs[j] = swap;
	}
	for (unsigned i = 0; i < n; i++)
		runs[i].order = i;
	return n;
}

static int
run_all(struct policies *p, struct policy_daemon *pd)
{
	unsigned total = p->load_count * p->fraction_count * (p->name_count + 1) * p->repeat;
	bool tell = isatty(STDERR_FILENO);
	int error = 0;

	for (unsigned load = 0; load < p->load_count && !error; load++)
		error = record(p, pd, load);
	for (unsigned block = 0; block < p->repeat && !error; block++)
		for (unsigned load = 0; load < p->load_count && !error; load++) {
			unsigned n = block_plan(p, load, block, p->runs + p->run_count);

			for (unsigned i = 0; i < n && !error; i++) {
				if (tell)
					fprintf(stderr, "\r%u of %u runs ", p->run_count, total);
				error = signals_received()
					    ? -EINTR
					    : live_run(p, pd, &p->runs[p->run_count]);
				p->run_count += !error;
			}
		}
	if (tell)
		fputs("\r                        \r", stderr);
	return error;
}

static int
write_all(const struct policies *p)
{
	const struct options *o = p->options;
	int error = 0;
	FILE *f;

	if (o->json)
		policies_json(p);
	else
		policies_markdown(p, stdout);
	if (o->markdown) {
		f = fopen(o->markdown, "we");
		if (!f)
			return fprintf(
				   stderr, "pagerbench: %s: %s\n", o->markdown, strerror(errno)),
			       -errno;
		policies_markdown(p, f);
		error = fclose(f) ? -errno : 0;
	}
	if (!error && o->tsv)
		error = policies_tsv(p, o->tsv);
	if (!error && o->plot)
		error = policies_plot(p, o->plot);
	return error;
}

int
policies_command(const struct options *given)
{
	struct policies *p = calloc(1, sizeof(*p));
	struct options o = *given;
	struct policy_daemon *pd = NULL;
	struct pool pool;
	int error = p ? plan_make(p, &o) : -ENOMEM;

	if (error)
		return 2;
	error = pool_create(&pool, o.data, POOL_PAGES_DEFAULT, o.seed);
	if (!error) {
		o.pool_fd = pool.fd;
		signals_block();
		error = policy_daemon_start(p, &pd);
	}
	if (!error) {
		error = run_all(p, pd);
		policy_daemon_stop(pd);
		pool_close(&pool);
	}
	if (error == -EINTR)
		fputs("pagerbench: stopped by a signal\n", stderr);
	/* A signal does not lose the runs that are complete. */
	if ((!error || error == -EINTR) && p->run_count > 0)
		error = write_all(p) ? -EIO : error;
	for (unsigned i = 0; i < p->name_count; i++)
		free(p->names[i]);
	free(p->runs);
	free(p);
	return error ? EXIT_FAILURE : EXIT_SUCCESS;
}
