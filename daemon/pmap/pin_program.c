/* SPDX-License-Identifier: MIT
 *
 * The program that counts references, instruction by instruction. Runs on: start.
 *
 * It follows task->files->fdt->fd[memfd]->f_mapping->i_pages and for each page walks down the
 * xarray. It reads by a helper that answers an error for an address that is none,
 * and under RCU, which is what keeps the nodes. A page that its owner takes out of the memfd at
 * this moment is counted as it was or is; nobody counts on that page's content.
 */
#include "pmap/pin_program.h"

#include <errno.h>
#include <linux/bpf.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "check.h"

#define PROGRAM_MAX 1024u
#define JUMPS_MAX   64u
/* Levels of an xarray, of 64 slots each: 2^36 pages. */
#define LEVELS_MAX 6u
#define LEVEL_BITS 6

/* Registers. The kernel's calls leave 6 to 9 alone. */
enum { R0, R1, R2, R3, R4, R5, PAGE_NUMBER, LOOK, ROOT, ENTRY, FRAME };

/* Places below FRAME. */
#define AT_KEY     (-4)
#define AT_INDEX   (-16)
#define AT_VALUE   (-24)
#define AT_PAGE    (-88) /* 64 bytes: struct page */
#define PAGE_BYTES 64u
#define AT_COUNTER (-96)
/* How far a page's number is shifted to the right to be a slot of the root, and of the node at
 * hand. */
#define AT_ROOT_SHIFT (-104)
#define AT_SHIFT      (-112)

struct program {
	struct bpf_insn code[PROGRAM_MAX];
	unsigned count;
};

/* Jumps to one place that is not known yet. */
struct jumps {
	unsigned from[JUMPS_MAX], count;
};

static struct bpf_insn *
emit(struct program *p, unsigned code, unsigned dst, unsigned src, int offset, int32_t value)
{
	struct bpf_insn *insn = &p->code[p->count++];

	CHECK(p->count < PROGRAM_MAX);
	*insn = (struct bpf_insn){ .code = (uint8_t)code,
		.dst_reg = (uint8_t)(dst & 0xf),
		.src_reg = (uint8_t)(src & 0xf),
		.off = (int16_t)offset,
		.imm = value };
	return insn;
}

static void
set(struct program *p, unsigned dst, int32_t value)
{
	emit(p, BPF_ALU64 | BPF_MOV | BPF_K, dst, 0, 0, value);
}

static void
copy(struct program *p, unsigned dst, unsigned src)
{
	emit(p, BPF_ALU64 | BPF_MOV | BPF_X, dst, src, 0, 0);
}

/* operation: BPF_ADD and the like. */
static void
with_value(struct program *p, unsigned operation, unsigned dst, int32_t value)
{
	emit(p, BPF_ALU64 | operation | BPF_K, dst, 0, 0, value);
}

static void
with_register(struct program *p, unsigned operation, unsigned dst, unsigned src)
{
	emit(p, BPF_ALU64 | operation | BPF_X, dst, src, 0, 0);
}

/* size: BPF_B, BPF_W or BPF_DW. */
static void
load(struct program *p, unsigned size, unsigned dst, unsigned src, int offset)
{
	emit(p, BPF_LDX | BPF_MEM | size, dst, src, offset, 0);
}

static void
store(struct program *p, unsigned size, unsigned dst, int offset, unsigned src)
{
	emit(p, BPF_STX | BPF_MEM | size, dst, src, offset, 0);
}

static void
call(struct program *p, int32_t helper)
{
	emit(p, BPF_JMP | BPF_CALL, 0, 0, 0, helper);
}

/* condition: BPF_JEQ and the like. */
static void
jump_if(struct program *p, struct jumps *to, unsigned condition, unsigned dst, int32_t value)
{
	CHECK(to->count < JUMPS_MAX);
	to->from[to->count++] = p->count;
	emit(p, BPF_JMP | condition | BPF_K, dst, 0, 0, value);
}

static void
jump(struct program *p, struct jumps *to)
{
	CHECK(to->count < JUMPS_MAX);
	to->from[to->count++] = p->count;
	emit(p, BPF_JMP | BPF_JA, 0, 0, 0, 0);
}

/* The jumps go to the next instruction. */
static void
land(struct program *p, const struct jumps *here)
{
	for (unsigned i = 0; i < here->count; i++)
		p->code[here->from[i]].off = (int16_t)(p->count - here->from[i] - 1);
}

/* Reads `bytes` of the kernel at the address in `base` and offset, to a place below FRAME. */
static void
probe(struct program *p, struct jumps *failed, int place, unsigned bytes, unsigned base,
    uint32_t offset)
{
	copy(p, R3, base);
	with_value(p, BPF_ADD, R3, (int32_t)offset);
	set(p, R2, (int32_t)bytes);
	copy(p, R1, FRAME);
	with_value(p, BPF_ADD, R1, place);
	call(p, BPF_FUNC_probe_read_kernel);
	jump_if(p, failed, BPF_JNE, R0, 0);
}

