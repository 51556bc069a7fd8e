/* SPDX-License-Identifier: MIT
 *
 * The group of a run, and what its programs are told of it: by their environment, which is also
 * how they know of the library.
 */
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "out.h"
#include "run.h"

#ifndef MFD_CLOEXEC
#define MFD_CLOEXEC 1u
#endif

/* => whether there is a page now */
static bool
page_make(struct run_group *group)
{
	void *page = MAP_FAILED;

	group->page_fd = memfd_create("pagerctl-run", MFD_CLOEXEC);
	if (group->page_fd >= 0 && ftruncate(group->page_fd, PAGER_RUN_PAGE_BYTES) == 0)
		page = mmap(NULL, PAGER_RUN_PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED,
		    group->page_fd, 0);
	if (page == MAP_FAILED)
		return false;
	group->page = page;
	group->page->magic = PAGER_RUN_MAGIC;
	return true;
}

int
run_group_make(struct ctl *ctl, uint64_t limit, int32_t band, struct run_group *ret)
{
	struct pager_req_group_make request = { .limit_bytes = limit, .band = band };
	struct pager_rep_group_make reply;
	struct chan_call call = { CHAN_CALL(GROUP_MAKE, &request, &reply) };
	struct run_group group = { .page_fd = -1 };
	int r;

	if (ctl->name)
		snprintf(request.name, sizeof(request.name), "%s", ctl->name);
	r = ctl_ask(ctl, &call);
	if (r == -ERANGE)
		return ctl_fail(ctl, r, "a program cannot run with %s", ctl->limit);
	if (r == -EPERM)
		return ctl_fail(ctl, r,
		    "the band %s is above that of programs without one, important", ctl->priority);
	if (r == -EDQUOT || r == -ENOSPC)
		return ctl_fail(ctl, r,
		    "pagerd has no descriptor left for another run: end some clients, or raise its "
		    "limit of open files");
	if (r != CTL_OK)
		return ctl_fail(ctl, r, "cannot make a group");
	group.id = reply.id;
	group.key = reply.key;
	if (ctl->report && !page_make(&group))
		return ctl_fail(ctl, -errno, "cannot make the page in which programs count");
	*ret = group;
	return CTL_OK;
}

/* => whether it is set */
static bool
preload_set(const char *library)
{
	const char *before = getenv("LD_PRELOAD");
	char *preload;
	bool is_set;

	if (asprintf(&preload, "%s%s%s", library, before && before[0] ? ":" : "",
		before ? before : "") < 0)
		return false;
	is_set = setenv("LD_PRELOAD", preload, 1) == 0;
	free(preload);
	return is_set;
}

/* => whether it is set */
static bool
group_set(const struct ctl *ctl, const struct run_group *group, pid_t counter)
{
	char page[64] = "", *text;
	bool is_set;

	if (group->page)
		snprintf(page, sizeof(page), "/proc/%d/fd/%d", (int)counter, group->page_fd);
	if (asprintf(&text, "%" PRIx64 ":%" PRIx64 ":%d:%s:%.63s", group->id, group->key,
		(int)getpid(), page, ctl->name ? ctl->name : "") < 0)
		return false;
	is_set = setenv(PAGER_RUN_ENV, text, 1) == 0;
	free(text);
	return is_set;
}

int
run_environment_set(
    const struct ctl *ctl, const struct run_group *group, pid_t counter, const char *program)
{
	char library[PATH_MAX], path[PATH_MAX];
	enum exec_kind kind = EXEC_UNKNOWN;
	bool is_set;

	if (!run_library(library, sizeof(library))) {
		fprintf(
		    stderr, "pagerctl: run: there is no %s; it is built on x86-64 only\n", library);
		return CTL_FAILED;
	}
	if (run_path(program, path, sizeof(path)) == 0)
		kind = exec_look(path);
	if (group->page && run_kind_text(kind))
		group->page->counts[run_kind_reason(kind)].times++;
	/* With it the program would not start. */
	is_set = kind == EXEC_SANITIZER || preload_set(library);
	if (is_set && ctl->socket)
		is_set = setenv(PAGER_SOCKET_ENV, ctl->socket, 1) == 0;
	if (is_set && group_set(ctl, group, counter))
		return CTL_OK;
	fprintf(stderr, "pagerctl: run: no memory\n");
	return CTL_FAILED;
}
