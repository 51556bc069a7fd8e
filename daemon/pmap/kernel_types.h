/* SPDX-License-Identifier: MIT
 *
 * What the running kernel says of its own types: /sys/kernel/btf/vmlinux in the form that is
 * called BTF. Read once at start, by whoever has to know where a member lies.
 */
#ifndef KERNEL_TYPES_H
#define KERNEL_TYPES_H

#include <stddef.h>
#include <stdint.h>

struct kernel_types {
	const char *bytes; /* the whole file, which is mapped or read */
	size_t size;
	uint32_t *at; /* where in bytes type number i begins, from 1 to count - 1 */
	uint32_t count;
	const char *strings;
	uint32_t strings_bytes;
};

/* => 0, or -errno: the kernel does not say, -EINVAL: not in a form that is known, -ENOMEM */
int kernel_types_open(const char *path, struct kernel_types *ret);
void kernel_types_close(struct kernel_types *k);
/* How many bytes from its beginning a structure's member lies, also if it lies in a nameless
 * structure or union within. => 0 or -ENOENT */
int kernel_types_offset(
    const struct kernel_types *k, const char *structure, const char *member, uint32_t *ret);
/* The value of an enumerator. => 0 or -ENOENT */
int kernel_types_value(const struct kernel_types *k, const char *enumerator, uint32_t *ret);
/* The number of the type of a function of that name. => 0 or -ENOENT */
int kernel_types_function(const struct kernel_types *k, const char *function, uint32_t *ret);

#endif
