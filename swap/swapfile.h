/* SPDX-License-Identifier: MIT
 *
 * Swap files on disk. These functions may block; no lock is held.
 */
#ifndef SWAPFILE_H
#define SWAPFILE_H

#include "swap_priv.h"

int swapdir_open(const char *path, struct swap_dir *ret);
void swapdir_close(struct swap_dir *dir);
/* Unlinks all files of this owner. */
void swapdir_abandon(const struct swap_dir *dir);
int swapfile_create(
    const struct swap_dir *dir, unsigned number, uint64_t bytes, int *ret_fd, bool *ret_direct);
void swapfile_delete(const struct swap_dir *dir, unsigned number, int fd);

#endif
