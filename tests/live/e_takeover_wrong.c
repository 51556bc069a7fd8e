/* SPDX-License-Identifier: MIT
 *
 * Under --keeper a successor finds that the books of a client cannot be right: that client is
 * ended, with a line that says so, and the others go on with all of their content.
 *
 * usage: e_takeover_wrong one [page size]
 */
#include "harness.h"

#include <signal.h>
#include <stdatomic.h>
#include <sys/wait.h>

#include "book.h"

/* Of each of the two clients, all in memory: the fail point fires when both are taken over, and not
 * when only one is. */
enum { PAGES = 40 };

static const char *page_size = "4K";

struct steps {
	atomic_uint written, stop, left;
	atomic_uint killed, well; /* of the clients that have left */
};

static void
writes(struct live *d, struct steps *s)
{
	struct pager *p = client_connect(d);
	uint64_t rng = mix64(live_seed + (uint64_t)getpid());
	struct book b;

	book_open(&b, client_allocate(p, PAGES * d->page_bytes), d->page_bytes, PAGES,
	    (uint32_t)getpid());
	for (uint32_t i = 0; i < PAGES; i++)
		book_write(&b, i, KIND_NOISE);
	atomic_fetch_add(&s->written, 1);
	while (!atomic_load(&s->stop)) {
		uint32_t page = (uint32_t)rng_below(&rng, PAGES);

		book_verify(&b, page);
		book_write(&b, page, KIND_NOISE);
	}
	book_verify_all(&b);
	OK(pager_disconnect(p));
}

/* The client is its child: who is ended here does not end the test. */
static void
nurse(struct live *d, void *argument)
{
	struct steps *s = argument;
	pid_t pid = fork();
	int status;

	REQUIRE(pid >= 0, "%s", strerror(errno));
	if (pid == 0) {
		writes(d, s);
		_exit(0);
	}
	EQ(waitpid(pid, &status, 0), pid);
	atomic_fetch_add(&s->killed, WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	atomic_fetch_add(&s->well, WIFEXITED(status) && WEXITSTATUS(status) == 0);
	atomic_fetch_add(&s->left, 1);
}

static void
one(void)
{
	struct steps *s = shared_alloc(sizeof(*s));
	pid_t pids[2];
	struct live d;

	if (!FAIL_POINTS)
		exit(77);
	live_start(&d, "64M", "--keeper", "--no-swap", "--page-size", page_size, "--fail",
	    "TAKEOVER_WRONG:60", NULL);
	for (unsigned i = 0; i < 2; i++)
		pids[i] = client_start(&d, nurse, s);
	WAIT_UNTIL(&d, atomic_load(&s->written) == 2);
	kill(d.pid, SIGKILL);
	WAIT_UNTIL(&d, atomic_load(&s->left) == 1);
	EQ(atomic_load(&s->killed), 1);
	WAIT_UNTIL(&d, live_log_count(&d, "another worker takes over without") == 1);
	live_taken_over(&d);
	EQ(live_stat(&d, "takeovers"), 2);
	live_check(&d);
	atomic_store(&s->stop, 1);
	for (unsigned i = 0; i < 2; i++)
		client_join(&d, pids[i], false);
	EQ(atomic_load(&s->well), 1);
	EQ(live_log_count(&d, "cannot be right after a takeover"), 1);
	live_kill(&d);
}

int
main(int argc, char **argv)
{
	static const struct live_test tests[] = { { "one", one } };

	live_init(argc, argv);
	if (argc > 2)
		page_size = argv[2];
	return LIVE_RUN(argc, argv, tests);
}
