/* SPDX-License-Identifier: MIT
 *
 * OPTION(NAME, letter, name, argument, text): every option of pagerctl. The options up to UNITS go
 * with each command; a command says which of the others it takes.
 */
OPTION(HELP, 'h', "help", NULL, "print this help")
OPTION(VERSION, 'V', "version", NULL, "print the version")
OPTION(SOCKET, 's', "socket", "PATH",
    "the daemon's socket (default: $PAGERD_SOCKET, $XDG_RUNTIME_DIR/pagerd.sock, "
    "/run/pagerd/pagerd.sock)")
OPTION(JSON, 'j', "json", NULL, "print JSON: bytes and counts as plain numbers")
OPTION(UNITS, 'u', "units", "UNIT", "bytes in tables as auto, bytes, K, M or G")
OPTION(INTERVAL, 'i', "interval", "SEC", "repeat the report every SEC seconds")
OPTION(COUNT, 'c', "count", "N", "end after N reports")
OPTION(CLIENT, 'p', "client", "CLIENT", "for this client only")
OPTION(WINDOW, 'w', "window", "N", "pages that stay mapped while references are recorded")
OPTION(SIMULATE, 'S', "simulate", "LEVEL",
    "announce that memory pressure: normal, warning, urgent, critical; none: what is measured")
OPTION(LISTEN, 'l', "listen", "ADDRESS",
    "serve it over HTTP on unix:PATH, 127.0.0.1:PORT or [::1]:PORT, until it is ended")
OPTION(OPENMETRICS, 'o', "openmetrics", NULL,
    "print OpenMetrics 1.0 instead of Prometheus's older text")
OPTION(EXPLAIN, 'e', "explain", NULL,
    "the objects and regions that make the bill, and how their pages came")
OPTION(ENTRIES, 'E', "entries", NULL, "each entry with its credit, its debit and the most it was")
OPTION(
    BATCH, 'b', "batch", NULL, "print one picture after the other instead of drawing on the screen")
OPTION(ITERATIONS, 'n', "iterations", "N", "as --count, which top(1) calls so")
OPTION(SORT, 'k', "sort", "COLUMN", "sort by this column (`pagerctl top`, then h, lists them)")
OPTION(FILTER, 'f', "filter", "TEXT",
    "only clients with this text in name, user or state, or with this process id")
OPTION(TREE, 't', "tree", NULL, "users, runs, and clients below their parents")
OPTION(MEMORY, 'm', "memory", "SIZE", "a pagerd of its own that holds that much")
OPTION(SWAP_DIR, 'd', "swap-dir", "DIR", "where that pagerd makes its swap files")
OPTION(PROFILES, 'D', "profiles", "DIR", "where that pagerd keeps profiles of programs")
OPTION(LIMIT, 'L', "limit", "SIZE", "keep each process of it below that much resident memory")
OPTION(PRIORITY, 'P', "priority", "BAND", "its jetsam band, a name or a number")
OPTION(NAME, 'N', "name", "NAME", "what it is called in lists")
OPTION(REPORT, 'R', "report", "[FILE]",
    "say at its end, to FILE or standard error, what memory it took and why it was slow")
OPTION(OUTPUT, 'O', "output", "FILE", "the file of the recording (default pagerd.trace)")
OPTION(PRETEND, 'T', "pretend", NULL, "only say what would be done, and whether it can be")
OPTION(FORGET, 'F', "forget", "OBJECT",
    "give up what is dirty of the file that has this object, unwritten")
OPTION(RELEASE, 'r', "release", NULL, "let go of all clients first; if one stays, pagerd does, too")
OPTION(DEADLINE, 'W', "deadline", "SEC", "within which the new program is to serve")
#undef OPTION
