/* SPDX-License-Identifier: MIT
 *
 * Descriptors in messages between processes.
 */
#ifndef DESCRIPTORS_H
#define DESCRIPTORS_H

#include <stdbool.h>
#include <stddef.h>

#define DESCRIPTORS_MAX 253u /* that one message can carry */

/* Sends one message with `count` descriptors, which stay open here. A reader that has gone raises
 * no signal. flags: MSG_DONTWAIT or 0. => whether all of it was sent; else errno says why not */
bool descriptors_send(
    int socket, const void *bytes, size_t size, const int *fds, unsigned count, int flags);
/* A socket pair over which one side tells the other something: nothing can be sent to *ret_own, so
 * that closing it never lasts. => 0 or -errno */
int descriptors_bell(int *ret_own, int *ret_given);
/* Sends a message of one byte with the descriptor. => whether it was sent */
bool descriptor_give(int socket, int fd);
/* Waits for such a message. => the descriptor, which execve(2) closes; -1: the other end has hung
 * up, or the message had none */
int descriptor_take(int socket);

#endif
