/* SPDX-License-Identifier: MIT
 *
 * A server of swap: what its thread (swapnbd.c) and the others (swapserver.c) share.
 */
#ifndef SWAPNBD_H
#define SWAPNBD_H

#include <pthread.h>

#include "swapbox.h"
#include "swapparts.h"

enum link { LINK_DOWN, LINK_CONNECTING, LINK_UP };
enum trim { TRIM_NONE, TRIM_WANTED, TRIM_SENT, TRIM_LOST };

/* (R) SWAPRING lock, (C) set once, (T) the thread's. */
struct server {
	struct swap_backend *backend; /* (C) */
	struct lock lock;
	struct cond tried; /* (R) waited for by _open */
	pthread_t thread;  /* (C) */
	int event_fd;      /* (C) readable: there is something new for the thread */
	bool stopping;     /* (R) */
	struct swap_request *todo, **todo_end; /* (R) in the order in which they came */
	int outcome;   /* (R) of the first attempt to connect: 1 not known yet, 0 or -errno */
	char why[160]; /* (R) what libnbd said of it */
	struct swap_parts parts;   /* (R) once it has been connected */
	uint8_t *trims;            /* (R) enum trim [parts.count] */
	bool has_parts, can_trim;  /* (R) */
	struct nbd_handle *nbd;    /* (T) NULL: LINK_DOWN */
	enum link link;            /* (T) */
	uint64_t until_ns;         /* (T) LINK_DOWN: no attempt before; CONNECTING: given up then */
	struct swap_request *sent; /* (T) on the connection */
	int64_t trim_number;       /* (T) of the trim under way; 0: none */
	unsigned trim_part;        /* (T) */
};

/* Serves until `stopping`. argument: the server. */
void *swapnbd_main(void *argument);

#endif
