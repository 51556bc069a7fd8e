/* SPDX-License-Identifier: MIT
 *
 * `pagerbench --check`: runs each scenario for a moment on plain memory, for CI. Takes about a
 * second.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"
#include "pattern.h"
#include "workload.h"

int
check_command(const struct options *o)
{
	struct workload_result *result = calloc(1, sizeof(*result));
	struct pool pool;
	unsigned failed = 0, passed = 0;
	int error = pool_create(&pool, POOL_HALF, 256, o->seed);

	if (error || !result) {
		fprintf(stderr, "pagerbench: no data: %s\n", strerror(error ? -error : ENOMEM));
		return EXIT_FAILURE;
	}
	for (const struct scenario *s = scenarios; s->name; s++) {
		struct workload_config config = { .scenario = s,
			.ops = &backend_plain,
			.directory = o->directory,
			.pool = &pool,
			.units = 1024,
			.threads = 2,
			.seconds = 0.04,
			.seed = o->seed,
			.write_percent = s->write_percent };
		bool good;

		error = workload_run(&config, 1, result);
		/* Plain memory without swap has no stored pages to touch. */
		good =
		    !error && !result->bad_pages && (result->touches || s->kind == SCENARIO_STORED);
		printf("%-14s %s %.0f ns mean\n", s->name, good ? "ok" : "FAILED",
		    histogram_mean(&result->touch));
		good ? passed++ : failed++;
	}
	pool_close(&pool);
	free(result);
	printf("%u passed, %u failed\n", passed, failed);
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
