/* SPDX-License-Identifier: MIT
 *
 * A key is a command of the page that is shown, or a letter of the answer to a question. What is
 * done to a client is asked about twice: what exactly, and whether the user is sure; and it is done
 * to the session that was chosen at first, wherever its row has gone meanwhile.
 */
#include "top_keys.h"

#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bands.h"
#include "size.h"

/* What a command may use. row: the chosen one; NULL: there is none. */
struct command_context {
	struct top_ui *ui;
	const struct top_row *row;
};

static void __attribute__((format(printf, 2, 3))) say(struct top_ui *ui, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(ui->message, sizeof(ui->message), fmt, args);
	va_end(args);
}

static enum top_do
ask(struct top_ui *ui, enum top_question question, const char *answer)
{
	ui->question = question;
	snprintf(ui->input, sizeof(ui->input), "%s", answer);
	return TOP_DO_DRAW;
}

/* --- actions --- */

void
top_action_text(const struct top_action *action, char *ret, size_t size)
{
	char who[128], bytes[32];
	const char *abbreviation = sigabbrev_np(action->signal);

	snprintf(who, sizeof(who), "process %" PRIu32 " (%s)", action->pid, action->name);
	switch (action->act) {
	case TOP_ACT_LIMIT:
		if (action->bytes == 0)
			snprintf(ret, size, "lift the limit of %s", who);
		else
			snprintf(ret, size, "limit %s to %s of resident memory", who,
			    size_format(action->bytes, bytes, sizeof(bytes)));
		break;
	case TOP_ACT_BAND:
		if (action->band == PAGER_WIRE_BAND_NONE)
			snprintf(ret, size, "take the band of %s away", who);
		else
			snprintf(ret, size, "put %s into band %" PRId32 " (%s)", who, action->band,
			    band_text(action->band));
		break;
	case TOP_ACT_FREEZE:
		snprintf(ret, size, "freeze %s", who);
		break;
	case TOP_ACT_THAW:
		snprintf(ret, size, "thaw %s", who);
		break;
	case TOP_ACT_KILL:
		snprintf(ret, size, "send signal %d (%s) to %s", action->signal,
		    abbreviation ? abbreviation : "?", who);
		break;
	}
}

/* Notes down which client the user means. => false, with a message: the row is no client */
static bool
act_on(const struct command_context *c, enum top_act act)
{
	if (!c->row || c->row->is_group) {
		say(c->ui, "choose a client first");
		return false;
	}
	c->ui->action = (struct top_action){
		.act = act,
		.session = c->row->session,
		.pid = c->row->pid,
		.uid = c->row->uid,
	};
	memcpy(c->ui->action.name, c->row->name, sizeof(c->ui->action.name));
	return true;
}

static enum top_do
are_you_sure(struct top_ui *ui)
{
	return ask(ui, TOP_ASK_SURE, "");
}

static enum top_do
key_limit(const struct command_context *c)
{
	return act_on(c, TOP_ACT_LIMIT) ? ask(c->ui, TOP_ASK_LIMIT, "") : TOP_DO_DRAW;
}

static enum top_do
key_band(const struct command_context *c)
{
	return act_on(c, TOP_ACT_BAND) ? ask(c->ui, TOP_ASK_BAND, "") : TOP_DO_DRAW;
}

static enum top_do
key_freeze(const struct command_context *c)
{
	return act_on(c, TOP_ACT_FREEZE) ? are_you_sure(c->ui) : TOP_DO_DRAW;
}

static enum top_do
key_thaw(const struct command_context *c)
{
	return act_on(c, TOP_ACT_THAW) ? are_you_sure(c->ui) : TOP_DO_DRAW;
}

static enum top_do
key_kill(const struct command_context *c)
{
	return act_on(c, TOP_ACT_KILL) ? ask(c->ui, TOP_ASK_SIGNAL, "TERM") : TOP_DO_DRAW;
}

/* --- what is shown --- */

static enum top_do
key_sort(const struct command_context *c)
{
	return ask(c->ui, TOP_ASK_SORT, "");
}

static enum top_do
sort_by(struct top_ui *ui, unsigned column)
{
	ui->view.sort = (enum top_column)column;
	return TOP_DO_ROWS;
}

static enum top_do
key_sort_left(const struct command_context *c)
{
	return sort_by(c->ui, (c->ui->view.sort + TOP_COLUMNS - 1) % TOP_COLUMNS);
}

