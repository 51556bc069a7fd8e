/* SPDX-License-Identifier: MIT
 *
 * pagerctl upgrade under two clients that read, write, discard and page out: another program takes
 * over, and back; one that does not fit is refused before anything stops; one that does not serve
 * is followed by the program of before; one that dies later is followed by itself, but by the
 * program of before where it does so again and again. No page is wrong.
 *
 * usage: e_upgrade back|swap|refused|fails|lasts|alone [page size]
 */
#include "harness.h"

#include <fcntl.h>
#include <stdatomic.h>
#include <sys/stat.h>

#include "rounds.h"

static const char *page_size = "4K";
static bool with_swap;

struct scene {
	struct live d;
	struct rounds rounds;
	char program[256]; /* the daemon's, as it was started */
};

/* --- the clients ---------------------------------------------------------------------------- */

static void
turn(struct pager *p, struct book *b, uint32_t object, uint64_t *rng)
{
	uint32_t page = (uint32_t)rng_below(rng, b->count), kind = (uint32_t)rng_below(rng, 100);
	uint32_t count = (uint32_t)rng_below(rng, 16) + 1;

	(void)object;
	if (count > b->count - page)
		count = b->count - page;
	book_verify(b, page);
	if (kind < 60)
		book_write(b, page, mixture_draw(&mixture_usual, rng));
	else if (kind >= 97)
		OK(pager_behavior(p, b->base + page * b->page_bytes, count * b->page_bytes,
		    PAGER_BEHAVIOR_PAGEOUT));
	else if (kind >= 94)
		book_discard(p, b, page, count);
}

static void
client(struct live *d, void *argument)
{
	rounds_run(d, argument, turn);
}

static void
scene_begin(struct scene *s)
{
	const char *memory = strcmp(page_size, "4K") == 0 ? "4M" : "32M";

	if (with_swap)
		live_start(&s->d, memory, "--keeper", "--page-size", page_size, "--swap-encrypt",
		    "yes", "--param", "compressor_percent=5", "--param", "swap_file_bytes=4194304",
		    NULL);
	else
		live_start(&s->d, memory, "--keeper", "--no-swap", "--page-size", page_size, NULL);
	rounds_start(&s->rounds, &s->d, client);
}

static void
scene_end(struct scene *s)
{
	live_check(&s->d);
	rounds_end(&s->rounds, &s->d);
	EQ(live_stat(&s->d, "pages_lost"), 0);
	live_stop(&s->d);
}

/* --- programs ------------------------------------------------------------------------------- */

/* Which file the worker is. */
static void
program_of(const struct live *d, char *path, size_t size)
{
	char link[64];
	ssize_t length;

	snprintf(link, sizeof(link), "/proc/%d/exe", (int)d->pid);
	length = readlink(link, path, size - 1);
	REQUIRE(length > 0, "%s: %s", link, strerror(errno));
	path[length] = '\0';
}

static void
program_is(const struct live *d, const char *expected)
{
	char path[256];

	program_of(d, path, sizeof(path));
	REQUIRE(strcmp(path, expected) == 0, "the worker is %s and not %s", path, expected);
}

static void
program_copy(const struct scene *s, char *path, size_t size)
{
	int from = open(s->program, O_RDONLY | O_CLOEXEC), to;
	struct stat st;
	off_t at = 0;

	snprintf(path, size, "%s/pagerd-copy", s->d.directory);
	to = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0700);
	REQUIRE(from >= 0 && to >= 0 && fstat(from, &st) == 0, "%s", strerror(errno));
	while (at < st.st_size) {
		ssize_t put = copy_file_range(from, &at, to, NULL, (size_t)(st.st_size - at), 0);

		REQUIRE(put > 0, "%s", strerror(errno));
	}
	close(from);
	close(to);
}

/* A program that says what pagerd does when it is asked, but for `answer`, and does something else
 * when it is to work. */
