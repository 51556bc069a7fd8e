/* SPDX-License-Identifier: MIT
 *
 * What tests of shared memory have in common: an object that several processes map by a name, its
 * book in memory that they all see, and ways to hand the name over.
 */
#ifndef LIVE_SHARE_H
#define LIVE_SHARE_H

#include <stdatomic.h>
#include <sys/mman.h>

#include "book.h"
#include "harness.h"
#include "raw.h"
#include "stage.h"

enum { SHARERS_MAX = 16, READER_UID = 65534 };

/* What the test's processes have in common. */
struct common {
	struct stage stage[SHARERS_MAX];
	int sockets[SHARERS_MAX][2]; /* sharer i receives the name through its own */
	uint32_t count;              /* pages of the object */
	unsigned sharers, ops;
	struct page_note *notes;
	atomic_int *locks;      /* by page: the process that has it, or 0 */
	atomic_uint taken_over; /* locks of processes that have been killed */
};

struct share_options {
	const char *page, *memory;
	unsigned ratio, sharers, ops;
};
extern struct share_options options;

/* page=SIZE memory=SIZE ratio=N clients=N ops=N; other words are passed over. */
void share_options_parse(int argc, char **argv);
void name_send(int socket, int fd);
int name_receive(int socket);
struct common *common_make(struct live *d);
/* The same for an object of that many pages, at most those of common_make. */
struct common *common_make_pages(struct live *d, uint32_t pages);
/* The book of the shared pages, as one process sees them. */
struct book book_of(struct live *d, struct common *c, void *base);
/* The object is allocated, gets a name, is mapped by its name. */
void *share_make(struct live *d, struct common *c, struct pager *p);
int share_name(struct live *d, struct common *c, struct pager *p, void *base, int protection);
void *share_map(struct live *d, struct common *c, struct pager *p, int fd, int protection);

/* Locks a page. => false: its process was killed, and the page may be anything */
bool page_lock(struct live *d, struct common *c, uint32_t page);
void page_unlock(struct common *c, uint32_t page);

/* A sharer that speaks the protocol itself, and has the memfd. */
struct peer {
	struct raw raw;
	unsigned char *base; /* reserved; peer_join maps nothing there */
	size_t bytes;
	int memfd;
	uint64_t offset;
};
/* Receives a name as sharer `number`, and asks for what it covers. */
void peer_join(
    struct live *d, struct common *c, unsigned number, int protection, struct peer *peer);

void daemon_start(struct live *d);
/* Starts sharer i of `count` with bodies[i], the last one as that user (0: the test's), and waits
 * until each is at its first stage. */
void sharers_begin(struct live *d, struct common *c, client_body *const *bodies, unsigned count,
    uid_t last, pid_t *pids);
/* Pages that the daemon keeps, when it is at rest. */
int64_t resident(struct live *d);
/* Descriptors that the daemon has on behalf of clients and of what they share. */
unsigned clients_descriptors(struct live *d);
/* The orders in which three sharers can end. */
#define ORDERS 6
extern const unsigned ending_orders[ORDERS][3];
/* Three sharers, each at stage 2, end in that order; what they share stays until the last one has.
 * Then the daemon has nothing of theirs, and as many descriptors as before. */
void sharers_end(struct live *d, struct common *c, const pid_t *pids, const unsigned *order,
    unsigned descriptors);

#endif
