/* SPDX-License-Identifier: MIT
 *
 * What a client's page tables say (/proc/PID/pagemap). Each look waits for the lock of the client's
 * address space, and is held against it (watch_client is called before).
 */
#ifndef PAGEMAP_H
#define PAGEMAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct task;

/* Whether a hardware page of [address, address + bytes) is in the page tables. => false too where
 * that cannot be told; no lock held, here and below */
bool pagemap_is_present(struct task *task, uint64_t address, size_t bytes);

/* Consecutive hardware pages that are in the page tables, all write-protected by userfaultfd or
 * none of them. */
struct pagemap_run {
	uint64_t start, end; /* addresses */
	bool writable;       /* as far as userfaultfd's write protection is concerned */
};

/* The first runs in [start, end), in the order of addresses, at most max of them. => how many;
 * *ret_reached: the addresses below it have been looked at. Or -errno: -EACCES: the daemon may not
 * look, -EOPNOTSUPP: the kernel cannot (Linux before 6.7), -ESRCH: the address space has gone */
int pagemap_scan(struct task *task, uint64_t start, uint64_t end, struct pagemap_run *runs,
    unsigned max, uint64_t *ret_reached);

#endif
