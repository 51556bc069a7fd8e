/* SPDX-License-Identifier: MIT
 *
 * Single touches that may raise SIGSEGV or SIGBUS. Any other fault signal of the process fails the
 * test. One thread at a time.
 */
#ifndef LIVE_GUARD_H
#define LIVE_GUARD_H

#include <stdint.h>

/* Installs the handlers. */
void guard_begin(void);
/* => the signal that it gets, or 0 with the byte in *ret */
int guard_load(const volatile unsigned char *at, unsigned char *ret);
int guard_load_word(const volatile uint64_t *at, uint64_t *ret);
int guard_store(volatile unsigned char *at, unsigned char value);
int guard_store_word(volatile uint64_t *at, uint64_t value);

#endif
