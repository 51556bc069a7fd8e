/* SPDX-License-Identifier: MIT
 *
 * Two who share: what is aged is aged for both, and neither gets more of the other than what was
 * shared. Traps have their numbers from the design notes on shared objects.
 *
 * usage: e_file_sharers trap-4-aged|trap-16-alone [page=SIZE] [memory=SIZE]
 */
#include "file_trap.h"
#include "page.h"

/* --- aged (trap 4): a page that two processes have mapped is taken out of both their page tables,
 * so that a touch by either is seen; where one does not listen, it can leave all the same --- */

static void
ageing_client(struct live *d, struct trap *t, unsigned number)
{
	struct file_scene *s = t->scene;
	struct file_view v;

	file_view_open(d, s, PROT_READ | PROT_WRITE, &v);
	/* A touch maps one page. */
	OK(pager_behavior(v.p, v.base, s->count * s->page_bytes, PAGER_BEHAVIOR_RANDOM));
	file_verify_all(&v);
	EQ(pages_mapped(d, v.base, s->count), s->count);
	stage_meet(d, &t->stage[number], 1);
	if (number == 0)
		OK(pager_behavior(v.p, v.base, s->count * s->page_bytes, PAGER_BEHAVIOR_DONTNEED));
	WAIT_UNTIL(d, pages_mapped(d, v.base, s->count) == 0);
	stage_meet(d, &t->stage[number], 2);
	if (number == 1)
		file_verify_all(&v);
	stage_meet(d, &t->stage[number], 3);
	if (number == 0) {
		OK(pager_behavior(v.p, v.base, s->count * s->page_bytes, PAGER_BEHAVIOR_DONTNEED));
		OK(pager_behavior(v.p, v.base, s->count * s->page_bytes, PAGER_BEHAVIOR_PAGEOUT));
		stage_meet(d, &t->stage[number], 4);
	}
	for (uint32_t page = number; page < s->count; page += 2) {
		file_page_lock(&v, page);
		file_page_write(&v, page);
		file_page_unlock(&v, page);
	}
	file_verify_all(&v);
	stage_meet(d, &t->stage[number], 5);
	file_view_close(&v);
}

static void
ageing_first(struct live *d, void *argument)
{
	ageing_client(d, argument, 0);
}

static void
ageing_second(struct live *d, void *argument)
{
	ageing_client(d, argument, 1);
}

static void
aged(void)
{
	struct live d = { 0 };
	struct trap *t = trap_begin(&d, 1);
	pid_t pids[2] = { client_start(&d, ageing_first, t), client_start(&d, ageing_second, t) };
	int64_t soft = 0, reactivated = 0;

	for (unsigned at = 1; at <= 3; at++) {
		for (unsigned i = 0; i < 2; i++)
			stage_wait(&d, &t->stage[i], at);
		live_rest(&d);
		if (at == 2) {
			soft = live_stat(&d, "soft_faults");
			reactivated = live_stat(&d, "reactivations");
		}
		if (at == 3) {
			EQ(live_stat(&d, "soft_faults") - soft, t->scene->count);
			EQ(live_stat(&d, "reactivations") - reactivated, t->scene->count);
			/* Its agent takes nothing out of its page tables from now on. */
			REQUIRE(kill(pids[1], SIGSTOP) == 0);
			stage_allow(&t->stage[0], at);
			continue;
		}
		for (unsigned i = 0; i < 2; i++)
			stage_allow(&t->stage[i], at);
	}
	stage_wait(&d, &t->stage[0], 4);
	EQ(live_stat(&d, "external"), 0);
	stage_allow(&t->stage[1], 3);
	REQUIRE(kill(pids[1], SIGCONT) == 0);
	for (unsigned i = 0; i < 2; i++)
		stage_allow(&t->stage[i], 4);
	for (unsigned i = 0; i < 2; i++)
		stage_wait(&d, &t->stage[i], 5);
	for (unsigned i = 0; i < 2; i++)
		stage_allow(&t->stage[i], 5);
	for (unsigned i = 0; i < 2; i++)
		client_join(&d, pids[i], true);
	live_stop(&d);
}

