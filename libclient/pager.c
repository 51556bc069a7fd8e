/* SPDX-License-Identifier: MIT
 *
 * Connecting (hello, a userfaultfd bound to this process, attach) and disconnecting. The
 * userfaultfd is made here, from the /dev/userfaultfd descriptor that the daemon hands out, and set
 * up (UFFDIO_API) as the daemon requires. This process keeps its own descriptor of it (keeper.c) as
 * long as a mapping is registered. If the daemon's were the last one, threads that wait in a fault
 * would go on and read zeroes when the daemon dies.
 */
#include "pager_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

static int
options_check(const struct pager_options *options)
{
	if (!options)
		return 0;
	if (options->size < sizeof(*options) || options->flags & ~PAGER_NO_INHERIT)
		return -EINVAL;
	return 0;
}

/* Attaches. A range of absent pages proves to the daemon that the userfaultfd watches this process.
 * The range is PROT_NONE, so that nothing fills it, not even mlockall(2), and is unmapped
 * afterwards. */
static int
pager_attach(struct pager *p)
{
	struct pager_req_attach request;
	struct pager_rep_attach reply;
	struct chan_call call = { CHAN_CALL(ATTACH, &request, &reply), .fds_out = &p->uffd,
		.fds_out_count = 1, .ret_fd = &p->agent.socket };
	int r = probe_open(p, &request);

	if (r < 0)
		return r;
	r = chan_exchange(&p->chan, &call);
	probe_close(request.probe_address);
	return r;
}

/* Hello and attach. => 0 or -errno; on failure the caller closes what has been opened. */
static int
pager_greet(struct pager *p, const char *name)
{
	struct pager_rep_hello hello;
	int dev_fd, r;

	r = chan_hello(&p->chan, PAGER_ROLE_CLIENT, name, &hello, &dev_fd);
	if (r < 0)
		return r == -EPROTONOSUPPORT ? -EPROTO : r;
	p->page_size = hello.page_size;
	p->session = hello.session_id;
	r = pager_watch(p, dev_fd, hello.uffd_features);
	close(dev_fd);
	if (r == 0 && !p->stays_light)
		r = agent_open(&p->agent);
	return r < 0 ? r : pager_attach(p);
}

int
pager_establish(struct pager *p, const char *socket, const char *name)
{
	int r;

	chan_init(&p->chan);
	agent_init(&p->agent);
	keeper_init(&p->keeper);
	pthread_mutex_init(&p->settle_lock, NULL);
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
		r = pager_greet(p, name);
	if (r == 0)
		r = p->begin(p);
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
	/* Not malloc: see own_pages.h. */
	p = mmap(NULL, sizeof(*p), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return -ENOMEM;
	p->magic = PAGER_MAGIC;
	p->settle = fork_settle;
	p->begin = keeper_start;
	p->inherits = !options || !(options->flags & PAGER_NO_INHERIT);
	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &cancel_state);
	r = event_start(
	    &p->events, options ? options->event : NULL, options ? options->event_context : NULL);
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
	upl_free_all(p);
	port_free_all(p);
	show_free_all(p);
	space_fini(p);
	p->magic = 0;
	munmap(p, sizeof(*p));
}

int
pager_disconnect(struct pager *p)
{
	int cancel_state, r;

	r = pager_check(p);
	if (r == -ENOTCONN) { /* a forked child's copy: only its memory is left */
		fork_forget(p);
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
