/* SPDX-License-Identifier: MIT
 *
 * Encrypted swap: AES-256-GCM in blocks of 4096 bytes, of which 16 are the tag. The nonce is the
 * slot with the generation of its use, and the block's number in it: a block that was altered, that
 * is another's, or that is from an earlier use of its slot does not open. A slot is written once in
 * a use, so no nonce is used twice with a key.
 *
 * What a block holds is at other places than without encryption: byte n of a slot is in block
 * n / SEAL_BYTES.
 */
#ifndef SWAPSEAL_H
#define SWAPSEAL_H

#include <stddef.h>
#include <stdint.h>

#define SEAL_BLOCK 4096u
#define SEAL_TAG   16u
#define SEAL_BYTES (SEAL_BLOCK - SEAL_TAG) /* of content in a block */

static inline size_t
seal_blocks(size_t bytes)
{
	return (bytes + SEAL_BYTES - 1) / SEAL_BYTES;
}

struct swap_key;
/* Of a file's first 32 bytes and some that are drawn, so that no two lives of a daemon share a key;
 * file NULL: drawn. It lies in memory that is locked and not dumped. => 0 or -errno; -EINVAL: the
 * file is too short; -ENOSYS: libcrypto cannot be had */
int swap_key_create(const char *file, struct swap_key **ret);
void swap_key_destroy(struct swap_key *key);
/* For another process: memory that no file system has and no core dump shows, and that is not
 * swapped where the kernel has memfd_secret(2). => a descriptor or -errno */
int swap_key_leave(const struct swap_key *key);
/* => 0 or -errno */
int swap_key_restore(int fd, struct swap_key **ret);

/* What one thread needs to seal and open. Only _create allocates. */
struct swap_seal;
int swap_seal_create(const struct swap_key *key, struct swap_seal **ret);
void swap_seal_destroy(struct swap_seal *seal);

/* Seals `length` bytes from the slot's beginning on into seal_blocks(length) blocks. The last is
 * filled up with zeroes. => 0 or -EIO */
int swap_seal_close(
    struct swap_seal *seal, uint64_t slot, const char *plain, size_t length, char *blocks);
/* Opens the blocks that hold [offset, offset+length) of the slot. What cannot be opened reads as
 * zeroes, which are no page's. => how many blocks that were */
unsigned swap_seal_open(struct swap_seal *seal, uint64_t slot, const char *blocks, size_t offset,
    size_t length, char *plain);

#endif
