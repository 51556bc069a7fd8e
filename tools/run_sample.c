/* SPDX-License-Identifier: MIT
 *
 * What no bill says: how much of a run's memory is on disk (its pages must be counted for that,
 * which is not repeated for many times as long as it took), and the ratio of the compressor, which
 * is of all clients together.
 */
#include <errno.h>
#include <stdlib.h>

#include "clients.h"
#include "clock.h"
#include "run.h"
#include "statread.h"

#define MEMBERS_MAX 256 /* of a run, whose pages are counted */
#define COUNT_PAUSE 50  /* times as long as the last count took, until the next */

struct run_samples {
	struct ctl *ctl;
	struct statread stat;
	int stored, away, bytes; /* where the values are; -1: this daemon has none */
	int64_t *values;
	uint64_t group, members[MEMBERS_MAX], swapped_now;
	size_t count;
	double next; /* pages are not counted before then */
	int64_t held_most;
	struct run_sampled most;
};

struct run_samples *
run_samples_open(struct ctl *ctl, uint64_t group)
{
	struct run_samples *s = calloc(1, sizeof(*s));

	if (!s || ctl_connect(ctl) != CTL_OK || statread_open(&ctl->chan, &s->stat) != 0) {
		free(s);
		return NULL;
	}
	s->ctl = ctl;
	s->group = group;
	s->stored = statread_find(&s->stat, "stored_pages");
	s->away = statread_find(&s->stat, "stored_away");
	s->bytes = statread_find(&s->stat, "compressed_bytes");
	s->values = calloc(s->stat.count + 1, sizeof(*s->values));
	return s;
}

void
run_samples_close(struct run_samples *s)
{
	if (!s)
		return;
	statread_close(&s->stat);
	free(s->values);
	free(s);
}

static void
member_take(void *context, const struct pager_wire_group_member *member)
{
	struct run_samples *s = context;

	if (member->group == s->group && s->count < MEMBERS_MAX)
		s->members[s->count++] = member->session_id;
}

static void
region_take(void *context, const struct pager_wire_region *region)
{
	struct run_samples *s = context;

	if (region->billed)
		s->swapped_now += region->pages_swapped * s->ctl->hello.page_size;
}

static void
swapped_look(struct run_samples *s)
{
	double begin = clock_seconds();

	if (begin < s->next)
		return;
	s->swapped_now = 0;
	for (size_t i = 0; i < s->count; i++)
		(void)clients_map(s->ctl, (struct ctl_client){ .session = s->members[i] },
		    PAGER_REGION_EXTENDED, region_take, s);
	s->next = clock_seconds() + (clock_seconds() - begin) * COUNT_PAUSE;
	if (s->swapped_now > s->most.swapped)
		s->most.swapped = s->swapped_now;
}

void
run_samples_take(struct run_samples *s)
{
	int64_t held;

	if (!s || !s->values || s->stored < 0 || s->away < 0 || s->bytes < 0 ||
	    ctl_refresh(s->ctl, &s->stat) < 0 || statread_snapshot(&s->stat, s->values) != 0)
		return;
	s->count = 0;
	if (groups_each(s->ctl, member_take, s) != 0 || s->count == 0)
		return;
	s->most.times++;
	held = s->values[s->stored] - s->values[s->away];
	if (held > s->held_most && s->values[s->bytes] > 0) {
		s->held_most = held;
		s->most.ratio =
		    (double)held * (double)s->ctl->hello.page_size / (double)s->values[s->bytes];
	}
	if (s->values[s->away] > 0)
		swapped_look(s);
}

void
run_sampled(const struct run_samples *s, struct run_sampled *ret)
{
	*ret = s ? s->most : (struct run_sampled){ 0 };
}
