/* SPDX-License-Identifier: MIT */
#include "slow_file.h"

#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "harness_priv.h"

enum { FILE_NODE = 2, BUFFER_BYTES = 1 << 20, WRITE_MAX = 128 << 10, HELD_MAX = 64 };

void
namespace_begin(void)
{
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
		printf("skipped: no mount namespace of its own: %s\n", strerror(errno));
		exit(77);
	}
}

/* --- the server --- */

struct request {
	struct fuse_in_header head;
	char body[BUFFER_BYTES];
};

static void
reply(int fuse, const struct request *r, int error, const void *body, size_t body_bytes)
{
	static char buffer[BUFFER_BYTES];
	struct fuse_out_header head = {
		.len = (uint32_t)(sizeof(head) + (error ? 0 : body_bytes)),
		.error = -error,
		.unique = r->head.unique,
	};

	memcpy(buffer, &head, sizeof(head));
	if (!error && body_bytes)
		memcpy(buffer + sizeof(head), body, body_bytes);
	/* ENOENT: whoever asked has been killed. */
	if (write(fuse, buffer, head.len) < 0 && errno != ENOENT)
		_exit(0);
}

static struct fuse_attr
attributes(const struct slow_file *f, uint64_t node)
{
	struct fuse_attr a = { .ino = node, .blksize = 4096, .nlink = 1 };

	a.mode = node == FILE_NODE ? S_IFREG | 0666 : S_IFDIR | 0755;
	a.size = node == FILE_NODE ? f->size : 0;
	return a;
}

static void
answer_read(struct slow_file *f, int fuse, const struct request *r)
{
	const struct fuse_read_in *in = (const void *)r->body;
	uint64_t end = in->offset + in->size;

	if (end > f->size)
		end = f->size;
	reply(fuse, r, 0, f->bytes + in->offset, end > in->offset ? end - in->offset : 0);
	f->reads++;
}

/* Requests that are not answered yet. */
static struct request *held[HELD_MAX];
static unsigned held_count;

static bool
is_held(struct slow_file *f, const struct request *r)
{
	return r->head.opcode == FUSE_WRITE ? atomic_load(&f->holds_writes)
	       : r->head.opcode == FUSE_READ
		   ? atomic_load(&f->holds_reads)
		   : r->head.opcode == FUSE_FSYNC && atomic_load(&f->holds_syncs);
}

static void
request_hold(struct slow_file *f, const struct request *r, size_t bytes)
{
	struct request *copy = malloc(sizeof(*copy));

	if (!copy || held_count == HELD_MAX)
		_exit(0);
	memcpy(copy, r, bytes);
	held[held_count++] = copy;
	atomic_store(&f->held, held_count);
}

static void
answer_write(struct slow_file *f, int fuse, const struct request *r)
{
	const struct fuse_write_in *in = (const void *)r->body;
	struct fuse_write_out out = { .size = in->size };

	if (in->offset + in->size > f->size_max) {
		reply(fuse, r, ENOSPC, NULL, 0);
		return;
	}
	memcpy(f->bytes + in->offset, in + 1, in->size);
	if (in->offset + in->size > f->size)
		f->size = in->offset + in->size;
	reply(fuse, r, 0, &out, sizeof(out));
	f->writes++;
}

static void
answer_lookup(struct slow_file *f, int fuse, const struct request *r)
{
	struct fuse_entry_out out = { .nodeid = FILE_NODE, .attr = attributes(f, FILE_NODE) };

	if (strcmp(r->body, "file") != 0)
		reply(fuse, r, ENOENT, NULL, 0);
	else
		reply(fuse, r, 0, &out, sizeof(out));
}

