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
#include <sys/ioctl.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#include "pager/uffd_compat.h"

static int
options_check(const struct pager_options *options)
{
	if (!options)
		return 0;
	if (options->size < sizeof(*options) || options->flags != 0)
		return -EINVAL;
	return 0;
}

/* Makes the userfaultfd. => 0 or -errno; on failure the caller closes what has been opened. */
static int
pager_watch(struct pager *p, int dev_fd, uint64_t features)
{
	struct uffdio_api api = { .api = UFFD_API, .features = features };

	int r = chan_fd_above_standard(ioctl(dev_fd, USERFAULTFD_IOC_NEW, O_CLOEXEC | O_NONBLOCK));

	if (r < 0)
		return r == -ENOTTY ? -EPROTO : r;
	p->uffd = r;
	r = fd_note(p->uffd, &p->uffd_note);
	if (r < 0)
		return r;
	return ioctl(p->uffd, UFFDIO_API, &api) < 0 ? -errno : 0;
}

/* Attaches. A range of absent pages proves to the daemon that the userfaultfd watches this process.
 * The range is PROT_NONE, so that nothing fills it, not even mlockall(2), and is unmapped
 * afterwards. */
static int
pager_attach(struct pager *p)
{
	size_t bytes = PAGER_PROBE_PAGES * (size_t)sysconf(_SC_PAGESIZE);
	void *probe = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct uffdio_register reg = { .range = { (uintptr_t)probe, bytes },
		.mode = UFFDIO_REGISTER_MODE_MISSING };
	struct pager_req_attach request = { .probe_address = (uintptr_t)probe,
		.probe_size = bytes };
	struct pager_rep_attach reply;
	struct chan_call call = { CHAN_CALL(ATTACH, &request, &reply), .fds_out = &p->uffd,
		.fds_out_count = 1, .ret_fd = &p->agent.socket };
	int r;

	if (probe == MAP_FAILED)
		return -ENOMEM;
	madvise(probe, bytes, MADV_DONTFORK);
	r = ioctl(p->uffd, UFFDIO_REGISTER, &reg) < 0 ? -errno : chan_exchange(&p->chan, &call);
	munmap(probe, bytes);
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
	if (r == 0)
		r = agent_open(&p->agent);
	return r < 0 ? r : pager_attach(p);
}

/* Everything but the struct itself. => 0 or -errno; on failure only the struct is left. */
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
		r = pager_greet(p, name);
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
