/* SPDX-License-Identifier: MIT
 *
 * The smallest useful program on paged memory: it fills more memory than the daemon may hold, and
 * reads it back. It can keep it for a while, to be looked at with pagerctl.
 *
 *   cc hello.c $(pkg-config --cflags --libs libpager) && ./a.out [MiB [SECONDS]]
 */
#include <pager/pager.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void
on_event(void *context, enum pager_event event, uint64_t value)
{
	(void)context;
	if (event == PAGER_EVENT_DAEMON_DIED)
		fprintf(stderr, "hello: pagerd is gone: what is away cannot be read any more\n");
	else
		fprintf(stderr, "hello: event %d, %llu\n", (int)event, (unsigned long long)value);
}

int
main(int argc, char **argv)
{
	struct pager_options options = {
		.size = sizeof(options), .event = on_event, .name = "hello"
	};
	struct pager_statistics stat;
	struct pager *pager;
	size_t size = (argc > 1 ? strtoul(argv[1], NULL, 10) : 64) << 20;
	size_t wrong = 0;
	uint64_t *words;
	void *memory;
	int r;

	r = pager_connect(NULL, &options, &pager);
	if (r < 0) {
		fprintf(stderr, "hello: cannot reach pagerd: %s\n", strerror(-r));
		return 1;
	}
	r = pager_allocate(pager, size, 0, &memory);
	if (r < 0) {
		fprintf(stderr, "hello: cannot allocate %zu bytes: %s\n", size, strerror(-r));
		return 1;
	}
	words = memory;
	for (size_t i = 0; i < size / sizeof(*words); i++)
		words[i] = i * 0x9e3779b97f4a7c15u;
	for (size_t i = 0; i < size / sizeof(*words); i++)
		wrong += words[i] != i * 0x9e3779b97f4a7c15u;

	if (pager_statistics(pager, &stat) == 0)
		printf("%zu MiB checked, %zu words wrong; %llu faults, %llu MiB resident\n",
		    size >> 20, wrong, (unsigned long long)stat.faults,
		    (unsigned long long)(stat.phys_mem >> 20));
	fflush(stdout);
	if (argc > 2)
		sleep((unsigned)strtoul(argv[2], NULL, 10));
	pager_disconnect(pager);
	if (fclose(stdout) != 0) {
		fprintf(stderr, "hello: cannot write: %s\n", strerror(errno));
		return 1;
	}
	return wrong == 0 ? 0 : 1;
}
