/* SPDX-License-Identifier: MIT
 *
 * Bands and limits of clients, given to them as an administrator does.
 */
#ifndef LIVE_BAND_H
#define LIVE_BAND_H

#include "harness.h"

/* pagerctl VERB PID A B, where A and B may be NULL. => its exit status; what it says is in text */
static inline int
client_command(
    struct live *d, const char *verb, pid_t pid, const char *a, const char *b, char text[1024])
{
	char client[16];

	snprintf(client, sizeof(client), "%d", (int)pid);
	return live_pagerctl(d, text, 1024, verb, client, a, a ? b : NULL, NULL);
}

/* The same, which must succeed. */
static inline void
client_must(struct live *d, const char *verb, pid_t pid, const char *a, const char *b)
{
	char text[1024];

	REQUIRE(client_command(d, verb, pid, a, b, text) == 0, "%s", text);
}

static inline void
band_set(struct live *d, pid_t pid, int band)
{
	char number[16];

	snprintf(number, sizeof(number), "%d", band);
	client_must(d, "priority", pid, number, NULL);
}

static inline void
limit_set(struct live *d, pid_t pid, const char *size, const char *kind)
{
	client_must(d, "limit", pid, size, kind);
}

#endif
