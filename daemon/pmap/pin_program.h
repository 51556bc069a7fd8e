/* SPDX-License-Identifier: MIT
 *
 * The program that counts references on pages of a memfd. It runs in the kernel (bpf(2), a raw
 * tracepoint program that is attached to nothing and runs when it is called), reads and changes
 * nothing.
 */
#ifndef PIN_PROGRAM_H
#define PIN_PROGRAM_H

#include <stdint.h>

/* Hardware pages of one run. */
#define PIN_LOOK_MAX 256u

/* What one run is asked, and what it answers: an element of the array map that it shares with the
 * daemon. */
struct pin_look {
	uint32_t memfd, count;        /* a descriptor of the calling process; how many of pages[] */
	uint64_t pages[PIN_LOOK_MAX]; /* numbers of hardware pages of the memfd */
	/* References on the page beyond those of the page cache, of mappings and of the kernel's
	 * lists; 0 if the memfd has no such page. A pin for I/O counts as PIN_WEIGHT. */
	int32_t extra[PIN_LOOK_MAX];
};

/* A constant of the kernel. */
#define PIN_WEIGHT 1024

/* Where members lie, in bytes from the beginnings of their structures; numbers of page flags. */
struct pin_layout {
	uint32_t task_files, files_fdt, fdt_fd, file_mapping, mapping_pages, xarray_head;
	uint32_t node_shift, node_slots;
	uint32_t page_flags, page_mapcount, page_refcount, folio_pincount;
	uint32_t flag_lru, flag_head, flag_mlocked;
	/* Numbers of the functions that count from one number to another, which lets the verifier
	 * see a loop's body once. */
	uint32_t count_new, count_next, count_destroy;
};

/* map: an array of struct pin_look. The number of its element is the first argument of a run. =>
 * the program's descriptor, or -errno */
int pin_program_load(const struct pin_layout *layout, int map);

#endif
