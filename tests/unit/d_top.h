/* SPDX-License-Identifier: MIT
 *
 * Clients and rows of pagerctl top, without a terminal and without a daemon.
 */
#ifndef TOP_FIXTURE_H
#define TOP_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "top_keys.h"
#include "top_text.h"

#define CLIENTS 6

static struct pager_wire_client clients[2][CLIENTS];
static struct top_beside beside[2][CLIENTS];
static struct top_sample samples[2] = {
	{ .clients = clients[0], .beside = beside[0] },
	{ .clients = clients[1], .beside = beside[1] },
};
static struct top_row *rows;
static size_t row_count;

/* Puts a client into the second sample. */
static inline struct pager_wire_client *
client(uint64_t session, uint32_t pid, uint32_t uid, uint32_t parent, uint64_t footprint,
    const char *name)
{
	size_t i = samples[1].count++;
	struct pager_wire_client *c = &clients[1][i];

	assert_true(i < CLIENTS);
	*c = (struct pager_wire_client){ .session_id = session, .pid = pid, .uid = uid };
	c->ledger[PAGER_LEDGER_PHYS_FOOTPRINT] = footprint;
	strcpy(c->name, name);
	beside[1][i] = (struct top_beside){ .parent = parent,
		.state = 'S',
		.band = 100,
		.has_swapped = true,
		.user = uid == 0 ? "root" : "eve" };
	return c;
}

static inline int
empty(void **state)
{
	(void)state;
	memset(clients, 0, sizeof(clients));
	memset(beside, 0, sizeof(beside));
	samples[0].count = samples[1].count = 0;
	samples[0].seconds = 10;
	samples[1].seconds = 12;
	return 0;
}

static inline int
drop(void **state)
{
	(void)state;
	free(rows);
	rows = NULL;
	return 0;
}

static inline void
make(const struct top_view *view, bool has_last)
{
	free(rows);
	rows = NULL;
	assert_int_equal(
	    top_rows(&samples[1], has_last ? &samples[0] : NULL, view, &rows, &row_count), 0);
}

/* The rows' process ids, G for a user, with the depth in front: "G 1:12 2:13". */
static inline const char *
order(void)
{
	static char text[256];
	char *end = text;

	*end = '\0';
	for (size_t i = 0; i < row_count; i++) {
		end += sprintf(end, "%s", i ? " " : "");
		if (rows[i].is_group)
			end += sprintf(end, "G");
		else if (rows[i].depth > 0)
			end += sprintf(end, "%u:%u", rows[i].depth, rows[i].pid);
		else
			end += sprintf(end, "%u", rows[i].pid);
	}
	return text;
}

#endif
