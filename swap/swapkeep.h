/* SPDX-License-Identifier: MIT
 *
 * Memory for keys: locked, and in no core dump. All that libcrypto allocates is here too, since it
 * keeps what it makes of a key in memory of its own. Any thread.
 */
#ifndef SWAPKEEP_H
#define SWAPKEEP_H

#include <stddef.h>

/* Makes the region, which stays until the process ends. => 0 or -errno */
int swapkeep_init(void);
/* Never zeroed. => NULL: the region is full */
void *swapkeep_alloc(size_t bytes);
/* The content is wiped. NULL is accepted. */
void swapkeep_free(void *memory);
void *swapkeep_realloc(void *memory, size_t bytes);

#endif