/* dst = the word at base and offset */
static void
follow(struct program *p, struct jumps *failed, unsigned dst, unsigned base, uint32_t offset)
{
	probe(p, failed, AT_VALUE, 8, base, offset);
	load(p, BPF_DW, dst, FRAME, AT_VALUE);
}

/* AT_ROOT_SHIFT = what the node in ROOT says, or 0 if it is not a node */
static void
read_root_shift(struct program *p, const struct pin_layout *at, struct jumps *out)
{
	struct jumps read = { .count = 0 };

	set(p, R2, 0);
	store(p, BPF_DW, FRAME, AT_ROOT_SHIFT, R2);
	copy(p, R1, ROOT);
	with_value(p, BPF_AND, R1, 3);
	jump_if(p, &read, BPF_JNE, R1, 2);
	probe(p, out, AT_VALUE, 1, ROOT, at->node_shift - 2);
	load(p, BPF_B, R2, FRAME, AT_VALUE);
	with_value(p, BPF_AND, R2, 63);
	store(p, BPF_DW, FRAME, AT_ROOT_SHIFT, R2);
	land(p, &read);
}

/* LOOK = the element, ROOT = the root of the memfd's xarray */
static void
find_root(struct program *p, const struct pin_layout *at, int map, struct jumps *out)
{
	load(p, BPF_DW, R1, R1, 0);
	store(p, BPF_W, FRAME, AT_KEY, R1);
	emit(p, BPF_LD | BPF_IMM | BPF_DW, R1, BPF_PSEUDO_MAP_FD, 0, map);
	emit(p, 0, 0, 0, 0, 0);
	copy(p, R2, FRAME);
	with_value(p, BPF_ADD, R2, AT_KEY);
	call(p, BPF_FUNC_map_lookup_elem);
	jump_if(p, out, BPF_JEQ, R0, 0);
	copy(p, LOOK, R0);
	call(p, BPF_FUNC_get_current_task);
	copy(p, ROOT, R0);
	follow(p, out, ROOT, ROOT, at->task_files);
	follow(p, out, ROOT, ROOT, at->files_fdt);
	follow(p, out, ROOT, ROOT, at->fdt_fd);
	load(p, BPF_W, R1, LOOK, offsetof(struct pin_look, memfd));
	with_value(p, BPF_LSH, R1, 3);
	with_register(p, BPF_ADD, ROOT, R1);
	follow(p, out, ROOT, ROOT, 0);
	follow(p, out, ROOT, ROOT, at->file_mapping);
	follow(p, out, ROOT, ROOT, at->mapping_pages + at->xarray_head);
	read_root_shift(p, at, out);
}

/* ENTRY = the slot of the node in ENTRY whose number is in `number` */
static void
take_slot(struct program *p, const struct pin_layout *at, struct jumps *failed, unsigned number)
{
	with_value(p, BPF_LSH, number, 3);
	with_register(p, BPF_ADD, number, ENTRY);
	follow(p, failed, R2, number, at->node_slots);
}

/* One level down, for the page number at AT_INDEX. `page` is jumped to if ENTRY is not a node. */
static void
descend(struct program *p, const struct pin_layout *at, bool is_root, struct jumps *page,
    struct jumps *none)
{
	struct jumps plain = { .count = 0 };

	/* A node's address has 2 in its lowest bits, a page's has 0. */
	copy(p, R1, ENTRY);
	with_value(p, BPF_AND, R1, 3);
	jump_if(p, page, BPF_JNE, R1, 2);
	with_value(p, BPF_SUB, ENTRY, 2);
	load(p, BPF_DW, R1, FRAME, AT_INDEX);
	load(p, BPF_DW, R2, FRAME, is_root ? AT_ROOT_SHIFT : AT_SHIFT);
	with_register(p, BPF_RSH, R1, R2);
	with_value(p, BPF_SUB, R2, LEVEL_BITS);
	with_value(p, BPF_AND, R2, 63);
	store(p, BPF_DW, FRAME, AT_SHIFT, R2);
	if (is_root)
		jump_if(p, none, BPF_JGT, R1, 63);
	with_value(p, BPF_AND, R1, 63);
	take_slot(p, at, none, R1);
	/* A large page stands in one of its slots; the others hold that one's number, times 4 and
	 * 2. */
	copy(p, R1, R2);
	with_value(p, BPF_AND, R1, 3);
	jump_if(p, &plain, BPF_JNE, R1, 2);
	jump_if(p, &plain, BPF_JGT, R2, 63 * 4 + 2);
	with_value(p, BPF_RSH, R2, 2);
	copy(p, R1, R2);
	take_slot(p, at, none, R1);
	land(p, &plain);
	copy(p, ENTRY, R2);
}

