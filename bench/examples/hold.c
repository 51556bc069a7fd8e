/* SPDX-License-Identifier: MIT
 *
 * Holds memory: fills it with a pattern when it is told to (SIGUSR1), goes on touching it, and at
 * the end (SIGTERM) looks whether all of it is still there. For trying limits, bands and pressure.
 *
 *	hold MIB NAME
 */
#include <errno.h>
#include <pager/pager.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STRIDE 4096u

static volatile sig_atomic_t over;

static void
end(int number)
{
	(void)number;
	over = 1;
}

static uint64_t
pattern(uint64_t i)
{
	i += 0x9e3779b97f4a7c15ull;
	i = (i ^ (i >> 30)) * 0xbf58476d1ce4e5b9ull;
	return (i ^ (i >> 27)) * 0x94d049bb133111ebull;
}

/* => the number of words that are not what they were */
static uint64_t
words_wrong(const uint64_t *words, uint64_t count)
{
	uint64_t wrong = 0;

	for (uint64_t i = 0; i < count; i++)
		wrong += words[i] != pattern(i);
	return wrong;
}

static int
fail(const char *what, int error)
{
	fprintf(stderr, "hold: %s: %s\n", what, strerror(-error));
	return 1;
}

int
main(int argc, char **argv)
{
	struct pager_options options = { .size = sizeof(options) };
	struct sigaction action = { .sa_handler = end };
	uint64_t bytes = argc == 3 ? strtoull(argv[1], NULL, 10) << 20 : 0, turn = 0, wrong;
	struct pager *p;
	uint64_t *words;
	sigset_t begin;
	void *base;
	int r, number;

	if (bytes == 0) {
		fputs("usage: hold MIB NAME\n", stderr);
		return 2;
	}
	sigemptyset(&begin);
	sigaddset(&begin, SIGUSR1);
	sigprocmask(SIG_BLOCK, &begin, NULL);
	sigaction(SIGTERM, &action, NULL);
	options.name = argv[2];
	r = pager_connect(NULL, &options, &p);
	if (r < 0)
		return fail("no connection to pagerd", r);
	r = pager_allocate(p, bytes, 0, &base);
	if (r < 0)
		return fail("no memory", r);
	words = base;
	puts("ready");
	fflush(stdout);
	sigwait(&begin, &number);
	for (uint64_t i = 0; i < bytes / sizeof(*words); i++)
		words[i] = pattern(i);
	puts("filled");
	fflush(stdout);
	/* So that it needs its memory. */
	while (!over)
		(void)*(volatile unsigned char *)((unsigned char *)base +
						  pattern(++turn) % (bytes / STRIDE) * STRIDE);
	wrong = words_wrong(words, bytes / sizeof(*words));
	if (wrong > 0)
		printf("%llu words are wrong\n", (unsigned long long)wrong);
	else
		puts("intact");
	r = pager_disconnect(p);
	return wrong > 0 || r < 0;
}
