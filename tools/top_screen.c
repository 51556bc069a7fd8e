/* SPDX-License-Identifier: MIT
 *
 * Every line is cut to the width of the terminal, and lines for which there is no place are left
 * out, so that any size will do. What colours say is also said by letters and by words.
 */
#include "top_screen.h"

#include <errno.h>
#include <inttypes.h>
#include <locale.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <curses.h>

#include "bands.h"
#include "region_text.h"
#include "top_text.h"

/* From this many lines on the levels are shown above the list. */
#define LINES_WITH_HEAD 14
#define HEAD_LINES      (2 + TOP_HEAD_LINES)
#define REGIONS_LINES   4  /* above the regions */
#define ESCAPE_MS       25 /* a key that begins with ESC has come whole by then */

static SCREEN *screen;
static bool is_coloured;

int
top_screen_open(void)
{
	static const short colours[TOP_QUEUE_COUNT] = { COLOR_GREEN, COLOR_CYAN, COLOR_BLUE,
		COLOR_YELLOW, COLOR_RED, COLOR_MAGENTA, -1 };
	const char *no_color = getenv("NO_COLOR");

	setlocale(LC_CTYPE, "");
	screen = newterm(NULL, stdout, stdin);
	if (!screen)
		return -ENOTTY;
	cbreak();
	noecho();
	nonl();
	keypad(stdscr, TRUE);
	set_escdelay(ESCAPE_MS);
	curs_set(0);
	is_coloured = (!no_color || no_color[0] == '\0') && has_colors() && start_color() == OK &&
		      use_default_colors() == OK;
	for (short i = 0; is_coloured && i < TOP_QUEUE_COUNT; i++)
		init_pair((short)(i + 1), colours[i], -1);
	return 0;
}

void
top_screen_close(void)
{
	endwin();
	delscreen(screen);
	screen = NULL;
}

/* --- lines --- */

static size_t
width(void)
{
	return COLS > 0 ? (size_t)COLS : 0;
}

/* Where a character is a byte, curses would draw several for each byte of others. */
static char *
ascii_only(char *text)
{
	for (char *c = text; *c; c++)
		if ((unsigned char)*c >= 0x80)
			*c = '?';
	return text;
}

/* Draws a text from the left, if the line exists. The last place of the last line stays empty:
 * some terminals scroll when it is filled. */
static void
line(int y, attr_t attributes, char *text)
{
	if (y < 0 || y >= LINES)
		return;
	top_text_cut(
	    MB_CUR_MAX > 1 ? text : ascii_only(text), width() - (y == LINES - 1 && COLS > 0));
	attrset(attributes);
	mvaddstr(y, 0, text);
	/* A row that is chosen, or the titles, go on to the right edge. */
	for (int x = getcurx(stdscr); (attributes & A_REVERSE) && getcury(stdscr) == y && x < COLS;
	     x++)
		addch(' ');
	attrset(A_NORMAL);
}

static void
draw_bar(const struct top_picture *p, int y)
{
	char n[OUT_NUMBER], bar[TOP_LINE], text[TOP_LINE];
	size_t begin, length;

	snprintf(text, sizeof(text), "memory %s [",
	    p->levels->total < 0 ? "-" : out_bytes(p->ctl, (uint64_t)p->levels->total, n));
	begin = strlen(text);
	line(y, A_NORMAL, text);
	if (width() < begin + 2 || y >= LINES)
		return;
	length = width() - begin - 1;
	length = length < sizeof(bar) - 1 ? length : sizeof(bar) - 1;
	top_bar(p->levels, length, bar);
	for (size_t i = 0; i < length; i++) {
		short pair = 1;

		while (pair < TOP_QUEUE_COUNT && top_queues[pair - 1].letter != bar[i])
			pair++;
		attrset(is_coloured ? COLOR_PAIR(pair) : A_NORMAL);
		addch((unsigned char)bar[i]);
	}
	attrset(A_NORMAL);
	addch(']');
}

static bool
has_head(void)
{
	return LINES >= LINES_WITH_HEAD;
}

