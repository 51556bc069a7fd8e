/* SPDX-License-Identifier: MIT
 *
 * MSG(NUMBER, NAME, name, reply fds, access, runs, text): every request of the control socket.
 * Bodies are struct pager_req_<name> and struct pager_rep_<name> in pager/proto.h. Numbers are
 * append-only. access: CLIENT needs an attached session, ANY only a hello, CONTROL root or the
 * daemon's own user (or, where the text says so, the owner of the client asked about). runs: LOOP:
 * the control loop answers at once. JOB: a jobs thread carries it out, because it walks pages or
 * waits, for the disk or for a lock of the client's address space.
 */
MSG(1, HELLO, hello, 1, NONE, LOOP,
    "agree on version and role; a client is handed the /dev/userfaultfd descriptor")
MSG(2, ATTACH, attach, 1, ANY, JOB,
    "gives the daemon the client's userfaultfd and proves that it watches the client; answers with "
    "the agent's socket")
MSG(3, ALLOCATE, allocate, 1, CLIENT, LOOP,
    "an anonymous range at a reserved address; answers with its object's memfd")
MSG(4, DEALLOCATE, deallocate, 0, CLIENT, JOB, "gives a range back")
MSG(5, WIRE, wire, 0, CLIENT, JOB, "keeps a range resident (the library touches it afterwards)")
MSG(6, UNWIRE, unwire, 0, CLIENT, JOB, "undoes one wire")
MSG(7, BEHAVIOR, behavior, 0, CLIENT, JOB, "tells how a range will be used, or acts on it once")
MSG(8, REGION, region, 0, CLIENT, JOB, "describes the region at or above an address")
MSG(9, PAGE_QUERY, page_query, 0, CLIENT, LOOP, "tells where one page is")
MSG(10, STATISTICS, statistics, 0, CLIENT, LOOP, "this client's ledger")
MSG(11, MAKE_ENTRY, make_entry, 1, CLIENT, LOOP,
    "names a range that was allocated to be shared, all of it; answers with the descriptor that is "
    "its name")
MSG(12, MAP_ENTRY, map_entry, 1, CLIENT, JOB,
    "maps pages that the descriptor sent along names; answers with their object's memfd")
MSG(13, PROTECT, protect, 0, CLIENT, JOB,
    "sets the protection of a range, or its maximum (the library changes the mapping afterwards)")
MSG(14, INHERIT, inherit, 0, CLIENT, JOB, "says what a forked child gets of a range")
MSG(15, TAG, tag, 0, CLIENT, JOB, "gives a range a number of the client's")
MSG(17, SUBMAP_CREATE, submap_create, 1, CLIENT, LOOP,
    "makes an object whose regions are added afterwards; answers with the descriptor that is its "
    "name")
MSG(18, SUBMAP_CHANGE, submap_change, 0, CLIENT, JOB,
    "adds, removes or protects regions of the submap that the descriptor sent along names")
MSG(19, SUBMAP_NAME, submap_name, 1, CLIENT, LOOP,
    "makes a name with fewer rights for what the descriptor sent along names")
MSG(20, STAT_SEGMENT, stat_segment, 1, ANY, LOOP, "the shared statistics segment, read-only")
MSG(21, CLIENTS, clients, 0, ANY, LOOP, "lists sessions, a few at a time")
MSG(22, MAP, map, 0, ANY, JOB, "lists a client's regions, a few at a time (owner or CONTROL)")
MSG(23, FOOTPRINT, footprint, 0, ANY, LOOP, "a client's whole ledger (owner or CONTROL)")
MSG(24, LIMIT, limit, 0, CONTROL, LOOP, "sets or lifts a process's hard limit")
MSG(25, CHECK, check, 0, CONTROL, JOB, "walks every invariant")
MSG(26, DEBUG, debug, 0, CONTROL, LOOP, "fail points and log level of the running daemon")
MSG(27, POLICY, policy, 0, ANY, JOB, "shows the page-out policy; switching it needs CONTROL")
MSG(28, TRACE, trace, 0, CONTROL, JOB,
    "starts or stops recording page references into the descriptor given")
MSG(29, PARAM, param, 0, ANY, LOOP, "lists parameters; changing one needs CONTROL")
MSG(31, MAP_FILE, map_file, 1, CLIENT, JOB,
    "maps a part of the file whose descriptor is sent along; answers with the memfd of its pages")
MSG(32, MSYNC, msync, 0, CLIENT, JOB, "brings pages of files and their files into agreement")
MSG(34, MAP_DEVICE, map_device, 1, CLIENT, JOB,
    "maps a part of a device of the daemon's by its name; answers with the memfd of its memory")
MSG(35, MAKE_DEVICE, make_device, 1, CLIENT, LOOP,
    "makes a device of the memory behind the descriptor sent along; answers with the descriptor "
    "that is its name")
MSG(36, DESCRIPTOR, descriptor, 1, CLIENT, JOB,
    "memory descriptors: wires and pins a range, tells a piece of it with its memfd, or lets it go")
MSG(37, UPL_CREATE, upl_create, 1, CLIENT, JOB,
    "makes a page list of a range, whose pages are the client's alone until it hands them back; "
    "answers with the memfd that has their content")
MSG(38, UPL_FINISH, upl_finish, 0, CLIENT, JOB,
    "commits or aborts pages of a page list, or ends it")
MSG(40, DEVICES, devices, 0, ANY, JOB, "lists devices and who maps them, a few at a time")
#undef MSG
