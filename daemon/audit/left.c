/* SPDX-License-Identifier: MIT
 *
 * A client must not be served wrong bytes. An object whose slots, frames and bill do not agree
 * after a takeover could give its clients another's page, or an old one, and nothing says which of
 * them are right. Its parts cannot be taken down in the usual way either, which relies on them. So
 * its clients are killed, their records do not count any more, and the worker ends: to the one that
 * comes then their objects are nobody's, and the other clients are served. Each time there is a
 * client less, so that comes to an end. Sums over all objects say nothing of a page's content.
 */
#include "audit/left.h"

#include "audit/audit.h"
#include "audit/audit_priv.h"
#include "keeper/keeper.h"
#include "takeover/wrong.h"
#include "vm/kept_task.h"
#include "vm/task.h"
#include "vm/vm_object.h"

/* => whether its clients were ended */
static bool
object_look(struct daemon *d, struct vm_object *o)
{
	char text[512] = "";
	struct report report = report_begin(text, sizeof(text));

	check_object_books(d, &report, o);
	if (report.failures == 0)
		return false;
	if (o->owner)
		task_record_forsake(o->owner, text);
	/* There is no other thread that could change the list. */
	for (struct vm_mapping *m = o->mappings; m; m = m->next)
		task_record_forsake(m->task, text);
	return true;
}

static void
objects_look(struct daemon *d)
{
	bool is_any = false;
	uint32_t cursor = 0;
	struct vm_object *o;

	while ((o = vm_object_next(d, &cursor)) != NULL) {
		is_any |= object_look(d, o);
		vm_object_put(o);
	}
	if (is_any)
		takeover_again();
}

void
check_left(struct daemon *d)
{
	char text[2048] = "";
	struct report report;

	locks_assert_none();
	if (!d->keeper || d->keeper->count == 0)
		return;
	report = report_begin(text, sizeof(text));
	check_books(d, &report);
	if (report.failures == 0) {
		log_info_limited(
		    "what the worker before has left agrees in %u checks", report.checks);
		return;
	}
	log_error_limited("what the worker before has left does not agree, in %u of %u checks: %s",
	    report.failures, report.checks, text);
	objects_look(d);
}
