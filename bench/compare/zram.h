/* SPDX-License-Identifier: MIT
 *
 * The settings of a zram device in /sys/block. device: "zram0". => 0 or -errno.
 */
#ifndef BENCH_ZRAM_H
#define BENCH_ZRAM_H

#include <stddef.h>

int zram_read(const char *device, const char *file, char *buf, size_t buf_size);
int zram_write(const char *device, const char *file, const char *value);
/* Empties the device. Waits while it is still busy after swapoff. */
int zram_reset(const char *device);

#endif
