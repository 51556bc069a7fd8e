/* SPDX-License-Identifier: MIT
 *
 * UPGRADE (jobs), UPGRADE_GO (control loop): another program takes over.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "control/loop.h"
#include "control/request.h"
#include "control/upgrade.h"
#include "core/closer.h"

#define DEADLINE_MOST_MS 3600000u

static void
prepared_free(struct request *r, struct prepared *p)
{
	if (!p)
		return;
	closer_close(r->daemon, p->program, r->session->pid, r->session->uid);
	free(p);
}

int
handle_upgrade(struct request *r)
{
	const struct pager_req_upgrade *in = r->body;
	struct pager_rep_upgrade *out = r->reply;
	struct daemon *d = r->daemon;
	struct prepared *p;
	struct stat st;

	CHECK(r->session->is_control && r->fd >= 0);
	if (in->reserved || in->deadline_ms == 0 || in->deadline_ms > DEADLINE_MOST_MS ||
	    fstat(r->fd, &st) < 0 || !S_ISREG(st.st_mode))
		return -EINVAL;
	if (!d->keeper) {
		snprintf(out->text, sizeof(out->text),
		    "this daemon has no keeper, and its clients' memory would end with it: it must "
		    "be started with --keeper");
		return 0;
	}
	if (d->keeper->store >= 0) {
		snprintf(out->text, sizeof(out->text),
		    "the service manager is this daemon's keeper, and knows no upgrade: replace "
		    "the program's file, and have the manager kill it (systemctl kill "
		    "--signal=SIGKILL pagerd), after which the new one takes over");
		return 0;
	}
	if (!upgrade_ask(d, r->fd, out->text, sizeof(out->text))) {
		log_notice_limited("an upgrade was refused: %s", out->text);
		return 0;
	}
	p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	*p = (struct prepared){ fetch_add_relaxed(&d->upgrade_asked, 1) + 1, r->fd,
		in->deadline_ms };
	out->number = p->number;
	r->fd = -1;
	prepared_free(r, exchange_acq_rel(&d->prepared, p));
	return 0;
}

int
handle_upgrade_go(struct request *r)
{
	const struct pager_req_upgrade_go *in = r->body;
	struct pager_rep_upgrade_go *out = r->reply;
	struct daemon *d = r->daemon;
	struct prepared *p;

	CHECK(r->session->is_control);
	if (d->keeper) {
		out->upgrades = d->keeper->upgrades;
		out->error = d->keeper->upgrade_error;
		memcpy(out->text, d->keeper->upgrade_text, sizeof(out->text));
	}
	snprintf(out->version, sizeof(out->version), "%s", PAGERD_VERSION);
	if (in->number == 0)
		return 0;
	p = exchange_acq_rel(&d->prepared, NULL);
	if (!p || p->number != in->number) {
		prepared_free(r, p);
		return -ESTALE;
	}
	log_notice_limited(
	    "another program takes over, as process %d has asked", (int)r->session->pid);
	keeper_upgrade(d->keeper, p->program, p->deadline_ms);
	prepared_free(r, p);
	control_hand_over(d);
	return 0;
}
