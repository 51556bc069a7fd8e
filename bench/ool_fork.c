/* SPDX-License-Identifier: MIT
 *
 * The life of memory that a forked child inherits, as `pagerbench ool` shows it.
 */
#include "ool_fork.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define LIFE_PAGES 16u

enum life_step { ALLOCATED, WRITTEN, FORKED, CHILD_WROTE, PARENT_WROTE, CHILD_EXITED, LIFE_STEPS };
static const char *const step_names[] = { "allocated", "written", "forked", "child wrote",
	"parent wrote", "child exited" };

/* After a step. */
struct life {
	int64_t frames; /* that hold clients' pages */
	struct side parent, child;
};

/* What the child is told to do, and answers. */
struct answer {
	uint32_t wrong; /* words that are not what it must see */
	struct side side;
};

/* What the parent has written, the child has, and the parent has then. */
static uint64_t
word_at(enum life_step writer, uint64_t index)
{
	return word_of(index) + (uint64_t)writer;
}

static void
words_write(uint64_t *words, size_t count, enum life_step writer)
{
	for (size_t i = 0; i < count; i++)
		words[i] = word_at(writer, i);
}

static uint32_t
words_wrong(const uint64_t *words, size_t count, enum life_step writer)
{
	uint32_t wrong = 0;

	for (size_t i = 0; i < count; i++)
		wrong += words[i] != word_at(writer, i);
	return wrong;
}

/* It touches the memory only when it is to write. */
static void
child_main(struct pager *p, uint64_t *words, size_t count, int socket)
{
	unsigned char step;

	while (read(socket, &step, 1) == 1) {
		struct answer answer = { 0 };

		if (step == CHILD_WROTE) {
			answer.wrong = words_wrong(words, count, WRITTEN);
			words_write(words, count, CHILD_WROTE);
		} else if (step == PARENT_WROTE) {
			answer.wrong = words_wrong(words, count, CHILD_WROTE);
		}
		if (!side_look(p, words, &answer.side) ||
		    write(socket, &answer, sizeof(answer)) != sizeof(answer))
			_exit(EXIT_FAILURE);
	}
	_exit(EXIT_SUCCESS);
}

/* => whether all was as it must be; the child's end is closed */
static bool
child_do(int socket, enum life_step step, struct side *ret)
{
	unsigned char byte = (unsigned char)step;
	struct answer answer;

	if (write(socket, &byte, 1) != 1 ||
	    read(socket, &answer, sizeof(answer)) != sizeof(answer) || answer.wrong > 0)
		return false;
	*ret = answer.side;
	return true;
}

/* The steps with a child. */
static bool
life_with_child(struct ool *t, uint64_t *words, size_t count, struct life *lives)
{
	int pair[2], status = 1;
	bool good;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return false;
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(pair[0]);
		child_main(t->pager, words, count, pair[1]);
	}
	close(pair[1]);
	good = pid > 0;
	for (enum life_step step = FORKED; good && step < CHILD_EXITED; step++) {
		if (step == PARENT_WROTE)
			words_write(words, count, PARENT_WROTE);
		good =
		    child_do(pair[0], step, &lives[step].child) &&
		    side_look(t->pager, words, &lives[step].parent) &&
		    frames_look(t, &lives[step].frames) &&
		    words_wrong(words, count, step == PARENT_WROTE ? PARENT_WROTE : WRITTEN) == 0;
	}
	close(pair[0]);
	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0 && good;
}

/* Its session ends by and by. */
static bool
child_forgotten(struct ool *t)
{
	int sessions = statread_find(&t->stats, "sessions");

	for (unsigned tries = 0; sessions >= 0 && tries < 1000; tries++) {
		if (statread_refresh(&t->chan) != 0)
			return false;
		while (statread_snapshot(&t->stats, t->values) != 0)
			continue;
		/* This process's and the receiver's. */
		if (t->values[sessions] <= 2)
			return true;
		usleep(10000);
	}
	return false;
}

static bool
life_run(struct ool *t, struct life *lives)
{
	uint64_t bytes = LIFE_PAGES * t->page_bytes, *words;
	size_t count = bytes / sizeof(*words);
	void *memory;
	bool good;

	if (pager_allocate(t->pager, bytes, PAGER_ALLOC_SHAREABLE, &memory) != 0)
		return false;
	words = memory;
	good = side_look(t->pager, words, &lives[ALLOCATED].parent) &&
	       frames_look(t, &lives[ALLOCATED].frames);
	words_write(words, count, WRITTEN);
	good = good && side_look(t->pager, words, &lives[WRITTEN].parent) &&
	       frames_look(t, &lives[WRITTEN].frames) && life_with_child(t, words, count, lives) &&
	       child_forgotten(t) && side_look(t->pager, words, &lives[CHILD_EXITED].parent) &&
	       frames_look(t, &lives[CHILD_EXITED].frames) &&
	       words_wrong(words, count, PARENT_WROTE) == 0;
	return pager_deallocate(t->pager, words, bytes) == 0 && good;
}

/* Whether a step has copied: content is there twice that was there once. */
static bool
is_copied(const struct life *lives, enum life_step step)
{
	return step >= FORKED && lives[step].frames > lives[step - 1].frames;
}

static void
life_print(const struct life *lives, enum life_step step, uint64_t page_bytes)
{
	printf("fork: %-12s copied %-3s frames %" PRId64 ", %+" PRId64 "\n", step_names[step],
	    is_copied(lives, step) ? "yes" : "no", lives[step].frames,
	    step > ALLOCATED ? lives[step].frames - lives[step - 1].frames : 0);
	side_print("parent", &lives[step].parent, page_bytes);
	side_print("child", &lives[step].child, page_bytes);
}

static struct json_object *
life_json(const struct life *lives, enum life_step step)
{
	struct json_object *object = json_object_new_object();

	json_object_object_add(object, "step", json_object_new_string(step_names[step]));
	json_object_object_add(object, "copied", json_object_new_boolean(is_copied(lives, step)));
	json_object_object_add(object, "frames_before",
	    json_object_new_int64(lives[step > ALLOCATED ? step - 1 : step].frames));
	json_object_object_add(object, "frames", json_object_new_int64(lives[step].frames));
	json_object_object_add(object, "parent", side_json(&lives[step].parent));
	json_object_object_add(object, "child", side_json(&lives[step].child));
	return object;
}

bool
ool_fork(struct ool *t, struct json_object *array)
{
	struct life lives[LIFE_STEPS] = { 0 };

	if (!life_run(t, lives))
		return false;
	for (enum life_step step = ALLOCATED; step < LIFE_STEPS; step++)
		if (array)
			json_object_array_add(array, life_json(lives, step));
		else
			life_print(lives, step, t->page_bytes);
	return true;
}
