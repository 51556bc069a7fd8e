/* SPDX-License-Identifier: MIT
 *
 * Makes an index of the words in this machine's files, with everything in memory from pagerd: the
 * files' bytes, the table of words, and for each word the list of files that hold it. Small files
 * are read, large ones are mapped. On plain memory the same program gives the same answer.
 *
 * Progress goes to standard error, the answer to standard output.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <getopt.h>
#include <pager/pager.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

#define SEGMENT_BYTES  ((size_t)16 << 20)  /* memory is allocated in pieces of this size */
#define FILE_MAX_BYTES ((size_t)8 << 20)   /* larger files are left out */
#define FILE_MAP_BYTES ((size_t)128 << 10) /* files from this size on are mapped */
#define WORD_MIN       3u
#define WORD_MAX       40u
#define PROGRESS_BYTES ((uint64_t)32 << 20)
#define WORD_CHUNK     65536u /* words in one piece */
#define WORD_CHUNKS    1024u
#define BLOCK_MIN      2u /* postings */
#define BLOCK_MAX      64u
#define TOP            20u

/* A part of the list of files that hold a word. Each block has twice the room of the previous one,
 * so the list of a rare word is small, and that of a frequent word has few parts. */
struct block {
	struct block *previous;
	uint32_t used, room;
	struct {
		uint32_t file, occurrences;
	} at[];
};

/* Words are kept in the order of their first occurrence, so frequent words are close together. The
 * occurrences in the current file join the list when the word occurs in another file. */
struct word {
	const char *text;
	uint64_t hash;
	struct block *last;
	uint32_t length, occurrences;
	uint32_t file, in_file; /* in_file occurrences in this file are not in the list yet */
};

/* An entry of the hash table: small, because the table is touched at random. */
struct slot {
	uint32_t number; /* of the word, from 1; 0: free */
	uint32_t tag;    /* upper half of its hash */
};

struct file {
	const char *text;
	uint64_t bytes;
};

struct segment {
	struct segment *next;
	size_t used;
};

struct index {
	struct pager *pager; /* NULL: plain memory */
	struct slot *table;
	struct word *words_at[WORD_CHUNKS];
	uint64_t table_slots;                 /* a power of two */
	struct segment *text, *names, *lists; /* the first segment is the one being filled */
	struct file *files;
	uint64_t files_room, file_count;
	uint64_t bytes, words, postings, occurrences;
	uint64_t mapped_files, mapped_bytes;
	uint64_t memory_bytes, memory_peak_bytes;
};

static void
die(const char *what, int error)
{
	fprintf(stderr, "wordindex: %s: %s\n", what, strerror(-error));
	exit(1);
}

static void
memory_count(struct index *x, size_t bytes)
{
	x->memory_bytes += bytes;
	if (x->memory_bytes > x->memory_peak_bytes)
		x->memory_peak_bytes = x->memory_bytes;
}

/* memory_get and memory_put are the only functions that allocate and free memory. */
static void *
memory_get(struct index *x, size_t bytes)
{
	void *addr;
	int error = 0;

	if (x->pager) {
		error = pager_allocate(x->pager, bytes, 0, &addr);
	} else {
		addr =
		    mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (addr == MAP_FAILED)
			error = -errno;
	}
	if (error)
		die("no memory", error);
	memory_count(x, bytes);
	return addr;
}

static void
memory_put(struct index *x, void *addr, size_t bytes)
{
	int error;

	x->memory_bytes -= bytes;
	if (x->pager)
		error = pager_deallocate(x->pager, addr, bytes);
	else
		error = munmap(addr, bytes) ? -errno : 0;
	if (error)
		die("cannot give memory back", error);
}

/* bytes < SEGMENT_BYTES. */
static void *
segment_get(struct index *x, struct segment **list, size_t bytes)
{
	struct segment *s = *list;

	bytes = (bytes + 7) & ~(size_t)7;
	if (!s || s->used + bytes > SEGMENT_BYTES) {
		s = memory_get(x, SEGMENT_BYTES);
		s->next = *list;
		s->used = (sizeof(*s) + 15) & ~(size_t)15;
		*list = s;
	}
	s->used += bytes;
	return (char *)s + s->used - bytes;
}

static struct word *
word_at(const struct index *x, uint64_t number)
{
	return &x->words_at[number / WORD_CHUNK][number % WORD_CHUNK];
}

