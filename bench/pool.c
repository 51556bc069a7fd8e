/* SPDX-License-Identifier: MIT
 *
 * Files are used in the order of a hash of their names, in pieces of 64 KiB. Neighbouring pages of
 * a file stay neighbours, which matters to a compressor that takes several pages at once.
 */
#include "pool.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <lz4.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "rng.h"

#define PIECE_PAGES     16u
#define PIECE_BYTES     (PIECE_PAGES * POOL_PAGE_BYTES)
#define FILES_PER_DIR   3000u
#define PIECES_PER_FILE 8u

const char *const pool_data_names[] = {
	[POOL_HALF] = "half",
	[POOL_REAL] = "real",
	[POOL_RANDOM] = "random",
	NULL,
};

struct source_file {
	char *path;
	uint64_t order;
	off_t size;
};

struct source_list {
	struct source_file *files;
	size_t count, room;
};

static int
compare_names(const FTSENT **a, const FTSENT **b)
{
	return strcmp((*a)->fts_name, (*b)->fts_name);
}

static int
compare_order(const void *a, const void *b)
{
	const struct source_file *x = a, *y = b;

	return x->order < y->order ? -1 : x->order > y->order;
}

static int
source_add(struct source_list *list, const char *path, off_t size, uint64_t seed)
{
	struct source_file *more;

	if (list->count == list->room) {
		list->room = list->room ? list->room * 2 : 1024;
		more = realloc(list->files, list->room * sizeof(*more));
		if (!more)
			return -ENOMEM;
		list->files = more;
	}
	more = &list->files[list->count];
	more->path = strdup(path);
	if (!more->path)
		return -ENOMEM;
	more->size = size;
	more->order = XXH3_64bits_withSeed(path, strlen(path), seed);
	list->count++;
	return 0;
}

/* Takes the same number of files at most from each directory. */
static int
sources_gather(struct source_list *list, uint64_t seed)
{
	static const char *const directories[] = { "/usr/bin", "/usr/lib", "/usr/share" };
	int error = 0;

	for (size_t d = 0; d < sizeof(directories) / sizeof(directories[0]) && !error; d++) {
		char *const roots[] = { (char *)directories[d], NULL };
		FTS *walk = fts_open(roots, FTS_PHYSICAL | FTS_XDEV, compare_names);
		size_t taken = 0;
		FTSENT *e;

		if (!walk)
			continue;
		while (taken < FILES_PER_DIR && !error && (e = fts_read(walk)))
			if (e->fts_info == FTS_F && e->fts_statp->st_size >= (off_t)PIECE_BYTES) {
				error = source_add(list, e->fts_path, e->fts_statp->st_size, seed);
				taken++;
			}
		fts_close(walk);
	}
	qsort(list->files, list->count, sizeof(*list->files), compare_order);
	return error;
}

static unsigned
piece_compressed_bytes(const char *piece)
{
	char out[LZ4_COMPRESSBOUND(POOL_PAGE_BYTES)];
	unsigned bytes = 0;

	for (unsigned i = 0; i < PIECE_PAGES; i++)
		bytes += (unsigned)LZ4_compress_default(
		    piece + i * POOL_PAGE_BYTES, out, POOL_PAGE_BYTES, sizeof(out));
	return bytes;
}

/* Keeps the mean compressed size of the pieces at one half: a piece is wanted if it moves the mean
 * towards that. Pieces of almost one value are left out, because memory is not full of these. */
static bool
piece_is_wanted(const char *piece, uint64_t *sum, uint64_t taken)
{
	const unsigned half = PIECE_BYTES / 2;
	unsigned bytes = piece_compressed_bytes(piece);

	if (bytes < PIECE_BYTES / 8)
		return false;
	if (taken && (*sum > taken * half ? bytes > half : bytes < half))
		return false;
	*sum += bytes;
	return true;
}

/* The first `random_bytes` of each page are random, the rest has one value. */
static void
piece_invent(char *piece, unsigned random_bytes, struct rng *r)
{
	memset(piece, 0x5a, PIECE_BYTES);
	for (unsigned i = 0; i < PIECE_PAGES; i++)
		for (unsigned j = 0; j < random_bytes; j += 8) {
			uint64_t v = rng_next(r);

			memcpy(piece + i * POOL_PAGE_BYTES + j, &v, 8);
		}
}

static void
pool_fill(
    char *bytes, uint32_t pages, enum pool_data data, const struct source_list *list, uint64_t seed)
{
	struct rng r = { seed };
	uint64_t sum = 0;
	uint32_t taken = 0, wanted = pages / PIECE_PAGES;

	for (size_t i = 0; i < list->count && taken < wanted; i++) {
		const struct source_file *file = &list->files[i];
		uint64_t pieces = (uint64_t)file->size / PIECE_BYTES;
		int fd = open(file->path, O_RDONLY | O_CLOEXEC);

		for (unsigned n = 0; fd >= 0 && n < PIECES_PER_FILE && n < pieces && taken < wanted;
		     n++) {
			char *piece = bytes + (size_t)taken * PIECE_BYTES;
			off_t at = (off_t)(permute(n, pieces, seed) * PIECE_BYTES);

			if (pread(fd, piece, PIECE_BYTES, at) == (ssize_t)PIECE_BYTES &&
			    (data == POOL_REAL || piece_is_wanted(piece, &sum, taken)))
				taken++;
		}
		if (fd >= 0)
			close(fd);
	}
	/* Also where the machine has too few files. */
	for (; taken < wanted; taken++)
		piece_invent(bytes + (size_t)taken * PIECE_BYTES,
		    data == POOL_RANDOM ? POOL_PAGE_BYTES : POOL_PAGE_BYTES / 2, &r);
}

int
pool_open(struct pool *pool, int fd)
{
	struct stat st;
	void *map;

	if (fstat(fd, &st))
		return -errno;
	map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED | MAP_POPULATE, fd, 0);
	if (map == MAP_FAILED)
		return -errno;
	pool->fd = fd;
	pool->bytes = map;
	pool->pages = (uint32_t)((size_t)st.st_size / POOL_PAGE_BYTES);
	pool->check = malloc(pool->pages * sizeof(*pool->check));
	if (!pool->check) {
		munmap(map, (size_t)st.st_size);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < pool->pages; i++)
		pool->check[i] = XXH3_64bits(pool_body(pool, i), POOL_BODY_BYTES);
	return 0;
}

int
pool_create(struct pool *pool, enum pool_data data, uint32_t pages, uint64_t seed)
{
	size_t bytes = (size_t)pages * POOL_PAGE_BYTES;
	struct source_list list = { 0 };
	int fd = memfd_create("pagerbench-data", MFD_CLOEXEC);
	int error = 0;
	char *map;

	if (fd < 0)
		return -errno;
	map = ftruncate(fd, (off_t)bytes)
		  ? MAP_FAILED
		  : mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (map == MAP_FAILED)
		error = -errno;
	if (!error && data != POOL_RANDOM)
		error = sources_gather(&list, seed);
	if (!error)
		pool_fill(map, pages, data, &list, seed);
	if (map != MAP_FAILED)
		munmap(map, bytes);
	for (size_t i = 0; i < list.count; i++)
		free(list.files[i].path);
	free(list.files);
	if (!error)
		error = pool_open(pool, fd);
	if (error)
		close(fd);
	return error;
}

void
pool_close(struct pool *pool)
{
	munmap((void *)pool->bytes, (size_t)pool->pages * POOL_PAGE_BYTES);
	free(pool->check);
	close(pool->fd);
}
