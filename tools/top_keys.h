/* SPDX-License-Identifier: MIT
 *
 * pagerctl top, what keys do: what is shown and chosen, questions, and what the user wants done to
 * a client. It knows no terminal and no daemon.
 */
#ifndef TOP_KEYS_H
#define TOP_KEYS_H

#include "top_model.h"

/* Characters stand for themselves. */
enum top_key {
	TOP_KEY_ENTER = '\n',
	TOP_KEY_ESCAPE = 27,
	TOP_KEY_UP = 0x1000,
	TOP_KEY_DOWN,
	TOP_KEY_PAGE_UP,
	TOP_KEY_PAGE_DOWN,
	TOP_KEY_HOME,
	TOP_KEY_END,
	TOP_KEY_BACKSPACE,
	TOP_KEY_OTHER,
	TOP_KEY_GONE /* the terminal is gone: no key will come */
};

enum top_page { TOP_LIST, TOP_REGIONS, TOP_HELP };
/* What is asked for on the last line. */
enum top_question {
	TOP_ASK_NOTHING,
	TOP_ASK_FILTER,
	TOP_ASK_SORT,
	TOP_ASK_INTERVAL,
	TOP_ASK_LIMIT,
	TOP_ASK_BAND,
	TOP_ASK_SIGNAL,
	TOP_ASK_SURE /* y or n */
};

enum top_act { TOP_ACT_LIMIT, TOP_ACT_BAND, TOP_ACT_FREEZE, TOP_ACT_THAW, TOP_ACT_KILL };
struct top_action {
	enum top_act act;
	uint64_t session; /* of the process's sessions, the one that was chosen */
	uint32_t pid, uid;
	char name[sizeof(((struct top_row *)0)->name)];
	uint64_t bytes; /* of LIMIT; 0: none */
	int32_t band;   /* of BAND; PAGER_WIRE_BAND_NONE: none */
	int signal;     /* of KILL */
};

struct top_ui {
	struct top_view view;
	double interval; /* seconds */
	enum top_page page;
	enum top_question question;
	char input[sizeof(((struct top_view *)0)->filter)]; /* the answer as far as it was typed */
	size_t selected;                                    /* the chosen row */
	bool is_group;                                      /* which is that of a user or a run: */
	uint64_t session;                                   /* its session, uid or TOP_RUN */
	size_t first;                                       /* the row that is drawn first */
	uint64_t shown; /* the session whose regions are shown */
	size_t first_region;
	struct top_action action; /* what is asked about, or is to be done */
	char message[256];        /* instead of the keys, until the next key; "": none */
};

/* What is to be done after a key. */
enum top_do {
	TOP_DO_DRAW,    /* nothing but to draw */
	TOP_DO_ROWS,    /* make the rows anew */
	TOP_DO_SAMPLE,  /* take a new sample now */
	TOP_DO_REGIONS, /* get the regions of `shown` */
	TOP_DO_ACT,     /* `action` */
	TOP_DO_QUIT
};

/* The commands, for the help: a name of the key and a text. => false: there are no more */
bool top_keys_help(size_t i, const char **ret_key, const char **ret_text);

/* rows_shown: how many rows, or regions, the screen has place for. region_count: of `shown`. */
enum top_do top_ui_key(struct top_ui *ui, int key, const struct top_row *rows, size_t count,
    size_t rows_shown, size_t region_count);
/* Rows have been made anew: the chosen client stays chosen where it is now. */
void top_ui_follow(struct top_ui *ui, const struct top_row *rows, size_t count, size_t rows_shown);
/* So many regions are shown now: the first one that is drawn is one of them. */
void top_ui_regions(struct top_ui *ui, size_t region_count, size_t rows_shown);
/* The last line: the question with the answer so far, or a message, or what keys there are. */
void top_ui_line(const struct top_ui *ui, char *ret, size_t size);
/* Says what an action is, as in "limit process 12 (sort) to 64M". */
void top_action_text(const struct top_action *action, char *ret, size_t size);

#endif
