/* SPDX-License-Identifier: MIT
 *
 * Files: when one is made, drained and deleted, and what is left in the directory. No I/O on slots.
 */
#include "swap_fixture.h"

#include <errno.h>
#include <signal.h>

#include "failpt.h"

/* --- balance ------------------------------------------------------------------------- */

/* A script of words: rN reserves N slots; F-N gives back N slots of file F that were not written;
 * cF commits file F's newest slot, uF gives a committed one back; eF marks a write error on file
 * F's newest slot, fF one that says that the disk is full, vF commits that and marks an error; tN:
 * N seconds go by; n: the next creation finds the disk full; p: what drains cannot be moved. What
 * the next swap_balance must do: C created, X deleted, I idle, DF drain file F, Q failed by the
 * limit of bytes, S failed with ENOSPC. =N: N slots are free. 8 slots a file, low 4, high 10, so a
 * drain is given up below 7. */
static const struct {
	const char *text, *script;
	unsigned max_files;
} scripts[] = {
	{ "first file", "=0 C =8 I", 0 },
	{ "low is a bound that counts as enough", "C r4 =4 I r1 =3 C =11 I", 0 },
	{ "high too: empty file stays until more than high is free without it",
	    "C r8 C r8 C r8 C I 0-8 =16 I 1-2 =18 I 1-1 =19 X =11 I", 0 },
	{ "nothing is made again right after a deletion",
	    "C r8 C r8 C r8 C 0-8 1-3 X =11 I r7 =4 I r1 C", 0 },
	{ "the only file stays, however empty", "C r8 0-8 I I", 0 },
	{ "fewest used slots go first; reservations elsewhere; then deletion",
	    "C r8 C r8 C r8 C 0-6 1-5 X =11 2-7 =18 I 1-1 =19 D2 =12 D2 r1 =11 2-1 X =11 I", 0 },
	{ "of equals the last goes", "C r8 C r8 C r8 C 0-7 1-7 X 2-7 D2", 0 },
	{ "drain given up when room gets short, at less than the middle",
	    "C r8 C r8 C r8 C 0-6 1-5 X 2-7 1-1 D2 =12 r4 =8 D2 r1 =7 I =14 I", 0 },
	{ "also when the file has become empty",
	    "C r8 C r8 C r8 C 0-6 1-5 X 2-7 1-1 D2 =12 r6 =6 2-1 I =14 I", 0 },
	{ "given up and wanted again",
	    "C r8 C r8 C r8 C 0-6 1-5 X 2-7 1-1 D2 r5 I =14 I 0-5 =19 D2", 0 },
	{ "a file is made again after the drain was given up, if need be",
	    "C r8 C r8 C r8 C 0-6 1-5 X 2-7 1-1 D2 =12 r12 =0 I =7 r7 =0 C", 0 },
	{ "limit of bytes", "C r8 C r8 =0 Q I t4 I t1 Q I 0-5 t5 I", 2 },
	{ "disk full, tried again after 5 s", "n S I t4 I n t1 S I t4 I t1 C I", 0 },
	{ "disk full does not keep a file from going", "C r8 C r8 C r8 C r6 n S 0-8 1-8 2-8 =26 X",
	    0 },
	{ "write error: no more reservations, another file, gone when empty",
	    "C r3 c0 =5 e0 =0 C =8 r2 =6 I 0-1 u0 I 0-1 X =6 I", 0 },
	{ "gone when empty even if room is short", "C r3 c0 e0 C r8 =0 0-2 u0 X C", 0 },
	{ "where nothing was ever written another file would be no better for 5 s",
	    "C r3 e0 =0 I t4 I =0 t1 I =5 e0 =0 I 0-3 =0 X I t4 I t1 C =8 I", 0 },
	{ "a write that succeeds takes marks away, but not what is suspect",
	    "C r3 c0 e0 0-1 =0 C =8 r1 =7 I =7 c1 I =12 r5 =7", 0 },
	{ "else they go one file at a time",
	    "C r8 c0 C e0 r2 e1 =0 I t5 C =8 r4 =4 I =4 t4 I =4 t1 I =10", 3 },
	{ "the second file that fails with no success in between marks all",
	    "C r8 c0 C r8 c1 C r1 c2 =7 e0 =7 e1 =0 C =8 r1 e3 =0 I t4 I t1 Q =0 t5 Q =0 t5 I =7",
	    4 },
	{ "suspects are tried again when no file can be made",
	    "C r8 e0 0-1 =0 I t5 Q =1 r1 =0 I t5 Q =0", 1 },
	{ "and not before", "C r8 c0 e0 0-1 C =8 I r4 =4 c1 I =4 r1 C =11", 0 },
	{ "disk full: places that were written before are used, and no others",
	    "C r3 c0 c0 f0 =0 I u0 =1 r1 =0 c0 u0 =1 I t4 I t1 n S =6", 0 },
	{ "disk full where nothing was written: another file after 5 s",
	    "C r1 f0 =0 I 0-1 X I t4 I t1 C =8", 0 },
	{ "disk full, as said of a place that was written before, is an error like others",
	    "C r1 c0 u0 r1 f0 =0 t5 I =7 0-1 =7 X", 0 },
	{ "what cannot be moved is left alone for 5 s",
	    "C r8 C r8 C r8 C 0-6 1-5 X 2-7 1-1 D2 p I =19 t4 I t1 D2", 0 },
	{ "read error marks nothing", "C r3 =5 v0 =5 I", 0 },
	{ "a file with an error is drained first, when its slots find room",
	    "C r8 C r8 C r8 C 0-6 1-1 2-1 =16 I e0 =10 2-2 =12 I 2-1 =13 D0 r2 0-2 X =11 I", 0 },
	{ "errors while it drains", "C r8 C r8 C r8 C 0-6 1-5 X 2-7 1-1 D2 e2 D2 r1 2-1 X I", 0 },
};