static void
table_make(struct index *x, uint64_t slots)
{
	x->table = memory_get(x, slots * sizeof(*x->table));
	x->table_slots = slots;
}

static void
table_put(struct index *x, uint64_t hash, uint64_t number)
{
	uint64_t at = hash & (x->table_slots - 1);

	while (x->table[at].number)
		at = (at + 1) & (x->table_slots - 1);
	x->table[at] =
	    (struct slot){ .number = (uint32_t)number + 1, .tag = (uint32_t)(hash >> 32) };
}

static void
table_grow(struct index *x)
{
	struct slot *old = x->table;
	uint64_t slots = x->table_slots;

	table_make(x, slots * 2);
	for (uint64_t i = 0; i < x->words; i++)
		table_put(x, word_at(x, i)->hash, i);
	memory_put(x, old, slots * sizeof(*old));
}

static struct word *
word_new(struct index *x, const char *text, uint32_t length, uint64_t hash)
{
	uint64_t number = x->words;
	struct word *w;
	char *name;

	if (number / WORD_CHUNK == WORD_CHUNKS)
		die("too many words", -E2BIG);
	if (number % WORD_CHUNK == 0)
		x->words_at[number / WORD_CHUNK] = memory_get(x, WORD_CHUNK * sizeof(*w));
	/* A copy, so that a comparison does not bring the file's text back into memory. */
	name = segment_get(x, &x->names, length);
	memcpy(name, text, length);
	w = word_at(x, number);
	*w = (struct word){ .text = name, .hash = hash, .length = length };
	x->words++;
	table_put(x, hash, number);
	return w;
}

static struct word *
word_find(struct index *x, const char *text, uint32_t length)
{
	uint64_t hash = XXH3_64bits(text, length), at;

	if (x->words * 10 >= x->table_slots * 7)
		table_grow(x);
	at = hash & (x->table_slots - 1);
	for (; x->table[at].number; at = (at + 1) & (x->table_slots - 1)) {
		struct word *w;

		if (x->table[at].tag != (uint32_t)(hash >> 32))
			continue;
		w = word_at(x, x->table[at].number - 1);
		if (w->hash == hash && w->length == length && memcmp(w->text, text, length) == 0)
			return w;
	}
	return word_new(x, text, length, hash);
}

static void
list_append(struct index *x, struct word *w)
{
	struct block *b = w->last;

	if (!b || b->used == b->room) {
		uint32_t room = !b ? BLOCK_MIN : b->room < BLOCK_MAX ? b->room * 2 : BLOCK_MAX;

		b = segment_get(x, &x->lists, sizeof(*b) + room * sizeof(b->at[0]));
		b->previous = w->last;
		b->used = 0;
		b->room = room;
		w->last = b;
	}
	b->at[b->used].file = w->file;
	b->at[b->used].occurrences = w->in_file;
	b->used++;
	w->in_file = 0;
	x->postings++;
}

static void
word_add(struct index *x, const char *text, uint32_t length, uint32_t file)
{
	struct word *w = word_find(x, text, length);

	if (w->in_file && w->file != file)
		list_append(x, w);
	w->file = file;
	w->in_file++;
	w->occurrences++;
	x->occurrences++;
}

/* Called after the last file. */
static void
index_finish(struct index *x)
{
	for (uint64_t i = 0; i < x->words; i++)
		if (word_at(x, i)->in_file)
			list_append(x, word_at(x, i));
}

static void
text_index(struct index *x, const char *text, size_t bytes, uint32_t file)
{
	size_t start = 0;

	for (size_t i = 0; i <= bytes; i++) {
		if (i < bytes && (isalnum((unsigned char)text[i]) || text[i] == '_'))
			continue;
		if (i - start >= WORD_MIN && i - start <= WORD_MAX)
			word_add(x, text + start, (uint32_t)(i - start), file);
		start = i + 1;
	}
}

/* Maps a file; it stays mapped. => its bytes, or NULL: its file system does not allow it */
static char *
file_map(struct index *x, int fd, size_t bytes)
{
	void *addr = NULL;
	int error = 0;

	if (x->pager) {
		error = pager_map_file(x->pager, fd, 0, bytes, PROT_READ, PAGER_MAP_SHARED, &addr);
	} else {
		addr = mmap(NULL, bytes, PROT_READ, MAP_SHARED, fd, 0);
		if (addr == MAP_FAILED)
			error = -errno;
	}
	if (error == -ENODEV)
		return NULL;
	if (error)
		die("cannot map a file", error);
	memory_count(x, bytes);
	x->mapped_files++;
	x->mapped_bytes += bytes;
	return addr;
}

