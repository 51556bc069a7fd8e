/* SPDX-License-Identifier: MIT
 *
 * Whether a userfaultfd watches the memory of a session's process. A process can hand in the
 * userfaultfd of another one; without this the daemon would serve one process, and look at and
 * kill another. Runs on: jobs (it waits for the lock of the process's address space).
 */
#ifndef PROVE_H
#define PROVE_H

#include <stdbool.h>
#include <stdint.h>

struct task;

/* address: of PAGER_PROBE_PAGES hardware pages that are registered with uffd and absent. Some of
 * them are zero filled through uffd, by chance, and the process's page tables must show exactly
 * those.
 * => 0; *ret_proven false: the daemon may not look at this process. -EPERM: it is not its memory,
 * or not as said; -ESRCH: the process has ended; -errno of the userfaultfd. */
int userfaultfd_prove(struct task *task, int uffd, uint64_t address, bool *ret_proven);

#endif
