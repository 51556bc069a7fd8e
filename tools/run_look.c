/* SPDX-License-Identifier: MIT
 *
 * What stands in the way of a run: the program, the library, the daemon or what one would need.
 */
#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "out.h"
#include "run.h"
#include "size.h"

#define STATUS_CANNOT 125
#define USERFAULTFD   "/dev/userfaultfd"

#ifndef PAGERRUN_INSTALLED
#define PAGERRUN_INSTALLED ""
#endif

int
run_path(const char *program, char *path, size_t path_size)
{
	const char *list = getenv("PATH");
	int error = ENOENT;
	size_t length;
	struct stat st;

	if (strchr(program, '/')) {
		snprintf(path, path_size, "%s", program);
		if (access(path, X_OK) < 0)
			return errno;
		return stat(path, &st) == 0 && S_ISREG(st.st_mode) ? 0 : EACCES;
	}
	for (const char *at = list ? list : "/bin:/usr/bin";; at += length + 1) {
		length = strcspn(at, ":");
		snprintf(path, path_size, "%.*s%s%s", (int)length, at, length ? "/" : "", program);
		if (stat(path, &st) == 0 && S_ISREG(st.st_mode)) {
			if (access(path, X_OK) == 0)
				return 0;
			error = errno;
		}
		if (at[length] == '\0')
			return error;
	}
}

bool
run_library(char *path, size_t path_size)
{
	return run_find("../libclient/run/libpagerrun.so", PAGERRUN_INSTALLED, path, path_size);
}

static const struct {
	enum pager_run_reason reason;
	const char *text;
} kinds[] = {
	[EXEC_STATIC] = { PAGER_RUN_STATIC, "it is statically linked" },
	[EXEC_SANITIZER] = { PAGER_RUN_SANITIZER, "it is built with a sanitizer" },
	[EXEC_FOREIGN] = { PAGER_RUN_FOREIGN, "it is no program for this processor" },
	[EXEC_PRIVILEGED] = { PAGER_RUN_PRIVILEGED,
	    "it gets another user, group or capabilities, so nothing is preloaded" },
};

const char *
run_kind_text(enum exec_kind kind)
{
	return (size_t)kind < sizeof(kinds) / sizeof(kinds[0]) ? kinds[kind].text : NULL;
}

enum pager_run_reason
run_kind_reason(enum exec_kind kind)
{
	return kinds[kind].reason;
}

/* --- pretending --- */

struct pretending {
	struct ctl *ctl;
	bool can;
};

__attribute__((format(printf, 3, 4))) static void
say(struct pretending *p, bool is_good, const char *fmt, ...)
{
	va_list more;

	printf("%-4s ", is_good ? "ok" : "NOT");
	va_start(more, fmt);
	vprintf(fmt, more);
	va_end(more);
	putchar('\n');
	p->can &= is_good;
}

static void
program_say(struct pretending *p, char **argv)
{
	char path[PATH_MAX], library[PATH_MAX];
	int error = run_path(argv[0], path, sizeof(path));
	const char *not_managed;

	if (error) {
		say(p, false, "program: %s: %s", argv[0], strerror(error));
	} else {
		not_managed = run_kind_text(exec_look(path));
		say(p, true, "program: %s%s%s%s", path, not_managed ? ": " : "",
		    not_managed ? not_managed : "",
		    not_managed ? "; it would run, and nothing of it would be managed" : "");
	}
	if (run_library(library, sizeof(library)))
		say(p, true, "library: %s", library);
	else
		say(p, false, "library: there is no %s; it is built on x86-64 only", library);
}

/* What a daemon of one's own needs. */
static void
private_say(struct pretending *p)
{
	const struct passwd *user = getpwuid(geteuid());
	const char *directory = p->ctl->swap_directory ? p->ctl->swap_directory : "/var/tmp";
	char program[PATH_MAX], number[OUT_NUMBER];
	uint64_t bytes = 0, machine;

	run_daemon_program(program, sizeof(program));
	say(p, true, "daemon: %s would be started for it, and end with it", program);
	if (access(USERFAULTFD, R_OK | W_OK) == 0)
		say(p, true, "page faults: " USERFAULTFD " may be opened");
	else if (errno == ENOENT)
		say(p, false,
		    "page faults: there is no " USERFAULTFD "; it needs Linux 6.6 or newer "
		    "with userfaultfd");
	else
		say(p, false,
		    "page faults: " USERFAULTFD ": %s; as root: setfacl -m u:%s:rw " USERFAULTFD
		    ", or use the daemon that runs, without --memory",
		    strerror(errno), user ? user->pw_name : "NAME");
	(void)size_parse(p->ctl->memory, &bytes);
	machine = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
	if (bytes < machine)
		say(p, true, "memory: %s for all that it starts, compressed memory included",
		    out_bytes(p->ctl, bytes, number));
	else
		say(p, false, "memory: the machine has less than %s", p->ctl->memory);
	if (access(directory, W_OK | X_OK) == 0)
		say(p, true, "swap files: in %s", directory);
	else
		say(p, false, "swap files: %s: %s; name another directory with --swap-dir",
		    directory, strerror(errno));
}

static void
running_say(struct pretending *p)
{
	if (ctl_connect(p->ctl) != CTL_OK) {
		say(p, false, "daemon: there is none to connect to; --memory SIZE starts one");
		return;
	}
	say(p, p->ctl->hello.page_size == RUN_PROGRAM_PAGE,
	    "daemon: process %lu, with pages of %lu bytes%s",
	    (unsigned long)p->ctl->hello.daemon_pid, (unsigned long)p->ctl->hello.page_size,
	    p->ctl->hello.page_size == RUN_PROGRAM_PAGE ? "" : ", and programs expect 4096");
}

int
run_pretend(struct ctl *ctl, uint64_t limit, char **argv)
{
	struct pretending p = { ctl, true };
	char number[OUT_NUMBER];

	program_say(&p, argv);
	if (ctl->memory)
		private_say(&p);
	else
		running_say(&p);
	if (limit)
		say(&p, true, "limit: %s of resident memory for each of its processes",
		    out_bytes(ctl, limit, number));
	if (ctl->priority)
		say(&p, true, "priority: the band %s for each of its processes", ctl->priority);
	if (ctl->report)
		say(&p, true, "report: to %s", ctl->report[0] ? ctl->report : "standard error");
	return p.can ? CTL_OK : STATUS_CANNOT;
}
