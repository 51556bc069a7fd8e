/* SPDX-License-Identifier: MIT
 *
 * Runs on: jobs.
 */
#include "control/rights.h"

#include <stdio.h>

#include "vm/task.h"

bool
rights_are_kept(const struct task *task)
{
	unsigned ids[4];
	char path[64], line[256];
	bool found = false;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)task->pid);
	f = task->pid > 0 ? fopen(path, "re") : NULL;
	while (f && !found && fgets(line, sizeof(line), f))
		found = sscanf(line, "Uid: %u %u %u %u", &ids[0], &ids[1], &ids[2], &ids[3]) == 4;
	if (f)
		fclose(f);
	for (unsigned i = 0; i < 4; i++)
		found = found && ids[i] == task->uid;
	return found;
}
