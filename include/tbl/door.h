/* SPDX-License-Identifier: MIT
 *
 * DOOR(NAME, name, text): the ways by which a page gets its first content, and so comes onto a
 * bill. It is kept with the page, also while that is compressed or swapped. A page of a file comes
 * anew each time it is read. FAULT comes first: it is what a page is said to have come by where
 * nothing else is known.
 */
DOOR(FAULT, fault, "a thread touched it, in the program or in the kernel for it")
DOOR(NEIGHBOUR, neighbour, "a thread touched one beside it")
DOOR(WIRE, wire, "its range is wired, and was touched for that")
DOOR(PREFAULT, prefault, "it was asked for ahead of use (WILLNEED), or read ahead")
DOOR(UPL, upl, "it was filled through a page list")
DOOR(COPY, copy, "it was copied, for a copy, a fork or a message, before its source changed")
DOOR(NAMED, named, "another client touched it, through a name or as a file that it shares")
#undef DOOR
