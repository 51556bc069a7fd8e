/* SPDX-License-Identifier: MIT */
#include "zram.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "process.h"

#define BUSY_TRIES 500 /* of 10 ms */

int
zram_write(const char *device, const char *file, const char *value)
{
	char path[96];

	snprintf(path, sizeof(path), "/sys/block/%s/%s", device, file);
	return file_write(path, value);
}

int
zram_read(const char *device, const char *file, char *buf, size_t buf_size)
{
	char path[96];

	snprintf(path, sizeof(path), "/sys/block/%s/%s", device, file);
	return file_read(path, buf, buf_size);
}

int
zram_reset(const char *device)
{
	const struct timespec tick = { .tv_nsec = 10000000 };
	int error = -EBUSY;

	/* udev and our own last writes keep the device open for a moment. */
	for (int i = 0; i < BUSY_TRIES && error == -EBUSY; i++) {
		error = zram_write(device, "reset", "1");
		if (error == -EBUSY)
			nanosleep(&tick, NULL);
	}
	return error;
}
