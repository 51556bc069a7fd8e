/* SPDX-License-Identifier: MIT
 *
 * OWN_UNIT(NAME, name, text): what the daemon's own memory is spent on. pagerctl wired divides the
 * memory of the rows of tbl/own_memory.h by the number of these. FIXED is the daemon itself.
 */
OWN_UNIT(FIXED, fixed, "the daemon, whoever its clients are")
OWN_UNIT(CLIENT, client, "a client's address space")
OWN_UNIT(CONNECTION, connection, "a connection, of a client or of a tool")
OWN_UNIT(USER, user, "a user who has connections")
OWN_UNIT(THREAD, thread, "a thread of the daemon: it has none for a client or its threads")
OWN_UNIT(REGION, region, "a region of a client's map")
OWN_UNIT(MAPPING, mapping, "a place where a client sees pages of an object")
OWN_UNIT(OBJECT, object, "an object")
OWN_UNIT(LIBRARY, library, "a file that is mapped, a library as a rule")
OWN_UNIT(NAME, name, "a named entry")
OWN_UNIT(PORT, port, "a port")
OWN_UNIT(COPY, copy, "a link between ranges that were copied, or a copy that is held")
OWN_UNIT(LIST, page_list, "a page list of a client")
OWN_UNIT(FRAME, frame, "a frame that the daemon may hold")
OWN_UNIT(PAGE, page, "a page that has content, resident or stored")
OWN_UNIT(STORED, stored_page, "a page that the compressor holds")
#undef OWN_UNIT
