/* SPDX-License-Identifier: MIT
 *
 * pagerctl export against an invented daemon: the text in both formats, and the HTTP server with
 * readers that are slow, many, or gone. argv: pagerctl, python3, check_metrics.py.
 */
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "d_test.h"
#include "d_command.h"

#define OUTPUT_BYTES 131072
#define READERS      40

static const char *program, *python, *checker;
static char output[OUTPUT_BYTES];

static int
run(void **state, const char *format, ...)
{
	struct d_fixture *d = *state;
	char command[1024];
	va_list args;

	setenv("PAGERD_SOCKET", fake_socket(d->fake), 1);
	va_start(args, format);
	vsnprintf(command, sizeof(command), format, args);
	va_end(args);
	return command_run(command, output, sizeof(output));
}

#define SAYS(text)                                                                                 \
	do {                                                                                       \
		if (!strstr(output, text))                                                         \
			fail_msg("no \"%s\" in: %s", text, output);                                \
	} while (0)

/* Values in base units, whatever the daemon's tables have, and names that a client has made up. */
static void
text_is_right(void **state)
{
	static const char *const formats[] = { "prometheus", "openmetrics" };
	static const char *const options[] = { "", "--openmetrics" };

	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(run(state, "%s export %s", program, options[i]), 0);
		SAYS("\npagerd_free_bytes 409600\n"); /* 100 pages */
		SAYS("\npagerd_faults_total 21\n");   /* three shards of 7 */
		SAYS("\npagerd_page_size_bytes 4096\n");
		SAYS("\npagerd_a_row_nobody_knows_things -5\n");
		SAYS("\npagerd_client_phys_mem_bytes{session=\"s4244\",pid=\"4244\",uid=\"1000\","
		     "name=\"evil?[2J\\\"?3J\\\\n\xc3\xa4me");
		SAYS("\",pid=\"4243\",uid=\"1000\",");
		SAYS("\n# EOF\n");
		assert_null(strchr(output, '\033'));
		if (run(state, "%s export %s | %s %s %s", program, options[i], python, checker,
			formats[i]) != 0)
			fail_msg("%s", output);
		/* The ledger's and four more of three clients, 14 of the daemon, and its start. */
		assert_int_equal(atoi(output), 3 * (PAGER_LEDGER_COUNT + 4) + 14 + 1);
	}
	/* The checker sees a text that is wrong. */
	assert_int_equal(run(state, "%s export | %s %s openmetrics", program, python, checker), 1);
	assert_int_equal(run(state, "%s export | sed 's/ 409600/ x/' | %s %s prometheus", program,
			     python, checker),
	    1);
	assert_int_equal(run(state,
			     "! command -v promtool >/dev/null || "
			     "%s export | promtool check metrics 2>&1",
			     program),
	    0);
	assert_int_equal(run(state, "%s export 2>&1 >/dev/full", program), 1);
	SAYS("cannot write the output");
	for (unsigned i = 0; i < 6; i++) {
		static const char *const bad[] = { "0.0.0.0:1", "127.0.0.1", "127.0.0.1:65536",
			"unix:", ":80", "10.0.0.1:80" };

		assert_int_equal(run(state, "%s export --listen %s 2>&1", program, bad[i]), 2);
		SAYS("only this machine is served");
	}
}

struct server {
	pid_t pid;
	int lines; /* what it says */
	struct sockaddr_in tcp;
	struct sockaddr_un path;
};

/* where: "127.0.0.1:0", or a socket's path behind "unix:" */
static void
server_start(void **state, struct server *s, const char *where)
{
	struct d_fixture *d = *state;
	char line[256] = "", *at;
	ssize_t got = 0, more;
	int pipe_fds[2];

	setenv("PAGERD_SOCKET", fake_socket(d->fake), 1);
	*s = (struct server){ .tcp = { .sin_family = AF_INET }, .path = { .sun_family = AF_UNIX } };
	assert_int_equal(pipe(pipe_fds), 0);
	s->pid = fork();
	assert_true(s->pid >= 0);
	if (s->pid == 0) {
		dup2(pipe_fds[1], STDOUT_FILENO);
		close(pipe_fds[0]);
		close(pipe_fds[1]);
		execl(program, program, "export", "--listen", where, NULL);
		_exit(127);
	}
	close(pipe_fds[1]);
	s->lines = pipe_fds[0];
	while (!strchr(line, '\n') &&
	       (more = read(s->lines, line + got, sizeof(line) - 1 - (size_t)got)) > 0)
		got += more;
	assert_int_equal(strncmp(line, "listening on ", 13), 0);
	at = strrchr(line, ':') + 1;
	if (strncmp(where, "unix:", 5) == 0) {
		snprintf(s->path.sun_path, sizeof(s->path.sun_path), "%s", where + 5);
	} else {
		s->tcp.sin_port = htons((uint16_t)atoi(at));
		s->tcp.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	}
}

