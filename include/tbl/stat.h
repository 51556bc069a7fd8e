/* SPDX-License-Identifier: MIT
 *
 * STAT(NAME, name, kind, unit, text): the daemon's statistics. QUEUE rows are gauges that change
 * together under the PAGEQ lock and are read under the segment's sequence count: free + active +
 * inactive + laundry + wired + speculative + compressor == total at any moment. GAUGE rows are
 * levels, refreshed now and then. COUNTER rows only grow; each thread adds to its own shard.
 */
STAT(FRAMES_TOTAL, total, QUEUE, "pages", "frames that the daemon may hold")
STAT(FRAMES_FREE, free, QUEUE, "pages", "free frames")
STAT(FRAMES_ACTIVE, active, QUEUE, "pages", "active pages, those being filled included")
STAT(FRAMES_INACTIVE, inactive, QUEUE, "pages", "inactive pages: resident, unmapped")
STAT(FRAMES_LAUNDRY, laundry, QUEUE, "pages", "pages chosen to leave, those being cleaned included")
STAT(FRAMES_WIRED, wired, QUEUE, "pages", "wired pages")
STAT(FRAMES_SPECULATIVE, speculative, QUEUE, "pages",
    "pages brought in ahead of use and not touched yet")
STAT(FRAMES_COMPRESSOR, compressor, QUEUE, "pages", "frames occupied by the compressor")
STAT(PAGES_INTERNAL, internal, QUEUE, "pages", "resident anonymous pages of all clients")
STAT(PAGES_DEVICE, device, QUEUE, "pages", "wired pages that are memory of devices")
STAT(PAGES_IOKIT_MAPPED, iokit_mapped, QUEUE, "pages",
    "pages of devices that clients have mapped, counted in each mapping")
STAT(PAGES_EXTERNAL, external, QUEUE, "pages", "resident pages of files of all clients")
STAT(PAGES_COMPRESSED, internal_compressed, QUEUE, "pages",
    "anonymous pages of all clients kept by the compressor or swap")
STAT(PAGES_REUSABLE, reusable, QUEUE, "pages",
    "resident anonymous pages of all clients whose content is not needed")
STAT(PAGES_VOLATILE, volatile, QUEUE, "pages",
    "resident pages of all clients that are purgeable and volatile or empty")
STAT(PAGES_VOLATILE_COMPRESSED, volatile_compressed, QUEUE, "pages",
    "likewise, kept by the compressor or swap")
STAT(FRAMES_WANTED, wanted, GAUGE, "pages",
    "frames that the daemon is to hold (pagerctl memory); total follows as pages leave")
STAT(PAGE_SIZE, page_size, GAUGE, "bytes", "system page size")
STAT(FREE_TARGET, free_target, GAUGE, "pages", "pageout works until this many frames are free")
STAT(FREE_MIN, free_min, GAUGE, "pages", "pageout starts below this many free frames")
STAT(SESSIONS, sessions, GAUGE, "count", "clients connected")
STAT(TABLE_LIMIT, table_limit, GAUGE, "bytes",
    "most table memory that clients may take (max_table_bytes)")
STAT(TABLE_BYTES, table_bytes, GAUGE, "bytes", "of that taken: what clients are billed for")
STAT(TABLE_IDLE, table_idle_bytes, GAUGE, "bytes",
    "of that: without pages, and collected when table memory is short or pressure urgent")
STAT(TABLE_COLLECTED, table_collected_bytes, COUNTER, "bytes", "table memory collected so")
STAT(TABLE_SLOTS, table_slots_bytes, GAUGE, "bytes",
    "memory of slots, 8 bytes for each page of a block of 512 in use")
STAT(TABLE_POLICY, table_policy_bytes, GAUGE, "bytes",
    "memory of the page-out policy for them, at most")
STAT(TABLE_MAPS, table_maps_bytes, GAUGE, "bytes", "memory of clients' maps")
STAT(TABLE_FRAMES, table_frames_bytes, GAUGE, "bytes",
    "memory of the table of frames, taken at start")
