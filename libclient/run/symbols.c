/* SPDX-License-Identifier: MIT
 *
 * libc's own functions, found in its table of symbols. dlsym(3) would find another library's that
 * has the same name, and may call malloc, which is not ready yet. Runs on: the thread that starts
 * the program.
 */
#include <elf.h>
#include <gnu/libc-version.h>
#include <link.h>
#include <string.h>

#include "run.h"

struct libc {
	uintptr_t base;
	const Elf64_Sym *symbols;
	const char *strings;
	const uint32_t *hash; /* DT_GNU_HASH */
};

/* Whether one of the object's segments has the address. */
static bool
object_has(const struct dl_phdr_info *info, uintptr_t address)
{
	for (int i = 0; i < info->dlpi_phnum; i++) {
		uintptr_t start = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;

		if (info->dlpi_phdr[i].p_type == PT_LOAD && address >= start &&
		    address - start < info->dlpi_phdr[i].p_memsz)
			return true;
	}
	return false;
}

/* The loader has made some of these into addresses, and left others as offsets. */
static const void *
table_at(const struct libc *libc, uintptr_t value)
{
	return (const void *)(value < libc->base ? value + libc->base : value);
}

static int
object_look(struct dl_phdr_info *info, size_t size, void *argument)
{
	struct libc *libc = argument;

	(void)size;
	if (!object_has(info, (uintptr_t)gnu_get_libc_version))
		return 0;
	libc->base = info->dlpi_addr;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		const Elf64_Dyn *d = (const Elf64_Dyn *)(libc->base + info->dlpi_phdr[i].p_vaddr);

		if (info->dlpi_phdr[i].p_type != PT_DYNAMIC)
			continue;
		for (; d->d_tag != DT_NULL; d++) {
			if (d->d_tag == DT_SYMTAB)
				libc->symbols = table_at(libc, d->d_un.d_ptr);
			else if (d->d_tag == DT_STRTAB)
				libc->strings = table_at(libc, d->d_un.d_ptr);
			else if (d->d_tag == DT_GNU_HASH)
				libc->hash = table_at(libc, d->d_un.d_ptr);
		}
	}
	return 1;
}

struct object_wanted {
	uintptr_t address;
	char *path;
	size_t path_size;
};

static int
object_name(struct dl_phdr_info *info, size_t size, void *argument)
{
	const struct object_wanted *wanted = argument;

	(void)size;
	if (!object_has(info, wanted->address))
		return 0;
	if (strlen(info->dlpi_name) < wanted->path_size)
		memcpy(wanted->path, info->dlpi_name, strlen(info->dlpi_name) + 1);
	return 1;
}

void
object_path(uintptr_t address, char *path, size_t path_size)
{
	struct object_wanted wanted = { address, path, path_size };

	path[0] = '\0';
	dl_iterate_phdr(object_name, &wanted);
}

static const Elf64_Sym *
symbol_find(const struct libc *libc, const char *name)
{
	uint32_t buckets = libc->hash[0], offset = libc->hash[1], words = libc->hash[2],
		 hash = 5381;
	const uint32_t *bucket = libc->hash + 4 + 2 * words, *chain = bucket + buckets;
	uint32_t i;

	for (const char *c = name; *c; c++)
		hash = hash * 33 + (unsigned char)*c;
	i = bucket[hash % buckets];
	for (; i >= offset; i++) {
		if ((chain[i - offset] | 1) == (hash | 1) &&
		    strcmp(libc->strings + libc->symbols[i].st_name, name) == 0)
			return &libc->symbols[i];
		if (chain[i - offset] & 1)
			break;
	}
	return NULL;
}

patch_function *
libc_function(const char *name, size_t bytes_min)
{
	static struct libc libc;
	const Elf64_Sym *symbol;

	if (!libc.base)
		dl_iterate_phdr(object_look, &libc);
	if (!libc.symbols || !libc.strings || !libc.hash)
		return NULL;
	symbol = symbol_find(&libc, name);
	if (!symbol || ELF64_ST_TYPE(symbol->st_info) != STT_FUNC || symbol->st_size < bytes_min)
		return NULL;
	return (patch_function *)(libc.base + symbol->st_value);
}
