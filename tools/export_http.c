/* SPDX-License-Identifier: MIT
 *
 * One thread of libmicrohttpd has all connections and never waits for one of them: a reader that
 * takes its answer slowly has it in memory of this process, for CONNECTION_SECONDS at most, and
 * beyond CONNECTIONS_MAX connections wait in the kernel. Readers can ask as often as they like; the
 * daemon is asked for each format FETCHES_PER_SECOND times at most.
 */
#include "export_http.h"

#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "out.h"

#define CONNECTIONS_MAX    64
#define CONNECTION_SECONDS 10
#define FETCHES_PER_SECOND 10

/* A text that answers are made of. MHD counts the answers that still use it. */
struct kept {
	struct MHD_Response *response; /* NULL: none was made yet */
	uint64_t made_ns;
};

struct exporter {
	export_make *make;
	void *context;
	struct kept kept[EXPORT_OPENMETRICS + 1];
};

static uint64_t
now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

int
export_address_parse(const char *text, struct export_address *ret)
{
	static const struct {
		const char *prefix;
		int family;
	} hosts[] = {
		{ "127.0.0.1:", AF_INET },
		{ "localhost:", AF_INET },
		{ "[::1]:", AF_INET6 },
	};
	uint64_t port;

	if (strncmp(text, "unix:", 5) == 0) {
		size_t length = strlen(text + 5);

		if (length == 0 || length >= sizeof(((struct sockaddr_un *)0)->sun_path))
			return -EINVAL;
		*ret = (struct export_address){ .path = text + 5 };
		return 0;
	}
	for (size_t i = 0; i < sizeof(hosts) / sizeof(hosts[0]); i++) {
		size_t length = strlen(hosts[i].prefix);

		if (strncmp(text, hosts[i].prefix, length) != 0 ||
		    out_parse_number(text + length, 0, UINT16_MAX, &port) < 0)
			continue;
		*ret = (struct export_address){ .family = hosts[i].family, .port = (uint16_t)port };
		return 0;
	}
	return -EINVAL;
}

/* A socket that nobody listens on any more is left over from an exporter that was killed. */
static bool
is_left_over(const struct sockaddr_un *name)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool refused = false;

	if (fd < 0)
		return false;
	if (connect(fd, (const struct sockaddr *)name, sizeof(*name)) < 0)
		refused = errno == ECONNREFUSED;
	close(fd);
	return refused;
}

/* The mode is that of the daemon's own socket's kind: the owner, and a group that root may give. */
static int
unix_bind(int fd, const struct sockaddr_un *name)
{
	mode_t mask = umask(0117);
	int r = bind(fd, (const struct sockaddr *)name, sizeof(*name));

	if (r < 0 && errno == EADDRINUSE && is_left_over(name)) {
		unlink(name->sun_path);
		r = bind(fd, (const struct sockaddr *)name, sizeof(*name));
	}
	r = r < 0 ? -errno : 0;
	umask(mask);
	return r;
}

static int
tcp_bind(int fd, const struct export_address *a)
{
	struct sockaddr_in v4 = { .sin_family = AF_INET,
		.sin_port = htons(a->port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct sockaddr_in6 v6 = { .sin6_family = AF_INET6,
		.sin6_port = htons(a->port),
		.sin6_addr = IN6ADDR_LOOPBACK_INIT };
	int one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (a->family == AF_INET)
		return bind(fd, (struct sockaddr *)&v4, sizeof(v4)) < 0 ? -errno : 0;
	return bind(fd, (struct sockaddr *)&v6, sizeof(v6)) < 0 ? -errno : 0;
}

/* => a listening socket, or -errno */
static int
socket_listen(const struct export_address *a)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	int fd =
	    socket(a->path ? AF_UNIX : a->family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int r;

	if (fd < 0)
		return -errno;
	if (a->path) {
		memcpy(name.sun_path, a->path, strlen(a->path) + 1);
		r = unix_bind(fd, &name);
	} else {
		r = tcp_bind(fd, a);
	}
	if (r == 0 && listen(fd, SOMAXCONN) < 0)
		r = -errno;
	if (r < 0) {
		close(fd);
		return r;
	}
	return fd;
}

/* Says where: of port 0 the kernel has chosen one. => 0 or -EIO: nobody can be told */
static int
say_where(const struct export_address *a, int fd)
{
	struct sockaddr_in6 name;
	socklen_t length = sizeof(name);

	if (a->path) {
		printf("listening on unix:%s\n", a->path);
	} else {
		/* The port is at the same place in both families. */
		getsockname(fd, (struct sockaddr *)&name, &length);
		printf("listening on %s:%u\n", a->family == AF_INET ? "127.0.0.1" : "[::1]",
		    ntohs(name.sin6_port));
	}
	return fflush(stdout) == 0 ? 0 : -EIO;
}

static enum MHD_Result
answer_text(struct MHD_Connection *connection, unsigned status, const char *text, const char *allow)
{
	struct MHD_Response *response = MHD_create_response_from_buffer(
	    strlen(text), (void *)(uintptr_t)text, MHD_RESPMEM_PERSISTENT);
	enum MHD_Result r;

	if (!response)
		return MHD_NO;
	MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "text/plain");
	if (allow)
		MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, allow);
	r = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return r;
}

