/* SPDX-License-Identifier: MIT
 *
 * The report of a run: what memory it took, what its faults were, for how long it waited in them
 * and for what, and what was not managed. It is made of the group's bill in the daemon and of the
 * page in which the programs have counted, so it is the same for a program that was killed.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

#include "out.h"
#include "run.h"

#define SETTLE_NS    10000000 /* between looks whether the daemon has taken all apart */
#define SETTLE_TIMES 300      /* that it is looked while other programs of the run live on */

static const struct {
	const char *name;
	enum pager_ledger_entry entry;
	const char *text;
} faults[] = {
	{ "zero_fills", PAGER_LEDGER_ZERO_FILLS, "first touches" },
	{ "soft_faults", PAGER_LEDGER_SOFT_FAULTS, "the page was in memory" },
	{ "decompressions", PAGER_LEDGER_DECOMPRESSIONS, "the page was compressed" },
	{ "swapins", PAGER_LEDGER_SWAPINS, "the page was on disk" },
	{ "file_reads", PAGER_LEDGER_FILE_READS, "the page was in a file" },
	{ "write_protect_faults", PAGER_LEDGER_WP_FAULTS, "first writes to clean pages" },
	{ "pageouts", PAGER_LEDGER_PAGEOUTS, "pages that were taken away" },
	{ "pages_lost", PAGER_LEDGER_PAGES_LOST, "pages that could not be read back" },
};
static const struct {
	const char *name;
	enum pager_ledger_entry entry;
	const char *text;
} stalls[] = {
	{ "fill", PAGER_LEDGER_STALL_FILL, "pages were filled from memory" },
	{ "swap", PAGER_LEDGER_STALL_SWAP, "pages came from a disk" },
	{ "frame", PAGER_LEDGER_STALL_FRAME, "memory was full: more of it would help" },
	{ "limit", PAGER_LEDGER_STALL_LIMIT, "the process was at its own limit" },
};
static const struct {
	const char *name, *kind, *text;
} reasons[] = {
#define RUN_REASON(NAME, name, kind, text) { #name, #kind, text },
#include "tbl/run_reason.h"
};
#define COUNT_OF(array) (sizeof(array) / sizeof(array[0]))

int
run_report_open(const struct ctl *ctl, struct run_report *ret)
{
	*ret = (struct run_report){ .file = stderr };
	if (!ctl->report || ctl->report[0] == '\0')
		return CTL_OK;
	ret->file = fopen(ctl->report, "we");
	return ret->file ? CTL_OK : ctl_fail(ctl, -errno, "cannot write %s", ctl->report);
}

/* When the program has ended the daemon may still take its memory apart. => as ctl_ask */
static int
group_ask(struct ctl *ctl, uint64_t id, struct pager_rep_group *reply)
{
	const struct timespec tick = { .tv_nsec = SETTLE_NS };
	struct pager_req_group request = { .id = id };
	struct chan_call call = { CHAN_CALL(GROUP, &request, reply) };
	int r = ctl_ask(ctl, &call);

	for (unsigned i = 0; r == 0 && reply->now > 0 && i < SETTLE_TIMES; i++) {
		nanosleep(&tick, NULL);
		r = ctl_ask(ctl, &call);
	}
	return r;
}

/* --- as text --- */

static void
end_print(const struct run_report *report)
{
	fprintf(report->file, "pagerctl run: %s [%d]: ", report->program, (int)report->pid);
	if (WIFSIGNALED(report->status))
		fprintf(report->file, "signal %d (%s)", WTERMSIG(report->status),
		    strsignal(WTERMSIG(report->status)));
	else
		fprintf(report->file, "exit status %d", WEXITSTATUS(report->status));
	fprintf(report->file, ", %.3f seconds\n", report->seconds);
}

static void
memory_print(const struct ctl *ctl, FILE *file, const struct pager_rep_group *g,
    const struct run_sampled *sampled)
{
	char number[OUT_NUMBER];

	fprintf(file, "\n%-22s %12s\n", "memory", "at most");
	fprintf(file, "%-22s %12s  all that it had, in whatever form\n", "footprint",
	    out_bytes(ctl, g->footprint_most, number));
	fprintf(file, "%-22s %12s  in memory as it is\n", "resident",
	    out_bytes(ctl, g->resident_most, number));
	fprintf(file, "%-22s %12s  compressed, in memory or on disk\n", "compressed",
	    out_bytes(ctl, g->compressed_most, number));
	fprintf(file, "%-22s %12s  of that on disk, as seen in %" PRIu64 " looks\n", "swapped",
	    out_bytes(ctl, sampled->swapped, number), sampled->times);
	if (sampled->ratio > 0)
		fprintf(file, "%-22s %12.2f  of the compressor, when it held most%s\n", "ratio",
		    sampled->ratio, ctl->memory ? "" : ", for all clients");
	fprintf(file, "%-22s %12" PRIu32 "  with managed memory; %" PRIu32 " live on\n",
	    "processes", g->ever, g->now);
}

static uint64_t
stalled(const struct pager_rep_group *g)
{
	uint64_t ns = 0;

	for (size_t i = 0; i < COUNT_OF(stalls); i++)
		ns += g->ledger[stalls[i].entry];
	return ns;
}

