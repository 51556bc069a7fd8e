/* SPDX-License-Identifier: MIT
 *
 * SHARE(NAME, unit, parameter, what, refusal): a resource of which the daemon has a bounded amount
 * and clients take some. parameter: what sets that amount (core/shares.c computes it).
 * user_percent of it is the most that one user has, all clients of theirs together; reserve_percent
 * is kept for root and the daemon's own user, who have no share of their own. what and refusal are
 * words of the log line that names the refused user.
 */
SHARE(SESSIONS, "connections", "max_sessions", "connections", "no more of them can connect")
SHARE(DESCRIPTORS, "descriptors", "RLIMIT_NOFILE", "open files",
    "connections and allocations are refused")
SHARE(OBJECTS, "objects", "max_objects", "objects", "allocations are refused")
SHARE(VIRTUAL, "bytes", "max_virtual_bytes", "virtual memory", "allocations are refused")
SHARE(WIRED, "bytes", "wire_percent", "wired memory", "wiring is refused")
SHARE(TABLES, "bytes", "max_table_bytes", "table memory",
    "first touches get SIGBUS, changes of the map are refused")
SHARE(PORTS, "ports", "max_ports", "ports", "no more of them can be made")
SHARE(QUEUED, "bytes", "max_queued_bytes", "bytes in queues of ports",
    "sending is refused until some have been received")
#undef SHARE
