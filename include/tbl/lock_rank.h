/* SPDX-License-Identifier: MIT
 *
 * RANK(NAME, what it covers): the lock order, outermost first. A thread may only take a lock whose
 * row stands below all those it holds. No row may be held across I/O or a userfaultfd call; a
 * page's busy bit (between OBJECT and PAGEQ, not a lock) is what spans those.
 */
RANK(TASK_TABLE, "the table of tasks: slots and their reference counts")
RANK(MAP, "one client's map: its entries")
RANK(SUBMAP, "one submap: its regions")
RANK(VNODES, "the table of files, and the objects of each")
RANK(OBJECT, "one VM object: its slots and mappings")
RANK(COPIES, "links between ranges of objects that were copied")
RANK(PAGEQ, "page states, queues, policy, free frames, gauges and ledgers")
RANK(PARK, "faults that wait for a frame")
RANK(CPOOL, "the compressor's lists of segments")
RANK(CSEG, "one segment: its slots and bytes")
RANK(CVACANT, "the compressor's freed places of one size")
RANK(SWAPMAP, "swap files and the map of their slots")
RANK(SWAPRING, "an I/O ring shared between threads")
RANK(DIRECT, "which client each direct fault server reads")
RANK(JOBS, "the queue of long requests, and leaves (doc/locking.md)")
RANK(CLOSER, "clients' descriptors that wait to be closed")
RANK(RECORDER, "the blocks of a recording")
RANK(PROFILES, "notes of what comes back, and the runs they are of")
RANK(STANDING, "faults that are to be answered by a signal")
#undef RANK
