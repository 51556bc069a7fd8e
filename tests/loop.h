/* SPDX-License-Identifier: MIT
 *
 * Loop devices for tests. One lasts as long as somebody has it open, so that none outlives a test
 * that fails.
 */
#ifndef TEST_LOOP_H
#define TEST_LOOP_H

#include <fcntl.h>
#include <linux/loop.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* => a descriptor that keeps it, or -1: none can be made here */
static inline int
loop_make(const char *file, char path[64])
{
	struct loop_config config = { .info.lo_flags = LO_FLAGS_AUTOCLEAR };
	int control = open("/dev/loop-control", O_RDWR | O_CLOEXEC);
	int backing = open(file, O_RDWR | O_CLOEXEC), loop = -1;

	config.fd = (unsigned)backing;
	for (int tries = 0; loop < 0 && control >= 0 && backing >= 0 && tries < 16; tries++) {
		int number = ioctl(control, LOOP_CTL_GET_FREE);

		snprintf(path, 64, "/dev/loop%d", number);
		loop = number < 0 ? -1 : open(path, O_RDWR | O_CLOEXEC);
		/* Others take free ones too. */
		if (loop >= 0 && ioctl(loop, LOOP_CONFIGURE, &config) < 0) {
			close(loop);
			loop = -1;
		}
	}
	if (control >= 0)
		close(control);
	if (backing >= 0)
		close(backing);
	return loop;
}

#endif