static void
draw_list(const struct top_picture *p)
{
	char text[TOP_LINE];
	int y = 0;

	top_text_daemon(p->levels, p->ctl->hello.daemon_pid, p->client_count, text);
	if (p->ui->view.filter[0] != '\0')
		snprintf(text + strlen(text), sizeof(text) - strlen(text), "; only \"%s\"",
		    p->ui->view.filter);
	line(y++, A_BOLD, text);
	if (has_head()) {
		draw_bar(p, y++);
		for (unsigned i = 0; i < TOP_HEAD_LINES; i++)
			line(y++, A_NORMAL, top_text_head(p->ctl, p->levels, i, text));
	}
	line(y++, A_REVERSE, top_text_titles(width(), p->ui->view.sort, text));
	for (size_t i = p->ui->first; i < p->row_count && y < LINES - 1; i++)
		line(y++,
		    i == p->ui->selected  ? A_REVERSE
		    : p->rows[i].is_group ? A_BOLD
					  : A_NORMAL,
		    top_text_row(p->ctl, &p->rows[i], width(), text));
}

/* --- the regions of a client --- */

static void
draw_region(const struct top_picture *p, const struct pager_wire_region *r, int y)
{
	uint64_t page = p->ctl->hello.page_size;
	char text[TOP_LINE], n[6][OUT_NUMBER], tag[OUT_NUMBER], protection[4];

	snprintf(text, sizeof(text), "%-13.13s %012" PRIx64 " %6s %6s %6s %6s %6s %6s %3s %3s %s%s",
	    region_tag(r->tag, tag), r->address, out_bytes(p->ctl, r->size, n[0]),
	    out_bytes(p->ctl, r->pages_resident * page, n[1]),
	    out_bytes(p->ctl, r->pages_dirty * page, n[2]),
	    out_bytes(p->ctl, r->pages_compressed * page, n[3]),
	    out_bytes(p->ctl, r->pages_swapped * page, n[4]),
	    out_bytes(p->ctl, r->pages_wired * page, n[5]),
	    region_protection(r->protection, protection), region_share_mode(r->share_mode),
	    r->is_device        ? "device"
	    : r->external_pager ? "external"
				: "",
	    r->depth > 0 ? " in a submap" : "");
	line(y, A_NORMAL, text);
}

static const struct top_row *
row_shown(const struct top_picture *p)
{
	for (size_t i = 0; i < p->row_count; i++)
		if (!p->rows[i].is_group && p->rows[i].session == p->ui->shown)
			return &p->rows[i];
	return NULL;
}

static void
draw_client(const struct top_picture *p, const struct top_row *row)
{
	char text[TOP_LINE], n[8][OUT_NUMBER];

	snprintf(text, sizeof(text),
	    "process %" PRIu32 " (%s), session s%" PRIu64 ", user %s, %s, band %s", row->pid,
	    row->name, row->session, row->user, row->state,
	    row->band < 0 ? "-" : band_text(row->band));
	line(0, A_BOLD, text);
	snprintf(text, sizeof(text),
	    "footprint %s, most %s  resident %s  stored %s, on disk %s  limit %s",
	    out_bytes(p->ctl, row->footprint, n[0]), out_bytes(p->ctl, row->peak, n[1]),
	    out_bytes(p->ctl, row->resident, n[2]), out_bytes(p->ctl, row->compressed, n[3]),
	    row->has_swapped ? out_bytes(p->ctl, row->swapped, n[4]) : "-",
	    row->limit ? out_bytes(p->ctl, row->limit, n[5]) : "-");
	line(1, A_NORMAL, text);
	snprintf(text, sizeof(text),
	    "faults %s/s, refills %s/s; stalls: fill %s %%, swap %s %%, frame %s %%, limit %s %%",
	    top_text_number(row->faults, n[0]), top_text_number(row->refills, n[1]),
	    top_text_number(row->by[TOP_STALL_FILL], n[2]),
	    top_text_number(row->by[TOP_STALL_SWAP], n[3]),
	    top_text_number(row->by[TOP_STALL_FRAME], n[4]),
	    top_text_number(row->by[TOP_STALL_LIMIT], n[5]));
	line(2, A_NORMAL, text);
}

