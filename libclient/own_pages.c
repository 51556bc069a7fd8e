/* SPDX-License-Identifier: MIT */
#include "own_pages.h"

#include <sys/mman.h>

void *
own_pages_grow(void *pages, size_t *bytes, size_t least, size_t first)
{
	size_t more = first;
	void *memory;

	if (pages && least <= *bytes)
		return pages;
	while (more < least)
		more *= 2;
	if (pages)
		memory = mremap(pages, *bytes, more, MREMAP_MAYMOVE);
	else
		memory =
		    mmap(NULL, more, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		return NULL;
	*bytes = more;
	return memory;
}

void
own_pages_free(void *pages, size_t bytes)
{
	if (pages)
		munmap(pages, bytes);
}
