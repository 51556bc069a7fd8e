/* SPDX-License-Identifier: MIT
 *
 * The one file that includes zlib.h, zstd.h and lzma.h. Each codec is a function that turns some of
 * the raw bytes into plain ones; the rest is buffers.
 */
#include "input.h"

#include <errno.h>
#include <fcntl.h>
#include <lzma.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "pagersim.h"

enum { INPUT_RAW = 1 << 18, INPUT_PLAIN = 1 << 20 };

struct input {
	char *path;
	int fd;
	uint8_t *raw, *plain;
	size_t raw_at, raw_end;
	size_t plain_at, plain_end, plain_bytes;
	bool raw_over; /* read() has returned 0 */
	bool over;     /* the codec has nothing more to give */
	uint64_t position, size;
	/* Moves bytes from raw to plain (which has room). => 0 or a negative errno. */
	int (*decode)(struct input *in);
	z_stream gz;
	lzma_stream xz;
	ZSTD_DStream *zstd;
	size_t zstd_hint; /* 0: at the end of a frame */
};

static int
input_bad(struct input *in, const char *format)
{
	return error_print(-EBADMSG, "%s: damaged or truncated %s data", in->path, format);
}

static int
input_decode_none(struct input *in)
{
	size_t room = in->plain_bytes - in->plain_end, n = in->raw_end - in->raw_at;

	n = n < room ? n : room;
	memcpy(in->plain + in->plain_end, in->raw + in->raw_at, n);
	in->raw_at += n;
	in->plain_end += n;
	in->over = in->raw_over && in->raw_at == in->raw_end;
	return 0;
}

static int
input_decode_gz(struct input *in)
{
	int result;

	if (in->raw_at == in->raw_end) {
		in->over = true;
		return in->gz.total_in == 0 ? 0 : input_bad(in, "gzip");
	}
	in->gz.next_in = in->raw + in->raw_at;
	in->gz.avail_in = (uInt)(in->raw_end - in->raw_at);
	in->gz.next_out = in->plain + in->plain_end;
	in->gz.avail_out = (uInt)(in->plain_bytes - in->plain_end);
	result = inflate(&in->gz, Z_NO_FLUSH);
	in->raw_at = in->raw_end - in->gz.avail_in;
	in->plain_end = in->plain_bytes - in->gz.avail_out;
	if (result == Z_STREAM_END)
		inflateReset(&in->gz); /* gzip files may be concatenated; total_in is 0 again */
	else if (result != Z_OK && result != Z_BUF_ERROR)
		return input_bad(in, "gzip");
	return 0;
}

static int
input_decode_zstd(struct input *in)
{
	ZSTD_inBuffer from = {in->raw, in->raw_end, in->raw_at};
	ZSTD_outBuffer to = {in->plain, in->plain_bytes, in->plain_end};
	size_t result;

	if (in->raw_at == in->raw_end && in->zstd_hint == 0) {
		in->over = true;
		return 0;
	}
	result = ZSTD_decompressStream(in->zstd, &to, &from);
	if (ZSTD_isError(result) ||
	    (from.pos == in->raw_at && to.pos == in->plain_end && in->raw_over))
		return input_bad(in, "zstd");
	in->zstd_hint = result;
	in->raw_at = from.pos;
	in->plain_end = to.pos;
	return 0;
}

static int
input_decode_xz(struct input *in)
{
	lzma_ret result;

	in->xz.next_in = in->raw + in->raw_at;
	in->xz.avail_in = in->raw_end - in->raw_at;
	in->xz.next_out = in->plain + in->plain_end;
	in->xz.avail_out = in->plain_bytes - in->plain_end;
	result = lzma_code(&in->xz, in->raw_over ? LZMA_FINISH : LZMA_RUN);
	in->raw_at = in->raw_end - in->xz.avail_in;
	in->plain_end = in->plain_bytes - in->xz.avail_out;
	in->over = result == LZMA_STREAM_END;
	return result == LZMA_OK || in->over ? 0 : input_bad(in, "xz");
}