STAT(STORED_PAGES, stored_pages, GAUGE, "pages",
    "pages the compressor holds, in memory or away, retained clean copies included")
STAT(STORED_SINGLE_VALUE, stored_single_value, GAUGE, "pages",
    "of those: pages of one repeated word, which take no space")
STAT(STORED_RAW, stored_raw, GAUGE, "pages", "of those: incompressible")
STAT(STORED_AWAY, stored_away, GAUGE, "pages", "of those: in segments on disk")
STAT(COMPRESSOR_LIMIT, compressor_limit, GAUGE, "pages",
    "frames that the compressor may occupy; beyond it segments go to swap")
STAT(COMPRESSED_BYTES, compressed_bytes, GAUGE, "bytes", "bytes of compressed pages in memory")
STAT(RETAINED_COPIES, retained_copies, GAUGE, "pages",
    "resident clean pages that still have their stored copy")
STAT(SWAP_FILES, swap_files, GAUGE, "count", "swap files")
STAT(SWAP_BYTES, swap_bytes, GAUGE, "bytes", "bytes of swap files")
STAT(SWAP_USED_BYTES, swap_used_bytes, GAUGE, "bytes", "bytes of swap slots in use")
STAT(SWAP_DEVICE_BYTES, swap_device_bytes, GAUGE, "bytes",
    "of swap_used_bytes, those on block devices (--swap-device)")
STAT(SWAP_NBD_BYTES, swap_nbd_bytes, GAUGE, "bytes",
    "of swap_used_bytes, those on NBD servers (--swap-nbd)")
STAT(SWAP_STALLED, swap_stalled, GAUGE, "count",
    "places of swap (directories, devices, servers) that have not answered for a second")
STAT(SWAP_FULL, swap_full, GAUGE, "bool",
    "swap has no free place now: its files may not grow, or cannot be written")
STAT(LATENCY_HELD, latency_held, GAUGE, "bool",
    "processors are asked not to sleep now, because many pages come from disk")
STAT(PARKED, parked, GAUGE, "count", "faults waiting for a frame now")
STAT(REFUSED_KEPT, refused_kept, GAUGE, "count",
    "faults that were refused with SIGBUS and will be answered when there is room")
STAT(SQUEEZED, squeezed, GAUGE, "bool",
    "nothing could leave: memory is squeezed until there is room again")
STAT(CLOSES_STUCK, closes_stuck, GAUGE, "count",
    "close calls on clients' descriptors that are late and have not returned yet")
STAT(CLOSES_WAITING, closes_waiting, GAUGE, "count", "clients' descriptors that wait to be closed")
STAT(LISTED, listed, GAUGE, "pages",
    "resident pages that page lists have busy; they cannot leave until they are committed or "
    "aborted")
STAT(FILES, files, GAUGE, "count", "files of which something is mapped, or still to be written")
STAT(FILE_OBJECTS, file_objects, GAUGE, "count", "objects of these files, a part of a file each")
STAT(PRESSURE, pressure, GAUGE, "level",
    "memory pressure as announced: 0 normal, 1 warning, 2 urgent, 3 critical")
STAT(AVAILABLE, available, GAUGE, "permille",
    "part of the frames that are not wired into whose space pages can still go")
STAT(FROZEN, frozen, GAUGE, "count", "processes that are frozen now")
STAT(FROZEN_WAITING, frozen_waiting, GAUGE, "segments",
    "segments in memory that have pages of frozen processes and nothing else")
STAT(COPY_LINKS, copy_links, GAUGE, "count",
    "ranges of objects that are copies of others and share their content until it is written")
STAT(FILE_DIRTY, file_dirty, GAUGE, "pages",
    "dirty pages of files, which are to be written; without wired ones")
STAT(DIRTY_SESSION_LIMIT, dirty_session_limit, GAUGE, "pages",
    "most of them that one client may have (dirty_session_percent)")
