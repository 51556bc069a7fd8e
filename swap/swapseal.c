/* SPDX-License-Identifier: MIT
 *
 * Encrypted swap: the only file that includes openssl/. Runs on: a seal's calls: the thread of its
 * channel; a key's: the thread that starts and stops swap. Blocks in swap_key_create only.
 */
#include "swapseal.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base.h"
#include "check.h"
#include "swapkeep.h"

#define KEY_BYTES   32
#define NONCE_BYTES 12

struct swap_key {
	unsigned char bytes[KEY_BYTES];
};

struct swap_seal {
	EVP_CIPHER_CTX *closing, *opening;
	char rest[SEAL_BYTES]; /* a block of which only a part is wanted, or there */
};

/* --- the key -------------------------------------------------------------------------- */

static void *
crypto_alloc(size_t bytes, const char *file, int line)
{
	return swapkeep_alloc(bytes);
}

static void *
crypto_realloc(void *memory, size_t bytes, const char *file, int line)
{
	return swapkeep_realloc(memory, bytes);
}

static void
crypto_free(void *memory, const char *file, int line)
{
	swapkeep_free(memory);
}

/* Before anything in the process has used libcrypto. */
static int
crypto_init(void)
{
	static bool done;

	if (done)
		return 0;
	int error = swapkeep_init();
	if (error)
		return error;
	if (!CRYPTO_set_mem_functions(crypto_alloc, crypto_realloc, crypto_free) ||
	    !OPENSSL_init_crypto(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_NO_ATEXIT, NULL))
		return -ENOSYS;
	done = true;
	return 0;
}

static int
random_fill(void *bytes, size_t size)
{
	return getrandom(bytes, size, 0) == (ssize_t)size ? 0 : -EIO;
}

static int
file_read(const char *file, unsigned char *bytes)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	size_t done = 0;
	ssize_t n = 1;

	if (fd < 0)
		return -errno;
	while (done < KEY_BYTES && n != 0) {
		n = read(fd, bytes + done, KEY_BYTES - done);
		if (n < 0 && errno != EINTR)
			break;
		done += n > 0 ? (size_t)n : 0;
	}
	int error = n < 0 ? -errno : done < KEY_BYTES ? -EINVAL : 0;
	close(fd);
	return error;
}

/* HKDF-SHA256 (RFC 5869). */
static int
key_derive(struct swap_key *key, const unsigned char *secret, const unsigned char *salt)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_id(EVP_PKEY_HKDF, NULL);
	size_t size = KEY_BYTES;
	bool ok = ctx && EVP_PKEY_derive_init(ctx) > 0 &&
		  EVP_PKEY_CTX_set_hkdf_md(ctx, EVP_sha256()) > 0 &&
		  EVP_PKEY_CTX_set1_hkdf_salt(ctx, salt, KEY_BYTES) > 0 &&
		  EVP_PKEY_CTX_set1_hkdf_key(ctx, secret, KEY_BYTES) > 0 &&
		  EVP_PKEY_derive(ctx, key->bytes, &size) > 0 && size == KEY_BYTES;

	EVP_PKEY_CTX_free(ctx);
	return ok ? 0 : -ENOSYS;
}

int
swap_key_create(const char *file, struct swap_key **ret)
{
	unsigned char salt[KEY_BYTES];
	int error = crypto_init();
	struct swap_key *key = error ? NULL : swapkeep_alloc(sizeof(*key));
	unsigned char *secret = error ? NULL : swapkeep_alloc(KEY_BYTES);

	if (!error && (!key || !secret))
		error = -ENOMEM;
	if (!error)
		error = random_fill(key->bytes, sizeof(key->bytes));
	if (!error && file) {
		error = file_read(file, secret);
		if (!error)
			error = random_fill(salt, sizeof(salt));
		if (!error)
			error = key_derive(key, secret, salt);
	}
	swapkeep_free(secret);
	if (error)
		swapkeep_free(key);
	else
		*ret = key;
	return error;
}

void
swap_key_destroy(struct swap_key *key)
{
	swapkeep_free(key);
}

/* => the memory of a descriptor, or NULL: errno says why */
static void *
left_map(int fd)
{
	size_t bytes = (size_t)sysconf(_SC_PAGESIZE);
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (memory == MAP_FAILED)
		return NULL;
	(void)madvise(memory, bytes, MADV_DONTDUMP);
	return memory;
}

static void
left_unmap(void *memory)
{
	munmap(memory, (size_t)sysconf(_SC_PAGESIZE));
}

int
swap_key_leave(const struct swap_key *key)
{
	int fd = (int)syscall(SYS_memfd_secret, O_CLOEXEC), error;
	void *memory;

	if (fd < 0)
		fd = memfd_create("pagerd-key", MFD_CLOEXEC);
	if (fd < 0 || ftruncate(fd, sysconf(_SC_PAGESIZE)) < 0) {
		error = -errno;
		if (fd >= 0)
			close(fd);
		return error;
	}
	memory = left_map(fd);
	if (!memory) {
		error = -errno;
		close(fd);
		return error;
	}
	memcpy(memory, key->bytes, KEY_BYTES);
	left_unmap(memory);
	return fd;
}

