/* SPDX-License-Identifier: MIT
 *
 * SHARE(NAME, unit, parameter, what, refusal): what the daemon has a bounded amount of and clients take. parameter: what
 * sets that amount (memorystatus/shares.c computes it). user_percent of it is the most that one user has, all clients of
 * theirs together; reserve_percent is kept for root and the daemon's own user, who have no share of their own. what and
 * refusal are words of the log line that says who was refused.
 */
SHARE(TABLES, "bytes", "max_table_bytes", "table memory", "first touches get SIGBUS")
#undef SHARE
