/* SPDX-License-Identifier: MIT
 *
 * Arenas: tables in memfds that outlive the process, for another one to go on with. Behind the
 * content, which begins with a hardware page, stands a header that says what it is, so that nobody
 * takes one table, or one that is made otherwise, for his own. It also says which version of the
 * program has made it, for people: another version may go on with it.
 */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base.h"

/* Another number with each change of what words in arenas mean that no row's size or version tells:
 * slots, words of frames, copies' names, answers that were noted. */
#define ARENA_LAYOUT 1u

/* What a table is. */
struct arena_shape {
	const char *name;   /* below 16 characters */
	uint32_t version;   /* of its rows; another number with each change of them */
	uint32_t row_bytes; /* a second proof of the same */
	uint64_t bytes;     /* of content */
};

/* Makes a sparse memfd of that shape. => the descriptor or -errno */
int arena_make(const struct arena_shape *shape) MUST_USE;
/* Whether a descriptor that was left is an arena of that shape and layout. => 0; -EPROTO: it is
 * not; or -errno */
int arena_check(int fd, const struct arena_shape *shape) MUST_USE;
/* From here on each shape that is made or checked is a line of text, until NULL is given. Runs on:
 * the main thread, before there are others. */
void arena_list(char *text, size_t size);
/* Adds the line of one that is made later. */
void arena_list_add(const struct arena_shape *shape);
/* Maps the content for reading and writing. => NULL: errno says why not */
void *arena_map(int fd, const struct arena_shape *shape) MUST_USE;
void arena_unmap(void *content, const struct arena_shape *shape);

/* A run of an arena that has data. */
struct arena_run {
	uint64_t start, end; /* bytes */
};
/* The first run of [from, to) that has data: reading anything else would give it memory. Where the
 * system has swapped pages out they are data, too. => whether there is one */
bool arena_next_data(int fd, uint64_t from, uint64_t to, struct arena_run *ret);

#endif