/* Maps a file, or reads it directly into paged memory, and indexes it. => whether that could be. */
static bool
file_add(struct index *x, const char *path, size_t bytes)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	char *text;
	size_t got = 0;
	ssize_t n = 1;

	if (fd < 0)
		return false;
	text = bytes >= FILE_MAP_BYTES ? file_map(x, fd, bytes) : NULL;
	if (text)
		got = bytes;
	else
		text = segment_get(x, &x->text, bytes);
	while (got < bytes && (n = read(fd, text + got, bytes - got)) > 0)
		got += (size_t)n;
	close(fd);
	if (n < 0)
		die(path, -errno);
	if (x->file_count == x->files_room) {
		struct file *more = memory_get(x, x->files_room * 2 * sizeof(*more));

		memcpy(more, x->files, x->files_room * sizeof(*more));
		memory_put(x, x->files, x->files_room * sizeof(*more));
		x->files = more;
		x->files_room *= 2;
	}
	x->files[x->file_count] = (struct file){ .text = text, .bytes = got };
	text_index(x, text, got, (uint32_t)x->file_count);
	x->file_count++;
	x->bytes += got;
	return true;
}

static double
seconds_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void
progress(const struct index *x, double start)
{
	fprintf(stderr,
	    "wordindex: %6.1f s  %5llu files  %4llu MiB read  %8llu words  %9llu postings  "
	    "%4llu MiB of memory\n",
	    seconds_now() - start, (unsigned long long)x->file_count,
	    (unsigned long long)x->bytes >> 20, (unsigned long long)x->words,
	    (unsigned long long)x->postings, (unsigned long long)x->memory_bytes >> 20);
}

static int
compare_names(const FTSENT **a, const FTSENT **b)
{
	return strcmp((*a)->fts_name, (*b)->fts_name);
}

static void
directory_add(struct index *x, const char *path, uint64_t limit_bytes, double start)
{
	char *const roots[] = { (char *)path, NULL };
	FTS *walk = fts_open(roots, FTS_PHYSICAL | FTS_XDEV | FTS_NOCHDIR, compare_names);
	uint64_t next = x->bytes + PROGRESS_BYTES;
	FTSENT *e;

	if (!walk)
		die(path, -errno);
	while ((e = fts_read(walk))) {
		uint64_t size = e->fts_info == FTS_F ? (uint64_t)e->fts_statp->st_size : 0;

		if (size == 0 || size > FILE_MAX_BYTES || x->bytes + size > limit_bytes)
			continue;
		file_add(x, e->fts_path, (size_t)size);
		if (x->bytes >= next) {
			progress(x, start);
			next += PROGRESS_BYTES;
		}
	}
	fts_close(walk);
}

/* => a hash of every word with its list, in their order, and of the files' bytes. */
static uint64_t
index_digest(const struct index *x)
{
	XXH3_state_t *state = XXH3_createState();
	uint64_t digest;

	if (!state)
		die("digest", -ENOMEM);
	XXH3_64bits_reset(state);
	for (uint64_t i = 0; i < x->words; i++) {
		const struct word *w = word_at(x, i);

		XXH3_64bits_update(state, w->text, w->length);
		XXH3_64bits_update(state, &w->occurrences, sizeof(w->occurrences));
		for (const struct block *b = w->last; b; b = b->previous)
			XXH3_64bits_update(state, b->at, b->used * sizeof(b->at[0]));
	}
	for (uint64_t i = 0; i < x->file_count; i++)
		XXH3_64bits_update(state, x->files[i].text, x->files[i].bytes);
	digest = XXH3_64bits_digest(state);
	XXH3_freeState(state);
	return digest;
}

/* Orders by occurrences, descending, then alphabetically. */
static bool
word_before(const struct word *a, const struct word *b)
{
	uint32_t shorter = a->length < b->length ? a->length : b->length;
	int order;

	if (a->occurrences != b->occurrences)
		return a->occurrences > b->occurrences;
	order = memcmp(a->text, b->text, shorter);
	return order ? order < 0 : a->length < b->length;
}