/* --- alone (trap 16): the memfd that a sharer is given has what was shared, and nothing else of
 * the one who shares it --- */

#define SECRET 0x5ec2e7u

struct alone {
	struct trap *t;
	struct common *c;
};

static void
secretive_client(struct live *d, void *argument)
{
	struct alone *a = argument;
	size_t bytes = a->c->count * d->page_bytes;
	struct pager *p = client_connect(d);
	struct file_view v;
	void *memory[4], *copy;
	int fd;

	/* Private memory before and behind what is shared, and a private mapping of the file. */
	memory[0] = client_allocate(p, bytes);
	memory[1] = share_make(d, a->c, p);
	memory[2] = client_allocate(p, bytes);
	file_view_open(d, a->t->scene, PROT_READ, &v);
	OK(pager_map_file(v.p, v.fd, 0, a->t->scene->count * d->page_bytes, PROT_READ | PROT_WRITE,
	    PAGER_MAP_PRIVATE, &memory[3]));
	for (unsigned i = 0; i < 4; i++)
		for (size_t at = 0; i != 1 && at < bytes; at += sizeof(uint64_t))
			*(uint64_t *)(void *)((char *)memory[i] + at) = (uint64_t)SECRET << 32 | at;
	memset(memory[1], 0x11, bytes);
	fd = share_name(d, a->c, p, memory[1], PROT_READ | PROT_WRITE);
	/* A copy of it is private, too. */
	OK(pager_allocate(p, bytes, 0, &copy));
	OK(pager_copy(p, memory[1], bytes, copy));
	for (size_t at = 0; at < bytes; at += sizeof(uint64_t))
		*(uint64_t *)(void *)((char *)copy + at) = (uint64_t)SECRET << 32 | at;
	name_send(a->c->sockets[1][0], fd);
	close(fd);
	stage_meet(d, &a->t->stage[0], 1);
	file_view_close(&v);
	OK(pager_disconnect(p));
}

/* => bytes of data that the whole memfd has */
static uint64_t
memfd_look(struct live *d, int memfd)
{
	uint64_t *words = malloc(d->page_bytes), found = 0;
	off_t at = 0;
	ssize_t got;

	REQUIRE(words != NULL);
	while ((at = lseek(memfd, at, SEEK_DATA)) >= 0) {
		got = pread(memfd, words, d->page_bytes, at);
		REQUIRE(got > 0 && got % sizeof(*words) == 0, "%zd", got);
		for (size_t i = 0; i < (size_t)got / sizeof(*words); i++)
			REQUIRE(words[i] >> 32 != SECRET, "word %zu at %lld", i, (long long)at);
		found += (uint64_t)got;
		at += got;
	}
	REQUIRE(errno == ENXIO, "%s", strerror(errno));
	free(words);
	return found;
}

static void
alone_peer(struct live *d, void *argument)
{
	struct alone *a = argument;
	struct peer sharer, reader;

	peer_join(d, a->c, 1, PROT_READ | PROT_WRITE, &sharer);
	EQ(memfd_look(d, sharer.memfd), a->c->count * d->page_bytes);
	peer_map_file(d, a->t, PROT_READ, &reader);
	(void)memfd_look(d, reader.memfd);
	raw_close(&sharer.raw);
	raw_close(&reader.raw);
}

static void
alone(void)
{
	struct live d = { 0 };
	struct alone a = { .t = trap_begin(&d, 1) };
	pid_t client;

	a.c = common_make_pages(&d, 16);
	client = client_start(&d, secretive_client, &a);
	stage_wait(&d, &a.t->stage[0], 1);
	client_join(&d, client_start(&d, alone_peer, &a), true);
	stage_allow(&a.t->stage[0], 1);
	client_join(&d, client, true);
	live_stop(&d);
}

static const struct live_test tests[] = { { "trap-4-aged", aged }, { "trap-16-alone", alone } };

int
main(int argc, char **argv)
{
	share_options_parse(argc, argv);
	live_init(argc, argv);
	return LIVE_RUN(argc, argv, tests);
}
