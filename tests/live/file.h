/* SPDX-License-Identifier: MIT
 *
 * The content oracle on a file that several processes have mapped: what every word of it must be,
 * in any mapping and as read(2) gives it.
 *
 * A page is written under its lock, generation after generation. Each word of it says its
 * generation and can be computed again, so a wrong byte shows as a word that nobody can have
 * written. Under the lock a mapping must show the page's last generation. The file may lag behind:
 * a word of it is at least as new as what msync has confirmed, and no newer than the last store.
 */
#ifndef LIVE_FILE_H
#define LIVE_FILE_H

#include <stdatomic.h>
#include <sys/mman.h>

#include "harness.h"
#include "share.h"
#include "stage.h"

struct file_page {
	atomic_int owner;         /* the process that holds the lock, or 0 */
	_Atomic uint32_t written; /* the last generation, complete when nobody holds it */
	_Atomic uint32_t synced;  /* what msync has confirmed */
};

/* What the test's processes have in common. */
struct file_scene {
	char path[200];
	uint32_t count; /* pages */
	uint64_t page_bytes;
	struct file_page *pages;
	struct stage stage[SHARERS_MAX];
	_Atomic uint64_t turns[SHARERS_MAX]; /* how many each client has done */
	_Atomic uint64_t syncs;              /* msyncs that have confirmed something */
	atomic_uint taken_over;              /* locks of processes that have been killed */
	atomic_bool stop;
};

/* The file as one client sees it. */
struct file_view {
	struct live *d;
	struct file_scene *s;
	struct pager *p;
	unsigned char *base;
	int fd;
	uint64_t rng;
	bool never_wires; /* wired pages count as written to */
};

/* A file of generation 0 in a directory of the test's, of `count` pages of the daemon. */
struct file_scene *file_scene_make(struct live *d, uint32_t count);
/* The same at that path. */
struct file_scene *file_scene_at(struct live *d, uint32_t count, const char *path);
/* Another file, of the same pages, with what this one must contain. */
void file_scene_copy(const struct file_scene *s, const char *path);

/* Connects, opens the file and maps all of it. */
void file_view_open(struct live *d, struct file_scene *s, int protection, struct file_view *v);
void file_view_map(struct file_view *v, int protection);
void file_view_unmap(struct file_view *v);
void file_view_close(struct file_view *v);

/* Locks a page, and verifies it. If the process that had the lock was killed, the page may be
 * between two generations; then it is written again. */
void file_page_lock(struct file_view *v, uint32_t page);
void file_page_unlock(struct file_view *v, uint32_t page);
/* The lock is held: the mapping shows the last generation. */
void file_page_verify(struct file_view *v, uint32_t page);
/* The lock is held: writes the next generation. */
void file_page_write(struct file_view *v, uint32_t page);
/* Locks a page, verifies it, perhaps writes it. */
void file_turn(struct file_view *v);
void file_verify_all(struct file_view *v);
/* msync of pages; if it succeeds, notes what it has confirmed. => what it says */
int file_sync(struct file_view *v, uint32_t from, uint32_t count, unsigned flags);
/* Advice, msync, wiring and the like, of some pages: changes no content. */
void file_advice(struct file_view *v);

/* --- as read(2) gives it --- */
/* No word of the page is older than what msync has confirmed, or newer than the last store. */
void file_read_verify(struct file_scene *s, int fd, uint32_t page);
/* => whether every page is its last generation; a word that nobody can have written fails the test.
 * A page whose lock a killed process holds may be between two generations. */
bool file_read_is_current(struct file_scene *s, int fd);
/* write(2) of the page's next generation, under its lock. */
void file_plain_write(struct file_scene *s, int fd, uint32_t page);

/* --- words --- */
uint64_t file_word(uint32_t page, uint32_t index, uint32_t generation);
/* Stores a generation of a page. */
void file_page_store(void *to, uint32_t page, uint64_t page_bytes, uint32_t generation);
/* Every word is one of these generations of the page. `way` says in a failure where it is from. */
void file_words_verify(
    const void *from, uint32_t page, uint64_t bytes, uint32_t low, uint32_t high, const char *way);

#endif
