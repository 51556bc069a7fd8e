/* SPDX-License-Identifier: MIT */
#include "seer.h"

struct truth *
truth_make(struct live *d)
{
	struct truth *t = shared_alloc(sizeof(*t));

	t->c = common_make(d);
	t->states = shared_alloc(t->c->count * sizeof(*t->states));
	t->floors = shared_alloc(t->c->count * sizeof(*t->floors));
	t->unknown = shared_alloc(t->c->count * sizeof(*t->unknown));
	return t;
}

static struct seer
seer_of(struct truth *t, struct view view, unsigned number)
{
	return (struct seer){ .view = view,
		.book = book_of(view.live, t->c, view.base),
		.truth = t,
		.rng = live_seed ^ mix64(number + 1) };
}

struct seer
seer_join(struct live *d, struct truth *t, unsigned number)
{
	int fd = name_receive(t->c->sockets[number][1]);

	return seer_of(t, view_join(d, fd, 0, t->c->count, RW), number);
}

struct seer
seer_make(struct live *d, struct truth *t)
{
	struct seer s = seer_of(t, view_make(d, t->c->count), 0);

	for (unsigned i = 1; i < t->c->sharers; i++)
		name_send(t->c->sockets[i][0], s.view.fd);
	return s;
}

void
seer_verify(struct seer *s, uint32_t page)
{
	enum state state = atomic_load(&s->truth->states[page]);
	uint32_t within = (uint32_t)rng_below(&s->rng, s->book.page_bytes);
	volatile unsigned char *at = s->book.base + page * s->book.page_bytes + within;
	unsigned char byte;

	if (state == HOLE || state == NONE) {
		if (rng_below(&s->rng, 2))
			EQ(guard_load(at, &byte), SIGSEGV);
		else
			EQ(guard_store(at, 1), SIGSEGV);
		return;
	}
	if (state == READ && rng_below(&s->rng, 4) == 0)
		EQ(guard_store(at, 1), SIGSEGV);
	if (!atomic_load(&s->truth->unknown[page]))
		book_verify(&s->book, page);
	if (state == READ && rng_below(&s->rng, 4) == 0)
		EQ(guard_store(at, 1), SIGSEGV);
}

void
seer_verify_all(struct seer *s)
{
	for (uint32_t i = 0; i < s->book.count; i++)
		seer_verify(s, i);
}

void
seer_write(struct seer *s, uint32_t page)
{
	book_write(&s->book, page, mixture_draw(&mixture_usual, &s->rng));
	atomic_store(&s->truth->unknown[page], false);
}

/* The pages begin anew, or are gone. */
static void
states_set(struct seer *s, uint32_t page, uint32_t count, enum state state, bool anew)
{
	for (uint32_t i = page; i < page + count; i++) {
		if (anew) {
			book_forget(&s->book, i);
			atomic_store(&s->truth->floors[i], s->book.notes[i].generation);
			atomic_store(&s->truth->unknown[i], false);
		}
		atomic_store(&s->truth->states[i], (unsigned char)state);
	}
}

static int
rights_of(enum state state)
{
	return state == WRITE ? RW : state == READ ? PROT_READ : PROT_NONE;
}

void
seer_add(struct seer *s, uint32_t page, uint32_t count, enum state state)
{
	view_add(&s->view, page, count, rights_of(state));
	states_set(s, page, count, state, true);
}

void
seer_remove(struct seer *s, uint32_t page, uint32_t count)
{
	OK(view_remove(&s->view, page, count));
	states_set(s, page, count, HOLE, true);
}

void
seer_protect(struct seer *s, uint32_t page, uint32_t count, enum state state)
{
	OK(view_protect(&s->view, page, count, rights_of(state)));
	states_set(s, page, count, state, false);
}

void
seer_write_some(struct seer *s, uint32_t page, uint32_t count, unsigned one_of)
{
	for (uint32_t i = page; i < page + count; i++)
		if (rng_below(&s->rng, one_of) == 0)
			seer_write(s, i);
}
