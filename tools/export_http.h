/* SPDX-License-Identifier: MIT
 *
 * Serves a text over HTTP to this machine only. libmicrohttpd speaks HTTP; no other file sees it.
 */
#ifndef EXPORT_HTTP_H
#define EXPORT_HTTP_H

#include <stddef.h>
#include <stdint.h>

#include "export_text.h"

/* Makes the text. ret_text: malloc'ed, the caller frees it. => 0 or -errno */
typedef int export_make(
    void *context, enum export_format format, char **ret_text, size_t *ret_bytes);

struct export_address {
	const char *path; /* of a unix socket; NULL: TCP */
	int family;       /* AF_INET or AF_INET6, always the loopback address */
	uint16_t port;    /* 0: any */
};

/* "unix:PATH", "127.0.0.1:PORT", "[::1]:PORT" or "localhost:PORT". => 0 or -EINVAL */
int export_address_parse(const char *text, struct export_address *ret);

/* Serves GET /metrics until SIGINT or SIGTERM. Says on standard output where it listens, as soon as
 * it does. => 0; -errno: it cannot listen there. */
int export_serve(const struct export_address *address, export_make *make, void *context);

#endif
