/* SPDX-License-Identifier: MIT */
#include "vm/kept_param.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "daemon.h"
#include "vm/kept_arena.h"

/* More than there are parameters. */
#define ROWS 256u

static struct arena_shape
shape_of(void)
{
	return (struct arena_shape){ .name = "params",
		.version = 1,
		.row_bytes = sizeof(struct kept_param),
		.bytes = ROWS * sizeof(struct kept_param) };
}

int
kept_params_create(struct daemon *d)
{
	struct kept_params *k = &d->kept_params;
	struct arena_shape shape = shape_of();

	CHECK(!k->rows);
	if (!d->keeper)
		return 0;
	k->rows = kept_arena_open(d, KEPT_PARAMS, &shape, &k->fd);
	return k->rows ? 0 : -errno;
}

void
kept_params_destroy(struct daemon *d)
{
	struct arena_shape shape = shape_of();

	kept_arena_close(d->kept_params.rows, d->kept_params.fd, &shape);
}

int
kept_param_check(struct daemon *d, const char *name)
{
	/* Records of clients have room for as many entries as there could be at the start. */
	return d->keeper && strcmp(name, "max_client_regions") == 0 ? -EOPNOTSUPP : 0;
}

void
kept_param_note(struct daemon *d, const char *name, uint64_t value)
{
	struct kept_param *row = d->kept_params.rows;

	if (likely(!row))
		return;
	while (load_relaxed(&row->is_set) && strcmp(row->name, name) != 0)
		CHECK(++row < d->kept_params.rows + ROWS);
	CHECK(strlen(name) < sizeof(row->name));
	if (!load_relaxed(&row->is_set))
		snprintf(row->name, sizeof(row->name), "%s", name);
	store_relaxed(&row->value, value);
	store_release(&row->is_set, 1);
}

void
kept_params_apply(struct daemon *d)
{
	struct kept_param *row = d->kept_params.rows;

	for (unsigned i = 0; row && i < ROWS && load_acquire(&row[i].is_set); i++) {
		char value[32];

		row[i].name[sizeof(row[i].name) - 1] = '\0';
		snprintf(
		    value, sizeof(value), "%llu", (unsigned long long)load_relaxed(&row[i].value));
		/* Another program may not have it, or with other limits. */
		if (!param_is_live(row[i].name) || param_set(&d->params, row[i].name, value) != 0)
			log_warning_limited("parameter %s was %s, and this program cannot go on "
					    "with that",
			    row[i].name, value);
	}
}