STAT(DIRTY_USER_LIMIT, dirty_user_limit, GAUGE, "pages",
    "most of them that the clients of one user may have (dirty_user_percent)")
STAT(DIRTY_WAITING, dirty_waiting, GAUGE, "count",
    "stores into files that wait until pages have been written")
STAT(PORTS, ports, GAUGE, "count", "ports")
STAT(QUEUED_MESSAGES, queued_messages, GAUGE, "count", "messages in the queues of ports")
STAT(QUEUED_BYTES, queued_bytes, GAUGE, "bytes", "memory of these messages, whole pages")
STAT(PINS_KNOWN, pins_known, GAUGE, "count",
    "1: the daemon sees which pages the kernel has pinned; 0: pins must be announced by wiring")
STAT(TIMERS_RESTING, timers_resting, GAUGE, "count",
    "of the daemon's 5 timers those that have stopped, because nothing moves; to ask for it makes "
    "them go on")
STAT(FAULTS, faults, COUNTER, "count", "faults answered, of every kind")
STAT(ZERO_FILLS, zero_fills, COUNTER, "pages", "pages zero filled")
STAT(ZERO_AHEAD, zero_ahead, COUNTER, "pages",
    "of those: before they were touched, by another processor")
STAT(SOFT_FAULTS, soft_faults, COUNTER, "count", "faults on resident pages")
STAT(SOFT_FAULT_NS, soft_fault_ns, COUNTER, "ns",
    "time that soft faults took, from the arrival of the message to the answer")
STAT(AROUND, around, COUNTER, "pages",
    "resident pages mapped as neighbours of a soft fault, in a run")
STAT(REFILLS, refills, COUNTER, "count", "faults on stored pages that did not wait for a frame")
STAT(REFILL_NS, refill_ns, COUNTER, "ns", "time that these refills took")
STAT(REACTIVATIONS, reactivations, COUNTER, "pages", "inactive pages touched again")
STAT(RESCUES, rescues, COUNTER, "pages", "pages touched while they were being taken away")
STAT(WP_FAULTS, write_protect_faults, COUNTER, "count", "first writes to clean pages")
STAT(DECOMPRESSIONS, decompressions, COUNTER, "pages", "pages expanded from memory")
STAT(COMPRESSIONS, compressions, COUNTER, "pages", "pages compressed")
STAT(LIGHT_COMPRESSIONS, light_compressions, COUNTER, "pages",
    "of those: with an LZ4 acceleration above compress_acceleration, to save time")
STAT(DENSE_COMPRESSIONS, dense_compressions, COUNTER, "pages", "of those: with zstd")
STAT(SWAPINS, swapins, COUNTER, "pages", "pages read from swap")
STAT(SWAPIN_BYTES, swapin_bytes, COUNTER, "bytes", "bytes read from swap")
STAT(LATENCY_REQUESTS, latency_requests, COUNTER, "count",
    "times that processors were asked not to sleep, because many pages came from disk")
STAT(SWAPOUTS, swapouts, COUNTER, "segments", "segments written to swap")
STAT(SWAPOUT_BYTES, swapout_bytes, COUNTER, "bytes", "bytes written to swap")
STAT(PAGEOUTS, pageouts, COUNTER, "pages", "pages taken away")
STAT(CLEAN_PAGEOUTS, clean_pageouts, COUNTER, "pages",
    "of those: clean pages whose stored copy was still good")
STAT(EVICTIONS, evictions, COUNTER, "pages",
    "of those taken away: at their owner's request (PAGEOUT)")
STAT(HOLES, holes, COUNTER, "ranges",
    "ranges punched for the pages taken away: neighbours leave in one")
STAT(DEACTIVATIONS, deactivations, COUNTER, "pages", "active pages made inactive")
STAT(ZAPPED, zapped, COUNTER, "pages", "pages whose mappings were taken away for ageing")
STAT(CLUSTERED, clustered, COUNTER, "pages", "pages brought in as neighbours of a faulting page")
STAT(PREFETCHES, prefetches, COUNTER, "pages", "pages brought in by WILLNEED")
STAT(DISCARDS, discards, COUNTER, "pages", "pages discarded by their owner")
STAT(PURGES, purges, COUNTER, "count",
    "purgeable objects whose content was thrown away, because memory was short or somebody asked")
