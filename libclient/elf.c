/* SPDX-License-Identifier: MIT
 *
 * The parts of an ELF file, as its program headers say. Nothing of the file is believed. Runs on:
 * the caller's threads.
 */
#include "pager_priv.h"

#include <elf.h>
#include <endian.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define HEADERS_MAX 64u
/* No address, offset or size is as large. */
#define BYTES_MAX (1ull << 46)

static int
bytes_read(int fd, uint64_t offset, void *to, size_t size)
{
	for (size_t have = 0; have < size;) {
		ssize_t got = pread(fd, (char *)to + have, size - have, (off_t)(offset + have));

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got < 0 ? -errno : -ENOEXEC;
		have += (size_t)got;
	}
	return 0;
}

static bool
header_is_good(const Elf64_Ehdr *h)
{
	unsigned char order = BYTE_ORDER == LITTLE_ENDIAN ? ELFDATA2LSB : ELFDATA2MSB;

	return memcmp(h->e_ident, ELFMAG, SELFMAG) == 0 && h->e_ident[EI_CLASS] == ELFCLASS64 &&
	       h->e_ident[EI_DATA] == order && h->e_type == ET_DYN &&
	       h->e_phentsize == sizeof(Elf64_Phdr) && h->e_phnum > 0 &&
	       h->e_phnum <= HEADERS_MAX && h->e_phoff < BYTES_MAX;
}

/* Where parts are put, in the order of their addresses. */
struct elf_parts {
	struct pager_shared_part *parts;
	unsigned room, count;
	uint64_t page_size;
	uint64_t base,
	    end; /* address of the first page of the first segment, and behind the last */
};

static int
part_add(struct elf_parts *e, uint64_t file_offset, uint64_t start, uint64_t end,
    uint32_t protection, uint32_t flags)
{
	if (e->count == e->room)
		return -E2BIG;
	e->parts[e->count++] = (struct pager_shared_part){ .file_offset = file_offset,
		.size = end - start,
		.address_offset = start - e->base,
		.protection = protection,
		.flags = flags };
	e->end = end;
	return 0;
}

static int
segment_add(struct elf_parts *e, const Elf64_Phdr *s)
{
	bool is_data = s->p_flags & PF_W;
	uint64_t mask = e->page_size - 1, start, filled, end;
	int r = 0;

	if (s->p_vaddr >= BYTES_MAX || s->p_offset >= BYTES_MAX || s->p_memsz >= BYTES_MAX ||
	    s->p_filesz > s->p_memsz || ((s->p_vaddr ^ s->p_offset) & mask) != 0)
		return -ENOEXEC;
	start = s->p_vaddr & ~mask;
	filled = s->p_filesz > 0 ? (s->p_vaddr + s->p_filesz + mask) & ~mask : start;
	end = (s->p_vaddr + s->p_memsz + mask) & ~mask;
	if (e->count == 0)
		e->base = e->end = start;
	/* Segments that share a page are of a smaller page size; zeroes are written. */
	if (start < e->end || (!is_data && s->p_memsz > s->p_filesz))
		return -ENOEXEC;
	if (filled > start)
		r = part_add(e, s->p_offset & ~mask, start, filled,
		    is_data ? PROT_READ | PROT_WRITE : PROT_READ, is_data ? PAGER_SHARED_COW : 0);
	if (r == 0 && end > filled)
		r = part_add(e, 0, filled, end, PROT_READ | PROT_WRITE, PAGER_SHARED_ZERO);
	return r;
}

int
elf_parts(
    uint64_t page_size, int fd, struct pager_shared_part *parts, unsigned room, unsigned *ret_count)
{
	struct elf_parts e = { .parts = parts, .room = room, .page_size = page_size };
	Elf64_Phdr segments[HEADERS_MAX];
	Elf64_Ehdr header;
	int r = bytes_read(fd, 0, &header, sizeof(header));

	if (r == 0 && !header_is_good(&header))
		r = -ENOEXEC;
	if (r == 0)
		r = bytes_read(fd, header.e_phoff, segments, header.e_phnum * sizeof(segments[0]));
	for (unsigned i = 0; r == 0 && i < header.e_phnum; i++)
		if (segments[i].p_type == PT_LOAD && segments[i].p_memsz > 0)
			r = segment_add(&e, &segments[i]);
	if (r == 0 && e.count == 0)
		r = -ENOEXEC;
	if (r == 0)
		*ret_count = e.count;
	return r;
}

int
pager_shared_elf_parts(
    struct pager *p, int fd, struct pager_shared_part *parts, unsigned room, unsigned *ret_count)
{
	int r = pager_check(p);

	if (r < 0)
		return r;
	return parts && ret_count ? elf_parts(p->page_size, fd, parts, room, ret_count) : -EINVAL;
}
