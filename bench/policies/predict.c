/* SPDX-License-Identifier: MIT
 *
 * Replays a recording through the same policies by pagersim in its pager model, one call for each
 * size, because the window depends on it: the daemon keeps two thirds of the frames mapped for
 * policies without deactivate().
 */
#include "predict.h"

#include <errno.h>
#include <json-c/json.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "process.h"

/* Runs a program. => its standard output, to be freed; NULL if it failed. */
static char *
output_of(const char *const *argv)
{
	char *text = NULL;
	size_t used = 0, room = 0;
	int fds[2], status = 0;
	ssize_t got = 0;
	pid_t pid;

	if (pipe(fds))
		return NULL;
	fflush(NULL);
	pid = fork();
	if (pid == 0) {
		dup2(fds[1], STDOUT_FILENO);
		close(fds[0]);
		execvp(argv[0], (char *const *)argv);
		fprintf(stderr, "pagerbench: cannot start %s: %s\n", argv[0], strerror(errno));
		_exit(127);
	}
	close(fds[1]);
	do {
		used += (size_t)got;
		if (used + 1 >= room) {
			char *larger = realloc(text, room = room * 2 + 65536);

			if (!larger)
				break;
			text = larger;
		}
	} while ((got = read(fds[0], text + used, room - used - 1)) > 0);
	close(fds[0]);
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (text)
		text[used] = '\0';
	if (pid < 0 || status) {
		free(text);
		return NULL;
	}
	return text;
}

static uint64_t
count_of(json_object *row, const char *key)
{
	json_object *value;

	return json_object_object_get_ex(row, key, &value) ? (uint64_t)json_object_get_int64(value)
							   : 0;
}

/* pagersim prints its rows in the order in which the policies were named. */
static int
take_rows(struct policies *p, unsigned load, unsigned fraction, json_object *root)
{
	json_object *rows;
	size_t want = p->name_count + 2;

	if (!json_object_object_get_ex(root, "results", &rows) ||
	    json_object_array_length(rows) != want)
		return -EPROTO;
	p->references[load] = count_of(root, "references");
	p->dropped[load] = count_of(root, "dropped");
	for (size_t i = 0; i < want; i++) {
		json_object *row = json_object_array_get_idx(rows, i);

		p->predicted[load][fraction][i] = (struct policy_counts){
			.major = count_of(row, "major"),
			.soft = count_of(row, "soft"),
			.written = count_of(row, "written"),
			.write_faults = count_of(row, "write_faults"),
			.violations = count_of(row, "violations"),
		};
	}
	return 0;
}

int
policies_predict(struct policies *p, unsigned load, const char *trace)
{
	static const char *const places[] = { "../tools/pagersim/pagersim", "pagersim", NULL };
	char program[PATH_MAX], list[8192] = "", frames[16], window[16];
	const char *argv[] = { program_find(
				   "PAGERSIM", places, "pagersim", program, sizeof(program)),
		"replay", trace, "--policy", list, "--frames", frames, "--model", "pager",
		"--window", window, "--no-baseline", "--json", NULL };
	int error = 0;

	for (unsigned i = 0; i < p->name_count; i++)
		snprintf(list + strlen(list), sizeof(list) - strlen(list), "%s,", p->names[i]);
	snprintf(list + strlen(list), sizeof(list) - strlen(list), "min,fifo");
	for (unsigned f = 0; f < p->fraction_count && !error; f++) {
		uint32_t n = policies_frames(p, f);
		json_object *root;
		char *text;

		snprintf(frames, sizeof(frames), "%u", n);
		snprintf(window, sizeof(window), "%u", n - n / 3);
		text = output_of(argv);
		root = text ? json_tokener_parse(text) : NULL;
		error = root ? take_rows(p, load, f, root) : -EPROTO;
		json_object_put(root);
		free(text);
	}
	if (error)
		fprintf(stderr, "pagerbench: %s gives no prediction for %s\n", argv[0], trace);
	return error;
}
