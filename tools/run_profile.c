/* SPDX-License-Identifier: MIT
 *
 * The profile of a run: what its program came back to in the last one is brought in before it is
 * wanted, and what it comes back to now is kept for the next. The daemon has it; here it is begun,
 * and told of.
 */
#include <errno.h>
#include <inttypes.h>

#include "out.h"
#include "run.h"

void
run_profile_begin(struct ctl *ctl, uint64_t group)
{
	struct pager_req_profile request = { .group = group, .op = PAGER_PROFILE_BEGIN };
	struct pager_rep_profile reply;
	struct chan_call call = { CHAN_CALL(PROFILE, &request, &reply) };

	/* A daemon that keeps none says so; the programs run as well. */
	(void)ctl_ask(ctl, &call);
}

static bool
profile_ask(struct ctl *ctl, uint64_t group, uint32_t nth, struct pager_rep_profile *ret)
{
	struct pager_req_profile request = { .group = group, .op = PAGER_PROFILE_SHOW, .nth = nth };
	struct chan_call call = { CHAN_CALL(PROFILE, &request, ret) };

	return ctl_ask(ctl, &call) == CTL_OK;
}

bool
run_profile_ask(struct ctl *ctl, uint64_t group, struct run_profile *ret)
{
	if (!profile_ask(ctl, group, 0, &ret->all))
		return false;
	ret->count = 0;
	while (ret->count < RUN_IMAGES_MAX &&
	       profile_ask(ctl, group, ret->count + 1, &ret->images[ret->count]))
		ret->count++;
	return true;
}

static const char *
state_name(uint32_t state)
{
	static const char *const names[PAGER_PROFILE_STATES] = {
		[PAGER_PROFILE_LOADING] = "loading",
		[PAGER_PROFILE_NEW] = "new",
		[PAGER_PROFILE_USED] = "used",
		[PAGER_PROFILE_ENDED] = "ended",
		[PAGER_PROFILE_RESTS] = "rests",
	};

	return state < PAGER_PROFILE_STATES ? names[state] : "?";
}

void
run_profile_print(FILE *file, const struct run_profile *profile)
{
	static const char *const texts[PAGER_PROFILE_STATES] = {
		[PAGER_PROFILE_LOADING] = "it was still being read",
		[PAGER_PROFILE_NEW] = "there was none of this program",
		[PAGER_PROFILE_USED] = "of the last run, was used",
		[PAGER_PROFILE_ENDED] = "of the last run, did not help, and was given up",
		[PAGER_PROFILE_RESTS] = "did not help in the last runs, and rests",
	};
	const struct pager_rep_profile *p = &profile->all;

	fprintf(file, "\n%-22s %12s  %s\n", "profile", state_name(p->state),
	    p->state < PAGER_PROFILE_STATES ? texts[p->state] : "");
	fprintf(file, "%-22s %12" PRIu64 "  times that a thread waited for a page to come back\n",
	    "refills", p->refills);
	fprintf(file, "%-22s %12" PRIu64 "  pages brought in that it was to come back to\n",
	    "foreseen", p->brought);
	fprintf(file, "%-22s %12" PRIu64 "  of those: touched\n", "hits", p->hits);
	fprintf(file, "%-22s %12" PRIu64 "  of those: not touched in time\n", "wasted", p->wasted);
	fprintf(file, "%-22s %12" PRIu64 "  pages to which it came back, for the next run\n",
	    "gathered", p->gathered);
	for (unsigned i = 0; profile->count > 1 && i < profile->count; i++)
		fprintf(file, "%-22s %12" PRIu64 "  %s: %s\n", "  refills of",
		    profile->images[i].refills, profile->images[i].program,
		    state_name(profile->images[i].state));
}

static struct json_object *
profile_json(const struct pager_rep_profile *p)
{
	struct json_object *object = json_object_new_object();

	out_add_text(object, "program", p->program);
	out_add_text(object, "state", state_name(p->state));
	out_add_u64(object, "refills", p->refills);
	out_add_u64(object, "foreseen", p->brought);
	out_add_u64(object, "hits", p->hits);
	out_add_u64(object, "wasted", p->wasted);
	out_add_u64(object, "gathered", p->gathered);
	return object;
}

struct json_object *
run_profile_json(const struct run_profile *profile)
{
	struct json_object *object = profile_json(&profile->all), *images = json_object_new_array();

	for (unsigned i = 0; i < profile->count; i++)
		json_object_array_add(images, profile_json(&profile->images[i]));
	json_object_object_add(object, "images", images);
	return object;
}
