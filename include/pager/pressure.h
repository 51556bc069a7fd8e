/* SPDX-License-Identifier: MIT
 *
 * Being told of memory pressure. A part of pager/pager.h, which includes it; what is said there of
 * all functions holds here.
 */
#ifndef PAGER_PRESSURE_H
#define PAGER_PRESSURE_H

#include "pager/pager.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Levels of memory pressure, with XNU's names and numbers. (2 is urgent, which programs are told as
 * warning.) */
enum pager_pressure {
	PAGER_PRESSURE_NORMAL = 0,
	PAGER_PRESSURE_WARNING = 1,  /* give back what you can do without */
	PAGER_PRESSURE_CRITICAL = 3, /* give back all you can: programs are about to be ended */
};
#define PAGER_PRESSURE_BIT(level) (1u << (level))
#define PAGER_PRESSURE_LEVELS                                                                      \
	(PAGER_PRESSURE_BIT(PAGER_PRESSURE_NORMAL) | PAGER_PRESSURE_BIT(PAGER_PRESSURE_WARNING) |  \
	    PAGER_PRESSURE_BIT(PAGER_PRESSURE_CRITICAL))
/* From now on the program is told when the daemon's memory pressure comes to one of these levels
 * (PAGER_PRESSURE_BIT of each; 0: of none), by PAGER_EVENT_PRESSURE and by a descriptor. The idea
 * is XNU's pressure notes and dispatch sources. ret_fd: NULL, or where a descriptor is put that is
 * readable (poll(2), epoll) when there is a notice; it is the connection's, stays the same, and is
 * closed by pager_disconnect. *ret_level: NULL, or where the level is put that is announced now, of
 * which there is no notice. Clients are told one after the other, the least important first; a
 * client of less than notice_least_bytes (a parameter) is told of no rise. Errors: -EINVAL (no such
 * level), -EMFILE, -ENOMEM, -EBADF, -ENOTCONN. */
PAGER_API int pager_pressure_watch(
    struct pager *p, unsigned levels, int *ret_fd, enum pager_pressure *ret_level);
/* Takes the last notice that has not been taken; the descriptor is not readable any more. -EAGAIN:
 * there is none, which may be so though the descriptor was readable. */
PAGER_API int pager_pressure_take(struct pager *p, enum pager_pressure *ret_level);
/* The program has done what it could about the last notice: the daemon notes what it has given back
 * (pagerctl pressure). Not needed where an event function was called. -EBADF, -ENOTCONN. */
PAGER_API int pager_pressure_done(struct pager *p);

#ifdef __cplusplus
}
#endif
#endif