static void
program_script(const struct scene *s, const char *name, const char *answer, const char *work,
    char *path, size_t size)
{
	FILE *f;

	snprintf(path, size, "%s/%s", s->d.directory, name);
	f = fopen(path, "we");
	REQUIRE(f, "%s: %s", path, strerror(errno));
	fprintf(f,
	    "#!/bin/sh\ncase \" $* \" in\n*' --worker '*) %s;;\n*) '%s' \"$@\" %s; exit "
	    "0;;\nesac\n",
	    work, s->program, answer);
	REQUIRE(fclose(f) == 0 && chmod(path, 0700) == 0, "%s", strerror(errno));
}

/* => the exit status of pagerctl */
static int
upgrade(struct scene *s, const char *deadline, const char *path, char *text, size_t size)
{
	return live_pagerctl(&s->d, text, size, "upgrade", "--deadline", deadline, path, NULL);
}

static void
upgrade_works(struct scene *s, const char *path)
{
	uint64_t before = (uint64_t)live_stat(&s->d, "takeovers");
	char text[2048];
	int status = upgrade(s, "200", path, text, sizeof(text));

	REQUIRE(status == 0, "status %d: %s", status, text);
	live_taken_over(&s->d);
	program_is(&s->d, path);
	EQ(live_stat(&s->d, "takeovers"), before + 1);
	rounds_go_on(&s->rounds, &s->d, 50);
}

/* --- the tests ------------------------------------------------------------------------------ */

/* There and back; and whoever is killed is followed by the program that it was. */
static void
back(void)
{
	unsigned rounds = (unsigned)live_scaled(4);
	char copy[256];
	struct scene s;

	scene_begin(&s);
	program_of(&s.d, s.program, sizeof(s.program));
	program_copy(&s, copy, sizeof(copy));
	rounds_go_on(&s.rounds, &s.d, 300);
	for (unsigned i = 0; i < rounds; i++) {
		upgrade_works(&s, i % 2 ? s.program : copy);
		if (i == 0) {
			kill(s.d.pid, SIGKILL);
			live_taken_over(&s.d);
			program_is(&s.d, copy);
			rounds_go_on(&s.rounds, &s.d, 50);
		}
		live_check(&s.d);
	}
	if (with_swap)
		WAIT_UNTIL(&s.d, live_stat(&s.d, "swapouts") > 0);
	/* The file of a program that serves may go. */
	unlink(copy);
	kill(s.d.pid, SIGKILL);
	live_taken_over(&s.d);
	scene_end(&s);
}

/* The same with most of what is stored in swap, which is encrypted: its key goes along. */
static void
swap(void)
{
	with_swap = true;
	back();
}

/* Nothing stops for a program that does not fit. */
static void
refused(void)
{
	static const struct {
		const char *name, *answer, *says;
	} rows[] = {
		{ "silent", ">/dev/null", "is not a pagerd" },
		{ "other-memory", "--memory 256M", "memory is" },
		{ "other-pages", "| sed 's/^page-size .*/page-size 1/'", "page-size is" },
		{ "other-rows", "| sed 's/^arena-slots version 1/arena-slots version 99/'",
		    "arena-slots is" },
		{ "other-layout", "| sed 's/^layout .*/layout 99999/'", "layout is" },
		{ "needs-less", "| grep -v '^arena-objects'", "none" },
		{ "needs-more", "| sed '$a arena-new version 1'", "arena-new" },
	};
	pid_t before;
	char path[256], text[2048];
	struct scene s;

	scene_begin(&s);
	program_of(&s.d, s.program, sizeof(s.program));
	before = s.d.pid;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		program_script(&s, rows[i].name, rows[i].answer, "exit 1", path, sizeof(path));
		EQ(upgrade(&s, "200", path, text, sizeof(text)), 1);
		REQUIRE(strstr(text, rows[i].says) && strstr(text, "nothing has changed"), "%s: %s",
		    rows[i].name, text);
	}
	EQ(upgrade(&s, "200", "/bin/true", text, sizeof(text)), 1);
	REQUIRE(strstr(text, "is not a pagerd"), "%s", text);
	EQ(upgrade(&s, "200", "/etc/passwd", text, sizeof(text)), 1);
	REQUIRE(strstr(text, "cannot be run"), "%s", text);
	EQ(upgrade(&s, "200", "/nonexistent/pagerd", text, sizeof(text)), 1);
	REQUIRE(strstr(text, "cannot open"), "%s", text);
	EQ(live_stat(&s.d, "takeovers"), 0);
	EQ(s.d.pid, before);
	program_is(&s.d, s.program);
	rounds_go_on(&s.rounds, &s.d, 50);
	scene_end(&s);
}