static void
answer(const struct index *x)
{
	const struct word *top[TOP + 1];
	unsigned count = 0;

	for (uint64_t i = 0; i < x->words; i++) {
		const struct word *w = word_at(x, i);
		unsigned at = count;

		for (; at > 0 && word_before(w, top[at - 1]); at--)
			top[at] = top[at - 1];
		if (at < TOP)
			top[at] = w;
		if (count < TOP && at <= count)
			count++;
	}
	printf("files        %llu\nbytes        %llu\nwords        %llu\noccurrences  "
	       "%llu\npostings     %llu\nmemory       %llu\n",
	    (unsigned long long)x->file_count, (unsigned long long)x->bytes,
	    (unsigned long long)x->words, (unsigned long long)x->occurrences,
	    (unsigned long long)x->postings, (unsigned long long)x->memory_peak_bytes);
	for (unsigned i = 0; i < count; i++)
		printf("%3u. %-24.*s %u\n", i + 1, (int)top[i]->length, top[i]->text,
		    top[i]->occurrences);
	printf("digest       %016llx\n", (unsigned long long)index_digest(x));
	fflush(stdout);
}

static void
faults_print(struct pager *pager)
{
	struct pager_statistics st;

	if (pager_statistics(pager, &st))
		return;
	fprintf(stderr,
	    "wordindex: %llu faults: %llu pages zero-filled, %llu mapped again, %llu "
	    "decompressed, %llu from disk\n",
	    (unsigned long long)st.faults, (unsigned long long)st.zero_fills,
	    (unsigned long long)st.soft_faults, (unsigned long long)st.decompressions,
	    (unsigned long long)st.swapins);
}

static void
usage(void)
{
	fputs("usage: wordindex [--malloc | --pager [--socket PATH]] [--limit-bytes N] [--hold FD] "
	      "DIR...\n"
	      "  --malloc        plain memory\n"
	      "  --pager         memory from pagerd (the default)\n"
	      "  --socket PATH   the daemon's socket\n"
	      "  --limit-bytes N read at most N bytes\n"
	      "  --hold FD       after the answer, keep the index until the other end of the "
	      "descriptor is closed\n",
	    stderr);
	exit(2);
}

static void
hold(int fd)
{
	char buf[64];

	while (read(fd, buf, sizeof(buf)) > 0)
		;
}

int
main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "malloc", no_argument, NULL, 'm' },
		{ "pager", no_argument, NULL, 'p' },
		{ "socket", required_argument, NULL, 's' },
		{ "limit-bytes", required_argument, NULL, 'l' },
		{ "hold", required_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	uint64_t limit_bytes = UINT64_MAX;
	const char *socket = NULL;
	bool paged = true;
	int option, hold_fd = -1, error;
	struct index x = { 0 };
	double start = seconds_now();

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'm':
		case 'p':
			paged = option == 'p';
			break;
		case 's':
			socket = optarg;
			break;
		case 'l':
			limit_bytes = strtoull(optarg, NULL, 0);
			break;
		case 'h':
			hold_fd = atoi(optarg);
			break;
		default:
			usage();
		}
	}
	if (optind == argc)
		usage();
	if (paged) {
		error = pager_connect(socket, NULL, &x.pager);
		if (error)
			die("cannot connect to pagerd", error);
	}
	x.files_room = 4096;
	x.files = memory_get(&x, x.files_room * sizeof(*x.files));
	table_make(&x, 65536);
	for (; optind < argc; optind++)
		directory_add(&x, argv[optind], limit_bytes, start);
	index_finish(&x);
	progress(&x, start);
	answer(&x);
	fprintf(stderr, "wordindex: %.1f s on %s memory; %llu files of %llu MiB were mapped\n",
	    seconds_now() - start, paged ? "paged" : "plain", (unsigned long long)x.mapped_files,
	    (unsigned long long)x.mapped_bytes >> 20);
	if (x.pager)
		faults_print(x.pager);
	if (hold_fd >= 0)
		hold(hold_fd);
	if (x.pager)
		pager_disconnect(x.pager);
	if (ferror(stdout) || fclose(stdout) != 0) {
		fputs("wordindex: the answer could not be written\n", stderr);
		return 1;
	}
	return 0;
}
