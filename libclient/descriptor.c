/* SPDX-License-Identifier: MIT
 *
 * Memory descriptors. Prepared: the daemon has wired and pinned the range, every page of it is
 * there, and the files are open in which it lies. Locks: descriptor.lock, held across requests,
 * outside of all others. Runs on: the caller's threads.
 */
#include "pager_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ  22
#define MADV_POPULATE_WRITE 23
#endif

/* A file that pieces lie in. */
struct descriptor_file {
	int fd;
	struct fd_note note;
	uint64_t object_id;
	uint32_t protection;
};

struct pager_memory_descriptor {
	struct pager *pager;
	uint64_t address, size;
	uint32_t direction; /* enum pager_direction */
	pthread_mutex_t lock;
	bool prepared;                     /* (lock) */
	unsigned generation;               /* (lock) the connection's when it was prepared */
	struct pager_memory_piece *pieces; /* (lock) while prepared */
	struct descriptor_file *files;     /* (lock) while prepared */
	size_t piece_count, file_count;    /* (lock) */
};

int
pager_memory_descriptor_create(struct pager *p, void *addr, size_t size,
    enum pager_direction direction, struct pager_memory_descriptor **ret)
{
	struct pager_memory_descriptor *md;
	uint64_t address, rounded;
	int r;

	r = pager_check(p);
	if (r == 0)
		r = space_check(p, addr, size, &address, &rounded);
	if (r < 0)
		return r;
	if (!ret || (unsigned)direction < PAGER_DIRECTION_IN ||
	    (unsigned)direction > PAGER_DIRECTION_INOUT)
		return -EINVAL;
	md = calloc(1, sizeof(*md));
	if (!md)
		return -ENOMEM;
	md->pager = p;
	md->address = address;
	md->size = rounded;
	md->direction = (uint32_t)direction;
	pthread_mutex_init(&md->lock, NULL);
	*ret = md;
	return 0;
}

/* => 0 or -errno; *ret_fd: with PIECE */
static int
descriptor_ask(const struct pager_memory_descriptor *md, enum pager_descriptor_op op,
    uint64_t address, struct pager_rep_descriptor *reply, int *ret_fd)
{
	struct pager_req_descriptor request = { .address = address,
		.size = md->size - (address - md->address),
		.op = op,
		.direction = md->direction };
	struct chan_call call = { CHAN_CALL(DESCRIPTOR, &request, reply), .ret_fd = ret_fd };

	int r = chan_exchange(&md->pager->chan, &call);

	/* Where other memory is shown, its own must be mapped first. */
	if (r == -EBUSY && op == PAGER_DESCRIPTOR_PREPARE &&
	    show_open_range(md->pager, address, request.size) == 0)
		r = chan_exchange(&md->pager->chan, &call);
	return r;
}

/* The program may have closed them, and have others under their numbers. */
static void
files_close(struct pager_memory_descriptor *md)
{
	for (size_t i = 0; i < md->file_count; i++)
		if (fd_is_noted(md->files[i].fd, &md->files[i].note))
			close(md->files[i].fd);
	free(md->files);
	free(md->pieces);
	md->files = NULL;
	md->pieces = NULL;
	md->file_count = md->piece_count = 0;
}

/* Keeps the file, or closes it where it is known already. => its descriptor, or -errno: it is
 * closed
 */
static int
file_keep(struct pager_memory_descriptor *md, const struct pager_rep_descriptor *reply, int fd)
{
	struct descriptor_file *more,
	    file = { .fd = fd, .object_id = reply->object_id, .protection = reply->protection };
	int r;

	for (size_t i = 0; i < md->file_count; i++)
		if (md->files[i].object_id == reply->object_id &&
		    md->files[i].protection == reply->protection) {
			close(fd);
			return md->files[i].fd;
		}
	more = realloc(md->files, (md->file_count + 1) * sizeof(*more));
	r = more ? fd_note(fd, &file.note) : -ENOMEM;
	if (more)
		md->files = more;
	if (r < 0) {
		close(fd);
		return r;
	}
	md->files[md->file_count++] = file;
	return fd;
}