struct script_run {
	struct swap *s;
	struct swap_slot held[256];
	bool committed[256];
	unsigned count;
};

static unsigned
script_newest(struct script_run *run, unsigned file, bool committed)
{
	for (unsigned i = run->count; i-- > 0;)
		if (file_of(run->held[i]) == file && run->committed[i] == committed)
			return i;
	fail_msg("the script has no slot of file %u", file);
	return 0;
}

static void
script_give_back(struct script_run *run, unsigned file, unsigned n, bool committed)
{
	while (n-- > 0) {
		unsigned i = script_newest(run, file, committed);

		swap_release(run->s, run->held[i]);
		run->held[i] = run->held[--run->count];
		run->committed[i] = run->committed[run->count];
	}
}

static bool
script_balance(struct script_run *run, const char *word)
{
	unsigned file = 99;
	struct swap_fault fault;
	enum swap_balance outcome = swap_balance(run->s, &file, &fault);

	switch (word[0]) {
	case 'C':
		return outcome == SWAP_BALANCE_CREATED;
	case 'X':
		return outcome == SWAP_BALANCE_DELETED;
	case 'I':
		return outcome == SWAP_BALANCE_IDLE;
	case 'D':
		for (unsigned i = 0; i < run->count; i++)
			if (swap_slot_is_draining(run->s, run->held[i]) !=
			    (file_of(run->held[i]) == file))
				return false;
		return outcome == SWAP_BALANCE_DRAIN && file == (unsigned)atoi(word + 1);
	case 'Q':
		return outcome == SWAP_BALANCE_FAILED && fault.error == -EDQUOT;
	case 'S':
		return outcome == SWAP_BALANCE_FAILED && fault.error == -ENOSPC;
	default:
		return false;
	}
}

static bool
script_word(struct script_run *run, const char *word)
{
	unsigned n = (unsigned)atoi(word + 1), i;

	if (word[0] >= '0' && word[0] <= '9') {
		script_give_back(
		    run, (unsigned)atoi(word), (unsigned)atoi(strchr(word, '-') + 1), false);
		return true;
	}
	switch (word[0]) {
	case 'r':
		while (n-- > 0) {
			run->committed[run->count] = false;
			run->held[run->count++] = reserve(run->s);
		}
		return true;
	case 'e':
		swap_mark_error(run->s, run->held[script_newest(run, n, false)], -EIO);
		return true;
	case 'f':
		swap_mark_error(run->s, run->held[script_newest(run, n, false)], -ENOSPC);
		return true;
	case 'c':
		i = script_newest(run, n, false);
		swap_commit(run->s, run->held[i]);
		run->committed[i] = true;
		return true;
	case 'u':
		script_give_back(run, n, 1, true);
		return true;
	case 'p':
		swap_drain_defer(run->s);
		return true;
	case 'v':
		i = script_newest(run, n, false);
		swap_commit(run->s, run->held[i]);
		run->committed[i] = true;
		swap_mark_error(run->s, run->held[i], -EIO);
		return true;
	case 't':
		fake_now_ns += n * 1000000000ull;
		return true;
	case 'n':
		return failpt_arm("SWAP_CREATE_ENOSPC:0:1") == 0;
	case '=':
		return stats_of(run->s).slots_free == n;
	default:
		return script_balance(run, word);
	}
}

