/* SPDX-License-Identifier: MIT
 *
 * Connecting: hello, a userfaultfd bound to this process, attach; and the way back. The userfaultfd
 * is made here, from the /dev/userfaultfd descriptor that the daemon hands out, and set up
 * (UFFDIO_API) by the daemon. This process keeps its own descriptor of it (keeper.c) for as long as a mapping
 * is registered: were the daemon's the last one, threads that wait in a fault would go on and read
 * zeroes when the daemon dies.
 */
#include "pager_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "pager/uffd_compat.h"

int
pager_check(const struct pager *p)
{
	if (!p || p->magic != PAGER_MAGIC)
		return -EINVAL;
	return atomic_load_explicit(&p->forked, memory_order_relaxed) ? -ENOTCONN : 0;
}

int
pager_check_descriptors(struct pager *p)
{
	return fd_is_noted(p->chan.fd, &p->chan.note) && fd_is_noted(p->uffd, &p->uffd_note) ? 0 : -EBADF;
}

static int
options_check(const struct pager_options *options)
{
	if (!options)
		return 0;
	if (options->size < sizeof(*options) || options->flags != 0)
		return -EINVAL;
	return 0;
}

/* Hello and attach. => on failure what has been opened is left to the caller. */
static int
pager_attach(struct pager *p, const char *name)
{
	struct pager_rep_hello hello;
	struct pager_req_attach request = { 0 };
	struct pager_rep_attach reply;
	struct chan_call call = { CHAN_CALL(ATTACH, &request, &reply), .fds_out_count = 2 };
	int fds[2], dev_fd, r;

	r = chan_hello(&p->chan, PAGER_ROLE_CLIENT, name, &hello, &dev_fd);
	if (r < 0)
		return r == -EPROTONOSUPPORT ? -EPROTO : r;
	p->page_size = hello.page_size;
	r = chan_fd_above_standard(ioctl(dev_fd, USERFAULTFD_IOC_NEW, O_CLOEXEC | O_NONBLOCK));
	close(dev_fd);
	if (r < 0)
		return r == -ENOTTY ? -EPROTO : r;
	fds[0] = p->uffd = r;
	r = fd_note(p->uffd, &p->uffd_note);
	if (r == 0)
		r = agent_open(&p->agent, &fds[1]);
	if (r < 0)
		return r;
	call.fds_out = fds;
	r = chan_exchange(&p->chan, &call);
	close(fds[1]);
	return r;
}

/* Everything behind the struct. => on failure the struct is all that is left. */
static int
pager_establish(struct pager *p, const char *socket, const char *name)
{
	int r;

	chan_init(&p->chan);
	agent_init(&p->agent);
	keeper_init(&p->keeper);
	p->uffd = -1;
	r = space_init(p);
	if (r == 0)
		r = fork_register(p);
	if (r < 0) {
		space_fini(p);
		return r;
	}
	r = chan_open(&p->chan, socket);
	if (r == 0)
		r = pager_attach(p, name);
	if (r == 0)
		r = keeper_start(p);
	if (r < 0) {
		chan_break(&p->chan);
		fork_unregister(p);
		space_fini(p);
	}
	return r;
}

int
pager_connect(const char *socket, const struct pager_options *options, struct pager **ret)
{
	struct pager *p;
	int cancel_state, r;

	r = options_check(options);
	if (r < 0 || !ret)
		return -EINVAL;
	/* Not malloc: see range_set.h. */
	p = mmap(NULL, sizeof(*p), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return -ENOMEM;
	p->magic = PAGER_MAGIC;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
	r = event_start(&p->events, options ? options->event : NULL, options ? options->event_context : NULL);
	if (r == 0) {
		r = pager_establish(p, socket, options ? options->name : NULL);
		if (r < 0)
			event_stop(&p->events);
	}
	pthread_setcancelstate(cancel_state, NULL);
	if (r < 0) {
		munmap(p, sizeof(*p));
		return r;
	}
	*ret = p;
	return 0;
}

static void
pager_free(struct pager *p)
{
	space_fini(p);
	p->magic = 0;
	munmap(p, sizeof(*p));
}

int
pager_disconnect(struct pager *p)
{
	int cancel_state, r;

	r = pager_check(p);
	if (r == -ENOTCONN) { /* a forked child's copy: nothing but memory is left of it */
		pager_free(p);
		return 0;
	}
	if (r < 0)
		return r;
	if (event_is_self(&p->events))
		return -EDEADLK;
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
	event_stop(&p->events);
	r = keeper_stop(p);
	fork_unregister(p);
	if (r == 0)
		pager_free(p);
	pthread_setcancelstate(cancel_state, NULL);
	return 0;
}
