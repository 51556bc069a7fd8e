/* SPDX-License-Identifier: MIT
 *
 * Random traffic on ports against a model of their queues.
 */
#include "port_fixture.h"

/* Random traffic of three tasks on three ports against a model of the queues. */
struct model {
	struct end to, from[3];
	uint64_t ids[4];
	unsigned count, limit;
	bool is_open;
};

static uint64_t
below(uint64_t *rng, uint64_t n)
{
	*rng = *rng * 6364136223846793005ull + 1442695040888963407ull;
	return (*rng >> 33) % n;
}

static void
model_open(struct model *m, unsigned number, unsigned limit)
{
	char name[2] = { (char)('a' + number), '\0' };

	m->to = receiver_of(number, name, limit);
	for (unsigned i = 0; i < 3; i++)
		m->from[i] = sender_of(i, name);
	m->limit = limit;
	m->count = 0;
	m->is_open = true;
}

static void
model_send(struct model *m, unsigned number, unsigned who, uint64_t id)
{
	/* Each sender has a part of its map for each port. */
	uint64_t at = 100 * number + 20 * (id % 4);
	struct range range;
	int error;

	if (m->count == m->limit || !m->is_open) {
		error = port_place_take(daemon_of(), m->from[who].h);
		assert_int_equal(error, m->is_open ? -EAGAIN : -EPIPE);
		return;
	}
	range = content_make(who, at, 1 + id % 3);
	assert_int_equal(send_range(&m->from[who], &range, id), 0);
	m->ids[m->count++] = id;
}

static void
model_receive(struct model *m, unsigned number)
{
	uint64_t got = receive(&m->to, 1000 + 10 * number);

	assert_int_equal(got, m->count ? m->ids[0] : 0);
	if (!got)
		return;
	m->count--;
	memmove(m->ids, m->ids + 1, m->count * sizeof(m->ids[0]));
	share_unmap(number, 1000 + 10 * number, 1000 + 10 * number + 1 + got % 3);
}

static void
traffic(void **state)
{
	struct model models[3] = { 0 };
	uint64_t rng = 1, id = 0;

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		model_open(&models[i], i, 1 + i);
	for (unsigned turn = 0; turn < 4000; turn++) {
		unsigned i = (unsigned)below(&rng, 3), who = (unsigned)below(&rng, 3);
		struct model *m = &models[i];

		switch (below(&rng, 12)) {
		case 0:
			if (m->is_open)
				assert_int_equal(end_close(&m->to), m->count);
			m->is_open = false;
			break;
		case 1:
			if (m->is_open)
				break;
			for (unsigned n = 0; n < 3; n++)
				end_close(&m->from[n]);
			model_open(m, i, 1 + (unsigned)below(&rng, 4));
			break;
		default:
			if (below(&rng, 2))
				model_send(m, i, who, ++id);
			else if (m->is_open)
				model_receive(m, i);
			break;
		}
	}
	for (unsigned i = 0; i < 3; i++) {
		if (models[i].is_open)
			end_close(&models[i].to);
		for (unsigned n = 0; n < 3; n++)
			end_close(&models[i].from[n]);
	}
	assert_int_equal(share_used(&daemon_of()->shares, SHARE_QUEUED), 0);
	assert_int_equal(share_used(&daemon_of()->shares, SHARE_PORTS), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test_setup_teardown(
	    traffic, share_start, share_stop) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
