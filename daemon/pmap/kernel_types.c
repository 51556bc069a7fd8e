/* SPDX-License-Identifier: MIT
 *
 * The kernel's types. Runs on: start. The file is the kernel's, and is looked at with care all the
 * same: a form that is not known is an error, never a crash.
 */
#include "pmap/kernel_types.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/btf.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Kinds that the headers of some systems do not have yet. */
#define KIND_DECL_TAG 17u
#define KIND_TYPE_TAG 18u
#define KIND_ENUM64   19u
/* Nameless structures within one another. */
#define DEPTH_MAX 8u

static uint32_t
kind_of(const struct btf_type *t)
{
	return (t->info >> 24) & 0x1f;
}

static uint32_t
entries_of(const struct btf_type *t)
{
	return t->info & 0xffff;
}

/* Bytes that follow a type of that kind. => -1: the kind is not known */
static int64_t
tail_bytes(const struct btf_type *t)
{
	switch (kind_of(t)) {
	case BTF_KIND_INT:
	case BTF_KIND_VAR:
	case KIND_DECL_TAG:
		return 4;
	case BTF_KIND_ARRAY:
		return 12;
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
	case BTF_KIND_DATASEC:
	case KIND_ENUM64:
		return 12 * (int64_t)entries_of(t);
	case BTF_KIND_ENUM:
	case BTF_KIND_FUNC_PROTO:
		return 8 * (int64_t)entries_of(t);
	case BTF_KIND_PTR:
	case BTF_KIND_FWD:
	case BTF_KIND_TYPEDEF:
	case BTF_KIND_VOLATILE:
	case BTF_KIND_CONST:
	case BTF_KIND_RESTRICT:
	case BTF_KIND_FUNC:
	case BTF_KIND_FLOAT:
	case KIND_TYPE_TAG:
		return 0;
	default:
		return -1;
	}
}

static int
read_all(const char *path, struct kernel_types *k)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat about;
	char *bytes = NULL;
	size_t have = 0;
	int error = 0;

	if (fd < 0)
		return -errno;
	if (fstat(fd, &about) < 0)
		error = -errno;
	else if (about.st_size < (off_t)sizeof(struct btf_header) || about.st_size > 1 << 30)
		error = -EINVAL;
	if (!error && (bytes = malloc((size_t)about.st_size)) == NULL)
		error = -ENOMEM;
	while (!error && have < (size_t)about.st_size) {
		ssize_t got = read(fd, bytes + have, (size_t)about.st_size - have);

		if (got > 0)
			have += (size_t)got;
		else if (got == 0)
			error = -EINVAL;
		else if (errno != EINTR)
			error = -errno;
	}
	close(fd);
	k->bytes = bytes;
	k->size = have;
	return error;
}

static const struct btf_type *
type_at(const struct kernel_types *k, uint32_t number)
{
	return number > 0 && number < k->count
		   ? (const struct btf_type *)(const void *)(k->bytes + k->at[number])
		   : NULL;
}

/* Notes where each type begins, between the bytes `from` and `end`. */
static int
index_types(struct kernel_types *k, size_t from, size_t end)
{
	k->at = malloc(((end - from) / sizeof(struct btf_type) + 1) * sizeof(*k->at));
	if (!k->at)
		return -ENOMEM;
	for (k->count = 1; from < end; k->count++) {
		const struct btf_type *t = (const void *)(k->bytes + from);
		int64_t tail = end - from >= sizeof(*t) ? tail_bytes(t) : -1;

		if (tail < 0 || (uint64_t)tail > end - from - sizeof(*t))
			return -EINVAL;
		k->at[k->count] = (uint32_t)from;
		from += sizeof(*t) + (size_t)tail;
	}
	return 0;
}

int
kernel_types_open(const char *path, struct kernel_types *ret)
{
	struct kernel_types k = { 0 };
	int error = read_all(path, &k);

	if (!error) {
		const struct btf_header *h = (const void *)k.bytes;
		uint64_t types = (uint64_t)h->hdr_len + h->type_off,
			 strings = (uint64_t)h->hdr_len + h->str_off;

		if (h->magic != BTF_MAGIC || h->version != BTF_VERSION || types % 4 != 0 ||
		    types + h->type_len > k.size || strings + h->str_len > k.size ||
		    h->str_len == 0 || k.bytes[strings + h->str_len - 1] != '\0') {
			error = -EINVAL;
		} else {
			k.strings = k.bytes + strings;
			k.strings_bytes = h->str_len;
			error = index_types(&k, types, types + h->type_len);
		}
	}
	if (error)
		kernel_types_close(&k);
	else
		*ret = k;
	return error;
}

void
kernel_types_close(struct kernel_types *k)
{
	free(k->at);
	free((void *)(uintptr_t)k->bytes);
	*k = (struct kernel_types){ 0 };
}

static bool
is_named(const struct kernel_types *k, uint32_t name, const char *wanted)
{
	return name < k->strings_bytes && strcmp(k->strings + name, wanted) == 0;
}

static bool
is_structure(const struct btf_type *t)
{
	return kind_of(t) == BTF_KIND_STRUCT || kind_of(t) == BTF_KIND_UNION;
}

/* Where the member begins in bits, or -1. */
static int64_t
member_bits(
    const struct kernel_types *k, const struct btf_type *t, const char *wanted, unsigned depth)
{
	const struct btf_member *members = (const void *)(t + 1);
	bool has_fields = t->info >> 31;

	for (uint32_t i = 0; i < entries_of(t); i++) {
		const struct btf_member *m = &members[i];
		const struct btf_type *inner = type_at(k, m->type);
		int64_t from = has_fields ? (int64_t)BTF_MEMBER_BIT_OFFSET(m->offset) : m->offset;
		int64_t within;

		if (is_named(k, m->name_off, wanted))
			return from;
		if (!inner || !is_structure(inner) || !is_named(k, m->name_off, "") ||
		    depth == DEPTH_MAX)
			continue;
		within = member_bits(k, inner, wanted, depth + 1);
		if (within >= 0)
			return from + within;
	}
	return -1;
}

int
kernel_types_offset(
    const struct kernel_types *k, const char *structure, const char *member, uint32_t *ret)
{
	for (uint32_t i = 1; i < k->count; i++) {
		const struct btf_type *t = type_at(k, i);
		int64_t bits;

		if (kind_of(t) != BTF_KIND_STRUCT || !is_named(k, t->name_off, structure))
			continue;
		bits = member_bits(k, t, member, 0);
		if (bits < 0 || bits % 8 != 0)
			continue;
		*ret = (uint32_t)(bits / 8);
		return 0;
	}
	return -ENOENT;
}

int
kernel_types_value(const struct kernel_types *k, const char *enumerator, uint32_t *ret)
{
	for (uint32_t i = 1; i < k->count; i++) {
		const struct btf_type *t = type_at(k, i);
		const struct btf_enum *values = (const void *)(t + 1);

		for (uint32_t v = 0; kind_of(t) == BTF_KIND_ENUM && v < entries_of(t); v++) {
			if (!is_named(k, values[v].name_off, enumerator))
				continue;
			*ret = (uint32_t)values[v].val;
			return 0;
		}
	}
	return -ENOENT;
}

int
kernel_types_function(const struct kernel_types *k, const char *function, uint32_t *ret)
{
	for (uint32_t i = 1; i < k->count; i++) {
		const struct btf_type *t = type_at(k, i);

		if (kind_of(t) != BTF_KIND_FUNC || !is_named(k, t->name_off, function))
			continue;
		*ret = i;
		return 0;
	}
	return -ENOENT;
}
