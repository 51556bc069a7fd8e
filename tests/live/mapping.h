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

/* How many mappings of this process lie in the range, whole or in part. */
static inline unsigned
mappings_count(const void *address, size_t bytes)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	unsigned long low, high;
	unsigned count = 0;
	char line[512];

	while (maps && fgets(line, sizeof(line), maps))
		count += sscanf(line, "%lx-%lx ", &low, &high) == 2 &&
			 low < (uintptr_t)address + bytes && high > (uintptr_t)address;
	if (maps)
		fclose(maps);
	return count;
}

#endif