static enum top_do
key_sort_right(const struct command_context *c)
{
	return sort_by(c->ui, (c->ui->view.sort + 1) % TOP_COLUMNS);
}

static enum top_do
key_reverse(const struct command_context *c)
{
	c->ui->view.is_reversed = !c->ui->view.is_reversed;
	return TOP_DO_ROWS;
}

static enum top_do
key_tree(const struct command_context *c)
{
	c->ui->view.is_tree = !c->ui->view.is_tree;
	return TOP_DO_ROWS;
}

static enum top_do
key_filter(const struct command_context *c)
{
	return ask(c->ui, TOP_ASK_FILTER, c->ui->view.filter);
}

static enum top_do
key_interval(const struct command_context *c)
{
	return ask(c->ui, TOP_ASK_INTERVAL, "");
}

static enum top_do
key_now(const struct command_context *c)
{
	(void)c;
	return TOP_DO_SAMPLE;
}

static enum top_do
key_regions(const struct command_context *c)
{
	if (!c->row || c->row->is_group) {
		say(c->ui, "choose a client first");
		return TOP_DO_DRAW;
	}
	c->ui->shown = c->row->session;
	c->ui->first_region = 0;
	c->ui->page = TOP_REGIONS;
	return TOP_DO_REGIONS;
}

static enum top_do
key_help(const struct command_context *c)
{
	c->ui->page = TOP_HELP;
	return TOP_DO_DRAW;
}

static enum top_do
key_quit(const struct command_context *c)
{
	(void)c;
	return TOP_DO_QUIT;
}

/* The commands of the list, and those that the regions of a client take, too. */
static const struct {
	int key;
	bool has_regions;
	const char *name, *text;
	enum top_do (*run)(const struct command_context *c);
} commands[] = {
	{ TOP_KEY_ENTER, false, "Enter", "the client's regions", key_regions },
	{ 's', false, "s", "sort by a column, by name", key_sort },
	{ '<', false, "<", "sort by the column to the left", key_sort_left },
	{ '>', false, ">", "sort by the column to the right", key_sort_right },
	{ 'r', false, "r", "the other way round", key_reverse },
	{ '/', false, "/",
	    "show only what has this text in name, user, run or state, or this process id",
	    key_filter },
	{ 't', false, "t", "the tree: users, runs, and processes below their parents", key_tree },
	{ 'l', true, "l", "limit the client's resident memory", key_limit },
	{ 'p', true, "p", "give it a jetsam band (priority)", key_band },
	{ 'f', true, "f", "freeze it", key_freeze },
	{ 'u', true, "u", "thaw it", key_thaw },
	{ 'k', true, "k", "send it a signal", key_kill },
	{ 'd', true, "d", "the time between two pictures", key_interval },
	{ ' ', true, "Space", "a new picture now", key_now },
	{ 'h', true, "h", "this help", key_help },
	{ '?', true, NULL, NULL, key_help },
	{ 'q', true, "q", "back, or the end", key_quit },
};
#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

bool
top_keys_help(size_t i, const char **ret_key, const char **ret_text)
{
	for (size_t k = 0; k < COMMANDS; k++) {
		if (!commands[k].name || i-- > 0)
			continue;
		*ret_key = commands[k].name;
		*ret_text = commands[k].text;
		return true;
	}
	return false;
}

/* --- answers --- */

/* => a signal's number; 0: there is no such signal */
static int
signal_parse(const char *text)
{
	uint64_t number;

	if (strncasecmp(text, "SIG", 3) == 0)
		text += 3;
	for (int i = 1; i < NSIG; i++) {
		const char *name = sigabbrev_np(i);

		if (name && strcasecmp(name, text) == 0)
			return i;
	}
	return out_parse_number(text, 1, NSIG - 1, &number) == 0 ? (int)number : 0;
}