int
swap_key_restore(int fd, struct swap_key **ret)
{
	int error = crypto_init();
	struct swap_key *key = error ? NULL : swapkeep_alloc(sizeof(*key));
	void *memory = key ? left_map(fd) : NULL;

	if (!error && !memory)
		error = key ? -errno : -ENOMEM;
	if (error) {
		swapkeep_free(key);
		return error;
	}
	memcpy(key->bytes, memory, KEY_BYTES);
	left_unmap(memory);
	*ret = key;
	return 0;
}

/* --- blocks ----------------------------------------------------------------------------- */

int
swap_seal_create(const struct swap_key *key, struct swap_seal **ret)
{
	/* `rest` is content of clients'. */
	struct swap_seal *seal = swapkeep_alloc(sizeof(*seal));

	if (!seal)
		return -ENOMEM;
	seal->closing = EVP_CIPHER_CTX_new();
	seal->opening = EVP_CIPHER_CTX_new();
	if (!seal->closing || !seal->opening ||
	    EVP_EncryptInit_ex(seal->closing, EVP_aes_256_gcm(), NULL, key->bytes, NULL) != 1 ||
	    EVP_DecryptInit_ex(seal->opening, EVP_aes_256_gcm(), NULL, key->bytes, NULL) != 1) {
		swap_seal_destroy(seal);
		return -ENOMEM;
	}
	*ret = seal;
	return 0;
}

void
swap_seal_destroy(struct swap_seal *seal)
{
	if (!seal)
		return;
	EVP_CIPHER_CTX_free(seal->closing);
	EVP_CIPHER_CTX_free(seal->opening);
	swapkeep_free(seal);
}

static void
nonce_make(unsigned char nonce[NONCE_BYTES], uint64_t slot, size_t block)
{
	uint32_t number = (uint32_t)block;

	memcpy(nonce, &slot, sizeof(slot));
	memcpy(nonce + sizeof(slot), &number, sizeof(number));
}

static bool
block_close(EVP_CIPHER_CTX *ctx, uint64_t slot, size_t block, const char *plain, char *to)
{
	unsigned char nonce[NONCE_BYTES], *out = (unsigned char *)to;
	int n = 0, last = 0;

	nonce_make(nonce, slot, block);
	return EVP_EncryptInit_ex(ctx, NULL, NULL, NULL, nonce) == 1 &&
	       EVP_EncryptUpdate(ctx, out, &n, (const unsigned char *)plain, SEAL_BYTES) == 1 &&
	       EVP_EncryptFinal_ex(ctx, out + n, &last) == 1 && n + last == SEAL_BYTES &&
	       EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, SEAL_TAG, out + SEAL_BYTES) == 1;
}

/* Without the right tag `plain` has nothing of use in it. */
static bool
block_open(EVP_CIPHER_CTX *ctx, uint64_t slot, size_t block, const char *from, char *plain)
{
	unsigned char nonce[NONCE_BYTES], tag[SEAL_TAG], *out = (unsigned char *)plain;
	int n = 0, last = 0;

	nonce_make(nonce, slot, block);
	memcpy(tag, from + SEAL_BYTES, SEAL_TAG);
	return EVP_DecryptInit_ex(ctx, NULL, NULL, NULL, nonce) == 1 &&
	       EVP_DecryptUpdate(ctx, out, &n, (const unsigned char *)from, SEAL_BYTES) == 1 &&
	       EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, SEAL_TAG, tag) == 1 &&
	       EVP_DecryptFinal_ex(ctx, out + n, &last) == 1;
}

int
swap_seal_close(
    struct swap_seal *seal, uint64_t slot, const char *plain, size_t length, char *blocks)
{
	for (size_t i = 0; i < seal_blocks(length); i++) {
		const char *from = plain + i * SEAL_BYTES;
		size_t left = length - i * SEAL_BYTES;

		if (left < SEAL_BYTES) {
			memcpy(seal->rest, from, left);
			memset(seal->rest + left, 0, SEAL_BYTES - left);
			from = seal->rest;
		}
		if (!block_close(seal->closing, slot, i, from, blocks + i * SEAL_BLOCK))
			return -EIO;
	}
	return 0;
}

unsigned
swap_seal_open(struct swap_seal *seal, uint64_t slot, const char *blocks, size_t offset,
    size_t length, char *plain)
{
	size_t first = offset / SEAL_BYTES, end = offset + length;
	unsigned damaged = 0;

	for (size_t i = first; i * SEAL_BYTES < end; i++) {
		size_t from = max_u64(offset, i * SEAL_BYTES);
		size_t to = min_u64(end, (i + 1) * SEAL_BYTES);
		bool is_whole = to - from == SEAL_BYTES;
		char *at = plain + (from - offset), *opened = is_whole ? at : seal->rest;

		if (!block_open(
			seal->opening, slot, i, blocks + (i - first) * SEAL_BLOCK, opened)) {
			memset(at, 0, to - from);
			damaged++;
		} else if (!is_whole) {
			memcpy(at, opened + (from - i * SEAL_BYTES), to - from);
		}
	}
	return damaged;
}
