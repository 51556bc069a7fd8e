/* SPDX-License-Identifier: MIT
 *
 * The only place that issues userfaultfd calls, and the punches that go with them. Each call that
 * changes page tables is repeated on EAGAIN (the address space is changing: its owner moves memory
 * there) a bounded number of times, or until it is changing no more if it is patient; takes partial
 * progress into account, and returns 0 or a negative errno: -EEXIST (there
 * is a page already), -ENOENT (the mapping is gone), -ESRCH (the process is gone), -EAGAIN (the
 * address space is still changing), -EFAULT (CONTINUE on a hole). Ranges are of whole hardware
 * pages. A client decides for how long such a call waits, so the caller has named the client by
 * watch_client, and holds no lock.
 */
#ifndef UFFD_H
#define UFFD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How a page is mapped: WP write-protected, DONTWAKE without waking the threads that wait for it.
 * HELD: see uffd_poison. PATIENT: the call sleeps rather than answer EAGAIN, for where that would
 * be the client's error; jobs may, fault servers and who reclaims may not. */
enum { UFFD_MODE_WP = 1, UFFD_MODE_DONTWAKE = 2, UFFD_MODE_HELD = 4, UFFD_MODE_PATIENT = 8 };

struct uffd_fault {
	uint64_t address;
	uint32_t flags;  /* UFFD_FAULT_* */
	uint32_t thread; /* number of the thread that waits, in the client's pid namespace */
};
/* MOVED is no fault: the client has moved memory to the address, by mremap(2). */
enum { UFFD_FAULT_WRITE = 1, UFFD_FAULT_WP = 2, UFFD_FAULT_MINOR = 4, UFFD_FAULT_MOVED = 8 };

/* The features that a client must ask for with UFFDIO_API. */
uint64_t uffd_features(void);
/* Whether a userfaultfd has been asked for exactly these. => 0; -EBADF: it is no userfaultfd;
 * -EINVAL: it has not been asked, or for others; -errno */
int uffd_check(int uffd);
/* Opens /dev/userfaultfd and tries in this process everything that pagerd needs. => 0 and the
 * device's descriptor, or -errno with the cause and the remedy in message */
int uffd_probe(int *ret_device, char *message, size_t message_size);
/* Whether the address space that it watches is still there. */
bool uffd_space_lives(int uffd);
/* Sets O_NONBLOCK. The client shares the open file and may clear it at any time. => 0 or -errno */
int uffd_never_wait(int uffd);
/* Clears O_NONBLOCK. => 0 or -errno */
int uffd_may_wait(int uffd);
/* Takes up to max faults, and never waits. *ret_more: there may be more. => how many it took, or
 * -errno */
int uffd_read(int uffd, struct uffd_fault *ret, unsigned max, bool *ret_more);
/* Takes one fault, and waits for it unless the file is O_NONBLOCK. It takes no more than one: with
 * room for several the kernel looks a second time before it returns, and a fault that it found then
 * would be for the server on another CPU, that of the thread that faulted. => 1; 0: the message was
 * no fault; -EAGAIN: there is none, and the file is O_NONBLOCK; -EINTR or another -errno */
int uffd_read_wait(int uffd, struct uffd_fault *ret);
/* Fill missing pages, with content or with zeroes. *ret_done: bytes at the front that are in place,
 * also on error. mode of uffd_zeropage: 0, or PATIENT for one hardware page. */
int uffd_copy(
    int uffd, uint64_t address, const void *source, size_t bytes, int mode, size_t *ret_done);
int uffd_zeropage(int uffd, uint64_t address, size_t bytes, int mode, size_t *ret_done);
/* Maps the pages that are in the memfd. Pages that are mapped already are passed over. So are parts
 * of the range that have no registered mapping, if any part has one; otherwise it is -ENOENT. */
int uffd_continue(int uffd, uint64_t address, size_t bytes, int mode);
/* Write-protects. Here and in uffd_unprotect, parts that are not registered are passed over. mode:
 * 0 or PATIENT */
int uffd_protect(int uffd, uint64_t address, size_t bytes, int mode);
/* Lifts write protection, and wakes the threads that wait to write. */
int uffd_unprotect(int uffd, uint64_t address, size_t bytes);
/* The threads that wait for a page of the range fault again. It waits for no lock of the client. */
void uffd_wake(int uffd, uint64_t address, size_t bytes);
/* The same, of a fault that has just been noted (standing.h). */
void uffd_send_back(int uffd, uint64_t address, size_t bytes);
/* A thread that touches the range gets SIGBUS where no page is mapped. UFFD_MODE_HELD: no other
 * thread can map a page there meanwhile, so a write-protection marker that is in the way may be
 * lifted. Wakes, also after an error. */
int uffd_poison(int uffd, uint64_t address, size_t bytes, int mode);
/* Takes pages out of a memfd. => 0, or -errno where the client has made the file keep them, as root
 * can; to the daemon they are planted pages then (doc/design.md) */
int uffd_punch(int memfd, uint64_t offset, uint64_t bytes);
/* Zeroes where the range has nothing; what is there stays. => 0 or -errno */
int uffd_allocate(int memfd, uint64_t offset, uint64_t bytes);
/* Puts content into a memfd, for pages that are mapped nowhere. => whether all of it is in place */
bool uffd_write(int memfd, uint64_t offset, const void *page, size_t bytes);
/* How often calls have been repeated on EAGAIN, since start. */
uint64_t uffd_retries(void);

#endif
