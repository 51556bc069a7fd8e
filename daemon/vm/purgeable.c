/* SPDX-License-Identifier: MIT
 *
 * Purgeable objects: states and order. Runs on: any thread with PAGEQ. Allocates nothing.
 */
#include "vm/purgeable.h"

#include "base.h"
#include "check.h"
#include "pager/proto.h"

#define NO_AGING ((uint32_t)PAGER_PURGEABLE_NO_AGING)
#define LIFO     ((uint32_t)PAGER_PURGEABLE_LIFO)
#define OBSOLETE ((uint32_t)PAGER_PURGEABLE_OBSOLETE)

_Static_assert(PURGEABLE_HOW_MASK == (PAGER_PURGEABLE_NO_AGING | PAGER_PURGEABLE_LIFO |
					 PAGER_PURGEABLE_OBSOLETE | PAGER_PURGEABLE_GROUP(7)),
    "one word, two names");
_Static_assert((int)PURGEABLE_NONVOLATILE == PAGER_PURGEABLE_NONVOLATILE &&
		   (int)PURGEABLE_VOLATILE == PAGER_PURGEABLE_VOLATILE &&
		   (int)PURGEABLE_EMPTY == PAGER_PURGEABLE_EMPTY,
    "one state, two names");

/* Objects of a list that are looked at for the least important one, and that are passed over. */
#define CHOOSE_LOOKS  32u
#define CHOOSE_PASSES 4096u

enum purgeable_state
purgeable_next(enum purgeable_state now, enum purgeable_state wanted, enum purgeable_action *ret)
{
	static const struct {
		enum purgeable_state state;
		enum purgeable_action action;
	} next[3][3] = {
		[PURGEABLE_NONVOLATILE] = {
			[PURGEABLE_NONVOLATILE] = { PURGEABLE_NONVOLATILE, PURGEABLE_STAYS },
			[PURGEABLE_VOLATILE] = { PURGEABLE_VOLATILE, PURGEABLE_QUEUES },
			[PURGEABLE_EMPTY] = { PURGEABLE_EMPTY, PURGEABLE_EMPTIES },
		},
		[PURGEABLE_VOLATILE] = {
			[PURGEABLE_NONVOLATILE] = { PURGEABLE_NONVOLATILE, PURGEABLE_LEAVES },
			[PURGEABLE_VOLATILE] = { PURGEABLE_VOLATILE, PURGEABLE_QUEUES },
			[PURGEABLE_EMPTY] = { PURGEABLE_EMPTY, PURGEABLE_EMPTIES },
		},
		[PURGEABLE_EMPTY] = {
			[PURGEABLE_NONVOLATILE] = { PURGEABLE_NONVOLATILE, PURGEABLE_LEAVES },
			/* What was lost does not come back by it. */
			[PURGEABLE_VOLATILE] = { PURGEABLE_EMPTY, PURGEABLE_STAYS },
			[PURGEABLE_EMPTY] = { PURGEABLE_EMPTY, PURGEABLE_EMPTIES },
		},
	};

	CHECK(now <= PURGEABLE_EMPTY && wanted <= PURGEABLE_EMPTY);
	*ret = next[now][wanted].action;
	return next[now][wanted].state;
}

bool
purgeable_word_is_valid(uint32_t word)
{
	return (word & ~(PURGEABLE_HOW_MASK | PAGER_PURGEABLE_STATE_MASK)) == 0 &&
	       (word & PAGER_PURGEABLE_STATE_MASK) <= PURGEABLE_EMPTY;
}

/* --- lists and tokens --- */

void
purge_queue_init(struct purge_queue *q)
{
	list_init(&q->obsolete);
	list_init(&q->tokens);
	for (unsigned g = 0; g < PURGEABLE_GROUPS; g++) {
		list_init(&q->groups[g][0]);
		list_init(&q->groups[g][1]);
	}
}

static bool
has_token(const struct purgeable *p)
{
	return !list_empty(&p->token);
}

static struct purgeable *
token_owner(struct list *token)
{
	return list_entry(token, struct purgeable, token);
}

static bool
is_ripe(const struct purge_queue *q, const struct purgeable *p)
{
	return p->ripe_at <= q->turned;
}

/* No token is ripe before one that was put down before it. */
static void
token_put(struct purge_queue *q, struct purgeable *p, uint64_t inactive)
{
	p->ripe_at = q->turned + inactive;
	if (!list_empty(&q->tokens))
		p->ripe_at = max_u64(p->ripe_at, token_owner(q->tokens.prev)->ripe_at);
	list_add_tail(&q->tokens, &p->token);
}

/* One token goes, whoever keeps it: a ripe one, or the last. What the object's own was is another's
 * then. */
static void
token_take(struct purge_queue *q, struct purgeable *p, bool purged)
{
	struct purgeable *other;
	struct list *behind;

	if (list_empty(&q->tokens))
		return;
	other = token_owner(q->tokens.next);
	if (!purged || !is_ripe(q, other)) {
		if (!has_token(p))
			return;
		other = token_owner(q->tokens.prev);
	}
	list_remove(&other->token);
	if (other == p || !has_token(p))
		return;
	other->ripe_at = p->ripe_at;
	behind = p->token.next;
	list_remove(&p->token);
	list_add_tail(behind, &other->token);
}