STAT(PURGED, purged, COUNTER, "pages", "pages that they had")
STAT(VIOLATIONS, violations, COUNTER, "count",
    "writes to memory that its client may only read, and touches that a submap does not allow: it "
    "got SIGSEGV")
STAT(PLANTED, planted, COUNTER, "pages", "planted pages overwritten with the true content")
STAT(BUSY_WAITS, busy_waits, COUNTER, "count", "faults on pages in transit")
STAT(PARKS, parks, COUNTER, "count", "faults that had to wait for a frame")
STAT(LIMIT_PARKS, limit_parks, COUNTER, "count",
    "faults that had to wait for their client's own pages to leave")
STAT(DIRTY_PARKS, dirty_parks, COUNTER, "count",
    "stores into files that had to wait until pages had been written")
STAT(REFUSALS_LATE, refusals_late, COUNTER, "count",
    "stores into files that were to be answered with SIGBUS when their threads had gone on")
STAT(REFUSED_STORES, refused_stores, COUNTER, "count",
    "stores into files answered with SIGBUS: their client has as many dirty pages as it may")
STAT(PAGEOUT_FAILURES, pageout_failures, COUNTER, "pages",
    "pages that could not be stored and stayed, or are to be written to their file first")
STAT(PINNED, pinned, COUNTER, "pages",
    "pages that stayed because the kernel had pinned them: a device may write into them")
STAT(PINS_BROKEN, pins_broken, COUNTER, "pages",
    "pages that left although pinned, for too many were for too long: what a device writes there "
    "is "
    "lost")
STAT(PAGES_LOST, pages_lost, COUNTER, "pages",
    "pages poisoned: their content could not be read back")
STAT(REFUSED_ZERO_FILLS, refused_zero_fills, COUNTER, "pages",
    "first touches answered with SIGBUS: memory and swap are full")
STAT(REFUSED_REFILLS, refused_refills, COUNTER, "count",
    "faults on stored pages answered with SIGBUS: memory and swap are full; their content is kept")
STAT(REFUSED_TABLES, refused_tables, COUNTER, "count",
    "first touches answered with SIGBUS: no table memory for them (max_table_bytes, or the user's "
    "share of it)")
STAT(DIRECT_BEGINS, direct_begins, COUNTER, "count",
    "times that a client began to be read by direct servers")
STAT(DIRECT_ENDS, direct_ends, COUNTER, "count", "times that a client went back to being polled")
STAT(DIRECT_FAULTS, direct_faults, COUNTER, "count", "fault messages that direct servers have read")
STAT(POLLED_READS, polled_reads, COUNTER, "count",
    "times that a fault server saw events by polling while a thread waited for a read")
STAT(HANDED_FAULTS, handed_faults, COUNTER, "count",
    "of those: handed over, because they needed a read from disk")
STAT(UFFD_RETRIES, uffd_retries, COUNTER, "count",
    "userfaultfd calls repeated after EAGAIN or EEXIST")
STAT(SWAP_DAMAGED, swap_damaged, COUNTER, "count",
    "blocks of encrypted swap that were altered, moved or put back: their pages are lost")
STAT(SWAP_ERRORS, swap_errors, COUNTER, "count", "failed swap reads and writes")
STAT(FILE_READS, file_reads, COUNTER, "pages", "pages read from clients' files")
STAT(FILE_READ_BYTES, file_read_bytes, COUNTER, "bytes", "bytes read from clients' files")
STAT(FILE_AHEAD, file_ahead, COUNTER, "pages", "of those: ahead of a run, before they were touched")
STAT(FILE_AHEAD_WASTED, file_ahead_wasted, COUNTER, "pages",
    "of those: left again without having been touched")
