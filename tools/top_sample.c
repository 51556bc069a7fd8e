/* SPDX-License-Identifier: MIT
 *
 * How much of a client is on disk is no entry of its ledger: the daemon counts its pages for that
 * (MAP). A count that took a while is not repeated for many times that while, so that looking costs
 * the daemon little however large its clients are.
 */
#include "top_sample.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"

#define COUNT_PAUSE     50  /* times as long as the last count took, until the next */
#define COUNT_SECONDS   0.2 /* that all counts of one sample may take; others come later */
#define ANCESTORS_MAX   64
#define PROC_STAT_BYTES 512
#define TOP_USER_BYTES  33 /* of a user's name, fit for a terminal, that are shown */

/* A client whose pages have been counted. */
struct counted {
	uint64_t session, swapped;
	double next; /* not before then */
	bool is_known, is_there;
};

struct user {
	uint32_t uid;
	char *name;
};

struct top_source {
	struct ctl *ctl;
	struct statread *stat;
	struct counted *counted;
	size_t counted_count;
	struct user **users; /* names stay where they are until the end */
	size_t user_count;
	size_t turn; /* the client that is counted first next time */
	bool pids_are_ours;
};

/* --- processes --- */

/* => false: it is gone, or hidden */
static bool
process_read(uint32_t pid, char *ret_state, uint32_t *ret_parent)
{
	char path[32], text[PROC_STAT_BYTES], *after;
	FILE *file;
	size_t got;

	snprintf(path, sizeof(path), "/proc/%" PRIu32 "/stat", pid);
	file = fopen(path, "re");
	if (!file)
		return false;
	got = fread(text, 1, sizeof(text) - 1, file);
	fclose(file);
	text[got] = '\0';
	/* The name, in brackets, may have any character. */
	after = strrchr(text, ')');
	return after && sscanf(after + 1, " %c %" SCNu32, ret_state, ret_parent) == 2;
}

static int
compare_pid(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return x < y ? -1 : x > y;
}

static void
processes_read(struct top_sample *sample)
{
	uint32_t *pids = calloc(sample->count + 1, sizeof(*pids));

	for (size_t i = 0; pids && i < sample->count; i++)
		pids[i] = sample->clients[i].pid;
	if (pids)
		qsort(pids, sample->count, sizeof(*pids), compare_pid);
	for (size_t i = 0; pids && i < sample->count; i++) {
		uint32_t pid = sample->clients[i].pid;
		char state;

		if (pid == 0 || !process_read(pid, &sample->beside[i].state, &pid))
			continue;
		for (unsigned n = 0; n < ANCESTORS_MAX && pid > 1; n++) {
			if (bsearch(&pid, pids, sample->count, sizeof(*pids), compare_pid)) {
				sample->beside[i].parent = pid;
				break;
			}
			if (!process_read(pid, &state, &pid))
				break;
		}
	}
	free(pids);
}

/* The daemon's process is known by the socket or, where another process has made that (systemd), by
 * its name. */
bool
top_pids_are_ours(struct ctl *ctl)
{
	struct ucred peer = { 0 };
	socklen_t bytes = sizeof(peer);
	char path[32], name[16] = "";
	FILE *file;

	if (getsockopt(ctl->chan.fd, SOL_SOCKET, SO_PEERCRED, &peer, &bytes) == 0 &&
	    (uint32_t)peer.pid == ctl->hello.daemon_pid)
		return true;
	snprintf(path, sizeof(path), "/proc/%" PRIu32 "/comm", ctl->hello.daemon_pid);
	file = fopen(path, "re");
	if (!file)
		return false;
	name[fread(name, 1, sizeof(name) - 1, file)] = '\0';
	fclose(file);
	return strcmp(name, "pagerd\n") == 0;
}

/* --- users --- */

/* => its name, or its number as text; "-" without memory */
static const char *
user_name(struct top_source *source, uint32_t uid)
{
	struct user **more, *user;
	char name[TOP_USER_BYTES];
	struct passwd *entry;

	for (size_t i = 0; i < source->user_count; i++)
		if (source->users[i]->uid == uid)
			return source->users[i]->name;
	entry = getpwuid(uid);
	if (entry)
		out_text(name, sizeof(name), entry->pw_name, strlen(entry->pw_name));
	else
		snprintf(name, sizeof(name), "%" PRIu32, uid);
	more = realloc(source->users, (source->user_count + 1) * sizeof(struct user *));
	if (!more)
		return "-";
	source->users = more;
	user = calloc(1, sizeof(*user));
	if (user)
		user->name = strdup(name);
	if (!user || !user->name) {
		free(user);
		return "-";
	}
	user->uid = uid;
	source->users[source->user_count++] = user;
	return user->name;
}

