/* SPDX-License-Identifier: MIT
 *
 * The protocol of windows (vm/window.h), walked exhaustively. One page of a source O, and one of
 * each of two copies in a line, `upper` over `lower` over O, whose clients see O's page in the
 * place of their own. Every step that something can come between is a step of its own: the source's
 * write, a holder's read and write, opening, paging out, FREE at a copy, the end of the source. In
 * each state whatever a page table has is what that process must see.
 *
 * Each rule of the protocol can be left out, and the walk finds a state then in which that is not
 * so.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum rule {
	RULE_LOOK_AGAIN = 1, /* the line is looked at when the source's page is busy */
	RULE_HIDE = 2,       /* a shown page leaves page tables before it may be written */
	RULE_UNSHOW = 4,     /* and when the copy's page is freed */
	RULE_WIRED = 8, /* a page stays in memory from before it is mapped until it is registered */
	RULE_PUSH = 16, /* what is above a page has its content before that is opened */
	RULES = 31
};

enum where { NOWHERE, STORED, IN_MEMORY };
enum window { SHOWS, ASKED, KEPT, MAPPED, OPEN };
enum entry { NONE, OF_SOURCE, OWN_READ, OWN_WRITE };
/* What has the source's page busy. */
enum holder { NOBODY, SOURCE_WRITES, READER };

/* A page of a copy, and its client. */
struct copy {
	unsigned char where, value; /* NOWHERE: it lacks */
	unsigned char window, entry;
	unsigned char expected;          /* what its client must see */
	unsigned char is_dirty;          /* it may be writable */
	unsigned char reads;             /* a fault has looked at the line, and found O */
	unsigned char has_link, freeing; /* FREE: its link is gone, and the request is not over */
	unsigned char written, was_freed;
};
enum { LOWER, UPPER, COPIES_COUNT };

struct state {
	unsigned char where, value, is_shown, may_write, has_ended, wrote;
	unsigned char holder, reader; /* which copy */
	unsigned char pushed;         /* SOURCE_WRITES has pushed, has hidden */
	struct copy copies[COPIES_COUNT];
};

/* --- states that have been seen --- */

enum { STATES_MAX = 1 << 22 };
static struct {
	struct state *states;
	uint32_t *chains, *next;
	unsigned count;
	unsigned rules;
	bool wrong;
} walk;

static uint32_t
hash(const struct state *s)
{
	const unsigned char *bytes = (const unsigned char *)s;
	uint32_t h = 2166136261u;

	for (size_t i = 0; i < sizeof(*s); i++)
		h = (h ^ bytes[i]) * 16777619u;
	return h % STATES_MAX;
}

/* --- what is true --- */

/* What a copy's page has. *ret_is_source: it is what O has */
static unsigned
content(const struct state *s, unsigned k, bool *ret_is_source)
{
	*ret_is_source = false;
	for (unsigned i = k + 1; i-- > 0;) {
		const struct copy *c = &s->copies[i];

		/* What has left the line is passed over. */
		if (i != k && !c->has_link)
			continue;
		if (c->where != NOWHERE)
			return c->value;
		if (!c->has_link)
			return 0;
	}
	*ret_is_source = !s->has_ended;
	return s->has_ended ? 0 : s->value;
}

static bool
holds(const struct state *s)
{
	for (unsigned k = 0; k < COPIES_COUNT; k++) {
		const struct copy *c = &s->copies[k];
		bool is_source;

		if (c->freeing)
			continue;
		if (content(s, k, &is_source) != c->expected)
			return false;
		if (c->entry == OF_SOURCE && (s->value != c->expected || !s->is_shown))
			return false;
		if (c->entry >= OWN_READ && (c->where != IN_MEMORY || c->value != c->expected))
			return false;
	}
	/* What is lacked is not writable. */
	return !(s->copies[LOWER].entry == OWN_WRITE && s->copies[LOWER].has_link &&
		 s->copies[UPPER].has_link && s->copies[UPPER].where == NOWHERE);
}

static void
reach(const struct state *s)
{
	uint32_t h = hash(s), i;

	for (i = walk.chains[h]; i; i = walk.next[i])
		if (memcmp(&walk.states[i], s, sizeof(*s)) == 0)
			return;
	assert_true(walk.count + 1 < STATES_MAX);
	i = ++walk.count;
	walk.states[i] = *s;
	walk.next[i] = walk.chains[h];
	walk.chains[h] = i;
	walk.wrong |= !holds(s);
}

/* --- steps --- */

/* The first copy above page k (-1: O) that is in the line. => COPIES_COUNT: none */
static unsigned
above(const struct state *s, int k)
{
	for (unsigned i = (unsigned)(k + 1); i < COPIES_COUNT; i++)
		if (s->copies[i].has_link)
			return i;
	return COPIES_COUNT;
}

