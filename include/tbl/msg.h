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
MSG(43, COPY, copy, 0, CLIENT, JOB,
    "makes a range a copy of another one; what neither side writes stays shared")
MSG(44, COPYIN, copyin, 0, CLIENT, JOB, "makes a copy of a range that lies in no range of its own")
MSG(45, COPYOUT, copyout, 0, CLIENT, JOB, "puts such a copy into a range, and ends it")
MSG(46, COPY_DISCARD, copy_discard, 0, CLIENT, JOB, "ends such a copy")
MSG(48, FORK_BEGIN, fork_begin, 1, CLIENT, JOB,
    "makes the session of the child that the client is about to fork, with what it inherits; "
    "answers with its socket")
MSG(49, FORK_CHILD, fork_child, 0, NONE, LOOP,
    "begins a forked child's session: what it needs lies in its socket before it asks")
MSG(50, FORK_STEP, fork_step, 1, ANY, LOOP,
    "the steps of a fork that follow: it is over, a region is told, the child has settled")
MSG(51, PORT_OPEN, port_open, 1, CLIENT, JOB,
    "makes a port, or opens one for sending by its name; answers with its bell")
MSG(52, PORT_CLOSE, port_close, 0, CLIENT, JOB, "closes a port; its maker's close ends it")
MSG(53, PORT_SEND, port_send, 0, CLIENT, JOB, "puts a range into the queue of a port")
MSG(54, PORT_RECEIVE, port_receive, 1, CLIENT, JOB,
    "tells of the oldest message of a port, maps it or discards it")
MSG(55, PORTS, ports, 0, ANY, JOB, "lists ports, a few at a time")
MSG(56, COPY_FILE, copy_file, 0, CLIENT, JOB,
    "makes a range a private copy of a part of the file whose descriptor is sent along: it has "
    "what "
    "the file has until it is written")
MSG(57, SHARED_LOAD, shared_load, 0, CLIENT, JOB,
    "says where a file lies in shared regions, by its descriptor; the client maps its parts there")
MSG(58, SHARED_CHANGE, shared_change, 0, CLIENT, JOB,
    "makes a loaded file's own parts as they were, forgets it, or begins other regions (for all: "
    "CONTROL)")
MSG(60, PRESSURE_WATCH, pressure_watch, 0, CLIENT, LOOP,
    "says of which levels of memory pressure the client wants to be told, through its agent")
MSG(61, PRESSURE_DONE, pressure_done, 0, CLIENT, LOOP,
    "the client has done what it could about its last notice of pressure")
MSG(62, PRESSURE, pressure, 0, ANY, LOOP,
    "the level of memory pressure, what is available, and what clients have given back after "
    "notices, a few at a time (of one's own clients, or CONTROL); simulating a level needs CONTROL")
MSG(63, MEMORY, memory, 0, CONTROL, LOOP, "shows or changes how much memory the daemon is to hold")
MSG(64, PRIORITY, priority, 0, CONTROL, LOOP, "shows or sets a process's jetsam band")
MSG(65, EVENTS, events, 0, ANY, LOOP,
    "the processes that were ended, one at a time, each with what led to it")
MSG(66, LIMITS, limits, 0, CONTROL, LOOP,
    "sets or lifts a process's limits on its footprint or its resident pages: while active or "
    "inactive, soft or fatal")
MSG(67, SHARE_READS, share_reads, 1, CLIENT, JOB,
    "what a copy was copied from is to be seen in its place; answers with a descriptor of that "
    "memory that cannot be written through")
MSG(68, WINDOW_OPEN, window_open, 0, CLIENT, JOB,
    "brings pages of a copy, in whose places others are seen, into memory and keeps them there")
MSG(69, WINDOW_DONE, window_done, 0, CLIENT, JOB,
    "the client has mapped these pages where they are to be seen, or could not")
MSG(70, FORK_SHARE, fork_share, 1, CLIENT, JOB,
    "as SHARE_READS, the next large region that a forked child has inherited")
MSG(72, LEDGER, ledger, 0, ANY, LOOP,
    "a client's ledger with credits, debits and maxima (owner or CONTROL)")
MSG(73, EXPLAIN, explain, 0, ANY, JOB,
    "the objects that make a client's bill, and by which way their pages came, a few at a time "
    "(owner or CONTROL)")
MSG(74, PROCESS_LIMITS, process_limits, 0, ANY, LOOP,
    "all limits of a process, and what counts against them (owner or CONTROL)")
MSG(75, PURGEABLE, purgeable, 0, CLIENT, JOB,
    "tells or changes the state of purgeable memory, in one step")
MSG(76, PURGE, purge, 0, ANY, JOB,
    "throws volatile memory away: a client's (owner or CONTROL), or everybody's (CONTROL)")
MSG(78, FREEZE, freeze, 0, CONTROL, LOOP,
    "has a process frozen or thawed, which goes on after the answer")
MSG(79, FROZEN, frozen, 0, ANY, LOOP,
    "how far clients are with being frozen, a few at a time, and what has happened (of one's own "
    "clients, or CONTROL)")
MSG(80, WIRED, wired, 0, ANY, JOB,
    "wired memory of clients (one's own, or CONTROL all), and why it is, a few at a time")
MSG(81, TABLES, tables, 0, ANY, JOB, "the daemon's own memory by kind, and what it is spent on")
MSG(82, FILES, files, 0, ANY, JOB,
    "lists mapped files (one's own, or CONTROL all), and which are stuck, a few at a time")
MSG(83, GROUP_MAKE, group_make, 0, ANY, LOOP,
    "makes a group, of what a process starts; answers with the key by which clients join it")
MSG(84, GROUP_JOIN, group_join, 0, CLIENT, LOOP, "the client belongs to the group from now on")
MSG(85, GROUP, group, 0, ANY, LOOP,
    "the bill of a group, those of its clients included that have ended (owner or CONTROL)")
MSG(86, GROUPS, groups, 0, ANY, LOOP,
    "which clients are in groups, a few at a time (one's own, or CONTROL all)")
MSG(87, LEDGER_LIMIT, ledger_limit, 0, ANY, LOOP,
    "sets or lifts a limit on an entry of a client's ledger, of which the client is told (owner or "
    "CONTROL)")
MSG(88, PROFILE, profile, 0, ANY, LOOP,
    "begins the profiles of a group's programs, or tells what has come of them (owner or CONTROL)")
MSG(89, UPGRADE, upgrade, 1, CONTROL, JOB,
    "asks the program in the descriptor whether it can take over from this worker")
MSG(90, UPGRADE_GO, upgrade_go, 0, CONTROL, LOOP,
    "has that program take over, or tells what has become of the last one")
MSG(92, FORGET_FILE, forget_file, 0, CONTROL, JOB,
    "has a file's dirty pages given up, unwritten, which goes on after the answer")
MSG(94, RELEASE, release, 0, ANY, LOOP,
    "has clients let go of, tells how far they are, or takes that back (owner or CONTROL)")
MSG(95, RELEASE_STEP, release_step, 0, CLIENT, JOB,
    "the steps of a client that is let go of: whether it can be, pins of a page list, the end")
#undef MSG
