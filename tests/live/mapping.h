/* SPDX-License-Identifier: MIT
 *
 * The kernel's view of a mapping of this process.
 */
#ifndef LIVE_MAPPING_H
#define LIVE_MAPPING_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Whether a userfaultfd watches the mapping at this address for missing pages (VmFlags). */
static inline bool
mapping_is_watched(const void *address)
{
	FILE *smaps = fopen("/proc/self/smaps", "re");
	unsigned long low, high;
	bool here = false, watched = false;
	char line[512];

	while (smaps && fgets(line, sizeof(line), smaps)) {
		if (sscanf(line, "%lx-%lx ", &low, &high) == 2)
			here = (uintptr_t)address >= low && (uintptr_t)address < high;
		else if (here && strncmp(line, "VmFlags:", 8) == 0)
			watched = strstr(line, " um") != NULL;
	}
	if (smaps)
		fclose(smaps);
	return watched;
}

#endif