static void
draw_regions(const struct top_picture *p)
{
	const struct top_row *row = row_shown(p);
	char text[TOP_LINE];
	int y = REGIONS_LINES;

	if (row) {
		draw_client(p, row);
	} else {
		snprintf(text, sizeof(text), "session s%" PRIu64 " has ended, or is filtered out",
		    p->ui->shown);
		line(0, A_BOLD, text);
	}
	snprintf(text, sizeof(text), "%-13s %-12s %6s %6s %6s %6s %6s %6s %3s %s", "REGION TYPE",
	    "ADDRESS", "SIZE", "RESID", "DIRTY", "COMPR", "SWAP", "WIRED", "PRT", "SHR");
	line(REGIONS_LINES - 1, A_REVERSE, text);
	for (size_t i = p->ui->first_region; i < p->region_count && y < LINES - 1; i++)
		draw_region(p, &p->regions[i], y++);
}

/* --- help --- */

static void
draw_help(void)
{
	const char *key, *what;
	char text[TOP_LINE];
	int y = 0;

	for (size_t i = 0; top_keys_help(i, &key, &what); i++) {
		snprintf(text, sizeof(text), "  %-6s %s", key, what);
		line(y++, A_NORMAL, text);
	}
	snprintf(text, sizeof(text), "  columns:");
	for (unsigned i = 0; i < TOP_COLUMNS; i++) {
		size_t used = strlen(text), more = strlen(top_columns[i].key) + 1;

		if (used + more > width() || used + more >= sizeof(text)) {
			line(y++, A_NORMAL, text);
			snprintf(text, sizeof(text), "   ");
			used = strlen(text);
		}
		snprintf(text + used, sizeof(text) - used, " %s", top_columns[i].key);
	}
	line(y, A_NORMAL, text);
}

/* --- the whole --- */

size_t
top_screen_rows(const struct top_ui *ui)
{
	int lines =
	    LINES - 1 -
	    (ui->page == TOP_REGIONS ? REGIONS_LINES : 2 + (has_head() ? HEAD_LINES - 1 : 0));

	return lines > 0 ? (size_t)lines : 0;
}

void
top_screen_draw(const struct top_picture *picture)
{
	char text[TOP_LINE];

	erase();
	switch (picture->ui->page) {
	case TOP_LIST:
		draw_list(picture);
		break;
	case TOP_REGIONS:
		draw_regions(picture);
		break;
	case TOP_HELP:
		draw_help();
		break;
	}
	top_ui_line(picture->ui, text, sizeof(text));
	move(LINES - 1, 0);
	clrtoeol();
	line(LINES - 1, A_BOLD, text);
	refresh();
}

/* Reading from it would answer at once, again and again: of a process that SIGHUP does not end. */
static bool
terminal_is_gone(void)
{
	struct pollfd p = { .fd = STDIN_FILENO, .events = POLLIN };

	return poll(&p, 1, 0) > 0 && (p.revents & (POLLHUP | POLLERR | POLLNVAL)) != 0;
}

int
top_screen_key(double seconds)
{
	static const struct {
		int curses, key;
	} keys[] = { { KEY_UP, TOP_KEY_UP }, { KEY_DOWN, TOP_KEY_DOWN },
		{ KEY_PPAGE, TOP_KEY_PAGE_UP }, { KEY_NPAGE, TOP_KEY_PAGE_DOWN },
		{ KEY_HOME, TOP_KEY_HOME }, { KEY_END, TOP_KEY_END }, { KEY_ENTER, TOP_KEY_ENTER },
		{ '\r', TOP_KEY_ENTER }, { '\n', TOP_KEY_ENTER },
		{ KEY_BACKSPACE, TOP_KEY_BACKSPACE }, { 0x7f, TOP_KEY_BACKSPACE },
		{ '\b', TOP_KEY_BACKSPACE } };
	int key;

	timeout(seconds <= 0 ? 0 : seconds > 3600 ? 3600000 : (int)(seconds * 1000) + 1);
	key = getch();
	if (key == ERR)
		return terminal_is_gone() ? TOP_KEY_GONE : -1;
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		if (keys[i].curses == key)
			return keys[i].key;
	return key < 0x100 ? key : TOP_KEY_OTHER;
}
