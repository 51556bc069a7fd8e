/* SPDX-License-Identifier: MIT
 *
 * The listening socket and its name.
 */
#ifndef LISTEN_H
#define LISTEN_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct options;

struct listening {
	int fd;
	bool is_given; /* by who started the daemon: its name is not ours */
	dev_t device;  /* of the name in the file system: it may be another daemon's by the end */
	ino_t inode;
};

/* The socket that the service manager passes, if it passes one: then its path becomes the options';
 * else one of our own. => 0, or -errno with a message for people */
int listen_open(struct options *options, struct listening *ret, char *message, size_t message_size);
/* The socket that another worker has opened. It goes by the name that the options say. */
void listen_take_over(const struct options *options, int fd, struct listening *ret);
/* Removes its name, if that is still ours. => the socket is open, so that its inode's number is
 * nobody else's */
void listen_name_remove(const struct options *options, const struct listening *listening);
/* Of a daemon that one run has for itself: removes the directory of the socket, with what lies in
 * it. => the socket's name and the swap files are gone */
void listen_directory_remove(const struct options *options);

#endif
