/* SPDX-License-Identifier: MIT
 *
 * Memory for keys: one region, cut into pieces whose sizes are powers of two, each size with a list
 * of what was given back. Locks: a leaf.
 */
#include "swapkeep.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include "check.h"
#include "lock.h"
#include "log.h"
#include "own.h"

#define REGION_BYTES (16u << 20) /* as far as it is used it is memory */
#define CLASS_FIRST  5u          /* 32 bytes */
#define CLASS_COUNT  20u

/* In front of each piece; 16 bytes, so that pieces are aligned as malloc's are. */
struct piece {
	struct piece *next; /* of a free one */
	uint32_t class;
	uint32_t unused;
};
_Static_assert(sizeof(struct piece) == 16, "pieces are aligned to 16 bytes");

static struct lock lock;
static char *region;
static size_t region_used;                     /* under lock */
static struct piece *free_pieces[CLASS_COUNT]; /* under lock */

int
swapkeep_init(void)
{
	if (region)
		return 0;
	void *memory =
	    mmap(NULL, REGION_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		return -errno;
	if (madvise(memory, REGION_BYTES, MADV_DONTDUMP) < 0) {
		int error = -errno;

		munmap(memory, REGION_BYTES);
		return error;
	}
	/* A user may lock little. Then the system's own swap may see the key, as it may see all
	 * else of the daemon's, which has said so at its start. */
	if (mlock2(memory, REGION_BYTES, MLOCK_ONFAULT) < 0)
		log_debug_limited("swap: the key's memory cannot be locked: %s", strerror(errno));
	lock_init(&lock, RANK_JOBS);
	own_area(OWN_SWAP, memory, REGION_BYTES);
	region = memory;
	return 0;
}

static size_t
class_bytes(uint32_t class)
{
	return (size_t)1 << (class + CLASS_FIRST);
}

void *
swapkeep_alloc(size_t bytes)
{
	size_t wanted = bytes + sizeof(struct piece);
	struct piece *piece;
	uint32_t class = 0;

	CHECK(region != NULL);
	while (class < CLASS_COUNT && class_bytes(class) < wanted)
		class ++;
	if (wanted < bytes || class == CLASS_COUNT)
		return NULL;
	lock_acquire(&lock);
	piece = free_pieces[class];
	if (piece) {
		free_pieces[class] = piece->next;
	} else if (class_bytes(class) <= REGION_BYTES - region_used) {
		piece = (struct piece *)(region + region_used);
		region_used += class_bytes(class);
	}
	lock_release(&lock);
	if (!piece)
		return NULL;
	*piece = (struct piece){ .class = class };
	return piece + 1;
}

void
swapkeep_free(void *memory)
{
	struct piece *piece;

	if (!memory)
		return;
	piece = (struct piece *)memory - 1;
	CHECK((char *)piece >= region && (char *)piece < region + REGION_BYTES);
	explicit_bzero(memory, class_bytes(piece->class) - sizeof(*piece));
	lock_acquire(&lock);
	piece->next = free_pieces[piece->class];
	free_pieces[piece->class] = piece;
	lock_release(&lock);
}

void *
swapkeep_realloc(void *memory, size_t bytes)
{
	const struct piece *piece;
	void *moved;
	size_t room;

	if (!memory)
		return swapkeep_alloc(bytes);
	piece = (const struct piece *)memory - 1;
	room = class_bytes(piece->class) - sizeof(*piece);
	if (bytes <= room)
		return memory;
	moved = swapkeep_alloc(bytes);
	if (!moved)
		return NULL;
	memcpy(moved, memory, room);
	swapkeep_free(memory);
	return moved;
}