/* R2 = extra references on the page in ENTRY */
static void
count_extra(struct program *p, const struct pin_layout *at, struct jumps *none)
{
	struct jumps small = { .count = 0 }, counted = { .count = 0 };

	jump_if(p, none, BPF_JEQ, ENTRY, 0);
	copy(p, R1, ENTRY);
	with_value(p, BPF_AND, R1, 3);
	jump_if(p, none, BPF_JNE, R1, 0);
	probe(p, none, AT_PAGE, PAGE_BYTES, ENTRY, 0);
	load(p, BPF_DW, R1, FRAME, AT_PAGE + (int)at->page_flags);
	copy(p, R3, R1);
	with_value(p, BPF_RSH, R1, (int32_t)at->flag_head);
	with_value(p, BPF_AND, R1, 1);
	jump_if(p, &small, BPF_JEQ, R1, 0);
	/* Of a large page the pins are counted apart. */
	probe(p, none, AT_VALUE, 4, ENTRY, at->folio_pincount);
	load(p, BPF_W, R2, FRAME, AT_VALUE);
	jump_if(p, &counted, BPF_JEQ, R2, 0);
	set(p, R2, PIN_WEIGHT);
	jump(p, &counted);
	land(p, &small);
	/* References, without the page cache's and those of mappings, whose number is kept less by
	 * one. */
	load(p, BPF_W, R2, FRAME, AT_PAGE + (int)at->page_refcount);
	load(p, BPF_W, R1, FRAME, AT_PAGE + (int)at->page_mapcount);
	with_value(p, BPF_ADD, R1, 1);
	with_value(p, BPF_ADD, R1, 1);
	with_register(p, BPF_SUB, R2, R1);
	/* A page on its way to an LRU list, or from one to another, has a reference for that; so
	 * has one on its way to those that are locked, which is marked as locked by then. */
	copy(p, R1, R3);
	with_value(p, BPF_RSH, R1, (int32_t)at->flag_lru);
	with_value(p, BPF_AND, R1, 1);
	with_register(p, BPF_ADD, R2, R1);
	with_value(p, BPF_SUB, R2, 1);
	with_value(p, BPF_RSH, R3, (int32_t)at->flag_mlocked);
	with_value(p, BPF_AND, R3, 1);
	with_register(p, BPF_SUB, R2, R3);
	land(p, &counted);
}

/* R1 = LOOK and PAGE_NUMBER times `bytes`; the verifier wants to see the bound. */
static void
element(struct program *p, int32_t shift)
{
	copy(p, R1, PAGE_NUMBER);
	with_value(p, BPF_LSH, R1, shift);
	with_register(p, BPF_ADD, R1, LOOK);
}

static void
count_page(struct program *p, const struct pin_layout *at)
{
	struct jumps none = { .count = 0 }, page = { .count = 0 }, done = { .count = 0 };

	element(p, 3);
	load(p, BPF_DW, R1, R1, offsetof(struct pin_look, pages));
	store(p, BPF_DW, FRAME, AT_INDEX, R1);
	copy(p, ENTRY, ROOT);
	for (unsigned level = 0; level < LEVELS_MAX; level++)
		descend(p, at, level == 0, &page, &none);
	land(p, &page);
	count_extra(p, at, &none);
	jump(p, &done);
	land(p, &none);
	set(p, R2, 0);
	land(p, &done);
	element(p, 2);
	store(p, BPF_W, R1, offsetof(struct pin_look, extra), R2);
}

static void
call_function(struct program *p, uint32_t number)
{
	emit(p, BPF_JMP | BPF_CALL, 0, BPF_PSEUDO_KFUNC_CALL, 0, (int32_t)number);
}

/* R1 = the loop's counter */
static void
counter(struct program *p)
{
	copy(p, R1, FRAME);
	with_value(p, BPF_ADD, R1, AT_COUNTER);
}

static void
write_program(struct program *p, const struct pin_layout *at, int map)
{
	struct jumps out = { .count = 0 }, end = { .count = 0 };
	unsigned next;

	find_root(p, at, map, &out);
	counter(p);
	set(p, R2, 0);
	load(p, BPF_W, R3, LOOK, offsetof(struct pin_look, count));
	call_function(p, at->count_new);
	next = p->count;
	counter(p);
	call_function(p, at->count_next);
	jump_if(p, &end, BPF_JEQ, R0, 0);
	load(p, BPF_W, PAGE_NUMBER, R0, 0);
	jump_if(p, &end, BPF_JGE, PAGE_NUMBER, PIN_LOOK_MAX);
	count_page(p, at);
	emit(p, BPF_JMP | BPF_JA, 0, 0, (int)next - (int)p->count - 1, 0);
	land(p, &end);
	counter(p);
	call_function(p, at->count_destroy);
	land(p, &out);
	set(p, R0, 0);
	emit(p, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

int
pin_program_load(const struct pin_layout *layout, int map)
{
	static struct program program;
	union bpf_attr attr;
	long fd;

	CHECK(layout->page_flags + 8 <= PAGE_BYTES && layout->page_mapcount + 4 <= PAGE_BYTES &&
	      layout->page_refcount + 4 <= PAGE_BYTES);
	program.count = 0;
	write_program(&program, layout, map);
	memset(&attr, 0, sizeof(attr));
	attr.prog_type = BPF_PROG_TYPE_RAW_TRACEPOINT;
	attr.insns = (uintptr_t)program.code;
	attr.insn_cnt = program.count;
	attr.license = (uintptr_t) "Dual MIT/GPL";
	memcpy(attr.prog_name, "pager_pins", sizeof("pager_pins"));
	fd = syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr));
	return fd < 0 ? -errno : (int)fd;
}
