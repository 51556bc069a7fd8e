/* SPDX-License-Identifier: MIT
 *
 * Touches that may be refused with SIGBUS, for clients with one thread or several. A SIGBUS outside
 * of these functions ends the process.
 */
#ifndef FAULT_BUS_H
#define FAULT_BUS_H

#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <unistd.h>

#include "book.h"

static __thread sigjmp_buf bus_jump;
static __thread volatile sig_atomic_t bus_expected;

static inline void
on_bus(int signal, siginfo_t *info, void *context)
{
	(void)info;
	(void)context;
	if (!bus_expected) {
		static const char text[] = "SIGBUS out of place\n";

		(void)!write(STDERR_FILENO, text, sizeof(text) - 1);
		_exit(2);
	}
	bus_expected = 0;
	siglongjmp(bus_jump, signal);
}

/* From here on the functions below return false for a refused touch. */
static inline void
expect_bus(void)
{
	struct sigaction action = { .sa_sigaction = on_bus, .sa_flags = SA_SIGINFO };

	sigaction(SIGBUS, &action, NULL);
}

/* => whether a byte of the page could be read, or written with the value that it has */
static inline bool
touch(struct book *b, uint32_t page, bool write)
{
	volatile unsigned char *byte = b->base + page * b->page_bytes;

	if (sigsetjmp(bus_jump, 1) != 0)
		return false;
	bus_expected = 1;
	if (write)
		*byte = *byte;
	else
		(void)*byte;
	bus_expected = 0;
	return true;
}

/* Writes the next generation, noise. => false: SIGBUS. It may come in the middle, because the
 * page may leave between two words; then a part is written. */
static inline bool
write_noise(struct book *b, uint32_t page)
{
	if (sigsetjmp(bus_jump, 1) != 0)
		return false;
	bus_expected = 1;
	book_write(b, page, KIND_NOISE);
	bus_expected = 0;
	return true;
}

static inline bool
verify(struct book *b, uint32_t page)
{
	if (sigsetjmp(bus_jump, 1) != 0)
		return false;
	bus_expected = 1;
	book_verify(b, page);
	bus_expected = 0;
	return true;
}

#endif
