/* SPDX-License-Identifier: MIT
 *
 * OPTION(NAME, letter, name, argument, text): every option of pagerctl. A command says which of
 * those after UNITS it understands; the others go with each.
 */
OPTION(HELP, 'h', "help", NULL, "print this help")
OPTION(VERSION, 'V', "version", NULL, "print the version")
OPTION(SOCKET, 's', "socket", "PATH",
    "the daemon's socket (default: $PAGERD_SOCKET, $XDG_RUNTIME_DIR/pagerd.sock, "
    "/run/pagerd/pagerd.sock)")
OPTION(JSON, 'j', "json", NULL, "print JSON: bytes and counts as plain numbers")
OPTION(UNITS, 'u', "units", "UNIT", "bytes in tables as auto, bytes, K, M or G")
OPTION(INTERVAL, 'i', "interval", "SEC", "go on, one report every SEC seconds")
OPTION(COUNT, 'c', "count", "N", "end after N reports")
OPTION(CLIENT, 'p', "client", "CLIENT", "this client alone")
OPTION(WINDOW, 'w', "window", "N", "pages that stay mapped while references are recorded")
#undef OPTION
