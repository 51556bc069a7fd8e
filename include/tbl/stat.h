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
STAT(PAGE_SIZE, page_size, GAUGE, "bytes", "system page size")
STAT(FREE_TARGET, free_target, GAUGE, "pages", "pageout works until this many frames are free")
STAT(FREE_MIN, free_min, GAUGE, "pages", "pageout starts below this many free frames")
STAT(SESSIONS, sessions, GAUGE, "count", "clients connected")
STAT(TABLE_LIMIT, table_limit, GAUGE, "bytes",
    "most table memory that clients may take (max_table_bytes)")
STAT(TABLE_BYTES, table_bytes, GAUGE, "bytes", "of that taken: what clients are billed for")
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
STAT(FAULTS, faults, COUNTER, "count", "faults answered, of every kind")
STAT(ZERO_FILLS, zero_fills, COUNTER, "pages", "pages zero filled")
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
STAT(VIOLATIONS, violations, COUNTER, "count",
    "writes to memory that its client may only read, and touches that a submap does not allow: it "
    "got SIGSEGV")
STAT(PLANTED, planted, COUNTER, "pages", "planted pages overwritten with the true content")
STAT(BUSY_WAITS, busy_waits, COUNTER, "count", "faults on pages in transit")
STAT(PARKS, parks, COUNTER, "count", "faults that had to wait for a frame")
STAT(LIMIT_PARKS, limit_parks, COUNTER, "count",
    "faults that had to wait for their client's own pages to leave")
STAT(PAGEOUT_FAILURES, pageout_failures, COUNTER, "pages",
    "pages that could not be stored and stayed, or are to be written to their file first")
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
STAT(HANDED_FAULTS, handed_faults, COUNTER, "count",
    "of those: handed over, because they needed a read from disk")
STAT(UFFD_RETRIES, uffd_retries, COUNTER, "count",
    "userfaultfd calls repeated after EAGAIN or EEXIST")
STAT(SWAP_ERRORS, swap_errors, COUNTER, "count", "failed swap reads and writes")
STAT(FILE_READS, file_reads, COUNTER, "pages", "pages read from clients' files")
STAT(FILE_READ_BYTES, file_read_bytes, COUNTER, "bytes", "bytes read from clients' files")
STAT(FILE_AHEAD, file_ahead, COUNTER, "pages", "of those: ahead of a run, before they were touched")
STAT(FILE_WRITES, file_writes, COUNTER, "pages", "pages written to clients' files")
STAT(FILE_WRITE_BYTES, file_write_bytes, COUNTER, "bytes", "bytes written to clients' files")
STAT(FILE_ERRORS, file_errors, COUNTER, "count", "failed reads and writes of clients' files")
STAT(FILE_ENDS, file_ends, COUNTER, "count",
    "touches behind the end of a file, or of what cannot be read: the client got SIGBUS")
STAT(FILE_CHANGES, file_changes, COUNTER, "count",
    "times that somebody else was seen to change a file")
STAT(FILE_DROPS, file_drops, COUNTER, "pages",
    "pages of files dropped because the file was changed, or at msync's request")
STAT(CLOSES_LATE, closes_late, COUNTER, "count",
    "close calls on clients' descriptors that did not return in time")
STAT(PROTOCOL_ERRORS, protocol_errors, COUNTER, "count",
    "sessions ended because of a malformed message")
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
#undef STAT
