/* SPDX-License-Identifier: MIT
 *
 * Replacing a function. Its first instruction is moved to a page nearby, and a jump takes its
 * place (the second, where the first is endbr64). The jump is no longer than that one instruction,
 * so no thread can be in its midst, and it is written at once. Runs on: the thread that connects
 * first.
 */
#include "patch.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#if defined(__x86_64__)

#define JUMP_BYTES  5            /* e9 and a distance of 32 bits */
#define FAR_BYTES   14           /* ff 25 00000000 and an address */
#define LINE_BYTES  64           /* within which a store is seen at once */
#define NEAR_BYTES  (1ull << 30) /* within reach of a distance */
#define NEAR_STEP   (1ull << 20)
#define ENTRY_BYTES 64 /* between the two pieces of the page */

/* Instructions that functions begin with, which are at least as long as the jump, do not say where
 * they are, and end in a constant of `more` bytes. */
static const struct opening {
	unsigned char bytes[6];
	unsigned length, more;
} openings[] = {
	{ { 0x64, 0x48, 0x8b, 0x04, 0x25 }, 5, 4 }, /* mov %fs:constant,%rax */
	{ { 0x64, 0x48, 0x8b, 0x1c, 0x25 }, 5, 4 }, /* mov %fs:constant,%rbx */
	{ { 0x48, 0x81, 0xec }, 3, 4 },             /* sub $constant,%rsp */
	{ { 0x48, 0xc7, 0xc0 }, 3, 4 },             /* mov $constant,%rax */
	{ { 0xb8 }, 1, 4 },                         /* mov $constant,%eax */
	{ { 0xbf }, 1, 4 },                         /* mov $constant,%edi */
};

/* => bytes of the first instruction; 0: it is another one */
static unsigned
opening_bytes(const unsigned char *code)
{
	for (unsigned i = 0; i < sizeof(openings) / sizeof(openings[0]); i++)
		if (memcmp(code, openings[i].bytes, openings[i].length) == 0)
			return openings[i].length + openings[i].more;
	return 0;
}

/* Where the jump goes: behind an endbr64, which callers through pointers may need. */
static unsigned char *
place_of(unsigned char *code)
{
	static const unsigned char endbr64[4] = { 0xf3, 0x0f, 0x1e, 0xfa };

	return memcmp(code, endbr64, sizeof(endbr64)) == 0 ? code + sizeof(endbr64) : code;
}

/* A page that the code can jump to and from with a distance. */
static unsigned char *
page_near(uintptr_t code, size_t bytes)
{
	for (uint64_t away = NEAR_STEP; away < NEAR_BYTES; away += NEAR_STEP)
		for (int side = 0; side < 2; side++) {
			uintptr_t at = side ? code + away : code - away, is;
			void *page = mmap((void *)(at & ~(uintptr_t)(bytes - 1)), bytes,
			    PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

			if (page == MAP_FAILED)
				return NULL;
			is = (uintptr_t)page;
			if ((is > code ? is - code : code - is) < NEAR_BYTES)
				return page;
			munmap(page, bytes);
		}
	return NULL;
}

static void
write_far(unsigned char *at, uintptr_t to)
{
	static const unsigned char jump[6] = { 0xff, 0x25 };

	memcpy(at, jump, sizeof(jump));
	memcpy(at + sizeof(jump), &to, sizeof(to));
}

/* Puts the jump over the first bytes, with one store. => 0 or -EACCES */
static int
write_jump(unsigned char *code, const unsigned char *to, size_t page_bytes)
{
	uintptr_t start = (uintptr_t)code & ~(uintptr_t)(page_bytes - 1);
	int32_t distance = (int32_t)(to - (code + JUMP_BYTES));
	uint64_t word;

	if (mprotect((void *)start, page_bytes, PROT_READ | PROT_WRITE | PROT_EXEC) < 0)
		return -EACCES;
	memcpy(&word, code, sizeof(word));
	((unsigned char *)&word)[0] = 0xe9;
	memcpy((unsigned char *)&word + 1, &distance, sizeof(distance));
	__asm__ volatile("movq %1, %0"
			 : "=m"(*(uint64_t(*)[1])(void *)code)
			 : "r"(word)
			 : "memory");
	mprotect((void *)start, page_bytes, PROT_READ | PROT_EXEC);
	return 0;
}

int
patch(patch_function *function, patch_function *instead, patch_function **ret_original)
{
	size_t bytes = (size_t)sysconf(_SC_PAGESIZE);
	unsigned char *code = place_of((unsigned char *)(uintptr_t)function), *page;
	unsigned moved = opening_bytes(code);
	int r;

	if (moved == 0 || (uintptr_t)code % LINE_BYTES > LINE_BYTES - sizeof(uint64_t))
		return -EOPNOTSUPP;
	page = page_near((uintptr_t)code, bytes);
	if (!page)
		return -ENOMEM;
	/* The original: what was moved, and on behind it. Then the way to what is called instead.
	 */
	memcpy(page, code, moved);
	write_far(page + moved, (uintptr_t)(code + moved));
	write_far(page + ENTRY_BYTES, (uintptr_t)instead);
	r = mprotect(page, bytes, PROT_READ | PROT_EXEC) < 0 ? -EACCES : 0;
	if (r == 0) {
		*ret_original = (patch_function *)(uintptr_t)page;
		r = write_jump(code, page + ENTRY_BYTES, bytes);
	}
	if (r < 0)
		munmap(page, bytes);
	return r;
}

#define SLOT_BYTES 16

int
patch_over(const struct patch_over *functions, unsigned count)
{
	size_t bytes = (size_t)sysconf(_SC_PAGESIZE);
	unsigned char *page;
	int r;

	if (count > PATCH_OVER_MAX)
		return -EINVAL;
	for (unsigned i = 0; i < count; i++) {
		uintptr_t code =
		    (uintptr_t)place_of((unsigned char *)(uintptr_t)functions[i].function);

		if (code % LINE_BYTES > LINE_BYTES - sizeof(uint64_t))
			return -EOPNOTSUPP;
	}
	page = page_near((uintptr_t)functions[0].function, bytes);
	if (!page)
		return -ENOMEM;
	for (unsigned i = 0; i < count; i++)
		write_far(page + (size_t)i * SLOT_BYTES, (uintptr_t)functions[i].instead);
	r = mprotect(page, bytes, PROT_READ | PROT_EXEC) < 0 ? -EACCES : 0;
	if (r < 0)
		munmap(page, bytes);
	for (unsigned i = 0; r == 0 && i < count; i++)
		r = write_jump(place_of((unsigned char *)(uintptr_t)functions[i].function),
		    page + (size_t)i * SLOT_BYTES, bytes);
	return r;
}

#else

int
patch_over(const struct patch_over *functions, unsigned count)
{
	(void)functions;
	(void)count;
	return -ENOSYS;
}

int
patch(patch_function *function, patch_function *instead, patch_function **ret_original)
{
	(void)function;
	(void)instead;
	(void)ret_original;
	return -ENOSYS;
}

#endif