STAT(FILE_WRITES, file_writes, COUNTER, "pages", "pages written to clients' files")
STAT(FILE_WRITE_BYTES, file_write_bytes, COUNTER, "bytes", "bytes written to clients' files")
STAT(FILE_ERRORS, file_errors, COUNTER, "count", "failed reads and writes of clients' files")
STAT(FILE_ENDS, file_ends, COUNTER, "count",
    "touches behind the end of a file, or of what cannot be read: the client got SIGBUS")
STAT(FILE_CHANGES, file_changes, COUNTER, "count",
    "times that somebody else was seen to change a file")
STAT(FILE_DROPS, file_drops, COUNTER, "pages",
    "pages of files dropped because the file was changed, or at msync's request")
STAT(FILE_FORGOTTEN, file_forgotten, COUNTER, "pages",
    "dirty pages of files given up unwritten, because pagerctl or file_keep_s said so")
STAT(FILE_ANNOUNCED, file_announced, COUNTER, "count",
    "accesses of other processes to mapped files that the kernel announced (--strict-files)")
STAT(FILE_MAPPED_BESIDE, file_mapped_beside, COUNTER, "count",
    "of those: mmap(2), which the log tells")
STAT(FILE_WAITS, file_waits, COUNTER, "count",
    "times that such an access waited for dirty pages of an object to be written")
STAT(FILE_WAITS_LATE, file_waits_late, COUNTER, "count",
    "such accesses that were let go although pages were dirty, because writing took too long, or "
    "too many waited")
STAT(COPIES, copies, COUNTER, "pages", "pages that were copied without being touched")
STAT(COPY_FILLS, copy_fills, COUNTER, "pages",
    "pages of copies filled from below, because they were touched")
STAT(COPY_PUSHES, copy_pushes, COUNTER, "pages",
    "pages whose content was put into a copy before they changed or went")
STAT(COPY_RENAMES, copy_renames, COUNTER, "pages",
    "of those: stored pages that became the copy's without being expanded")
STAT(WINDOW_READS, window_reads, COUNTER, "pages",
    "reads of copies that were answered with the page of what they were copied from")
STAT(WINDOWS_OPENED, windows_opened, COUNTER, "pages",
    "pages of copies that were mapped in place of such pages")
STAT(MESSAGES_SENT, messages_sent, COUNTER, "count", "messages put into queues of ports")
STAT(MESSAGES_MOVED, messages_moved, COUNTER, "count",
    "of those: the sender's memory itself went along")
STAT(MESSAGES_RECEIVED, messages_received, COUNTER, "count", "messages mapped by their receivers")
STAT(MESSAGES_DISCARDED, messages_discarded, COUNTER, "count",
    "messages that nobody has received: their port has ended, or they were discarded unread")
STAT(CLOSES_LATE, closes_late, COUNTER, "count",
    "close calls on clients' descriptors that did not return in time")
STAT(PROTOCOL_ERRORS, protocol_errors, COUNTER, "count",
    "sessions ended because of a malformed message")
STAT(FORKS, forks, COUNTER, "count",
    "forks of clients whose children have inherited memory, or could have")
STAT(FORKS_BARE, forks_bare, COUNTER, "count",
    "forks of clients whose children could not inherit: touching it is SIGBUS there")
STAT(FORKS_SHARING, forks_sharing, COUNTER, "count",
    "forks whose children were to share what they read with their parents")
STAT(FORK_HELD, fork_held, COUNTER, "count", "writes that waited until their client had forked")
STAT(FORK_TIMEOUTS, fork_timeouts, COUNTER, "count",
    "forks that had begun and were not over in time")
STAT(HELLO_TIMEOUTS, hello_timeouts, COUNTER, "count",
    "connections ended because they did not send HELLO in time")
STAT(SHARES_REFUSED, shares_refused, COUNTER, "count",
    "requests and connections refused because a user had used up its share, or all was in use")
