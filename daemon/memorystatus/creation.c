/* SPDX-License-Identifier: MIT
 *
 * Clients that make pages fast. Runs on: the memorystatus thread (look), any thread.
 */
#include "memorystatus/creation.h"

#include "check.h"
#include "daemon.h"
#include "vm/task.h"

bool
creation_look(struct task_creation *c, uint64_t made, uint64_t most, bool hoards, uint64_t now_ns)
{
	uint64_t more = made - c->made, window = most * (CREATION_WINDOW_NS / 1000000000u);
	bool is_fast = load_relaxed(&c->is_fast);

	CHECK(made >= c->made && now_ns >= c->since_ns);
	if (most == 0) {
		is_fast = false;
	} else if (c->since_ns != 0 && more > window) {
		is_fast = true;
		c->fast_ns = now_ns;
	} else if (is_fast && now_ns - c->fast_ns >= CREATION_FORGIVE_NS) {
		is_fast = false;
	}
	if (c->since_ns == 0 || most == 0 || more > window ||
	    now_ns - c->since_ns >= CREATION_WINDOW_NS) {
		c->since_ns = now_ns;
		c->made = made;
	}
	/* A client that hoards, and is not fast, has no fast_ns to be forgiven from. */
	is_fast |= hoards && most > 0;
	store_relaxed(&c->is_fast, is_fast);
	return is_fast;
}

bool
creation_must_wait(const struct daemon *d, const struct task *task)
{
	struct daemon *at = (struct daemon *)(uintptr_t)d;

	if (likely(!load_relaxed(&((struct task *)(uintptr_t)task)->creation.is_fast)) ||
	    likely(load_relaxed(&at->park.patient_count) == 0) || load_relaxed(&at->park.squeezed))
		return false;
	return load_relaxed(&at->frames.free_count) < load_relaxed(&at->frames.free_min);
}