static void
push(struct state *s, int k, unsigned value)
{
	unsigned to = above(s, k);

	/* What has left the line is nobody's source. */
	if (k >= 0 && !s->copies[k].has_link)
		return;
	if (to < COPIES_COUNT && s->copies[to].where == NOWHERE) {
		s->copies[to].where = IN_MEMORY;
		s->copies[to].value = (unsigned char)value;
		s->copies[to].is_dirty = 1;
	}
}

static void
source_hide(struct state *s)
{
	for (unsigned k = 0; k < COPIES_COUNT; k++)
		if (s->copies[k].entry == OF_SOURCE)
			s->copies[k].entry = NONE;
	s->is_shown = 0;
}

static void
source_steps(const struct state *from)
{
	struct state s = *from;

	if (s.has_ended)
		return;
	/* A write fault: busy; push; hide; the protection goes. */
	if (s.holder == NOBODY && s.where == IN_MEMORY && !s.may_write) {
		s.holder = SOURCE_WRITES;
		s.pushed = 0;
		reach(&s);
	}
	s = *from;
	if (s.holder == SOURCE_WRITES) {
		if (s.pushed == 0)
			push(&s, -1, s.value);
		else if (s.pushed == 1 && walk.rules & RULE_HIDE)
			source_hide(&s);
		if (s.pushed == 2) {
			s.may_write = 1;
			s.holder = NOBODY;
		}
		s.pushed = s.pushed == 2 ? 0 : (unsigned char)(s.pushed + 1);
		reach(&s);
	}
	s = *from;
	if (s.may_write && !s.wrote) {
		s.value = 2;
		s.wrote = 1;
		reach(&s);
	}
	/* It leaves memory, and comes back. */
	s = *from;
	if (s.holder == NOBODY && s.where == IN_MEMORY) {
		s.where = STORED;
		s.may_write = 0;
		source_hide(&s);
		reach(&s);
	}
	s = *from;
	if (s.where == STORED) {
		s.where = IN_MEMORY;
		reach(&s);
	}
	/* It is given back: what the copy above lacks moves there. */
	s = *from;
	if (s.holder == NOBODY) {
		push(&s, -1, s.value);
		s.has_ended = 1;
		s.where = NOWHERE;
		s.may_write = 0;
		source_hide(&s);
		reach(&s);
	}
}

/* A read of what is not in page tables, in a window. */
static void
read_steps(const struct state *from, unsigned k)
{
	struct state s = *from;
	struct copy *c = &s.copies[k];
	bool is_source;

	if (c->window == SHOWS && c->entry == NONE && !c->reads && !c->freeing) {
		(void)content(&s, k, &is_source);
		if (is_source)
			c->reads = 1;
		else
			c->window = ASKED;
		reach(&s);
	}
	s = *from;
	if (c->reads && s.holder == NOBODY && s.where == IN_MEMORY) {
		c->reads = 0;
		(void)content(&s, k, &is_source);
		if (is_source || !(walk.rules & RULE_LOOK_AGAIN)) {
			s.holder = READER;
			s.reader = (unsigned char)k;
			s.is_shown = 1;
		}
		reach(&s);
	}
	s = *from;
	if (s.has_ended && c->reads) {
		c->reads = 0;
		reach(&s);
	}
	s = *from;
	if (s.holder == READER && s.reader == k) {
		s.holder = NOBODY;
		/* Where its own memory is mapped by now, that is what is mapped. */
		if (c->window < MAPPED)
			c->entry = OF_SOURCE;
		else if (c->where == IN_MEMORY && c->entry == NONE)
			c->entry = OWN_READ;
		reach(&s);
	}
}

static void
store(struct state *s, unsigned k)
{
	struct copy *c = &s->copies[k];

	c->value = c->expected = (unsigned char)(3 + k);
	c->written = 1;
	reach(s);
}

static void
open_steps(const struct state *from, unsigned k)
{
	struct state s = *from;
	struct copy *c = &s.copies[k];
	bool is_source;

	/* It is written. */
	if (c->window == SHOWS && !c->written && !c->freeing) {
		c->window = ASKED;
		reach(&s);
	}
	/* The page comes, becomes the copy's own, and stays. */
	s = *from;
	if (c->window == ASKED && !c->freeing && !(s.where == STORED && !s.has_ended)) {
		unsigned value = content(&s, k, &is_source);

		if (walk.rules & RULE_PUSH)
			push(&s, (int)k, value);
		c->where = IN_MEMORY;
		c->value = (unsigned char)value;
		c->is_dirty = 1;
		c->window = KEPT;
		reach(&s);
	}
	s = *from;
	if (c->window == KEPT) {
		c->window = MAPPED;
		c->entry = NONE;
		reach(&s);
	}
	/* Not registered yet: the kernel maps what is touched. */
	s = *from;
	if (c->window == MAPPED && c->entry != OWN_WRITE) {
		/* Nothing there: a page of zeroes is planted. */
		if (c->where != IN_MEMORY) {
			c->where = IN_MEMORY;
			c->value = 0;
		}
		c->entry = OWN_WRITE;
		reach(&s);
	}
	s = *from;
	if (c->window == MAPPED) {
		c->window = OPEN;
		reach(&s);
	}
}

