/* SPDX-License-Identifier: MIT
 *
 * A program that does not know of pagerd, for kills of its workers: round after round it verifies
 * and writes its pages, allocates and gives back others, and forks a child that does the same with
 * what it has from its parent and with memory of its own.
 *
 * usage: run_kept NOTES
 * NOTES: a file of three words: rounds so far; whether to end; children so far that had memory of
 * their own
 */
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE  4096u
#define COUNT 1536u /* pages that stay */
#define MORE  300u  /* that come and go: more than a MiB, so that they are managed */

struct notes {
	_Atomic uint64_t rounds, over, children;
};

static void
wrong(const char *what, unsigned page, uint64_t expected, uint64_t got)
{
	fprintf(stderr, "%s: page %u: expected %llx, got %llx\n", what, page,
	    (unsigned long long)expected, (unsigned long long)got);
	exit(3);
}

/* What a page has; written: how often, 0: never. */
static uint64_t
pattern(unsigned page, uint64_t written, unsigned word)
{
	return written ? (written << 40) + ((uint64_t)page << 12) + word : 0;
}

static void
verify(const char *what, const char *memory, unsigned page, uint64_t written)
{
	const uint64_t *at = (const void *)(memory + (size_t)page * PAGE);

	for (unsigned i = 0; i < PAGE / sizeof(*at); i += 37)
		if (at[i] != pattern(page, written, i))
			wrong(what, page, pattern(page, written, i), at[i]);
}

static void
put(char *memory, unsigned page, uint64_t written)
{
	uint64_t *at = (void *)(memory + (size_t)page * PAGE);

	for (unsigned i = 0; i < PAGE / sizeof(*at); i++)
		at[i] = pattern(page, written, i);
}

static char *
map(unsigned pages)
{
	char *memory = mmap(
	    NULL, (size_t)pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED) {
		perror("mmap");
		exit(4);
	}
	return memory;
}

static void
more(uint64_t round)
{
	char *memory = map(MORE);

	for (unsigned i = 0; i < MORE; i += 3)
		put(memory, i, round + 1);
	for (unsigned i = 0; i < MORE; i++)
		verify("comes and goes", memory, i, i % 3 == 0 ? round + 1 : 0);
	munmap(memory, (size_t)MORE * PAGE);
}

static void
child(char *memory, const uint64_t *written, uint64_t round)
{
	for (unsigned i = 0; i < COUNT; i += 5) {
		verify("a child's", memory, i, written[i]);
		put(memory, i, 1000 + round);
	}
	for (unsigned i = 0; i < COUNT; i++)
		verify("a child's own", memory, i, i % 5 == 0 ? 1000 + round : written[i]);
	more(round);
	_exit(0);
}

int
main(int argc, char **argv)
{
	static uint64_t written[COUNT];
	int fd = argc > 1 ? open(argv[1], O_RDWR | O_CLOEXEC) : -1, status;
	struct notes *notes = mmap(NULL, sizeof(*notes), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	char *memory = map(COUNT);
	pid_t pid;

	if (notes == MAP_FAILED) {
		perror("NOTES");
		return 2;
	}
	for (uint64_t round = 0; !atomic_load(&notes->over); round++) {
		for (unsigned i = 0; i < COUNT; i++) {
			verify("stays", memory, i, written[i]);
			if ((i + round) % 3 == 0)
				put(memory, i, ++written[i]);
		}
		more(round);
		pid = fork();
		if (pid == 0)
			child(memory, written, round);
		if (pid < 0 || waitpid(pid, &status, 0) != pid || status != 0) {
			fprintf(stderr, "round %llu: a child ended with %x\n",
			    (unsigned long long)round, pid < 0 ? 0u : (unsigned)status);
			return 5;
		}
		atomic_fetch_add(&notes->children, 1);
		atomic_fetch_add(&notes->rounds, 1);
	}
	for (unsigned i = 0; i < COUNT; i++)
		verify("at the end", memory, i, written[i]);
	puts("whole");
	return 0;
}
