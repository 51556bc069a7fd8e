/* SPDX-License-Identifier: MIT
 *
 * Looks at programs: the ELF headers and the names of the libraries that are needed. Runs on: any
 * thread, a child of vfork(2) too.
 */
#include "exec_look.h"

#include <elf.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#define SCRIPTS_MAX  4   /* scripts whose interpreters are scripts */
#define HEADERS_MAX  32  /* program headers; programs have about 13 */
#define DYNAMIC_MAX  128 /* entries of the dynamic section */
#define NAME_BYTES   24  /* of a library, as much as tells it apart */
#define SCRIPT_BYTES 256 /* of a script's first line, as the kernel has it */

#if defined(__x86_64__)
#define MACHINE EM_X86_64
#elif defined(__aarch64__)
#define MACHINE EM_AARCH64
#else
#define MACHINE EM_NONE
#endif

static bool
read_at(int fd, void *to, size_t bytes, uint64_t offset)
{
	return pread(fd, to, bytes, (off_t)offset) == (ssize_t)bytes;
}

/* Where what is at that address of the program lies in the file. => 0: nowhere */
static uint64_t
offset_of(const Elf64_Phdr *headers, unsigned count, uint64_t address)
{
	for (unsigned i = 0; i < count; i++)
		if (headers[i].p_type == PT_LOAD && address >= headers[i].p_vaddr &&
		    address - headers[i].p_vaddr < headers[i].p_filesz)
			return headers[i].p_offset + (address - headers[i].p_vaddr);
	return 0;
}

static bool
is_sanitizer(const char *library)
{
	static const char *const names[] = { "libasan.", "libtsan.", "libmsan.", "liblsan.",
		"libhwasan.", "libclang_rt." };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (strncmp(library, names[i], strlen(names[i])) == 0)
			return true;
	return false;
}

/* Whether a library of a sanitizer is among those that it needs. */
static bool
needs_sanitizer(int fd, const Elf64_Phdr *headers, unsigned count, const Elf64_Phdr *dynamic)
{
	uint64_t entries = dynamic->p_filesz / sizeof(Elf64_Dyn), names = 0;
	char name[NAME_BYTES + 1] = "";
	Elf64_Dyn d[DYNAMIC_MAX];

	entries = entries < DYNAMIC_MAX ? entries : DYNAMIC_MAX;
	if (!read_at(fd, d, entries * sizeof(d[0]), dynamic->p_offset))
		return false;
	for (uint64_t i = 0; i < entries; i++)
		if (d[i].d_tag == DT_STRTAB)
			names = offset_of(headers, count, d[i].d_un.d_ptr);
	for (uint64_t i = 0; names && i < entries && d[i].d_tag != DT_NULL; i++)
		if (d[i].d_tag == DT_NEEDED &&
		    read_at(fd, name, NAME_BYTES, names + d[i].d_un.d_val) && is_sanitizer(name))
			return true;
	return false;
}

static enum exec_kind
elf_look(int fd, const Elf64_Ehdr *elf)
{
	Elf64_Phdr headers[HEADERS_MAX];
	unsigned count = elf->e_phnum < HEADERS_MAX ? elf->e_phnum : HEADERS_MAX;
	bool is_interpreted = false;

	if (elf->e_ident[EI_CLASS] != ELFCLASS64 || elf->e_machine != MACHINE ||
	    elf->e_phentsize != sizeof(headers[0]))
		return EXEC_FOREIGN;
	if (!read_at(fd, headers, count * sizeof(headers[0]), elf->e_phoff))
		return EXEC_FOREIGN;
	for (unsigned i = 0; i < count; i++)
		is_interpreted |= headers[i].p_type == PT_INTERP;
	if (!is_interpreted)
		return EXEC_STATIC;
	for (unsigned i = 0; i < count; i++)
		if (headers[i].p_type == PT_DYNAMIC &&
		    needs_sanitizer(fd, headers, count, &headers[i]))
			return EXEC_SANITIZER;
	return EXEC_DYNAMIC;
}

/* The interpreter that a script's first line names. => false: it is no script */
static bool
script_look(int fd, char path[SCRIPT_BYTES])
{
	char line[SCRIPT_BYTES];
	ssize_t got = pread(fd, line, sizeof(line) - 1, 0);
	const char *at = line + 2;
	size_t length;

	if (got < 3 || line[0] != '#' || line[1] != '!')
		return false;
	line[got] = '\0';
	at += strspn(at, " \t");
	length = strcspn(at, " \t\n");
	memcpy(path, at, length);
	path[length] = '\0';
	return length > 0;
}

/* => whether *ret is what the file is; else it is a script, and path its interpreter */
static bool
file_look(int fd, char path[SCRIPT_BYTES], enum exec_kind *ret)
{
	struct stat st;
	Elf64_Ehdr elf;

	*ret = EXEC_UNKNOWN;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return true;
	if (script_look(fd, path))
		return false;
	*ret = EXEC_FOREIGN;
	if (!read_at(fd, &elf, sizeof(elf), 0) || memcmp(elf.e_ident, ELFMAG, SELFMAG) != 0)
		return true;
	/* Setting the ID that one has anyway makes no difference to the loader. */
	if (((st.st_mode & S_ISUID) && st.st_uid != getuid()) ||
	    ((st.st_mode & S_ISGID) && (st.st_mode & S_IXGRP) && st.st_gid != getgid()) ||
	    (getuid() != 0 && fgetxattr(fd, "security.capability", NULL, 0) > 0))
		*ret = EXEC_PRIVILEGED;
	else
		*ret = elf_look(fd, &elf);
	return true;
}

enum exec_kind
exec_look(const char *path)
{
	enum exec_kind kind = EXEC_UNKNOWN;
	char interpreter[SCRIPT_BYTES];
	bool is_known = false;

	for (unsigned i = 0; i < SCRIPTS_MAX && !is_known; i++) {
		int fd = open(i == 0 ? path : interpreter, O_RDONLY | O_CLOEXEC);

		if (fd < 0)
			return EXEC_UNKNOWN;
		is_known = file_look(fd, interpreter, &kind);
		close(fd);
	}
	return kind;
}

/* The first place of the file in the list, and the length of the word. => NULL */
static char *
preload_find(const char *list, const char *file, size_t *ret_length)
{
	size_t length;

	for (const char *at = list; *at; at += length + (at[length] != '\0')) {
		length = strcspn(at, ": ");
		if (length == strlen(file) && memcmp(at, file, length) == 0) {
			*ret_length = length;
			return (char *)(uintptr_t)at;
		}
	}
	return NULL;
}

bool
exec_preload_has(const char *list, const char *file)
{
	size_t length;

	return preload_find(list, file, &length) != NULL;
}

void
exec_preload_remove(char *list, const char *file)
{
	size_t length;
	char *at;

	while ((at = preload_find(list, file, &length)) != NULL) {
		length += at[length] != '\0';
		memmove(at, at + length, strlen(at + length) + 1);
		if (*at == '\0' && at > list)
			at[-1] = '\0';
	}
}