static void
test_balance_scripts(void **state)
{
	struct fixture *f = *state;

	for (size_t row = 0; row < ARRAY_LEN(scripts); row++) {
		struct script_run *run = calloc(1, sizeof(*run));
		char copy[200], *save = NULL;
		int number = 0;

		if (!FAIL_POINTS && strchr(scripts[row].script, 'n')) {
			free(run);
			continue;
		}
		f->config.max_bytes = (uint64_t)scripts[row].max_files * FILE_SLOTS * SLOT_BYTES;
		run->s = swap_start(f);
		assert_true(strlen(scripts[row].script) < sizeof(copy));
		strcpy(copy, scripts[row].script);
		for (char *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
			number++;
			if (!script_word(run, w))
				fail_msg("%s: word %d (%s); %llu free", scripts[row].text, number,
				    w, (unsigned long long)stats_of(run->s).slots_free);
			assert_swap_valid(run->s);
		}
		/* A file that was not made leaves nothing behind. */
		assert_int_equal(directory_count(f->path, ""), stats_of(run->s).files + 1);
		swap_destroy(run->s);
		failpt_disarm_all();
		free(run);
	}
}

/* --- no room for a whole file ----------------------------------------- */

static void
test_smaller_files(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *fail;
		unsigned slots;
	} rows[] = { { "SWAP_CREATE_ENOSPC:0:1", 16 }, { "SWAP_CREATE_ENOSPC:0:2", 8 },
		{ "SWAP_CREATE_ENOSPC:0:3", 0 } };

	f->config.file_bytes = 32 * SLOT_BYTES;
	assert_int_equal(swap_file_bytes_min(&f->config), 8 * SLOT_BYTES);
	for (size_t i = 0; FAIL_POINTS && i < ARRAY_LEN(rows); i++) {
		struct swap *s = swap_start(f);

		assert_int_equal(failpt_arm(rows[i].fail), 0);
		assert_int_equal(
		    balance(s), rows[i].slots ? SWAP_BALANCE_CREATED : SWAP_BALANCE_FAILED);
		failpt_disarm_all();
		assert_int_equal(stats_of(s).slots_total, rows[i].slots);
		assert_int_equal(stats_of(s).bytes_allocated, rows[i].slots * SLOT_BYTES);
		for (unsigned n = 0; n < rows[i].slots; n++)
			assert_true(place_of(reserve(s)) < rows[i].slots);
		assert_int_equal(swap_has_free(s), false);
		fake_now_ns += 5000000000u;
		assert_int_equal(balance(s), SWAP_BALANCE_CREATED);
		assert_int_equal(stats_of(s).slots_free, 32);
		assert_swap_valid(s);
		swap_destroy(s);
	}
	/* The rest up to the limit is used too, down to the smallest file. */
	f->config.max_bytes = (32 + 9) * SLOT_BYTES + 17;
	struct swap *s = swap_start(f);
	assert_int_equal(balance(s), SWAP_BALANCE_CREATED);
	for (unsigned n = 0; n < 32; n++)
		(void)reserve(s);
	assert_int_equal(balance(s), SWAP_BALANCE_CREATED);
	assert_int_equal(stats_of(s).slots_free, 9);
	for (unsigned n = 0; n < 9; n++)
		(void)reserve(s);
	assert_int_equal(balance(s), SWAP_BALANCE_FAILED);
	assert_swap_valid(s);
	swap_destroy(s);
}

/* --- leftovers ----------------------------------------------------------------------- */

static void
file_touch(const char *directory, const char *name)
{
	char path[400];

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	int fd = open(path, O_CREAT | O_WRONLY, 0600);
	assert_true(fd >= 0);
	close(fd);
}

/* The directory vanishes: it is made again for the next file. Its parent vanishes: that is an
 * error, until the parent is back. */