static void
answer(struct slow_file *f, int fuse, const struct request *r)
{
	struct fuse_init_out init = { .major = FUSE_KERNEL_VERSION,
		.minor = 31,
		.max_readahead = WRITE_MAX,
		.max_background = 16,
		.congestion_threshold = 12,
		.max_write = WRITE_MAX };
	const struct fuse_setattr_in *set = (const void *)r->body;
	struct fuse_attr_out attr;
	struct fuse_open_out opened = { 0 };

	switch (r->head.opcode) {
	case FUSE_INIT:
		reply(fuse, r, 0, &init, sizeof(init));
		break;
	case FUSE_LOOKUP:
		answer_lookup(f, fuse, r);
		break;
	case FUSE_SETATTR:
		if (set->valid & FATTR_SIZE && set->size <= f->size_max)
			f->size = set->size;
		/* fall through */
	case FUSE_GETATTR:
		attr = (struct fuse_attr_out){ .attr = attributes(f, r->head.nodeid) };
		reply(fuse, r, 0, &attr, sizeof(attr));
		break;
	case FUSE_OPEN:
	case FUSE_OPENDIR:
		reply(fuse, r, 0, &opened, sizeof(opened));
		break;
	case FUSE_READ:
		answer_read(f, fuse, r);
		break;
	case FUSE_WRITE:
		answer_write(f, fuse, r);
		break;
	case FUSE_FSYNC:
	case FUSE_RELEASE:
	case FUSE_RELEASEDIR:
		reply(fuse, r, 0, NULL, 0);
		break;
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
		break;
	default:
		/* Closes are not told again, so that a killed process can end while the
		 * server is stopped. */
		reply(fuse, r, ENOSYS, NULL, 0);
		break;
	}
}

/* Those that are not to be held any more. */
static void
held_answer(struct slow_file *f, int fuse)
{
	unsigned left = 0;

	for (unsigned i = 0; i < held_count; i++) {
		if (is_held(f, held[i])) {
			held[left++] = held[i];
			continue;
		}
		answer(f, fuse, held[i]);
		free(held[i]);
	}
	held_count = left;
	atomic_store(&f->held, left);
}

static void
serve(struct slow_file *f, int fuse)
{
	static struct request r;

	for (;;) {
		struct pollfd poll_for = { .fd = fuse, .events = POLLIN };
		ssize_t n;

		held_answer(f, fuse);
		if (held_count > 0 && poll(&poll_for, 1, 10) == 0)
			continue;
		n = read(fuse, &r, sizeof(r));
		if (n >= (ssize_t)sizeof(r.head) && is_held(f, &r))
			request_hold(f, &r, (size_t)n);
		else if (n >= (ssize_t)sizeof(r.head))
			answer(f, fuse, &r);
		else if (n >= 0 || (errno != EINTR && errno != ENOENT))
			_exit(0);
	}
}

struct slow_file *
slow_file_start(uint64_t size_max)
{
	struct slow_file *f = shared_alloc(sizeof(*f));
	int fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	char text[100];
	pid_t pid;

	f->bytes = shared_alloc(size_max);
	f->size_max = size_max;
	snprintf(text, sizeof(text), "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other", fuse);
	if (fuse < 0 || mount("pagerd-test", "/mnt", "fuse", MS_NODEV | MS_NOSUID, text) < 0) {
		printf("skipped: no FUSE here: %s\n", strerror(errno));
		exit(77);
	}
	fflush(NULL);
	pid = fork();
	REQUIRE(pid >= 0, "%s", strerror(errno));
	if (pid == 0) {
		child_begin();
		serve(f, fuse);
	}
	/* Not in the child, which shares f. */
	f->server = pid;
	child_add(pid);
	close(fuse);
	return f;
}

void
slow_file_stop_answering(struct slow_file *f)
{
	int status;

	REQUIRE(kill(f->server, SIGSTOP) == 0);
	REQUIRE(waitpid(f->server, &status, WUNTRACED) == f->server && WIFSTOPPED(status));
}

void
slow_file_go_on(struct slow_file *f)
{
	REQUIRE(kill(f->server, SIGCONT) == 0);
}

void
slow_file_end(struct slow_file *f)
{
	kill(f->server, SIGKILL);
	(void)child_reap(f->server);
	umount2("/mnt", MNT_DETACH);
}

void
slow_file_is_current(struct slow_file *f, struct file_scene *s)
{
	for (uint32_t page = 0; page < s->count; page++) {
		uint32_t written = atomic_load(&s->pages[page].written);

		file_words_verify(f->bytes + page * s->page_bytes, page, s->page_bytes, written,
		    written, "in the file system");
	}
}
