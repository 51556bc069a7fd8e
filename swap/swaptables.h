/* SPDX-License-Identifier: MIT
 *
 * Tables of swap that outlive the process: a row for each file, and the entries of its slots. And
 * the lines, which tell when the last transfer of a process that has died has ended.
 *
 * A line is a pipe. Each ring of the process has its writing end among its files, and nobody else
 * has it once the process is gone; a ring lets go of its files when its last transfer has ended.
 * So whoever has the reading end sees it hang up then, and not before.
 */
#ifndef SWAPTABLES_H
#define SWAPTABLES_H

#include "swap_priv.h"

/* The keeper's tables, or new ones. Backends are filled in. => 0; -EPROTO: what is there is of
 * other backends or sizes; or -errno. swap_tables_close in any case */
int swap_tables_open(struct swap *s, const struct swap_keeper *keeper);
void swap_tables_close(struct swap *s);

struct swap_row *swap_tables_row(const struct swap *s, unsigned file);
/* The file's entries, as many as it can have. */
struct swap_entry *swap_tables_entries(const struct swap *s, unsigned file);
/* The file's row becomes what its state is now. Without tables nothing is done, here and below. =>
 * called with M held */
void swap_tables_put(struct swap *s, const struct swap_file *f);

/* => the descriptor that was left, or -1. No lock held, here and below */
int swap_tables_take(const struct swap *s, enum swap_kept kind, unsigned id);
void swap_tables_keep(const struct swap *s, enum swap_kept kind, unsigned id, int fd);
void swap_tables_drop(const struct swap *s, enum swap_kept kind, unsigned id);

/* Where the size of a server's export stands, which the next process needs before the server has
 * answered it. 0: not known yet; NULL: there are no tables */
uint64_t *swap_tables_export(const struct swap_backend *b);

/* => what each ring has to have among its files; -1: nothing */
int swap_tables_line(const struct swap *s);
/* => whether the last transfer of those before has ended since the last call */
bool swap_tables_lines_look(struct swap *s);

#endif