/* Asks for the piece that begins at the address. => 0 or -errno */
static int
piece_add(struct pager_memory_descriptor *md, uint64_t address, uint64_t *ret_size)
{
	struct pager_memory_piece *more;
	struct pager_rep_descriptor reply;
	int fd = -1, r = descriptor_ask(md, PAGER_DESCRIPTOR_PIECE, address, &reply, &fd);

	if (r < 0)
		return r;
	r = file_keep(md, &reply, fd);
	if (r < 0)
		return r;
	if (reply.size == 0 || reply.size > md->size - (address - md->address))
		return -EPROTO;
	more = realloc(md->pieces, (md->piece_count + 1) * sizeof(*more));
	if (!more)
		return -ENOMEM;
	md->pieces = more;
	md->pieces[md->piece_count++] = (struct pager_memory_piece){ .fd = r,
		.protection = reply.protection,
		.offset = reply.object_offset,
		.size = reply.size };
	*ret_size = reply.size;
	return 0;
}

/* Brings in what is wired. The kernel is asked to, because a touch would end in SIGBUS where there
 * is no room. => 0 or -ENOMEM */
static int
descriptor_populate(const struct pager_memory_descriptor *md)
{
	int advice = md->direction & PAGER_DIRECTION_IN ? MADV_POPULATE_WRITE : MADV_POPULATE_READ;

	/* A device's memory is there. */
	if (device_has(md->pager, md->address, md->size))
		return 0;
	return madvise((void *)(uintptr_t)md->address, md->size, advice) < 0 ? -ENOMEM : 0;
}

/* What the parent of this process has prepared is not prepared here; its files are of the parent's
 * memory. => whether it was so; lock held */
static bool
descriptor_forget(struct pager_memory_descriptor *md)
{
	if (!md->prepared || md->generation == md->pager->generation)
		return false;
	files_close(md);
	md->prepared = false;
	return true;
}

/* => lock held */
static int
descriptor_prepare(struct pager_memory_descriptor *md)
{
	struct pager_rep_descriptor reply;
	uint64_t size;
	int r = descriptor_ask(md, PAGER_DESCRIPTOR_PREPARE, md->address, &reply, NULL);

	if (r < 0)
		return r;
	r = descriptor_populate(md);
	for (uint64_t at = md->address; r == 0 && at < md->address + md->size; at += size)
		r = piece_add(md, at, &size);
	if (r == 0)
		return 0;
	files_close(md);
	descriptor_ask(md, PAGER_DESCRIPTOR_COMPLETE, md->address, &reply, NULL);
	return r;
}

int
pager_memory_descriptor_prepare(struct pager_memory_descriptor *md,
    const struct pager_memory_piece **ret_pieces, size_t *ret_count)
{
	int cancel_state, r;

	if (!md || !ret_pieces || !ret_count)
		return -EINVAL;
	r = pager_check(md->pager);
	if (r == 0)
		r = pager_check_descriptors(md->pager);
	if (r < 0)
		return r;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
	pthread_mutex_lock(&md->lock);
	descriptor_forget(md);
	r = md->prepared ? -EALREADY : descriptor_prepare(md);
	if (r == 0) {
		md->prepared = true;
		md->generation = md->pager->generation;
		*ret_pieces = md->pieces;
		*ret_count = md->piece_count;
	}
	pthread_mutex_unlock(&md->lock);
	pthread_setcancelstate(cancel_state, NULL);
	return r;
}

int
pager_memory_descriptor_complete(struct pager_memory_descriptor *md)
{
	struct pager_rep_descriptor reply;
	int r = -EINVAL;

	if (!md)
		return -EINVAL;
	pthread_mutex_lock(&md->lock);
	if (descriptor_forget(md)) {
		r = -ENOTCONN;
	} else if (md->prepared) {
		r = pager_check(md->pager);
		if (r == 0)
			r = descriptor_ask(
			    md, PAGER_DESCRIPTOR_COMPLETE, md->address, &reply, NULL);
		/* Without a connection nothing is pinned any more. */
		if (r == 0 || r == -ENOTCONN) {
			files_close(md);
			md->prepared = false;
		}
	}
	pthread_mutex_unlock(&md->lock);
	return r;
}

int
pager_memory_descriptor_release(struct pager_memory_descriptor *md)
{
	bool prepared;

	if (!md)
		return 0;
	pthread_mutex_lock(&md->lock);
	descriptor_forget(md);
	prepared = md->prepared;
	pthread_mutex_unlock(&md->lock);
	if (prepared)
		return -EBUSY;
	pthread_mutex_destroy(&md->lock);
	free(md);
	return 0;
}