/* => the text of that format, not older than it may be; NULL: the daemon does not answer */
static struct MHD_Response *
text_take(struct exporter *e, enum export_format format)
{
	static const char *const types[] = {
		[EXPORT_PROMETHEUS] = "text/plain; version=0.0.4; charset=utf-8",
		[EXPORT_OPENMETRICS] = "application/openmetrics-text; version=1.0.0; charset=utf-8",
	};
	struct kept *kept = &e->kept[format];
	uint64_t now = now_ns();
	size_t bytes;
	char *text;

	if (kept->response && now - kept->made_ns < 1000000000u / FETCHES_PER_SECOND)
		return kept->response;
	if (kept->response)
		MHD_destroy_response(kept->response);
	kept->response = NULL;
	if (e->make(e->context, format, &text, &bytes) < 0)
		return NULL;
	kept->response = MHD_create_response_from_buffer(bytes, text, MHD_RESPMEM_MUST_FREE);
	if (!kept->response) {
		free(text);
		return NULL;
	}
	MHD_add_response_header(kept->response, MHD_HTTP_HEADER_CONTENT_TYPE, types[format]);
	kept->made_ns = now;
	return kept->response;
}

static enum MHD_Result
answer(void *context, struct MHD_Connection *connection, const char *url, const char *method,
    const char *version, const char *upload, size_t *upload_bytes, void **connection_context)
{
	struct exporter *e = context;
	struct MHD_Response *response;
	const char *accept;
	bool is_read =
	    strcmp(method, MHD_HTTP_METHOD_GET) == 0 || strcmp(method, MHD_HTTP_METHOD_HEAD) == 0;

	(void)version;
	(void)upload;
	/* The first call comes before a body, the others with pieces of it, which are forgotten.
	 * An answer to the first call would end the connection. */
	if (!*connection_context) {
		*connection_context = e;
		return MHD_YES;
	}
	if (*upload_bytes != 0) {
		*upload_bytes = 0;
		return MHD_YES;
	}
	if (strcmp(url, "/metrics") != 0)
		return answer_text(connection, MHD_HTTP_NOT_FOUND, "GET /metrics\n", NULL);
	if (!is_read)
		return answer_text(
		    connection, MHD_HTTP_METHOD_NOT_ALLOWED, "GET /metrics\n", "GET, HEAD");
	accept = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT);
	response = text_take(e, accept && strstr(accept, "application/openmetrics-text")
				    ? EXPORT_OPENMETRICS
				    : EXPORT_PROMETHEUS);
	if (!response)
		return answer_text(
		    connection, MHD_HTTP_SERVICE_UNAVAILABLE, "pagerd does not answer\n", NULL);
	return MHD_queue_response(connection, MHD_HTTP_OK, response);
}

/* Runs until a signal comes that ends it. fd: listening; it is closed here. */
static int
serve(struct exporter *e, const struct export_address *address, int fd)
{
	struct MHD_Daemon *server;
	sigset_t ending, before;
	int signal_number, r;

	sigemptyset(&ending);
	sigaddset(&ending, SIGINT);
	sigaddset(&ending, SIGTERM);
	/* The server's thread inherits the mask. */
	pthread_sigmask(SIG_BLOCK, &ending, &before);
	server = MHD_start_daemon(MHD_USE_AUTO_INTERNAL_THREAD, 0, NULL, NULL, answer, e,
	    MHD_OPTION_LISTEN_SOCKET, (MHD_socket)fd, MHD_OPTION_CONNECTION_LIMIT,
	    (unsigned)CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)CONNECTION_SECONDS,
	    MHD_OPTION_END);
	if (!server) {
		close(fd);
		r = -EIO;
	} else {
		r = say_where(address, fd);
		if (r == 0)
			sigwait(&ending, &signal_number);
		MHD_stop_daemon(server);
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return r;
}

int
export_serve(const struct export_address *address, export_make *make, void *context)
{
	struct exporter e = { .make = make, .context = context };
	int fd = socket_listen(address), r;

	if (fd < 0)
		return fd;
	signal(SIGPIPE, SIG_IGN);
	r = serve(&e, address, fd);
	if (address->path)
		unlink(address->path);
	for (size_t i = 0; i < sizeof(e.kept) / sizeof(e.kept[0]); i++) {
		if (e.kept[i].response)
			MHD_destroy_response(e.kept[i].response);
	}
	return r;
}