STAT(COMPACTIONS, compactions, COUNTER, "count", "steps of compaction that gave memory back")
STAT(HELD_CALLS, held_calls, COUNTER, "count",
    "calls of the daemon that a client's locks delayed for long")
STAT(RELIEVED_THREADS, relieved_threads, COUNTER, "count",
    "threads of the daemon whose duty another thread took over because of such a call")
STAT(CLIENTS_APART, clients_apart, COUNTER, "count",
    "times that a client that delayed calls was moved to a side lane")
STAT(HOLDERS_ENDED, holders_ended, COUNTER, "count",
    "clients killed because they delayed a call for too long")
STAT(HOLDERS_REFUSED, holders_refused, COUNTER, "count",
    "connections refused to users of whom several such clients had been killed lately")
STAT(POLICY_VIOLATIONS, policy_violations, COUNTER, "count",
    "victims proposed by the policy that were not inactive")
STAT(POLICY_FALLBACKS, policy_fallbacks, COUNTER, "count",
    "times that the core had to choose victims itself")
STAT(REFAULTS, refaults, COUNTER, "pages",
    "pages read from swap or a file before as many others had left memory as it holds")
STAT(THRASHING, thrashing, GAUGE, "bool",
    "whether most pages that are read from disks have just left memory (thrash_pages)")
STAT(CREATORS, creators, GAUGE, "count",
    "clients that make pages fast, and wait behind others (create_pages)")
STAT(LIMIT_NOTICES, limit_notices, COUNTER, "count",
    "notices of limits on ledger entries that were sent to clients")
STAT(NOTICES, notices, COUNTER, "count", "notices of memory pressure that were sent to clients")
STAT(RELEASES, releases, COUNTER, "count", "clients that were let go of, with all their memory")
STAT(RELEASES_REFUSED, releases_refused, COUNTER, "count",
    "clients that could not be let go of: `pagerctl release` says why")
STAT(FREEZES, freezes, COUNTER, "count", "times that a process was frozen")
STAT(FROZEN_PAGES, frozen_pages, COUNTER, "pages",
    "pages put apart for that, those that had been stored before included")
STAT(THAWS, thaws, COUNTER, "count", "times that a frozen process was thawed at somebody's request")
STAT(THAW_TOUCHES, thaw_touches, COUNTER, "count",
    "times that a frozen process was thawed because it touched its memory")
STAT(JETSAM_KILLS, jetsam_kills, COUNTER, "count",
    "processes ended because memory was short, or because of a fatal limit")
STAT(TAKEOVERS, takeovers, COUNTER, "count",
    "workers that came before this one under pagerd --keeper, those of upgrades included")
STAT(TAKEOVER_NS, takeover_ns, COUNTER, "ns",
    "time that clients were not served because of that, until each successor was ready")
STAT(FORESEEN, foreseen, COUNTER, "pages",
    "stored pages brought in because the last run of their program came back to them next")
STAT(FORESEEN_HITS, foreseen_hits, COUNTER, "pages", "of those: pages that were then touched")
STAT(FORESEEN_WASTED, foreseen_wasted, COUNTER, "pages",
    "of those: pages that were not touched in time, or had left again before")
STAT(PROFILE_RUNS, profile_runs, COUNTER, "count",
    "images whose profile was begun: once for each group of programs in which one runs")
STAT(PROFILE_RUNS_OVER, profile_runs_over, COUNTER, "count",
    "of those: that are over, so that what is kept of them has been written")
STAT(PROFILES_ENDED, profiles_ended, COUNTER, "count",
    "runs in which a profile did not help, and was not used any more")
STAT(PROFILES_REFUSED, profiles_refused, COUNTER, "count",
    "profiles that were damaged or somebody else's, and not used")
STAT(PROFILE_DROPPED, profile_dropped, COUNTER, "count",
    "touches of which profiles do not know, because too many had not been looked at yet")
STAT(TRACE_INEXACT, trace_inexact, COUNTER, "pages",
    "pages still mapped after they had left a recording's window, because another thread held them")
#undef STAT