/* What the answer means. => false, with a message: it means nothing, and is asked for again */
static bool
answer_take(struct top_ui *ui)
{
	const char *answer = ui->input;
	enum top_column column;
	double seconds;
	char *end;

	switch (ui->question) {
	case TOP_ASK_FILTER:
		memcpy(ui->view.filter, answer, sizeof(ui->view.filter));
		return true;
	case TOP_ASK_SORT:
		column = top_column_find(answer);
		if (column == TOP_COLUMNS)
			say(ui, "no column \"%s\"; the help (h) has their names", answer);
		else
			ui->view.sort = column;
		return column != TOP_COLUMNS;
	case TOP_ASK_INTERVAL:
		seconds = strtod(answer, &end);
		if (end == answer || *end != '\0' || !(seconds >= 0.1 && seconds <= 1e6)) {
			say(ui, "\"%s\" is no number of seconds from 0.1 on", answer);
			return false;
		}
		ui->interval = seconds;
		return true;
	case TOP_ASK_LIMIT:
		ui->action.bytes = 0;
		if (strcmp(answer, "none") == 0 ||
		    (size_parse(answer, &ui->action.bytes) == 0 && ui->action.bytes > 0))
			return true;
		say(ui, "\"%s\" is not a size; say 64M or 2G, for example, or none", answer);
		return false;
	case TOP_ASK_BAND:
		ui->action.band = PAGER_WIRE_BAND_NONE;
		if (strcmp(answer, "none") == 0 || band_parse(answer, &ui->action.band) == 0)
			return true;
		say(ui, "\"%s\" is no band; say idle or foreground, for example, a number, or none",
		    answer);
		return false;
	case TOP_ASK_SIGNAL:
		ui->action.signal = signal_parse(answer);
		if (ui->action.signal == 0)
			say(ui, "\"%s\" is no signal; say TERM, KILL or a number", answer);
		return ui->action.signal != 0;
	default:
		return true;
	}
}

/* The user has ended the answer. */
static enum top_do
answer_end(struct top_ui *ui)
{
	enum top_question question = ui->question;

	if (!answer_take(ui))
		return TOP_DO_DRAW;
	ui->question = TOP_ASK_NOTHING;
	switch (question) {
	case TOP_ASK_FILTER:
	case TOP_ASK_SORT:
		return TOP_DO_ROWS;
	case TOP_ASK_INTERVAL:
		return TOP_DO_SAMPLE;
	default:
		return are_you_sure(ui);
	}
}

static enum top_do
question_key(struct top_ui *ui, int key)
{
	size_t length = strlen(ui->input);

	if (ui->question == TOP_ASK_SURE) {
		ui->question = TOP_ASK_NOTHING;
		if (key == 'y' || key == 'Y')
			return TOP_DO_ACT;
		say(ui, "nothing was done");
		return TOP_DO_DRAW;
	}
	if (key == TOP_KEY_ESCAPE) {
		ui->question = TOP_ASK_NOTHING;
		return TOP_DO_DRAW;
	}
	if (key == TOP_KEY_ENTER)
		return answer_end(ui);
	if (key == TOP_KEY_BACKSPACE && length > 0) {
		/* All bytes of the last character. */
		while (--length > 0 && ((unsigned char)ui->input[length] & 0xc0) == 0x80)
			continue;
		ui->input[length] = '\0';
	} else if (key >= ' ' && key < 0x100 && key != 0x7f && length + 1 < sizeof(ui->input)) {
		ui->input[length] = (char)key;
		ui->input[length + 1] = '\0';
	}
	return TOP_DO_DRAW;
}

/* --- moving --- */

/* => whether the key moves; *at is then where to, within count */
static bool
move(int key, size_t count, size_t page, size_t *at)
{
	size_t last = count > 0 ? count - 1 : 0;

	switch (key) {
	case TOP_KEY_UP:
		*at -= *at > 0;
		break;
	case TOP_KEY_DOWN:
		*at += 1;
		break;
	case TOP_KEY_PAGE_UP:
		*at -= *at > page ? page : *at;
		break;
	case TOP_KEY_PAGE_DOWN:
		*at += page;
		break;
	case TOP_KEY_HOME:
		*at = 0;
		break;
	case TOP_KEY_END:
		*at = last;
		break;
	default:
		return false;
	}
	*at = *at < last ? *at : last;
	return true;
}

/* The chosen row is drawn. */
static void
scroll(struct top_ui *ui, size_t count, size_t rows_shown)
{
	if (ui->selected < ui->first)
		ui->first = ui->selected;
	if (rows_shown > 0 && ui->selected >= ui->first + rows_shown)
		ui->first = ui->selected - rows_shown + 1;
	if (ui->first + rows_shown > count)
		ui->first = count > rows_shown ? count - rows_shown : 0;
}

