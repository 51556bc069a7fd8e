/* SPDX-License-Identifier: MIT
 *
 * pagerctl top on a terminal. Only top_screen.c knows curses.
 */
#ifndef TOP_SCREEN_H
#define TOP_SCREEN_H

#include "top_keys.h"

/* What a picture is made of. */
struct top_picture {
	const struct ctl *ctl;
	const struct top_ui *ui;
	const struct top_levels *levels;
	const struct top_row *rows;
	size_t row_count, client_count;
	const struct pager_wire_region *regions; /* of the client that ui->shown names */
	size_t region_count;
};

/* => 0; -ENOTTY: this is no terminal that can be drawn on */
int top_screen_open(void);
/* The terminal is as it was before. */
void top_screen_close(void);
/* How many rows of the page there is place for. */
size_t top_screen_rows(const struct top_ui *ui);
void top_screen_draw(const struct top_picture *picture);
/* Waits for a key, at most that long. => a key as of top_keys.h; -1: none came; TOP_KEY_OTHER: also
 * after the terminal's size has changed */
int top_screen_key(double seconds);

#endif