static void
times_print(FILE *file, const struct pager_rep_group *g, double seconds)
{
	fprintf(file, "\n%-22s %12s\n", "faults", "count");
	for (size_t i = 0; i < COUNT_OF(faults); i++)
		fprintf(file, "%-22s %12" PRIu64 "  %s\n", faults[i].name,
		    g->ledger[faults[i].entry], faults[i].text);
	fprintf(file, "\n%-22s %12s %7s\n", "stalled", "seconds", "share");
	for (size_t i = 0; i < COUNT_OF(stalls); i++)
		fprintf(file, "%-22s %12.3f %6.1f%%  %s\n", stalls[i].name,
		    (double)g->ledger[stalls[i].entry] / 1e9,
		    (double)g->ledger[stalls[i].entry] / 1e7 / seconds, stalls[i].text);
	fprintf(file, "%-22s %12.3f %6.1f%%  of the time it ran, all threads added up\n", "all",
	    (double)stalled(g) / 1e9, (double)stalled(g) / 1e7 / seconds);
}

static void
reasons_print(const struct ctl *ctl, FILE *file, const struct pager_run_page *page)
{
	char number[OUT_NUMBER];
	bool is_any = false;

	for (size_t i = 0; i < COUNT_OF(reasons); i++) {
		uint64_t times = page->counts[i].times;
		bool is_memory = reasons[i].kind[0] == 'M';

		if (times == 0)
			continue;
		if (!is_any)
			fprintf(file, "\n%-12s %9s %12s\n", "not managed", "times", "mapped");
		is_any = true;
		fprintf(file, "%-12s %9" PRIu64 " %12s  %s%s\n", reasons[i].name, times,
		    is_memory ? out_bytes(ctl, page->counts[i].bytes, number) : "program",
		    is_memory ? "" : "programs that are ", reasons[i].text);
	}
	if (!is_any)
		fprintf(file, "\nEverything was managed.\n");
}

/* --- as JSON --- */

static struct json_object *
report_json(const struct run_report *report, const struct pager_rep_group *g,
    const struct run_sampled *sampled, const struct run_group *group)
{
	const struct pager_run_page *page = group->page;
	struct json_object *object = json_object_new_object(), *part;

	out_add_text(object, "program", report->program);
	out_add_u64(object, "pid", (uint64_t)report->pid);
	out_add_u64(object, WIFSIGNALED(report->status) ? "signal" : "exit_status",
	    (uint64_t)(WIFSIGNALED(report->status) ? WTERMSIG(report->status)
						   : WEXITSTATUS(report->status)));
	json_object_object_add(object, "seconds", json_object_new_double(report->seconds));
	out_add_u64(object, "phys_footprint_peak", g->footprint_most);
	out_add_u64(object, "resident_peak", g->resident_most);
	out_add_u64(object, "compressed_peak", g->compressed_most);
	out_add_u64(object, "swapped_peak_seen", sampled->swapped);
	out_add_u64(object, "looks", sampled->times);
	json_object_object_add(object, "ratio", json_object_new_double(sampled->ratio));
	out_add_u64(object, "processes", g->ever);
	out_add_u64(object, "processes_left", g->now);
	part = json_object_new_object();
	for (size_t i = 0; i < COUNT_OF(faults); i++)
		out_add_u64(part, faults[i].name, g->ledger[faults[i].entry]);
	json_object_object_add(object, "faults", part);
	part = json_object_new_object();
	for (size_t i = 0; i < COUNT_OF(stalls); i++)
		out_add_u64(part, stalls[i].name, g->ledger[stalls[i].entry]);
	json_object_object_add(object, "stalled_ns", part);
	json_object_object_add(object, "stalled_share",
	    json_object_new_double((double)stalled(g) / 1e9 / report->seconds));
	part = json_object_new_object();
	for (size_t i = 0; i < COUNT_OF(reasons); i++) {
		struct json_object *row = json_object_new_object();

		out_add_u64(row, "times", page->counts[i].times);
		if (reasons[i].kind[0] == 'M')
			out_add_u64(row, "bytes", page->counts[i].bytes);
		json_object_object_add(part, reasons[i].name, row);
	}
	json_object_object_add(object, "not_managed", part);
	return object;
}

int
run_report_write(struct ctl *ctl, struct run_report *report, const struct run_group *group,
    const struct run_samples *samples)
{
	struct run_sampled sampled;
	struct pager_rep_group g;
	struct json_object *object;
	struct run_profile profile;
	int r = group_ask(ctl, group->id, &g);
	bool has_profile = r == CTL_OK && run_profile_ask(ctl, group->id, &profile);

	if (r != CTL_OK)
		return ctl_fail(ctl, r, "there is no report: pagerd does not tell of the group");
	if (report->seconds <= 0)
		report->seconds = 1e-9;
	run_sampled(samples, &sampled);
	if (ctl->json) {
		object = report_json(report, &g, &sampled, group);
		if (has_profile)
			json_object_object_add(object, "profile", run_profile_json(&profile));
		fprintf(report->file, "%s\n",
		    json_object_to_json_string_ext(object, JSON_C_TO_STRING_PRETTY));
		json_object_put(object);
	} else {
		end_print(report);
		memory_print(ctl, report->file, &g, &sampled);
		times_print(report->file, &g, report->seconds);
		if (has_profile)
			run_profile_print(report->file, &profile);
		reasons_print(ctl, report->file, group->page);
	}
	if (fflush(report->file) != 0 || (report->file != stderr && fclose(report->file) != 0))
		return ctl_fail(ctl, -errno, "cannot write the report");
	return CTL_OK;
}
