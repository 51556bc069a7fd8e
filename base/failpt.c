/* SPDX-License-Identifier: MIT
 *
 * Fail points. Runs on: any thread; atomics only.
 */
#include "failpt.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const struct {
	const char *name;
	int error;
} points[] = {
#define FAIL(name, error, text) { #name, error },
#include "tbl/fail_point.h"
};

static struct {
	atomic_llong after; /* passes that go by before one fails; negative: not armed */
	atomic_llong times; /* failures left */
	atomic_ullong count;
} state[FAIL_POINT_COUNT];

atomic_bool failpt_any_armed;

static int
parse_one(const char *spec, int *ret_point, long long *ret_after, long long *ret_times)
{
	char name[48];
	long long after = 0, times = 1;
	int fields = sscanf(spec, "%47[^:]:%lld:%lld", name, &after, &times);

	if (fields < 1 || after < 0 || times < 0)
		return -EINVAL;
	for (int i = 0; i < FAIL_POINT_COUNT; i++) {
		if (strcmp(points[i].name, name) != 0)
			continue;
		*ret_point = i;
		*ret_after = after;
		*ret_times = times == 0 ? INT64_MAX : times;
		return 0;
	}
	return -EINVAL;
}

int
failpt_arm(const char *spec)
{
	/* The list is read twice, so that a bad one arms nothing. */
	for (int arm = 0; arm < 2; arm++) {
		char copy[512], *save = NULL;

		if (strlen(spec) >= sizeof(copy))
			return -EINVAL;
		strcpy(copy, spec);
		for (char *one = strtok_r(copy, ",", &save); one;
		     one = strtok_r(NULL, ",", &save)) {
			int point = 0;
			long long after = 0, times = 0;
			int error = parse_one(one, &point, &after, &times);

			if (error)
				return error;
			if (!arm)
				continue;
			store_relaxed(&state[point].times, times);
			store_release(&state[point].after, after);
			store_release(&failpt_any_armed, true);
		}
	}
	return 0;
}

void
failpt_disarm_all(void)
{
	store_release(&failpt_any_armed, false);
	for (int i = 0; i < FAIL_POINT_COUNT; i++)
		store_release(&state[i].times, 0);
}

uint64_t
failpt_count(enum fail_point point)
{
	return load_relaxed(&state[point].count);
}

int
failpt_hit_slow(enum fail_point point)
{
	if (load_acquire(&state[point].times) <= 0)
		return 0;
	if (fetch_sub_relaxed(&state[point].after, 1) > 0)
		return 0;
	if (fetch_sub_relaxed(&state[point].times, 1) <= 0)
		return 0;
	fetch_add_relaxed(&state[point].count, 1);
	return -points[point].error;
}

void
failpt_kill(void)
{
	kill(getpid(), SIGKILL);
	for (;;)
		pause();
}
