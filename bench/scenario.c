/* SPDX-License-Identifier: MIT */
#include "scenario.h"

#include <string.h>

const struct scenario scenarios[] = {
	{ "first-touch", SCENARIO_FILL, 0, 2.0, 5, 100,
	    "write fresh memory from end to end, again and again" },
	{ "scan", SCENARIO_SCAN, 0, 2.0, 5, 0, "read from end to end, again and again" },
	{ "random-read", SCENARIO_RANDOM, 0, 2.0, 5, 0, "read pages at random" },
	{ "random-write", SCENARIO_RANDOM, 0, 2.0, 5, 100, "read and write pages at random" },
	{ "zipf", SCENARIO_ZIPF, 0, 4.0, 5, 0, "read pages, a few of them often (zipf 0.99)" },
	{ "fits", SCENARIO_RANDOM, SCENARIO_BATCHED, 0.8, 5, 0, "read at random, everything fits" },
	{ "soft-fault", SCENARIO_COOLED, SCENARIO_SHARED | SCENARIO_NO_CLUSTER, 0.5, 3, 0,
	    "touch resident pages whose mappings were taken away" },
	{ "swap-in", SCENARIO_STORED, SCENARIO_NO_CLUSTER | SCENARIO_TO_DISK, 4.0, 5, 0,
	    "read at random pages that are on disk" },
	{ "swap-out", SCENARIO_PAGEOUT, SCENARIO_TO_DISK, 0.75, 3, 100,
	    "page out a resident range by one request, pages go to disk" },
	{ "fill-to-disk", SCENARIO_FILL, SCENARIO_TO_DISK | SCENARIO_ONCE, 6.0, 60, 100,
	    "fill far beyond memory, pages go to disk" },
	{ "stall", SCENARIO_RANDOM, 0, 4.0, 60, 100, "the worst touch of a long random-write" },
	{ "file-scan", SCENARIO_SCAN, SCENARIO_FILE, 4.0, 5, 0,
	    "read a mapped file from end to end, again and again" },
	{ "file-random", SCENARIO_RANDOM, SCENARIO_FILE | SCENARIO_NO_CLUSTER, 4.0, 5, 0,
	    "read pages of a mapped file at random, and announce that" },
	{ "file-random-default", SCENARIO_RANDOM, SCENARIO_FILE, 4.0, 5, 0,
	    "the same without announcing it" },
	{ "file-write", SCENARIO_RANDOM, SCENARIO_FILE | SCENARIO_NO_CLUSTER | SCENARIO_SYNC, 4.0,
	    5, 100, "write pages of a mapped file at random, then msync" },
	{ NULL, 0, 0, 0, 0, 0, NULL },
};

const struct scenario *
scenario_find(const char *name)
{
	for (const struct scenario *s = scenarios; s->name; s++)
		if (strcmp(s->name, name) == 0)
			return s;
	return NULL;
}

bool
scenario_has_rounds(const struct scenario *s)
{
	return s->kind == SCENARIO_FILL || s->kind == SCENARIO_COOLED ||
	       s->kind == SCENARIO_PAGEOUT;
}
