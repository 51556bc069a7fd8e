/* SPDX-License-Identifier: MIT
 *
 * Parts of ELF files: of one that is good, and of many that are not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <elf.h>
#include <endian.h>
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "pager_priv.h"

#define PAGE 4096ull

static struct image {
	Elf64_Ehdr header;
	Elf64_Phdr segments[4];
} image;

/* Text of two pages and a bit, data of one page of the file and two of zeroes, something else. */
static void
image_make(void)
{
	memset(&image, 0, sizeof(image));
	memcpy(image.header.e_ident, ELFMAG, SELFMAG);
	image.header.e_ident[EI_CLASS] = ELFCLASS64;
	image.header.e_ident[EI_DATA] = BYTE_ORDER == LITTLE_ENDIAN ? ELFDATA2LSB : ELFDATA2MSB;
	image.header.e_type = ET_DYN;
	image.header.e_phentsize = sizeof(Elf64_Phdr);
	image.header.e_phnum = 4;
	image.header.e_phoff = sizeof(Elf64_Ehdr);
	image.segments[0] = (Elf64_Phdr){ .p_type = PT_NOTE, .p_memsz = 77 };
	image.segments[1] = (Elf64_Phdr){ .p_type = PT_LOAD,
		.p_flags = PF_R | PF_X,
		.p_offset = PAGE,
		.p_vaddr = 5 * PAGE,
		.p_filesz = 2 * PAGE + 10,
		.p_memsz = 2 * PAGE + 10 };
	image.segments[2] = (Elf64_Phdr){ .p_type = PT_LOAD,
		.p_flags = PF_R | PF_W,
		.p_offset = 3 * PAGE + 16,
		.p_vaddr = 9 * PAGE + 16,
		.p_filesz = 100,
		.p_memsz = 2 * PAGE + 100 };
	image.segments[3] = (Elf64_Phdr){ .p_type = PT_LOAD };
}

static int
parts_of(size_t bytes, struct pager_shared_part *parts, unsigned room, unsigned *count)
{
	int fd = memfd_create("elf", MFD_CLOEXEC), r;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, &image, bytes), bytes);
	r = elf_parts(PAGE, fd, parts, room, count);
	close(fd);
	return r;
}

static void
segments_become_parts(void **state)
{
	struct pager_shared_part parts[PAGER_SHARED_PARTS_MAX];
	static const struct pager_shared_part expected[] = {
		{ PAGE, 3 * PAGE, 0, PROT_READ, 0 },
		{ 3 * PAGE, PAGE, 4 * PAGE, PROT_READ | PROT_WRITE, PAGER_SHARED_COW },
		{ 0, 2 * PAGE, 5 * PAGE, PROT_READ | PROT_WRITE, PAGER_SHARED_ZERO },
	};
	unsigned count = 0;

	(void)state;
	image_make();
	assert_int_equal(parts_of(sizeof(image), parts, PAGER_SHARED_PARTS_MAX, &count), 0);
	assert_int_equal(count, 3);
	assert_memory_equal(parts, expected, sizeof(expected));
	count = 9;
	assert_int_equal(parts_of(sizeof(image), parts, 2, &count), -E2BIG);
	assert_int_equal(count, 9);
}

static void
bad_files_are_refused(void **state)
{
	struct pager_shared_part parts[PAGER_SHARED_PARTS_MAX];
	unsigned count = 9, which = 0;

	(void)state;
	for (;; which++) {
		Elf64_Phdr *text = &image.segments[1], *data = &image.segments[2];
		size_t bytes = sizeof(image);

		image_make();
		if (which == 0)
			image.header.e_ident[1] ^= 1;
		else if (which == 1)
			image.header.e_ident[EI_CLASS] = ELFCLASS32;
		else if (which == 2)
			image.header.e_ident[EI_DATA] ^= 3;
		else if (which == 3)
			image.header.e_type = ET_EXEC; /* it has a place of its own */
		else if (which == 4)
			image.header.e_phentsize++;
		else if (which == 5)
			image.header.e_phnum = 0;
		else if (which == 6)
			image.header.e_phnum = 65;
		else if (which == 7)
			image.header.e_phoff = UINT64_MAX - 8;
		else if (which == 8)
			bytes--;
		else if (which == 9)
			bytes = 10;
		else if (which == 10)
			text->p_vaddr += 8; /* not where its offset is in a page */
		else if (which == 11)
			data->p_vaddr = 7 * PAGE + 16; /* in the last page of text */
		else if (which == 12)
			text->p_memsz++; /* zeroes that cannot be written */
		else if (which == 13)
			data->p_memsz = 99;
		else if (which == 14)
			data->p_filesz = data->p_memsz = UINT64_MAX - 9 * PAGE;
		else if (which == 15)
			text->p_vaddr = text->p_offset = UINT64_MAX - PAGE + 1;
		else if (which == 16)
			text->p_type = data->p_type = PT_NOTE;
		else
			break;
		assert_int_equal(parts_of(bytes, parts, PAGER_SHARED_PARTS_MAX, &count), -ENOEXEC);
		assert_int_equal(count, 9);
	}
	assert_int_equal(which, 17);
	assert_int_equal(elf_parts(PAGE, -1, parts, PAGER_SHARED_PARTS_MAX, &count), -EBADF);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(segments_become_parts),
		cmocka_unit_test(bad_files_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