/* --- bands, and who is frozen --- */

static struct top_beside *
beside_of(struct top_sample *sample, uint64_t session)
{
	for (size_t i = 0; i < sample->count; i++)
		if (sample->clients[i].session_id == session)
			return &sample->beside[i];
	return NULL;
}

/* Of clients that the user may see; an old daemon does not know the request. => 0 or a negative
 * errno: there is no daemon any more */
static int
bands_read(struct top_source *source, struct top_sample *sample)
{
	struct pager_rep_frozen *reply = malloc(sizeof(*reply));
	struct pager_req_frozen request = { 0 };
	struct chan_call call = { CHAN_CALL(FROZEN, &request, reply) };
	int r = reply ? 0 : -ENOMEM;

	call.reply_bytes_min = offsetof(struct pager_rep_frozen, clients);
	do {
		r = r ? r : ctl_ask(source->ctl, &call);
		for (uint32_t i = 0; r == 0 && i < reply->count && i < PAGER_FROZEN_PER_REPLY;
		     i++) {
			struct top_beside *beside = beside_of(sample, reply->clients[i].session_id);

			if (!beside)
				continue;
			beside->band = reply->clients[i].band;
			beside->freeze = reply->clients[i].state;
		}
		if (r == 0 && reply->next_cursor != 0 && reply->next_cursor <= request.cursor)
			r = -EPROTO; /* it would never end */
		request.cursor = r == 0 ? reply->next_cursor : 0;
	} while (request.cursor != 0);
	free(reply);
	return r == -EOPNOTSUPP || r == -EPERM ? 0 : r;
}

/* Likewise. */
static int
limits_read(struct top_source *source, struct top_sample *sample)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < sample->count; i++) {
		struct pager_req_process_limits request = { .session =
								sample->clients[i].session_id };
		struct pager_rep_process_limits reply;
		struct chan_call call = { CHAN_CALL(PROCESS_LIMITS, &request, &reply) };

		r = ctl_ask(source->ctl, &call);
		if (r == -EOPNOTSUPP)
			return 0;
		sample->beside[i].has_limit = r == 0;
		if (r == 0)
			sample->beside[i].limit = top_limit(&reply);
		/* It has ended, or is not to be seen. */
		if (r == -ESRCH || r == -EPERM)
			r = 0;
	}
	return r;
}

/* --- runs --- */

static void
group_keep(void *context, const struct pager_wire_group_member *member)
{
	struct top_beside *beside = beside_of(context, member->session_id);

	if (!beside)
		return;
	beside->group = member->group;
	out_text(
	    beside->group_name, sizeof(beside->group_name), member->name, sizeof(member->name));
}

/* As bands_read. */
static int
groups_read(struct top_source *source, struct top_sample *sample)
{
	int r = groups_each(source->ctl, group_keep, sample);

	return r == -EOPNOTSUPP || r == -EPERM ? 0 : r;
}

/* --- what is on disk --- */

static void
count_region(void *context, const struct pager_wire_region *region)
{
	uint64_t *pages = context;

	if (region->billed)
		*pages += region->pages_swapped;
}

/* => as ctl_ask; a client that is gone, or is not to be seen, is no error */
static int
pages_count(struct top_source *source, struct counted *counted)
{
	struct ctl_client client = { .session = counted->session };
	double begin = clock_seconds(), end;
	uint64_t pages = 0;
	int r = clients_map(source->ctl, client, PAGER_REGION_EXTENDED, count_region, &pages);

	end = clock_seconds();
	counted->next = end + (end - begin) * COUNT_PAUSE;
	counted->is_known = r == 0;
	counted->swapped = pages * source->ctl->hello.page_size;
	return r == -ENOENT || r == -ESRCH || r == -EPERM || r == -EACCES || r == -EOPNOTSUPP ? 0
											      : r;
}

static struct counted *
counted_of(struct top_source *source, uint64_t session)
{
	struct counted *more;

	for (size_t i = 0; i < source->counted_count; i++)
		if (source->counted[i].session == session)
			return &source->counted[i];
	more = realloc(source->counted, (source->counted_count + 1) * sizeof(*more));
	if (!more)
		return NULL;
	source->counted = more;
	more += source->counted_count++;
	*more = (struct counted){ .session = session };
	return more;
}

static void
counted_forget(struct top_source *source)
{
	size_t kept = 0;

	for (size_t i = 0; i < source->counted_count; i++)
		if (source->counted[i].is_there)
			source->counted[kept++] = source->counted[i];
	source->counted_count = kept;
}

