/* SPDX-License-Identifier: MIT
 *
 * The control plane: one libuv loop that accepts connections, reads requests and sends replies. It
 * never touches a page and never waits: requests that do are carried out by the jobs threads
 * (control/jobs.h), and descriptors that came from clients are closed elsewhere (core/closer.h).
 */
#ifndef LOOP_H
#define LOOP_H

#include <stdbool.h>
#include <stddef.h>

struct daemon;

/* => 0, or -errno with a message for people */
int control_create(struct daemon *d, char *message, size_t message_size);
/* Clients of the worker before this one are served; the keeper is told. */
void control_take_over(struct daemon *d);
/* Serves until a signal says stop, and all sessions have been taken apart; or until
 * control_hand_over. */
void control_run(struct daemon *d);
/* This worker is to be followed: nothing more is accepted or answered, and all stays as it is.
 * Runs on: the control loop */
void control_hand_over(struct daemon *d);
/* Whether that has been said. Runs on: the main thread */
bool control_hands_over(const struct daemon *d);
void control_destroy(struct daemon *d);
/* A job can be collected. Any thread */
void control_job_finished(void *context);
/* The socket's name goes; connections stay. Any thread. */
void control_name_remove(struct daemon *d);

#endif