/* The program of before goes on where the new one does not serve. */
static void
fails(void)
{
	static const struct {
		const char *name, *work, *deadline, *says;
	} rows[] = {
		{ "exits", "exit 3", "200", "exit status 3" },
		{ "crashes", "kill -SEGV $$; sleep 1000", "200", "SIGSEGV" },
		{ "hangs", "exec sleep 1000", "0.2", "within 200 ms" },
	};
	char path[256], text[2048];
	struct scene s;

	scene_begin(&s);
	program_of(&s.d, s.program, sizeof(s.program));
	rounds_go_on(&s.rounds, &s.d, 300);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		program_script(&s, rows[i].name, "", rows[i].work, path, sizeof(path));
		EQ(upgrade(&s, rows[i].deadline, path, text, sizeof(text)), 1);
		REQUIRE(strstr(text, rows[i].says), "%s: %s", rows[i].name, text);
		live_taken_over(&s.d);
		program_is(&s.d, s.program);
		EQ(live_stat(&s.d, "takeovers"), 2 * (i + 1));
		rounds_go_on(&s.rounds, &s.d, 50);
		live_check(&s.d);
	}
	scene_end(&s);
}

/* A program that serves, and dies soon, whoever it is: the third time the one of before goes on,
 * and stays. */
static void
lasts(void)
{
	char path[256], text[2048], work[512];
	struct scene s;

	if (!FAIL_POINTS)
		exit(77);
	scene_begin(&s);
	program_of(&s.d, s.program, sizeof(s.program));
	rounds_go_on(&s.rounds, &s.d, 300);
	/* It may also die before it has served, which is another reason to go back. */
	for (unsigned i = 1; live_log_count(&s.d, "does not last") < 2; i++) {
		snprintf(
		    work, sizeof(work), "PAGERD_FAIL=DIE_FILL_BEGUN:5 exec '%s' \"$@\"", s.program);
		program_script(&s, "dies", "", work, path, sizeof(path));
		/* The tool's own connection may end with a worker that has just begun to serve. */
		(void)upgrade(&s, "200", path, text, sizeof(text));
		WAIT_UNTIL(&s.d, live_log_count(&s.d, "the one of before goes on") == i);
		live_taken_over(&s.d);
		program_is(&s.d, s.program);
		rounds_go_on(&s.rounds, &s.d, 300);
		live_check(&s.d);
	}
	scene_end(&s);
}

/* A daemon without a keeper says what it lacks. */
static void
alone(void)
{
	char text[2048];
	struct live d;

	live_start(&d, "4M", "--no-swap", NULL);
	EQ(live_pagerctl(&d, text, sizeof(text), "upgrade", NULL), 1);
	REQUIRE(strstr(text, "--keeper"), "%s", text);
	live_stop(&d);
}

int
main(int argc, char **argv)
{
	static const struct live_test tests[] = { { "back", back }, { "swap", swap },
		{ "refused", refused }, { "fails", fails }, { "lasts", lasts },
		{ "alone", alone } };

	live_init(argc, argv);
	if (argc > 2)
		page_size = argv[2];
	return LIVE_RUN(argc, argv, tests);
}
