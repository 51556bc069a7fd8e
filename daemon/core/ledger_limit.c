/* SPDX-License-Identifier: MIT
 *
 * Limits on ledger entries, from numbers alone.
 */
#include "core/ledger_limit.h"

#include "base.h"
#include "check.h"

uint64_t
ledger_limit_set(struct ledger_limit *l, const struct ledger_limit_wish *wish)
{
	uint64_t before = load_relaxed(&l->most);

	CHECK(wish->warn <= 100 && (wish->refill_ns == 0 || wish->most > 0));
	store_relaxed(&l->warn, wish->warn);
	store_relaxed(&l->refill_ns, wish->refill_ns);
	store_relaxed(&l->most, wish->most);
	/* The thread may look at new values with its old turn once: then it tells too early or too
	 * late by one look. */
	store_release(&l->turn, load_relaxed(&l->turn) + 1);
	return before;
}

uint64_t
ledger_limit_against(const struct ledger_limit *l, uint64_t balance)
{
	uint64_t refilled = load_relaxed(&((struct ledger_limit *)(uintptr_t)l)->refilled);

	return balance > refilled ? balance - refilled : 0;
}

/* Of an entry that has been given a period: what it has by now does not count. */
static void
begin(struct ledger_limit *l, uint64_t balance, uint64_t now_ns)
{
	l->seen = load_acquire(&l->turn);
	l->told = 0;
	l->since_ns = now_ns;
	store_relaxed(&l->refilled, load_relaxed(&l->refill_ns) > 0 ? balance : 0);
}

/* Each period that has passed adds the limit. Where that is more than was used, the clock begins
 * anew: what was not used is not kept. */
static void
refill(struct ledger_limit *l, uint64_t balance, uint64_t now_ns)
{
	uint64_t period = load_relaxed(&l->refill_ns), most = load_relaxed(&l->most), periods, used;

	CHECK(now_ns >= l->since_ns);
	if (period == 0 || now_ns - l->since_ns < period)
		return;
	periods = (now_ns - l->since_ns) / period;
	used = ledger_limit_against(l, balance);
	if (periods > used / most) {
		store_relaxed(&l->refilled, balance);
		l->since_ns = now_ns;
		return;
	}
	store_relaxed(&l->refilled, load_relaxed(&l->refilled) + periods * most);
	l->since_ns += periods * period;
}

unsigned
ledger_limit_look(struct ledger_limit *l, uint64_t balance, uint64_t now_ns)
{
	uint64_t most = load_relaxed(&l->most), warn = load_relaxed(&l->warn), used;
	unsigned percent = 0, told;

	if (unlikely(l->seen != load_acquire(&l->turn)))
		begin(l, balance, now_ns);
	if (likely(most == 0))
		return 0;
	refill(l, balance, now_ns);
	used = ledger_limit_against(l, balance);
	if (used > most)
		percent = 100;
	/* used * 100 >= most * warn, which may be too large for a word. */
	else if (warn > 0 && used > 0 && used >= most / 100 * warn + (most % 100 * warn + 99) / 100)
		percent = (unsigned)warn;
	told = l->told;
	l->told = percent;
	return percent > told ? percent : 0;
}
