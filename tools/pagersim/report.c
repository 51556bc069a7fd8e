/* SPDX-License-Identifier: MIT
 *
 * The results as a table, as TSV and as JSON. Counts are exact; ns_event is the time of this run.
 */
#include "report.h"

#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <math.h>
#include <string.h>

#include "message.h"

static const char *
model_name(const struct replay *r)
{
	return r->model == SIM_TEXTBOOK ? "textbook" : "pager";
}

static double
cell_ns_event(const struct replay *r, const struct sim_result *result)
{
	return (double)result->ns / (double)r->trace->count;
}

/* Whether the core's window of mapped pages affects this policy. */
static bool
uses_window(const struct replay *r, unsigned policy)
{
	const struct pol_ops *ops = r->policies[policy].ops;

	return r->model == SIM_PAGER && ops->deactivate == NULL &&
	       !(ops->flags & POL_WANTS_EVERY_REFERENCE);
}

static void
print_ratio(FILE *out, const char *before, int width, double v)
{
	if (!isfinite(v))
		fprintf(out, "%s%*s", before, width, "-");
	else
		fprintf(out, "%s%*.3f", before, width, v);
}

void
report_table(const struct replay *r, FILE *out)
{
	int width = 6;

	for (unsigned p = 0; p < r->npolicies; p++)
		width = (int)strlen(r->policies[p].label) > width
			    ? (int)strlen(r->policies[p].label)
			    : width;
	fprintf(out, "%s: %zu references to %" PRIu32 " pages, %s model", r->title,
	    r->trace->references, r->trace->npages, model_name(r));
	if (r->model == SIM_PAGER)
		fprintf(
		    out, ", window %" PRIu32 "%s", r->window, r->window_percent ? "%" : " pages");
	fprintf(out, "\n\n%-*s %8s %10s %9s %10s %10s %9s %9s %6s %6s %7s %7s %5s %5s\n", width,
	    "policy", "frames", "major", "cold", "capacity", "soft", "wfault", "written", "xMIN",
	    "gap", "ns/ev", "B/page", "viol", "fall");
	for (unsigned p = 0; p < r->npolicies; p++) {
		for (unsigned i = 0; i < r->nframes; i++) {
			const struct sim_result *c = &replay_cell(r, p, i)->result;

			fprintf(out,
			    "%-*s %8" PRIu32 " %10" PRIu64 " %9" PRIu64 " %10" PRIu64 " %10" PRIu64
			    " %9" PRIu64 " %9" PRIu64,
			    width, r->policies[p].label, r->frames[i], c->majors, c->cold,
			    c->majors - c->cold, c->soft, c->write_faults, c->written);
			print_ratio(out, " ", 6, replay_x_min(r, p, i));
			print_ratio(out, " ", 6, replay_gap(r, p, i));
			fprintf(out, " %7.1f %7.1f %5" PRIu64 " %5" PRIu64 "\n",
			    cell_ns_event(r, c), c->bytes_per_page, c->violations, c->fallbacks);
		}
	}
}

void
report_tsv(const struct replay *r, FILE *out)
{
	fputs("trace\trefs\tpages\tmodel\twindow\tpolicy\tframes\tmajor\tcold\tcapacity\tsoft\twrit"
	      "e_faults\t"
	      "written\tclean\tmiss_ratio\tx_min\tgap_closed\tns_event\tbytes_"
	      "page\tviolations\tfallbacks\n",
	    out);
	for (unsigned p = 0; p < r->npolicies; p++) {
		for (unsigned i = 0; i < r->nframes; i++) {
			const struct sim_result *c = &replay_cell(r, p, i)->result;

			fprintf(out, "%s\t%zu\t%" PRIu32 "\t%s\t", r->title, r->trace->references,
			    r->trace->npages, model_name(r));
			if (uses_window(r, p))
				fprintf(out, "%" PRIu32, replay_window(r, r->frames[i]));
			else
				fputs("-", out);
			fprintf(out,
			    "\t%s\t%" PRIu32 "\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64
			    "\t%" PRIu64 "\t%" PRIu64 "\t%" PRIu64 "\t%.6f",
			    r->policies[p].label, r->frames[i], c->majors, c->cold,
			    c->majors - c->cold, c->soft, c->write_faults, c->written, c->clean,
			    (double)c->majors / (double)r->trace->references);
			print_ratio(out, "\t", 0, replay_x_min(r, p, i));
			print_ratio(out, "\t", 0, replay_gap(r, p, i));
			fprintf(out, "\t%.1f\t%.1f\t%" PRIu64 "\t%" PRIu64 "\n",
			    cell_ns_event(r, c), c->bytes_per_page, c->violations, c->fallbacks);
		}
	}
}

static void
add_count(struct json_object *to, const char *key, uint64_t v)
{
	json_object_object_add(to, key, json_object_new_uint64(v));
}

static void
add_ratio(struct json_object *to, const char *key, double v)
{
	json_object_object_add(to, key, isfinite(v) ? json_object_new_double(v) : NULL);
}

static struct json_object *
json_cell(const struct replay *r, unsigned p, unsigned i)
{
	const struct sim_result *c = &replay_cell(r, p, i)->result;
	struct json_object *row = json_object_new_object();

	json_object_object_add(row, "policy", json_object_new_string(r->policies[p].label));
	add_count(row, "frames", r->frames[i]);
	if (uses_window(r, p))
		add_count(row, "window", replay_window(r, r->frames[i]));
	add_count(row, "major", c->majors);
	add_count(row, "cold", c->cold);
	add_count(row, "capacity", c->majors - c->cold);
	add_count(row, "soft", c->soft);
	add_count(row, "write_faults", c->write_faults);
	add_count(row, "written", c->written);
	add_count(row, "clean", c->clean);
	add_ratio(row, "miss_ratio", (double)c->majors / (double)r->trace->references);
	add_ratio(row, "x_min", replay_x_min(r, p, i));
	add_ratio(row, "gap_closed", replay_gap(r, p, i));
	add_ratio(row, "ns_event", cell_ns_event(r, c));
	add_ratio(row, "bytes_page", c->bytes_per_page);
	add_count(row, "violations", c->violations);
	add_count(row, "fallbacks", c->fallbacks);
	return row;
}

int
report_json(const struct replay *r, FILE *out)
{
	struct json_object *root = json_object_new_object(), *rows = json_object_new_array();
	const char *text;

	json_object_object_add(root, "trace", json_object_new_string(r->title));
	add_count(root, "references", r->trace->references);
	add_count(root, "pages", r->trace->npages);
	add_count(root, "dropped", r->trace->dropped);
	json_object_object_add(root, "model", json_object_new_string(model_name(r)));
	for (unsigned p = 0; p < r->npolicies; p++)
		for (unsigned i = 0; i < r->nframes; i++)
			json_object_array_add(rows, json_cell(r, p, i));
	json_object_object_add(root, "results", rows);
	text = json_object_to_json_string_ext(root, JSON_C_TO_STRING_PRETTY);
	if (text != NULL)
		fprintf(out, "%s\n", text);
	json_object_put(root);
	return text != NULL ? 0 : error_print(-ENOMEM, "not enough memory for JSON");
}
