/* SPDX-License-Identifier: MIT
 *
 * What the audit finds: checks are counted, and each that fails becomes a line of text. What a
 * client's process may have brought about itself becomes a note.
 */
#ifndef AUDIT_REPORT_H
#define AUDIT_REPORT_H

#include <stdbool.h>
#include <stddef.h>

#include "base.h"
#include "daemon.h"

struct task;

struct report {
	char *text;
	size_t size, used;
	unsigned failures, checks, notes;
	unsigned clients;        /* whose address space and page tables were compared */
	unsigned clients_unseen; /* they could not be */
	uint64_t regions;        /* of those clients */
	uint64_t pages;          /* of those clients' page tables */
	uint64_t pages_left_out; /* in transit at each look */
	char note_text[512];     /* lines that follow those of failures */
	size_t note_used;
};

struct report report_begin(char *text, size_t size);
/* One check. The text is cut where its room ends, here and below. */
void PRINTF_LIKE(3, 4) verify(struct report *r, bool holds, const char *fmt, ...);
/* One check of what a client's process, which has its userfaultfd and its objects' memfds, can
 * bring about by itself. It fails only if all that can may be trusted not to; else it is a note. */
void PRINTF_LIKE(4, 5)
    verify_client(struct report *r, bool is_trusted, bool holds, const char *fmt, ...);
/* What a process may do to its own addresses. */
void PRINTF_LIKE(2, 3) note(struct report *r, const char *fmt, ...);
/* Puts the notes behind the failures. */
void report_end(struct report *r);

static inline long long
stats_level(struct daemon *d, enum stat_index index)
{
	return load_relaxed(&d->stats.levels[index]);
}

#endif