static void
list_put(struct purge_queue *q, struct purgeable *p)
{
	struct list *list = q->groups[purgeable_group(p->how)];

	/* What has been put into an empty object was not meant to last. */
	if (p->state == PURGEABLE_EMPTY || p->how & OBSOLETE)
		list_add_tail(&q->obsolete, &p->node);
	else if (p->how & LIFO)
		list_add_tail(list[1].next, &p->node);
	else
		list_add_tail(&list[0], &p->node);
}

/* Whether it waits for a token, be it another's. */
static bool
needs_token(const struct purgeable *p)
{
	return p->state == PURGEABLE_VOLATILE && !(p->how & OBSOLETE);
}

void
purge_queue_add(struct purge_queue *q, struct purgeable *p, uint64_t inactive)
{
	CHECK(p->state != PURGEABLE_NONVOLATILE && p->pages > 0);
	if (purgeable_is_queued(p))
		list_remove(&p->node);
	else
		q->count++;
	if (needs_token(p) && !(p->how & NO_AGING) && !has_token(p))
		token_put(q, p, inactive);
	list_put(q, p);
}

void
purge_queue_remove(struct purge_queue *q, struct purgeable *p, bool purged)
{
	if (!purgeable_is_queued(p)) {
		CHECK(!has_token(p));
		return;
	}
	CHECK(q->count > 0);
	q->count--;
	list_remove(&p->node);
	if (has_token(p) || needs_token(p))
		token_take(q, p, purged);
	CHECK(!has_token(p));
}

/* The one of a list that goes first, or NULL. *passes: objects that may still be passed over */
static struct purgeable *
choose_of(const struct list *list, purge_importance *importance, void *context, unsigned *passes)
{
	struct purgeable *best = NULL;
	unsigned looks = CHOOSE_LOOKS;
	int least = INT32_MAX;

	for (struct list *at = list->next; at != list && looks > 0 && least > 0; at = at->next) {
		struct purgeable *p = list_entry(at, struct purgeable, node);
		int now = importance(context, p);

		if (now < 0) {
			if (--*passes == 0)
				break;
			continue;
		}
		looks--;
		if (now < least) {
			best = p;
			least = now;
		}
	}
	return best;
}

struct purgeable *
purge_queue_choose(
    const struct purge_queue *q, unsigned force, purge_importance *importance, void *context)
{
	bool ripe = !list_empty(&q->tokens) && is_ripe(q, token_owner(q->tokens.next));
	unsigned passes = CHOOSE_PASSES;
	struct purgeable *p = choose_of(&q->obsolete, importance, context, &passes);

	for (unsigned g = 0; !p && g < PURGEABLE_GROUPS && (ripe || g < force); g++)
		for (unsigned i = 0; !p && i < 2 && passes > 0; i++)
			p = choose_of(&q->groups[g][i], importance, context, &passes);
	return p;
}

unsigned
purge_queue_ripe(const struct purge_queue *q)
{
	unsigned count = 0;

	for (struct list *at = q->tokens.next; at != &q->tokens; at = at->next)
		count += is_ripe(q, token_owner(at));
	return count;
}

/* --- objects --- */

static void
volatile_add(struct purge_queue *q, long long pages)
{
	uint64_t now = load_relaxed(&q->pages) + (uint64_t)pages;

	CHECK((long long)now >= 0);
	store_relaxed(&q->pages, now);
}

void
purgeable_count(struct purge_queue *q, struct purgeable *p, long long change, uint64_t inactive)
{
	CHECK(change >= 0 || p->pages >= (uint64_t)-change);
	p->pages += (uint64_t)change;
	if (p->state == PURGEABLE_NONVOLATILE)
		return;
	volatile_add(q, change);
	if (p->pages == 0)
		purge_queue_remove(q, p, false);
	else if (!purgeable_is_queued(p))
		purge_queue_add(q, p, inactive);
}

void
purgeable_switch(struct purge_queue *q, struct purgeable *p, enum purgeable_state state,
    uint32_t how, bool purged, uint64_t inactive)
{
	CHECK((how & ~PURGEABLE_HOW_MASK) == 0);
	if (state != PURGEABLE_VOLATILE || p->state == PURGEABLE_EMPTY)
		purge_queue_remove(q, p, purged);
	if ((p->state == PURGEABLE_NONVOLATILE) != (state == PURGEABLE_NONVOLATILE))
		volatile_add(
		    q, state == PURGEABLE_NONVOLATILE ? -(long long)p->pages : (long long)p->pages);
	p->state = state;
	p->how = how;
	/* What is about to be emptied is in no list; what is put into it afterwards is. */
	if (state == PURGEABLE_VOLATILE && p->pages > 0)
		purge_queue_add(q, p, inactive);
}

void
purgeable_init(struct purgeable *p)
{
	*p = (struct purgeable){ .state = PURGEABLE_NONVOLATILE };
	list_init(&p->node);
	list_init(&p->token);
}

bool
purgeable_is_idle(const struct purgeable *p)
{
	return p->pages == 0 && p->wirers == 0 && !p->is_purging && !purgeable_is_queued(p);
}