static void
choose(struct top_ui *ui, const struct top_row *rows, size_t count, size_t rows_shown)
{
	if (count > 0) {
		ui->is_group = rows[ui->selected].is_group;
		ui->session = rows[ui->selected].session;
	}
	scroll(ui, count, rows_shown);
}

void
top_ui_follow(struct top_ui *ui, const struct top_row *rows, size_t count, size_t rows_shown)
{
	size_t i = 0;

	while (i < count && (rows[i].session != ui->session || rows[i].is_group != ui->is_group))
		i++;
	if (i < count)
		ui->selected = i;
	else if (ui->selected >= count)
		ui->selected = count > 0 ? count - 1 : 0;
	choose(ui, rows, count, rows_shown);
}

/* How many places there are for the first region that is drawn. */
static size_t
region_places(size_t region_count, size_t rows_shown)
{
	return region_count > rows_shown ? region_count - rows_shown + 1 : 1;
}

void
top_ui_regions(struct top_ui *ui, size_t region_count, size_t rows_shown)
{
	size_t places = region_places(region_count, rows_shown);

	if (ui->first_region >= places)
		ui->first_region = places - 1;
}

enum top_do
top_ui_key(struct top_ui *ui, int key, const struct top_row *rows, size_t count, size_t rows_shown,
    size_t region_count)
{
	struct command_context c = { ui, count > 0 ? &rows[ui->selected] : NULL };

	/* Of the client whose regions are shown, even if it is not in the list any more. */
	if (ui->shown && c.row && (c.row->is_group || c.row->session != ui->shown))
		c.row = NULL;
	if (key == TOP_KEY_OTHER)
		return TOP_DO_DRAW;
	if (key == TOP_KEY_GONE)
		return TOP_DO_QUIT;
	ui->message[0] = '\0';
	if (ui->question != TOP_ASK_NOTHING)
		return question_key(ui, key);
	if (ui->page == TOP_HELP ||
	    (ui->page == TOP_REGIONS && (key == 'q' || key == TOP_KEY_ESCAPE))) {
		ui->page = ui->page == TOP_HELP && ui->shown ? TOP_REGIONS : TOP_LIST;
		if (ui->page == TOP_LIST)
			ui->shown = 0;
		return TOP_DO_DRAW;
	}
	if (ui->page == TOP_REGIONS) {
		if (move(key, region_places(region_count, rows_shown), rows_shown,
			&ui->first_region))
			return TOP_DO_DRAW;
	} else if (move(key, count, rows_shown, &ui->selected)) {
		choose(ui, rows, count, rows_shown);
		return TOP_DO_DRAW;
	}
	for (size_t i = 0; i < COMMANDS; i++)
		if (commands[i].key == key && (ui->page == TOP_LIST || commands[i].has_regions))
			return commands[i].run(&c);
	return TOP_DO_DRAW;
}

/* --- the last line --- */

void
top_ui_line(const struct top_ui *ui, char *ret, size_t size)
{
	static const char *const questions[] = {
		[TOP_ASK_FILTER] = "show only (empty: all)",
		[TOP_ASK_SORT] = "sort by",
		[TOP_ASK_INTERVAL] = "seconds between two pictures",
		[TOP_ASK_LIMIT] = "limit on resident memory (a size, or none)",
		[TOP_ASK_BAND] = "band (a name, a number, or none)",
		[TOP_ASK_SIGNAL] = "signal",
	};
	char action[200];

	if (ui->question == TOP_ASK_SURE) {
		top_action_text(&ui->action, action, sizeof(action));
		snprintf(ret, size, "%s? (y/n)", action);
	} else if (ui->message[0] != '\0') {
		snprintf(ret, size, "%s", ui->message);
	} else if (ui->question != TOP_ASK_NOTHING) {
		snprintf(ret, size, "%s: %s", questions[ui->question], ui->input);
	} else if (ui->page == TOP_REGIONS) {
		snprintf(
		    ret, size, "q back  l limit  p priority  f freeze  u thaw  k kill  h help");
	} else if (ui->page == TOP_HELP) {
		snprintf(ret, size, "any key: back");
	} else {
		snprintf(ret, size,
		    "h help  s sort  / filter  t tree  Enter regions  l,p,f,u,k act  q quit");
	}
}