static void
server_stop(struct server *s)
{
	int status;

	kill(s->pid, SIGTERM);
	assert_int_equal(waitpid(s->pid, &status, 0), s->pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	close(s->lines);
}

static int
server_connect(const struct server *s)
{
	bool is_tcp = s->tcp.sin_port != 0;
	int fd = socket(is_tcp ? AF_INET : AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(is_tcp ? connect(fd, (const void *)&s->tcp, sizeof(s->tcp))
				: connect(fd, (const void *)&s->path, sizeof(s->path)),
	    0);
	return fd;
}

/* A request, and all of its answer into `output`. */
static void
ask(const struct server *s, const char *request_line, const char *headers)
{
	int fd = server_connect(s);
	size_t used = 0;
	ssize_t got;

	dprintf(fd, "%s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%s\r\n", request_line, headers);
	while ((got = read(fd, output + used, sizeof(output) - 1 - used)) > 0)
		used += (size_t)got;
	output[used] = '\0';
	close(fd);
}

#define METRICS "GET /metrics"

static void
http_answers(void **state)
{
	struct server s;

	server_start(state, &s, "127.0.0.1:0");
	ask(&s, METRICS, "");
	SAYS("HTTP/1.1 200 OK");
	SAYS("text/plain; version=0.0.4");
	SAYS("\npagerd_free_bytes 409600\n");
	SAYS("\n# EOF\n");
	ask(&s, METRICS, "Accept: application/openmetrics-text;version=1.0.0,text/plain;q=0.5\r\n");
	SAYS("application/openmetrics-text; version=1.0.0");
	SAYS("# TYPE pagerd_faults counter\n");
	ask(&s, "HEAD /metrics", "");
	SAYS("HTTP/1.1 200 OK");
	assert_null(strstr(output, "pagerd_free"));
	ask(&s, "GET /", "");
	SAYS("HTTP/1.1 404");
	ask(&s, "POST /metrics", "Content-Length: 0\r\n");
	SAYS("HTTP/1.1 405");
	SAYS("Allow: GET, HEAD");
	ask(&s, "nonsense", "");
	SAYS("HTTP/1.1 4");
	ask(&s, METRICS, "");
	SAYS("HTTP/1.1 200 OK");
	server_stop(&s);
}

/* Readers that take nothing, say nothing or go away; and the one that asks properly is answered. */
static void
http_odd_readers(void **state)
{
	struct server s;
	int fds[READERS];

	server_start(state, &s, "127.0.0.1:0");
	for (unsigned i = 0; i < READERS; i++) {
		int small = 1;

		fds[i] = server_connect(&s);
		setsockopt(fds[i], SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
		if (i % 2)
			dprintf(fds[i], "%s", METRICS);
		else /* several requests at once, and no answer is read */
			for (unsigned n = 0; n < 20; n++)
				dprintf(fds[i], METRICS " HTTP/1.1\r\nHost: x\r\n\r\n");
	}
	for (unsigned i = 0; i < 300; i++) {
		int fd = server_connect(&s);

		dprintf(fd, METRICS " HTTP/1.1\r\nHost: x\r\n\r\n");
		close(fd);
	}
	ask(&s, METRICS, "");
	SAYS("HTTP/1.1 200 OK");
	SAYS("\n# EOF\n");
	for (unsigned i = 0; i < READERS; i++)
		close(fds[i]);
	ask(&s, METRICS, "");
	SAYS("\n# EOF\n");
	server_stop(&s);
}

/* The daemon hangs up: the next answer comes from a new connection, or says what is wrong. */
static void
http_daemon_comes_back(void **state)
{
	struct d_fixture *d = *state;
	struct server s;

	fake_mangle_next(d->fake, PAGER_MSG_CLIENTS, FAKE_MANGLE_HANGUP);
	server_start(state, &s, "127.0.0.1:0");
	ask(&s, METRICS, "");
	SAYS("HTTP/1.1 200 OK");
	SAYS("\n# EOF\n");
	server_stop(&s);
	/* One that answers nothing. */
	server_start(state, &s, "127.0.0.1:0");
	d_teardown(state);
	ask(&s, METRICS, "");
	SAYS("HTTP/1.1 503");
	d_setup(state);
	server_stop(&s);
}

static void
unix_socket(void **state)
{
	char where[128], *path = where + 5;
	struct server s, second;
	struct stat st;

	snprintf(where, sizeof(where), "unix:/tmp/d_export.%d", (int)getpid());
	server_start(state, &s, where);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0660);
	ask(&s, METRICS, "");
	SAYS("\n# EOF\n");
	/* It is in use, and stays where it is. */
	assert_int_equal(run(state, "%s export --listen %s 2>&1", program, where), 1);
	SAYS("Address already in use");
	ask(&s, METRICS, "");
	SAYS("\n# EOF\n");
	/* One that was killed leaves its socket, which the next one takes over. */
	kill(s.pid, SIGKILL);
	assert_int_equal(waitpid(s.pid, NULL, 0), s.pid);
	close(s.lines);
	assert_int_equal(access(path, F_OK), 0);
	server_start(state, &second, where);
	ask(&second, METRICS, "");
	SAYS("\n# EOF\n");
	server_stop(&second);
	assert_int_equal(access(path, F_OK), -1);
}

#define WITH_DAEMON(name) cmocka_unit_test_setup_teardown(name, d_setup, d_teardown)

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		WITH_DAEMON(text_is_right),
		WITH_DAEMON(http_answers),
		WITH_DAEMON(http_odd_readers),
		WITH_DAEMON(http_daemon_comes_back),
		WITH_DAEMON(unix_socket),
	};

	if (argc < 4)
		return 77;
	program = argv[1];
	python = argv[2];
	checker = argv[3];
	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
