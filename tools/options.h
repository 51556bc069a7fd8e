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
#undef OPTION