/* A page that is not in a window any more, or is written there. */
static void
own_steps(const struct state *from, unsigned k)
{
	struct state s = *from;
	struct copy *c = &s.copies[k];
	bool is_source;

	if (c->entry == OWN_WRITE && !c->written)
		store(&s, k);
	s = *from;
	if (c->window == OPEN && c->where == IN_MEMORY && c->entry == NONE) {
		c->entry = OWN_READ;
		reach(&s);
	}
	s = *from;
	if (c->window == OPEN && c->where == IN_MEMORY && c->entry != OWN_WRITE) {
		push(&s, (int)k, c->value);
		c->is_dirty = 1;
		c->entry = OWN_WRITE;
		reach(&s);
	}
	s = *from;
	if (c->window == OPEN && c->where == STORED) {
		c->where = IN_MEMORY;
		c->is_dirty = 0;
		reach(&s);
	}
	s = *from;
	if (c->window == OPEN && c->where == NOWHERE && !c->freeing) {
		c->value = (unsigned char)content(&s, k, &is_source);
		push(&s, (int)k, c->value);
		c->where = IN_MEMORY;
		c->is_dirty = 1;
		reach(&s);
	}
	/* Paged out, but for what is wired. */
	s = *from;
	if (c->where == IN_MEMORY &&
	    !(walk.rules & RULE_WIRED && (c->window == KEPT || c->window == MAPPED))) {
		c->where = STORED;
		if (c->entry >= OWN_READ)
			c->entry = NONE;
		reach(&s);
	}
	/* FREE: what is above gets it, the link goes, what is shown is taken away. */
	s = *from;
	if (!c->was_freed && c->has_link && (c->window == SHOWS || c->window == OPEN)) {
		unsigned value = content(&s, k, &is_source);

		if (c->where != NOWHERE)
			push(&s, (int)k, value);
		c->where = NOWHERE;
		if (c->entry >= OWN_READ)
			c->entry = NONE;
		c->has_link = 0;
		c->was_freed = c->freeing = 1;
		reach(&s);
	}
	s = *from;
	if (c->freeing && s.holder == NOBODY) {
		c->freeing = 0;
		c->expected = 0;
		if (walk.rules & RULE_UNSHOW && c->entry == OF_SOURCE)
			source_hide(&s);
		reach(&s);
	}
}

/* => states; all of them hold, or not */
static unsigned
states_walk(unsigned rules, bool *ret_holds)
{
	struct state first;

	walk.states = calloc(STATES_MAX, sizeof(*walk.states));
	walk.chains = calloc(STATES_MAX, sizeof(*walk.chains));
	walk.next = calloc(STATES_MAX, sizeof(*walk.next));
	walk.count = 0;
	walk.rules = rules;
	walk.wrong = false;
	assert_true(walk.states && walk.chains && walk.next);
	memset(&first, 0, sizeof(first));
	first.where = IN_MEMORY;
	first.value = 1;
	for (unsigned k = 0; k < COPIES_COUNT; k++) {
		first.copies[k].expected = 1;
		first.copies[k].has_link = 1;
	}
	reach(&first);
	for (unsigned i = 1; i <= walk.count && !walk.wrong; i++) {
		source_steps(&walk.states[i]);
		for (unsigned k = 0; k < COPIES_COUNT; k++) {
			read_steps(&walk.states[i], k);
			open_steps(&walk.states[i], k);
			own_steps(&walk.states[i], k);
		}
	}
	*ret_holds = !walk.wrong;
	free(walk.states);
	free(walk.chains);
	free(walk.next);
	return walk.count;
}

static void
test_all(void **ignored)
{
	bool all;
	unsigned states = states_walk(RULES, &all);

	(void)ignored;
	assert_true(all);
	assert_true(states > 10000);
	print_message("%u states\n", states);
}

static void
test_each_rule(void **ignored)
{
	(void)ignored;
	for (unsigned rule = 1; rule < RULES; rule *= 2) {
		bool all;

		states_walk(RULES & ~rule, &all);
		if (all)
			fail_msg("rule %u is not needed", rule);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_all),
		cmocka_unit_test(test_each_rule),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
