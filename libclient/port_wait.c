/* SPDX-License-Identifier: MIT
 *
 * Waiting for a port's bell. Runs on: the caller's threads.
 */
#include "port_priv.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

struct patience
patience_begin(int timeout_ms)
{
	struct patience patience = { .timeout_ms = timeout_ms };

	pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &patience.cancel_state);
	if (timeout_ms > 0) {
		clock_gettime(CLOCK_MONOTONIC, &patience.until);
		patience.until.tv_sec += timeout_ms / 1000;
		patience.until.tv_nsec += timeout_ms % 1000 * 1000000l;
		if (patience.until.tv_nsec >= 1000000000l) {
			patience.until.tv_sec++;
			patience.until.tv_nsec -= 1000000000l;
		}
	}
	return patience;
}

/* => milliseconds for poll(2) */
static int
patience_left(const struct patience *patience)
{
	struct timespec now;
	int64_t left;

	if (patience->timeout_ms <= 0)
		return -1;
	clock_gettime(CLOCK_MONOTONIC, &now);
	left = ((int64_t)patience->until.tv_sec - now.tv_sec) * 1000000000 +
	       (patience->until.tv_nsec - now.tv_nsec);
	return left <= 0 ? 0 : (int)((left + 999999) / 1000000);
}

void
bell_empty(const struct pager_port *port)
{
	char bytes[8];

	if (!fd_is_noted(port->info.fd, &port->note))
		return;
	while (recv(port->info.fd, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
		continue;
}

int
bell_wait(const struct pager_port *port, struct patience *patience)
{
	struct pollfd bell = { .fd = port->info.fd, .events = POLLIN };
	int cancel_state, n, error;

	if (patience->timeout_ms == 0)
		return -EAGAIN;
	if (!fd_is_noted(port->info.fd, &port->note))
		return -EBADF;
	pthread_setcancelstate(patience->cancel_state, &cancel_state);
	n = poll(&bell, 1, patience_left(patience));
	error = errno;
	pthread_setcancelstate(cancel_state, NULL);
	if (n < 0)
		return -error;
	if (n == 0)
		return -ETIMEDOUT;
	/* The kernel says POLLIN also of a bell that has hung up. */
	if (!(bell.revents & (POLLHUP | POLLERR | POLLNVAL)))
		return 0;
	/* The port has ended: the daemon says so when it is asked. */
	if (patience->is_hung_up)
		return -EPIPE;
	patience->is_hung_up = true;
	return 0;
}
