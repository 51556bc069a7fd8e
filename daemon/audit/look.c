/* SPDX-License-Identifier: MIT
 *
 * Looking again. Runs on: jobs.
 */
#include "audit/look.h"

#include <sys/stat.h>
#include <time.h>

#include "lock.h"

bool
look_again(struct look *look)
{
	struct timespec pause;

	locks_assert_none();
	if (++look->count >= LOOKS)
		return false;
	if (look->pause_ns == 0)
		look->pause_ns = LOOK_PAUSE_NS;
	pause = (struct timespec){ .tv_nsec = look->pause_ns };
	nanosleep(&pause, NULL);
	if (look->pause_ns < LOOK_PAUSE_MAX_NS)
		look->pause_ns *= 2;
	return true;
}

long long
held_bytes(int fd)
{
	struct stat st = { 0 };

	fstat(fd, &st);
	return (long long)st.st_blocks * 512;
}