static int
input_read_raw(struct input *in)
{
	ssize_t n;

	if (in->raw_over || in->raw_at < in->raw_end)
		return 0;
	in->raw_at = in->raw_end = 0;
	do
		n = read(in->fd, in->raw, INPUT_RAW);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return error_print(-errno, "%s: %s", in->path, strerror(errno));
	in->raw_over = n == 0;
	in->raw_end = (size_t)n;
	in->position += (uint64_t)n;
	return 0;
}

/* Looks at the first bytes, which one read has brought in, for the magic number of a compression.
 */
static int
input_choose(struct input *in)
{
	static const uint8_t gz[] = {0x1f, 0x8b}, zstd[] = {0x28, 0xb5, 0x2f, 0xfd},
			     xz[] = {0xfd, '7', 'z', 'X', 'Z', 0};
	int error = input_read_raw(in);

	if (error != 0)
		return error;
	in->decode = input_decode_none;
	if (in->raw_end >= sizeof(gz) && memcmp(in->raw, gz, sizeof(gz)) == 0) {
		in->decode = input_decode_gz;
		if (inflateInit2(&in->gz, 15 + 16) != Z_OK)
			return -ENOMEM;
	} else if (in->raw_end >= sizeof(zstd) && memcmp(in->raw, zstd, sizeof(zstd)) == 0) {
		in->decode = input_decode_zstd;
		in->zstd = ZSTD_createDStream();
		if (in->zstd == NULL)
			return -ENOMEM;
	} else if (in->raw_end >= sizeof(xz) && memcmp(in->raw, xz, sizeof(xz)) == 0) {
		in->decode = input_decode_xz;
		if (lzma_stream_decoder(&in->xz, UINT64_MAX, LZMA_CONCATENATED) != LZMA_OK)
			return -ENOMEM;
	}
	return 0;
}

int
input_open(const char *path, struct input **ret)
{
	struct input *in = calloc(1, sizeof(*in));
	struct stat st;
	int error = -ENOMEM;

	if (in == NULL)
		return -ENOMEM;
	in->fd = -1;
	in->path = strdup(strcmp(path, "-") == 0 ? "standard input" : path);
	in->raw = malloc(INPUT_RAW);
	in->plain = malloc(INPUT_PLAIN);
	in->plain_bytes = INPUT_PLAIN;
	if (in->path == NULL || in->raw == NULL || in->plain == NULL)
		goto fail;
	in->fd = strcmp(path, "-") == 0 ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
	if (in->fd < 0 || fstat(in->fd, &st) != 0) {
		error = error_print(-errno, "%s: %s", in->path, strerror(errno));
		goto fail;
	}
	in->size = S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0;
	error = input_choose(in);
	if (error != 0)
		goto fail;
	*ret = in;
	return 0;
fail:
	input_close(in);
	return error;
}

void
input_close(struct input *in)
{
	if (in == NULL)
		return;
	if (in->decode == input_decode_gz)
		inflateEnd(&in->gz);
	lzma_end(&in->xz);
	ZSTD_freeDStream(in->zstd);
	if (in->fd >= 0)
		close(in->fd);
	free(in->path);
	free(in->raw);
	free(in->plain);
	free(in);
}

static int
input_make_room(struct input *in, size_t want)
{
	uint8_t *larger;

	memmove(in->plain, in->plain + in->plain_at, in->plain_end - in->plain_at);
	in->plain_end -= in->plain_at;
	in->plain_at = 0;
	if (want <= in->plain_bytes)
		return 0;
	larger = realloc(in->plain, want);
	if (larger == NULL)
		return -ENOMEM;
	in->plain = larger;
	in->plain_bytes = want;
	return 0;
}

int
input_fill(struct input *in, size_t want, const uint8_t **ret, size_t *ret_bytes)
{
	if (in->plain_end - in->plain_at < want && !in->over) {
		int error = input_make_room(in, want);

		while (error == 0 && !in->over && in->plain_end < want) {
			error = input_read_raw(in);
			if (error == 0)
				error = in->decode(in);
		}
		if (error != 0)
			return error;
	}
	*ret = in->plain + in->plain_at;
	*ret_bytes = in->plain_end - in->plain_at;
	return 0;
}

void
input_take(struct input *in, size_t n)
{
	in->plain_at += n;
}

uint64_t
input_position(const struct input *in)
{
	return in->position;
}

uint64_t
input_size(const struct input *in)
{
	return in->size;
}
