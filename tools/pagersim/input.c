/* SPDX-License-Identifier: MIT
 *
 * The only file that includes zlib.h, zstd.h and lzma.h. A compressed file is a sequence of
 * members; each begins with the magic number of a codec, and zero bytes may follow it. A codec
 * turns some of the raw bytes into plain ones; all else is buffers.
 */
#include "input.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <lzma.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "message.h"

enum { INPUT_RAW = 1 << 18, INPUT_PLAIN = 1 << 20, MAGIC_MAX = 6 };
/* The most memory that the decoder of xz may allocate. `xz -9` needs 65 MiB. */
#define XZ_MEMORY_MAX (UINT64_C(2) << 30)

struct codec;

struct input {
	char *path;
	int fd;
	uint8_t *raw, *plain;
	size_t raw_at, raw_end;
	size_t plain_at, plain_end, plain_bytes;
	bool raw_over; /* read() has returned 0 */
	bool over;     /* there are no more plain bytes */
	uint64_t position, size;
	enum { INPUT_START, INPUT_UNPACKED, INPUT_MEMBER, INPUT_BETWEEN } state;
	const struct codec *codec; /* of the current member, or of the last one */
	z_stream gz;
	bool gz_open;
	lzma_stream xz;
	ZSTD_DStream *zstd;
};

/* => the position of the next raw byte in the stored file. */
static uint64_t
input_offset(const struct input *in)
{
	return in->position - (in->raw_end - in->raw_at);
}

struct codec {
	const char *name;
	const char *magic;
	uint8_t magic_bytes, first_mask; /* first_mask: the bits of the first byte that count */
	/* Begins a member. NULL: the codec is known, but not supported. => 0 or -ENOMEM. */
	int (*begin)(struct input *in);
	/* Decodes bytes from raw to plain, which has room. => 1: the member has ended; 0; or a
	 * negative errno. *ret_why: what is wrong with the data, with -EBADMSG. */
	int (*decode)(struct input *in, const char **ret_why);
};

static int
gz_begin(struct input *in)
{
	if (in->gz_open)
		inflateEnd(&in->gz);
	in->gz = (z_stream){ 0 };
	in->gz_open = inflateInit2(&in->gz, 15 + 16) == Z_OK;
	return in->gz_open ? 0 : -ENOMEM;
}

static int
gz_decode(struct input *in, const char **ret_why)
{
	int result;

	in->gz.next_in = in->raw + in->raw_at;
	in->gz.avail_in = (uInt)(in->raw_end - in->raw_at);
	in->gz.next_out = in->plain + in->plain_end;
	in->gz.avail_out = (uInt)(in->plain_bytes - in->plain_end);
	result = inflate(&in->gz, Z_NO_FLUSH);
	in->raw_at = in->raw_end - in->gz.avail_in;
	in->plain_end = in->plain_bytes - in->gz.avail_out;
	if (result == Z_OK || result == Z_BUF_ERROR)
		return 0;
	if (result == Z_STREAM_END)
		return 1;
	*ret_why = in->gz.msg != NULL ? in->gz.msg : "unknown reason";
	return result == Z_MEM_ERROR ? -ENOMEM : -EBADMSG;
}

static int
zstd_begin(struct input *in)
{
	if (in->zstd == NULL)
		in->zstd = ZSTD_createDStream();
	if (in->zstd == NULL)
		return -ENOMEM;
	ZSTD_initDStream(in->zstd);
	return 0;
}

static int
zstd_decode(struct input *in, const char **ret_why)
{
	ZSTD_inBuffer from = { in->raw, in->raw_end, in->raw_at };
	ZSTD_outBuffer to = { in->plain, in->plain_bytes, in->plain_end };
	size_t result = ZSTD_decompressStream(in->zstd, &to, &from);

	in->raw_at = from.pos;
	in->plain_end = to.pos;
	if (ZSTD_isError(result)) {
		*ret_why = ZSTD_getErrorName(result);
		return -EBADMSG;
	}
	return result == 0;
}

static int
xz_begin(struct input *in)
{
	return lzma_stream_decoder(&in->xz, XZ_MEMORY_MAX, 0) == LZMA_OK ? 0 : -ENOMEM;
}

static int
xz_decode(struct input *in, const char **ret_why)
{
	lzma_ret result;

	in->xz.next_in = in->raw + in->raw_at;
	in->xz.avail_in = in->raw_end - in->raw_at;
	in->xz.next_out = in->plain + in->plain_end;
	in->xz.avail_out = in->plain_bytes - in->plain_end;
	result = lzma_code(&in->xz, LZMA_RUN);
	in->raw_at = in->raw_end - in->xz.avail_in;
	in->plain_end = in->plain_bytes - in->xz.avail_out;
	switch (result) {
	case LZMA_OK:
	case LZMA_BUF_ERROR:
		return 0;
	case LZMA_STREAM_END:
		return 1;
	case LZMA_MEM_ERROR:
		return -ENOMEM;
	case LZMA_MEMLIMIT_ERROR:
		*ret_why = "it needs more than 2 GiB of memory to be unpacked";
		return -EBADMSG;
	case LZMA_OPTIONS_ERROR:
		*ret_why = "unknown options";
		return -EBADMSG;
	default:
		*ret_why = "incorrect data";
		return -EBADMSG;
	}
}

