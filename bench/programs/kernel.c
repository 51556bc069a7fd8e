/* SPDX-License-Identifier: MIT */
#include "kernel.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>

#define KILLS_MAX    5 /* of one cell */
#define SEARCHES_MAX 8 /* for one run that counts */
/* By how much of a page zram compresses to, at first: lz4 makes about a third of it. */
#define POOL_RATIO  3.0
#define LIMIT_LEAST (4ull << 20)
#define SWAP_MORE   (256ull << 20)

void
kernel_search_begin(struct kernel_search *s, const struct cell *c, uint64_t needs_bytes)
{
	double wanted = (double)c->total_wanted_bytes, needs = (double)needs_bytes;
	double limit = wanted;

	/* limit + (needs - limit) / ratio = wanted */
	if (needs > wanted)
		limit = (wanted * POOL_RATIO - needs) / (POOL_RATIO - 1);
	*s = (struct kernel_search){ .limit_bytes =
					 limit > LIMIT_LEAST ? (uint64_t)limit : LIMIT_LEAST };
}

void
kernel_search_ended(struct kernel_search *s, uint64_t wanted_bytes, uint64_t total_bytes)
{
	/* A byte more of limit is a third of a byte less in the pool. */
	double step = ((double)wanted_bytes - (double)total_bytes) * POOL_RATIO / (POOL_RATIO - 1);
	double next = (double)s->limit_bytes + step, least = LIMIT_LEAST;
	uint64_t ended = s->limit_bytes;

	/* Not back to where it was killed, while there is something in between. */
	if (s->killed_bytes && next <= (double)s->killed_bytes) {
		if (ended > s->killed_bytes + wanted_bytes / 100)
			next = ((double)s->killed_bytes + (double)ended) / 2;
		else
			s->killed_bytes = 0;
	}
	/* The pool is never less than nothing. */
	next = fmin(next, (double)wanted_bytes);
	s->limit_bytes = (uint64_t)fmax(next, least);
}

void
kernel_search_killed(struct kernel_search *s, uint64_t wanted_bytes)
{
	uint64_t next = s->limit_bytes + wanted_bytes / 25;

	if (s->limit_bytes > s->killed_bytes)
		s->killed_bytes = s->limit_bytes;
	s->limit_bytes = next < wanted_bytes ? next : wanted_bytes;
}

static bool
is_near(uint64_t total_bytes, uint64_t wanted_bytes)
{
	return fabs((double)total_bytes - (double)wanted_bytes) <=
	       TOTAL_WITHIN * (double)wanted_bytes;
}

/* One run with the limit of now. */
static int
kernel_try(const struct kernel_search *s, struct peer *peer, const struct one_request *request,
    struct cell *c, bool *ret_killed, struct one_result *ret)
{
	const struct journal *j = request->journal;
	int error = peer_begin(peer, c->total_wanted_bytes * 4 + SWAP_MORE);

	if (error)
		return error;
	error = cgroup_limit(&j->root, j->cgroup, s->limit_bytes);
	if (error)
		fprintf(stderr, "pagerbench: cannot limit %s to %llu bytes\n", j->cgroup,
		    (unsigned long long)s->limit_bytes);
	else
		error = one_run(request, ret);
	*ret_killed = cgroup_oom_kills(&j->root, j->cgroup) > 0;
	c->limit_bytes = s->limit_bytes;
	c->total_bytes = s->limit_bytes + peer_pool_max_bytes(peer);
	if (peer_end(peer) && !error)
		error = -EIO;
	return error;
}

int
kernel_run(struct kernel_search *s, struct peer *peer, const struct one_request *request,
    struct cell *c, enum side_end *ret_end, struct one_result *ret)
{
	for (unsigned searches = 0; searches <= SEARCHES_MAX && c->kills < KILLS_MAX; searches++) {
		bool killed = false, fair;
		int error = kernel_try(s, peer, request, c, &killed, ret);

		if (error)
			return error;
		if (killed) {
			c->kills++;
			kernel_search_killed(s, c->total_wanted_bytes);
			continue;
		}
		fair = is_near(c->total_bytes, c->total_wanted_bytes);
		/* A run that needs little less than its limit has no pool. */
		fair |= c->total_bytes == s->limit_bytes && s->limit_bytes == c->total_wanted_bytes;
		/* Less than its share made it slow. */
		if (fair || (ret->is_slow && c->total_bytes > c->total_wanted_bytes)) {
			*ret_end = ret->is_slow ? SIDE_SLOW : SIDE_ENDED;
			return 0;
		}
		c->searched++;
		kernel_search_ended(s, c->total_wanted_bytes, c->total_bytes);
	}
	*ret_end = c->kills ? SIDE_KILLED : SIDE_UNFOUND;
	return 0;
}
