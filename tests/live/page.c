/* SPDX-License-Identifier: MIT */
#include "page.h"

#include <fcntl.h>

int
page_run(int argc, char **argv, const struct page_test *tests, size_t count)
{
	const char *name = argc > 1 ? argv[1] : "", *size = argc > 2 ? argv[2] : "4K";
	struct live d;

	live_init(argc, argv);
	for (size_t i = 0; i < count; i++) {
		if (strcmp(name, tests[i].name) != 0)
			continue;
		live_start(&d, strcmp(size, "64K") == 0 ? "48M" : "8M", "--page-size", size,
		    "--param", tests[i].param, NULL);
		client_join(&d, client_start(&d, tests[i].body, NULL), false);
		live_stop(&d);
		return 0;
	}
	FAIL("no such test: \"%s\"", name);
}

unsigned
pages_mapped(struct live *d, const void *base, unsigned pages)
{
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	unsigned count = 0;

	REQUIRE(fd >= 0, "%s", strerror(errno));
	for (unsigned i = 0; i < pages; i++) {
		uint64_t entry;

		REQUIRE(pread(fd, &entry, 8,
			    (off_t)(((uintptr_t)base + i * d->page_bytes) / 4096 * 8)) == 8);
		count += (unsigned)(entry >> 63);
	}
	close(fd);
	return count;
}
