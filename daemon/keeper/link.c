/* SPDX-License-Identifier: MIT
 *
 * The worker's end of the keeper. Runs on: any thread of the worker; no lock that fault servers or
 * reclaim need may be held, since a full socket is waited for.
 */
#include "keeper/keeper.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "check.h"
#include "descriptors.h"
#include "keeper/keeper_priv.h"
#include "keeper/manager.h"
#include "log.h"

static void
say(struct keeper_link *link, enum keeper_verb verb, enum kept_kind kind, uint64_t id, int fd)
{
	struct keeper_message message = { .verb = verb, .kind = kind, .id = id };

	if (!link || link->channel < 0)
		return;
	while (!descriptors_send(link->channel, &message, sizeof(message), &fd, fd >= 0, 0)) {
		if (errno == EINTR)
			continue;
		/* The worker goes on, as a daemon that has no keeper does. */
		log_warning_limited("the keeper does not answer (%s): if this process dies, its "
				    "clients' memory is lost",
		    strerror(errno));
		return;
	}
}

void
keeper_keep(struct keeper_link *link, enum kept_kind kind, uint64_t id, int fd)
{
	CHECK(fd >= 0 && kind < KEPT_KIND_COUNT);
	if (link && link->store >= 0)
		manager_keep(link, kind, id, fd);
	else
		say(link, KEEPER_KEEP, kind, id, fd);
}

void
keeper_drop(struct keeper_link *link, enum kept_kind kind, uint64_t id)
{
	CHECK(kind < KEPT_KIND_COUNT);
	if (link && link->store >= 0) {
		manager_drop(link, kind, id);
	} else {
		say(link, KEEPER_DROP, kind, id, -1);
	}
}

bool
keeper_has_room(const struct keeper_link *link, unsigned count)
{
	return !link || link->store < 0 || manager_has_room(count);
}

void
keeper_ready(struct keeper_link *link, uint64_t waited_ns)
{
	if (link && link->store >= 0)
		manager_ready(link, waited_ns);
	else
		say(link, KEEPER_READY, 0, waited_ns, -1);
}

void
keeper_upgrade(struct keeper_link *link, int binary, uint32_t deadline_ms)
{
	CHECK(binary >= 0);
	say(link, KEEPER_UPGRADE, 0, deadline_ms, binary);
}

int
keeper_take(struct keeper_link *link, enum kept_kind kind, uint64_t id)
{
	CHECK(kind < KEPT_KIND_COUNT);
	for (unsigned i = 0; link && i < link->count; i++) {
		struct kept *k = &link->found[i];
		int fd = k->fd;

		if (fd < 0 || k->kind != (uint32_t)kind || k->id != id)
			continue;
		k->fd = -1;
		return fd;
	}
	return -1;
}

void
keeper_forget_rest(struct keeper_link *link)
{
	for (unsigned i = 0; link && i < link->count; i++) {
		struct kept *k = &link->found[i];

		if (k->fd < 0)
			continue;
		close(k->fd);
		k->fd = -1;
		keeper_drop(link, (enum kept_kind)k->kind, k->id);
	}
}
