/* SPDX-License-Identifier: MIT
 *
 * A program that comes back to its pages in an order that is the same in each run, and checks what
 * they have: each tells its number and how often it was visited. Prints a sum of all of it.
 *
 * usage: run_again [broken|killed|short|child]
 * broken: in another order, which leaves out most of what comes next without; killed: it ends so;
 * short: once and without a rest; child: it is all done by a child that it forks
 */
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGE   4096u
#define HALF   2048u /* pages of each of two mappings */
#define COUNT  (2 * HALF)
#define PASSES 4u
#define APART  16u /* broken: from a visit to the next one, in the order */
#define REST   8u  /* visits without a rest, in which other threads have a processor */

static char *halves[2];
static unsigned visits[COUNT];
static uint64_t sum;
static bool rests = true;

/* The page that is visited as that one of a pass. */
static unsigned
page_of(unsigned visit)
{
	return (visit * 1657u + 11u) % COUNT;
}

static int
visit(unsigned page)
{
	static const struct timespec rest = { .tv_nsec = 1000000 };
	static unsigned rested;
	uint32_t *at = (uint32_t *)(void *)(halves[page / HALF] + (size_t)(page % HALF) * PAGE);

	for (unsigned i = 0; i < PAGE / sizeof(*at); i += 64) {
		if (at[i] != (visits[page] ? page * 31u + visits[page] + i % 256 : 0))
			return 1;
		at[i] = page * 31u + visits[page] + 1 + i % 256;
	}
	sum = sum * 31 + at[64];
	visits[page]++;
	if (rests && rested++ % REST == 0)
		nanosleep(&rest, NULL);
	return 0;
}

int
main(int argc, char **argv)
{
	const char *how = argc > 1 ? argv[1] : "";
	unsigned passes = PASSES;
	int is_wrong = 0, status;

	if (strcmp(how, "short") == 0) {
		rests = false;
		passes = 1;
	}
	/* It has memory of its own, so that it is a client which forks. */
	if (strcmp(how, "child") == 0) {
		halves[0] = mmap(NULL, (size_t)HALF * PAGE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		halves[0][0] = 1;
		if (fork() > 0)
			return wait(&status) > 0 && status == 0 ? 0 : 1;
	}
	for (int i = 0; i < 2; i++)
		halves[i] = mmap(NULL, (size_t)HALF * PAGE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (unsigned i = 0; i < COUNT; i++)
		is_wrong |= visit(i);
	for (unsigned pass = 0; pass < passes; pass++) {
		for (unsigned i = 0; i < COUNT; i++) {
			is_wrong |=
			    visit(page_of(strcmp(how, "broken") == 0
					      ? i % (COUNT / APART) * APART + i / (COUNT / APART)
					      : i));
		}
	}
	printf("%s %llx\n", is_wrong ? "BROKEN" : "ok", (unsigned long long)sum);
	fflush(stdout);
	if (strcmp(how, "killed") == 0)
		kill(getpid(), SIGKILL);
	return is_wrong;
}