static const struct codec codecs[] = {
	{ "gzip", "\x1f\x8b", 2, 0xff, gz_begin, gz_decode },
	{ "zstd", "\x28\xb5\x2f\xfd", 4, 0xff, zstd_begin, zstd_decode },
	{ "zstd", "\x50\x2a\x4d\x18", 4, 0xf0, zstd_begin,
	    zstd_decode }, /* a frame that is skipped */
	{ "xz",
	    "\xfd"
	    "7zXZ\0",
	    6, 0xff, xz_begin, xz_decode },
	{ "bzip2", "BZh", 3, 0xff, NULL, NULL },
	{ "lz4", "\x04\x22\x4d\x18", 4, 0xff, NULL, NULL },
	{ "lzip", "LZIP", 4, 0xff, NULL, NULL },
	{ "compress", "\x1f\x9d", 2, 0xff, NULL, NULL },
	{ "zip", "PK\x03\x04", 4, 0xff, NULL, NULL },
	{ "7-Zip", "7z\xbc\xaf\x27\x1c", 6, 0xff, NULL, NULL },
};

/* Reads until there are `want` raw bytes (a few) or the file ends. */
static int
input_read_raw(struct input *in, size_t want)
{
	while (!in->raw_over && in->raw_end - in->raw_at < want) {
		ssize_t n;

		memmove(in->raw, in->raw + in->raw_at, in->raw_end - in->raw_at);
		in->raw_end -= in->raw_at;
		in->raw_at = 0;
		n = read(in->fd, in->raw + in->raw_end, INPUT_RAW - in->raw_end);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_print(-errno, "%s: %s", in->path, strerror(errno));
		in->raw_over = n == 0;
		in->raw_end += (size_t)n;
		in->position += (uint64_t)n;
	}
	return 0;
}

/* => the codec with whose magic number the raw bytes begin, or NULL. */
static const struct codec *
codec_find(const uint8_t *raw, size_t bytes)
{
	for (size_t i = 0; i < ARRAY_LEN(codecs); i++) {
		const struct codec *c = &codecs[i];
		const uint8_t *magic = (const uint8_t *)c->magic;

		if (bytes >= c->magic_bytes && (raw[0] & c->first_mask) == magic[0] &&
		    memcmp(raw + 1, magic + 1, c->magic_bytes - 1u) == 0)
			return c;
	}
	return NULL;
}

/* Called at the start of the file, and after each member. */
static int
input_begin_member(struct input *in)
{
	const struct codec *codec;
	int error = input_read_raw(in, 1);

	/* Tapes and disks fill their last block with zeros. */
	while (in->state == INPUT_BETWEEN && in->raw_at < in->raw_end && in->raw[in->raw_at] == 0)
		in->raw_at++;
	if (error != 0)
		return error;
	if (in->raw_at == in->raw_end) {
		in->over = in->raw_over;
		return 0;
	}
	error = input_read_raw(in, MAGIC_MAX);
	if (error != 0)
		return error;
	codec = codec_find(in->raw + in->raw_at, in->raw_end - in->raw_at);
	if (codec != NULL && codec->begin == NULL)
		return error_print(-EINVAL,
		    "%s: byte %" PRIu64 ": %s data, which is not unpacked here "
		    "(gzip, zstd and xz are)",
		    in->path, input_offset(in), codec->name);
	if (codec == NULL && in->state == INPUT_BETWEEN)
		return error_print(-EBADMSG,
		    "%s: byte %" PRIu64 ": the %s data ends here, and what follows "
		    "is neither compressed data nor zeros",
		    in->path, input_offset(in), in->codec->name);
	in->state = codec == NULL ? INPUT_UNPACKED : INPUT_MEMBER;
	in->codec = codec;
	return codec == NULL ? 0 : codec->begin(in);
}

static int
input_decode_member(struct input *in)
{
	size_t plain_before = in->plain_end;
	const char *why = NULL;
	uint64_t before;
	int result = input_read_raw(in, 1);

	if (result != 0)
		return result;
	before = input_offset(in);
	result = in->codec->decode(in, &why);
	if (result == 1)
		in->state = INPUT_BETWEEN;
	if (result == -EBADMSG)
		return error_print(result, "%s: byte %" PRIu64 ": damaged %s data (%s)", in->path,
		    input_offset(in), in->codec->name, why);
	if (result == 0 && in->raw_over && input_offset(in) == before &&
	    in->plain_end == plain_before)
		return error_print(-EBADMSG, "%s: truncated: its %s data is not complete", in->path,
		    in->codec->name);
	return result < 0 ? result : 0;
}

static int
input_copy(struct input *in)
{
	size_t room = in->plain_bytes - in->plain_end, n;
	int error = input_read_raw(in, 1);

	if (error != 0)
		return error;
	n = in->raw_end - in->raw_at < room ? in->raw_end - in->raw_at : room;
	memcpy(in->plain + in->plain_end, in->raw + in->raw_at, n);
	in->raw_at += n;
	in->plain_end += n;
	in->over = in->raw_over && in->raw_at == in->raw_end;
	return 0;
}

static int
input_step(struct input *in)
{
	int error;

	switch (in->state) {
	case INPUT_UNPACKED:
		error = input_copy(in);
		break;
	case INPUT_MEMBER:
		error = input_decode_member(in);
		break;
	default:
		error = input_begin_member(in);
		break;
	}
	if (error == -ENOMEM)
		error_print(error, "%s: not enough memory to unpack it", in->path);
	return error;
}

int
input_open(const char *path, struct input **ret)
{
	struct input *in = calloc(1, sizeof(*in));
	struct stat st;
	int error = -ENOMEM;

	if (in == NULL)
		return error_print(-ENOMEM, "%s: not enough memory", path);
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
	*ret = in;
	return 0;
fail:
	if (error == -ENOMEM)
		error_print(error, "%s: not enough memory", path);
	input_close(in);
	return error;
}

void
input_close(struct input *in)
{
	if (in == NULL)
		return;
	if (in->gz_open)
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

		if (error == -ENOMEM)
			error_print(error, "%s: not enough memory", in->path);
		while (error == 0 && !in->over && in->plain_end < want)
			error = input_step(in);
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
