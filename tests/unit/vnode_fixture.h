/* SPDX-License-Identifier: MIT
 *
 * A file and two clients of different users, on tables without threads. The cleaner's thread is the
 * test's.
 */
#ifndef VNODE_FIXTURE_H
#define VNODE_FIXTURE_H

#include "c_unit.h"

#include "pageout/cleaner_priv.h"

#define PAGE 4096ull

struct vnode_fixture {
	struct unit u;
	struct task *tasks[2];
	struct cleaner cleaner;
	int file;
	int protect_error;            /* -errno of write-protecting pages */
	void (*on_protect)(int uffd); /* called where pages of a client are protected, or NULL */
	unsigned barriers;            /* allocations of what is allocated */
};
extern struct vnode_fixture vf;

int vnodes_begin(void **state);
int vnodes_end(void **state);
/* The file in that many bytes, each of which says in which page it is. */
void file_set(uint64_t bytes);
/* Maps a part of the file. => how much of it one object covers; its entry in *ret */
uint64_t file_map(struct task *task, int fd, uint64_t address, uint64_t offset, uint64_t bytes,
    struct vm_entry *ret);
/* A resident page, dirty because of the first client, full of that byte. */
struct vm_page *page_make(struct vm_object *o, uint64_t index, int byte);
/* What the cleaner and a hand do to begin all runs of the request. */
void runs_begin(struct clean_request *r);
/* Writes the object's dirty pages; in between, the first page is written to. */
void pages_clean(struct vm_object *o, struct vm_page *touched);
bool page_is_clean(const struct vm_page *p);
/* Of the file. */
int byte_of(uint64_t offset);

#endif