static int
swapped_read(struct top_source *source, struct top_sample *sample)
{
	double begin = clock_seconds();
	size_t done = 0;

	for (size_t i = 0; i < source->counted_count; i++)
		source->counted[i].is_there = false;
	for (size_t n = 0; n < sample->count; n++) {
		size_t i = (source->turn + n) % sample->count;
		uint64_t stored = sample->clients[i].ledger[PAGER_LEDGER_INTERNAL_COMPRESSED];
		struct counted *counted = counted_of(source, sample->clients[i].session_id);
		double now = clock_seconds();
		int r = 0;

		if (!counted)
			return -ENOMEM;
		counted->is_there = true;
		if (stored == 0) {
			counted->is_known = true;
			counted->swapped = 0;
		} else if (now >= counted->next && now < begin + COUNT_SECONDS) {
			r = pages_count(source, counted);
			done = n + 1;
		}
		if (r != 0)
			return r;
		sample->beside[i].has_swapped = counted->is_known;
		sample->beside[i].swapped = counted->swapped;
	}
	if (sample->count > 0)
		source->turn = (source->turn + done) % sample->count;
	counted_forget(source);
	return 0;
}

/* --- the whole --- */

struct top_source *
top_source_open(struct ctl *ctl, struct statread *stat)
{
	struct top_source *source = calloc(1, sizeof(*source));

	if (source) {
		source->ctl = ctl;
		source->stat = stat;
		source->pids_are_ours = top_pids_are_ours(ctl);
	}
	return source;
}

void
top_source_close(struct top_source *source)
{
	if (!source)
		return;
	for (size_t i = 0; i < source->user_count; i++) {
		free(source->users[i]->name);
		free(source->users[i]);
	}
	free(source->users);
	free(source->counted);
	free(source);
}

void
top_sample_free(struct top_sample *sample)
{
	free(sample->clients);
	free(sample->beside);
	free(sample->values);
	*sample = (struct top_sample){ 0 };
}

int
top_sample_take(struct top_source *source, struct top_sample *ret)
{
	struct top_sample sample = { 0 };
	int r = clients_fetch(source->ctl, &sample.clients, &sample.count);

	if (r != 0)
		return r;
	sample.seconds = clock_seconds();
	sample.beside = calloc(sample.count + 1, sizeof(*sample.beside));
	sample.values = calloc(source->stat->count + 1, sizeof(*sample.values));
	r = sample.beside && sample.values ? 0 : -ENOMEM;
	for (size_t i = 0; r == 0 && i < sample.count; i++) {
		sample.beside[i].band = TOP_BAND_UNKNOWN;
		sample.beside[i].user = user_name(source, sample.clients[i].uid);
	}
	r = r ? r : ctl_refresh(source->ctl, source->stat);
	r = r < 0 ? r : statread_snapshot(source->stat, sample.values);
	r = r ? r : bands_read(source, &sample);
	r = r ? r : limits_read(source, &sample);
	r = r ? r : groups_read(source, &sample);
	r = r ? r : swapped_read(source, &sample);
	if (r == 0 && source->pids_are_ours)
		processes_read(&sample);
	if (r != 0) {
		top_sample_free(&sample);
		return r;
	}
	*ret = sample;
	return 0;
}

/* --- regions --- */

struct regions {
	struct pager_wire_region *all;
	size_t count;
	bool no_memory;
};

static void
region_keep(void *context, const struct pager_wire_region *region)
{
	struct regions *r = context;
	struct pager_wire_region *more = r->all;

	/* Room grows by twice, at each power of two. */
	if (r->count == 0 || (r->count & (r->count - 1)) == 0)
		more = realloc(r->all, (r->count ? 2 * r->count : 1) * sizeof(*more));
	if (!more) {
		r->no_memory = true;
		return;
	}
	r->all = more;
	r->all[r->count++] = *region;
}

int
top_regions_take(
    struct ctl *ctl, uint64_t session, struct pager_wire_region **ret, size_t *ret_count)
{
	struct ctl_client client = { .session = session };
	struct regions regions = { 0 };
	int r = clients_map(
	    ctl, client, PAGER_REGION_EXTENDED | PAGER_REGION_RECURSIVE, region_keep, &regions);

	if (r == 0 && regions.no_memory)
		r = -ENOMEM;
	if (r != 0) {
		free(regions.all);
		return r;
	}
	*ret = regions.all;
	*ret_count = regions.count;
	return 0;
}
