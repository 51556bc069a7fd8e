/* SPDX-License-Identifier: MIT
 *
 * The listening socket and its name.
 */
#ifndef LISTEN_H
#define LISTEN_H

#include <stddef.h>
#include <sys/types.h>

struct options;

struct listening {
	int fd;
	dev_t device; /* of the name in the file system: it may be another daemon's by the end */
	ino_t inode;
};

/* => 0, or -errno with a message for people */
int listen_open(
    const struct options *options, struct listening *ret, char *message, size_t message_size);
/* Removes its name, if that is still ours. => the socket is open, so that its inode's number is
 * nobody else's */
void listen_name_remove(const struct options *options, const struct listening *listening);

#endif