static void
test_directory_vanishes(void **state)
{
	struct fixture *f = *state;
	struct swap *s = swap_start(f);
	char away[80];
	struct swap_fault fault;
	unsigned file;

	assert_int_equal(balance(s), SWAP_BALANCE_CREATED);
	struct swap_slot slot = reserve(s);
	directory_remove(f->path);
	for (unsigned i = 1; i < FILE_SLOTS; i++)
		(void)reserve(s);
	assert_int_equal(balance(s), SWAP_BALANCE_CREATED);
	assert_int_equal(directory_count(f->path, ""), 2);
	/* The first file's slots are still valid. */
	swap_commit(s, slot);
	directory_remove(f->path);
	snprintf(away, sizeof(away), "%s-away", f->base);
	assert_int_equal(rename(f->base, away), 0);
	for (unsigned i = 0; i < FILE_SLOTS; i++)
		(void)reserve(s);
	assert_int_equal(swap_balance(s, &file, &fault), SWAP_BALANCE_FAILED);
	assert_int_equal(fault.error, -ENOENT);
	assert_string_equal(fault.where, f->path);
	assert_int_equal(rename(away, f->base), 0);
	assert_int_equal(balance(s), SWAP_BALANCE_IDLE);
	fake_now_ns += 5000000000u;
	assert_int_equal(balance(s), SWAP_BALANCE_CREATED);
	assert_int_equal(directory_count(f->path, ""), 2);
	assert_swap_valid(s);
	swap_destroy(s);
	assert_int_equal(directory_count(f->path, ""), 0);
}

/* A file that could not be removed is in the way of the next one with its number. */
static void
test_name_taken(void **state)
{
	struct fixture *f = *state;
	struct swap *s = swap_start(f);
	char name[300] = "";

	assert_int_equal(balance(s), SWAP_BALANCE_CREATED);
	DIR *stream = opendir(f->path);
	for (struct dirent *d; (d = readdir(stream)) != NULL;)
		if (strstr(d->d_name, ".0"))
			snprintf(
			    name, sizeof(name), "%.*s.1", (int)(strlen(d->d_name) - 2), d->d_name);
	closedir(stream);
	assert_true(name[0] != '\0');
	file_touch(f->path, name);
	for (unsigned i = 0; i < FILE_SLOTS; i++)
		(void)reserve(s);
	assert_int_equal(balance(s), SWAP_BALANCE_CREATED);
	assert_int_equal(directory_count(f->path, ""), 3);
	swap_destroy(s);
	assert_int_equal(directory_count(f->path, ""), 0);
}

/* A daemon with two files, which waits to be killed. => its pid, when the files are there. */
static pid_t
daemon_fork(struct fixture *f)
{
	int ready[2];
	char byte;

	assert_int_equal(pipe(ready), 0);
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		struct swap *s = NULL;
		struct swap_slot slot;

		if (swap_create(&f->config, &s, NULL) != 0 || balance(s) != SWAP_BALANCE_CREATED)
			_exit(1);
		while (swap_reserve(s, &slot) == 0)
			;
		if (balance(s) != SWAP_BALANCE_CREATED || write(ready[1], "r", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return child;
}

static void
test_leftovers(void **state)
{
	struct fixture *f = *state;
	pid_t child = daemon_fork(f);

	assert_int_equal(directory_count(f->path, ""), 3);
	file_touch(f->path, "pagerd-swap-ab-cd.notes");
	file_touch(f->path, "pagerd-swap-.1");
	file_touch(f->path, "pagerd-swap-xyz.1");
	file_touch(f->path, "something");
	file_touch(f->path, "pagerd-swap-ab-cd.12"); /* without a lock file it has no owner */

	/* The owner lives: its files stay. */
	struct swap *s = swap_start(f);
	assert_int_equal(directory_count(f->path, ""), 3 + 4 + 1);
	assert_int_equal(balance(s), SWAP_BALANCE_CREATED);
	/* The files of a second swap in the same process stay too. */
	struct swap *second = swap_start(f);
	assert_int_equal(directory_count(f->path, ""), 3 + 4 + 2 + 1);
	swap_destroy(second);
	swap_destroy(s);
	assert_int_equal(directory_count(f->path, ""), 3 + 4);

	kill(child, SIGKILL);
	assert_int_equal(waitpid(child, NULL, 0), child);
	assert_int_equal(directory_count(f->path, ""), 3 + 4);
	s = swap_start(f);
	assert_int_equal(directory_count(f->path, ""), 1 + 4);
	swap_destroy(s);
	assert_int_equal(directory_count(f->path, ""), 4);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_balance_scripts, setup, teardown),
		cmocka_unit_test_setup_teardown(test_smaller_files, setup, teardown),
		cmocka_unit_test_setup_teardown(test_leftovers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_directory_vanishes, setup, teardown),
		cmocka_unit_test_setup_teardown(test_name_taken, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
