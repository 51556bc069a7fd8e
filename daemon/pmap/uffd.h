/* SPDX-License-Identifier: MIT
 *
 * The only place that issues userfaultfd calls, and the punches that go with them. All retry EAGAIN
 * (a changing address space) a bounded number of times, take partial progress into account, and
 * return 0 or a negative errno: -EEXIST (a page is there already), -ENOENT (the mapping is gone),
 * -ESRCH (the process is gone), -EAGAIN (still changing), -EFAULT (CONTINUE on a hole). Called with
 * no lock held. A client decides for how long they wait: who calls has said whose it is
 * (watch_client).
 */
#ifndef UFFD_H
#define UFFD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { UFFD_MODE_WP = 1, UFFD_MODE_DONTWAKE = 2, UFFD_MODE_HELD = 4 };

struct uffd_fault {
	uint64_t address;
	uint32_t flags; /* UFFD_FAULT_* */
	uint32_t thread;
};
/* MOVED is no fault: the owner has moved memory, by mremap(2), to the address. */
enum { UFFD_FAULT_WRITE = 1, UFFD_FAULT_WP = 2, UFFD_FAULT_MINOR = 4, UFFD_FAULT_MOVED = 8 };

/* What UFFDIO_API is to be asked for. */
uint64_t uffd_features(void);
/* Whether that has been done. => 0; -EBADF: no userfaultfd; -EINVAL: not, or for something else */
int uffd_check(int uffd);
/* Opens /dev/userfaultfd and tries everything that pagerd needs in this process. => 0 and the
 * device's descriptor, or -errno with the cause and the remedy in message. */
int uffd_probe(int *ret_device, char *message, size_t message_size);
/* Sets O_NONBLOCK. The open file is shared with the client, who may undo it at any time. => 0 or
 * -errno */
int uffd_never_wait(int uffd);
/* Clears it. => 0 or -errno */
int uffd_may_wait(int uffd);
/* Takes up to max faults, never waits. *ret_more: there may be more. => their number, 0 if there
 * are none, or -errno. */
int uffd_read(int uffd, struct uffd_fault *ret, unsigned max, bool *ret_more);
/* Takes one, and waits until there is one, unless the file is O_NONBLOCK. => 1, 0 (the message was
 * no fault), -EAGAIN: it is, -EINTR, or -errno. Not several: with room for more the kernel looks a
 * second time before it returns, and what it found would be another server's, on its own thread's
 * CPU. */
int uffd_read_wait(int uffd, struct uffd_fault *ret);
/* *ret_done: bytes at the front that are in place, also on error. */
int uffd_copy(
    int uffd, uint64_t address, const void *source, size_t bytes, int mode, size_t *ret_done);
int uffd_zeropage(int uffd, uint64_t address, size_t bytes, size_t *ret_done);
/* Maps what is in the memfd. Pages already mapped are passed over; so are hardware pages that are
 * not mapped, if any is. */
int uffd_continue(int uffd, uint64_t address, size_t bytes, int mode);
/* Parts that are not registered are passed over, here and below. */
int uffd_protect(int uffd, uint64_t address, size_t bytes);
/* Lifts write protection and wakes. */
int uffd_unprotect(int uffd, uint64_t address, size_t bytes);
void uffd_wake(int uffd, uint64_t address, size_t bytes);
/* SIGBUS for who touches it, where nothing is mapped. UFFD_MODE_HELD: nobody can map a page there
 * meanwhile, so a write-protection marker that is in the way may be lifted. Wakes in any case. */
int uffd_poison(int uffd, uint64_t address, size_t bytes, int mode);
/* => 0, or -errno where the client has seen to it that the file keeps them (root can): to the
 * daemon they are pages that their owner has planted. */
int uffd_punch(int memfd, uint64_t offset, uint64_t bytes);
/* Content for a page that is mapped nowhere. => whether all of it is in place */
bool uffd_write(int memfd, uint64_t offset, const void *page, size_t bytes);
/* How often a call had to be repeated, since start. */
uint64_t uffd_retries(void);

#endif
