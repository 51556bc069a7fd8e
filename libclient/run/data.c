/* SPDX-License-Identifier: MIT
 *
 * RLIMIT_DATA. The kernel counts private writable memory, and refuses what would be more. Managed
 * memory is not private to it, so that is added here where there is such a limit.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "run.h"

uint64_t
run_managed_bytes(uint64_t start, uint64_t end, bool writable)
{
	uint64_t bytes = 0, from, until;

	for (uint64_t at = start; run_managed_part(at, end, &from, &until); at = until) {
		int protection = run_protection(from, &until);

		if (!writable || (protection & PROT_WRITE))
			bytes += until - from;
	}
	return bytes;
}

/* What the kernel counts, bytes. => UINT64_MAX: it does not say */
static uint64_t
kernel_data(void)
{
	static const char name[] = "VmData:";
	int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	uint64_t kibibytes = 0;
	char text[4096];
	const char *at;
	ssize_t got;

	if (fd < 0)
		return UINT64_MAX;
	got = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[got > 0 ? got : 0] = '\0';
	at = strstr(text, name);
	if (!at)
		return UINT64_MAX;
	at += sizeof(name) - 1;
	at += strspn(at, " \t");
	for (; *at >= '0' && *at <= '9'; at++)
		kibibytes = kibibytes * 10 + (uint64_t)(*at - '0');
	return kibibytes << 10;
}

bool
run_data_is_full(uint64_t more)
{
	struct rlimit limit;
	uint64_t kernel;

	if (!run.pager || getrlimit(RLIMIT_DATA, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY)
		return false;
	kernel = kernel_data();
	return kernel != UINT64_MAX &&
	       kernel + run_managed_bytes(0, UINT64_MAX, true) + more > limit.rlim_cur;
}
