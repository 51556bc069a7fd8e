/* SPDX-License-Identifier: MIT
 *
 * See number.h. Runs on: the caller's threads.
 */
#include "number.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

/* Below the usual limit of 1,024, because select(2) and a larger table cost nothing so. */
#define NUMBERS_END   1024u
#define NUMBERS_COUNT 16u

void
number_raise(int *fd)
{
	struct rlimit limit;
	unsigned end = NUMBERS_END;
	int high;

	if (*fd < 0 || getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	if (limit.rlim_cur < end)
		end = (unsigned)limit.rlim_cur;
	if (end <= NUMBERS_COUNT || *fd >= (int)(end - NUMBERS_COUNT))
		return;
	high = fcntl(*fd, F_DUPFD_CLOEXEC, (int)(end - NUMBERS_COUNT));
	if (high < 0)
		return;
	close(*fd);
	*fd = high;
}
