/* SPDX-License-Identifier: MIT
 *
 * PARAM(name, minimum, maximum, default, unit, live, text): the daemon's parameters: `name = value`
 * lines of the configuration file, `pagerctl param`. live: may be changed while the daemon runs.
 */
PARAM(free_min_permille, 1, 500, 3, "permille", 1,
    "pageout starts when fewer than this share of the frames that are not wired are free")
PARAM(free_target_permille, 1, 500, 5, "permille", 1,
    "pageout stops when this share of the frames that are not wired is free")
PARAM(reserved_frames, 16, 1048576, 96, "frames", 0,
    "free frames that only the compressor may take (raised with the number of workers)")
PARAM(resident_frames, 0, 2147483647, 0, "pages", 1,
    "most resident pages of all clients together, without wired ones (0: as many as memory holds): "
    "each fault beyond makes room for itself alone, in pagersim's order (for comparing policies)")
PARAM(pageout_batch, 1, 256, 32, "pages", 1,
    "victims taken at a time while memory grows; half as many when pages come back")
PARAM(pageout_cluster, 1, 64, 16, "pages", 1,
    "aligned block in which inactive neighbours of a victim leave with it (1: none)")
PARAM(
    fault_cluster, 1, 64, 32, "pages", 1, "most pages brought in by one fault of a sequential run")
PARAM(zero_ahead, 0, 4096, 0, "pages", 1,
    "most pages that are filled with zeroes ahead of a run of first touches, by a processor that "
    "has no faults, while memory is plenty (0: none)")
PARAM(compressor_percent, 1, 95, 88, "percent", 1,
    "most memory (share of the frames that are not wired) that compressed pages may occupy; beyond "
    "it segments go to swap")
PARAM(compress_dense, 0, 2, 0, "choice", 1,
    "zstd in place of LZ4 (a sixth less memory, more time): 0 never, 1 while pageout keeps up, 2 "
    "always")
PARAM(compress_acceleration, 1, 64, 1, "LZ4 level", 1, "LZ4 acceleration (1: best ratio)")
PARAM(compress_acceleration_max, 1, 64, 1, "LZ4 level", 1,
    "LZ4 acceleration when pageout lags and memory grows")
PARAM(compress_acceleration_evict, 1, 64, 16, "LZ4 level", 1,
    "highest LZ4 acceleration of pages that go straight on to swap at their owner's request "
    "(PAGER_BEHAVIOR_PAGEOUT), while the disk keeps up")
PARAM(retain_copies, 0, 2, 2, "choice", 1,
    "whether a clean page keeps its compressed copy in memory: 0 never, 1 always, 2 adaptive")
PARAM(arena_factor, 1, 64, 8, "times", 0,
    "address space for segments in memory, as a multiple of --memory; each segment takes all of "
    "its own, however little is left in it")
PARAM(compact_waste_permille, 1, 900, 15, "permille", 1,
    "compaction starts when this share of the compressor's memory is waste")
PARAM(swap_file_bytes, 1048576, 1099511627776, 268435456, "bytes", 0,
    "size of one swap file, if the disk and --swap-max have room for it; else half of it, and so "
    "on")
PARAM(swap_low_slots, 1, 65536, 32, "segments", 0,
    "another swap file is made below this many free slots")
PARAM(swap_high_slots, 2, 1048576, 2048, "segments", 0,
    "a swap file is emptied and deleted above this many free slots")
PARAM(swap_depth, 1, 64, 8, "segments", 0, "segments being written at a time")
PARAM(swap_server_seconds, 0, 86400, 120, "seconds", 0,
    "what an NBD server has not answered for so long has failed, across lost connections (0: it is "
    "waited for)")
PARAM(swap_force_sync, 0, 1, 0, "bool", 0, "use pread and pwrite instead of io_uring")
PARAM(fault_servers, 0, 1024, 0, "threads", 0,
    "fault servers (0: one per CPU that the daemon may use)")
PARAM(read_poll_us, 0, 10000, 100, "us", 1,
    "a fault server polls for the end of a read that a thread waits for, for as long as this and "
    "while nobody else wants its CPU, before it sleeps (0: it sleeps at once)")
PARAM(direct_faults, 0, 10000000, 2000, "faults/s", 1,
    "a client with this many faults or more that seldom needs the disk is read by servers that "
    "block on its userfaultfd (0: no client is)")
PARAM(latency_reads, 0, 10000000, 500, "pages/s", 1,
    "while this many pages or more come from disk, processors are asked not to sleep "
    "(/dev/cpu_dma_latency; 0: never)")
PARAM(pageout_workers, 0, 1024, 0, "threads", 0,
    "pageout and compressor workers (0: one per CPU that the daemon may use)")
PARAM(max_virtual_bytes, 1073741824, 70368744177664, 1099511627776, "bytes", 0,
    "virtual memory that all clients together may allocate")
PARAM(max_client_virtual_bytes, 1048576, 70368744177664, 1099511627776, "bytes", 1,
    "virtual memory that one client may allocate")
PARAM(max_client_regions, 1, 1048576, 65536, "regions", 1, "regions that one client may have")
PARAM(max_client_objects, 1, 1048576, 4096, "objects", 1,
    "objects that one client may have: a large allocation is one, small ones lie side by side in "
    "objects of 128 MiB")
PARAM(max_objects, 1024, 1048576, 65536, "objects", 1, "objects of all clients together")
PARAM(fork_seconds, 1, 3600, 10, "seconds", 1,
    "a client's writes wait at most this long for it to fork; then the child inherits nothing")
PARAM(fork_share_bytes, 0, 70368744177664, 67108864, "bytes", 1,
    "a forked child shares what it reads with its parent if that has at least this much resident, "
    "until such children write much of it (0: never)")
PARAM(hello_seconds, 1, 3600, 10, "seconds", 1,
    "a connection that has not sent HELLO after this time is ended")
PARAM(max_table_bytes, 0, 70368744177664, 0, "bytes", 1,
    "memory of the tables that grow with use (slots, the policy's entries, maps), all clients "
    "together: 12 KiB for each 512 pages of which one is used (0: 128 MiB and a quarter of "
    "--memory)")
PARAM(user_percent, 1, 100, 75, "percent", 1,
    "most of each bounded resource (tbl/share.h) that the clients of one user may have together; "
    "root and the daemon's own user have no such bound")
PARAM(reserve_percent, 0, 50, 5, "percent", 1,
    "part of each bounded resource that is kept for root and the daemon's own user")
PARAM(max_sessions, 1, 16384, 1024, "sessions", 0, "clients connected at a time")
PARAM(wire_percent, 0, 95, 60, "percent", 1,
    "most memory (share of the frames) that all clients together may wire; less where too few "
    "frames would be left for other pages to come and go")
PARAM(strict_wait_ms, 1, 60000, 1000, "ms", 1,
    "with --strict-files: longest time that an access of another process to a mapped file waits "
    "for "
    "dirty pages to be written")
PARAM(dirty_session_percent, 1, 90, 20, "percent", 1,
    "most memory (share of the frames that are not wired) that pages of files which one client has "
    "written to may take before they have been written to their files; beyond it stores wait, or "
    "are refused with SIGBUS where the file cannot be written")
PARAM(dirty_user_percent, 1, 90, 30, "percent", 1,
    "the same for all clients of one user, root included; all users together may have twice as "
    "much")
PARAM(file_patience_ms, 100, 86400000, 5000, "ms", 1,
    "a write to a file, or an fdatasync of one, that takes longer than this is not counted on, and "
    "stores beyond these bounds are refused then; so they are when nothing that their client has "
    "stored has been written for this time")
PARAM(file_keep_s, 0, 31536000, 86400, "s", 1,
    "how long pages of a file that nobody maps any more, and that cannot be written, are tried "
    "again before they are given up; 0: for as long as the daemon runs")
PARAM(zap, 0, 2, 0, "choice", 1,
    "how mappings are taken away for ageing: 1 by the daemon (MADV_PAGEOUT, which does nothing "
    "where several map a page), 2 by the clients' agents, 0 by these, and by the daemon where they "
    "do not keep up")
PARAM(parked_faults, 64, 1048576, 8192, "faults", 0,
    "faults that may wait for a frame at a time; one client may have a quarter of them")
PARAM(memory_growth, 1, 64, 4, "times", 0,
    "most memory that pagerctl memory may set, as a multiple of --memory (32 bytes of address "
    "space "
    "a page)")
PARAM(pressure_warning_permille, 0, 1000, 0, "permille", 1,
    "memory pressure is at warning while less than this part of the frames that are not wired is "
    "available (0: XNU's 150, of more than 6 GiB 120)")
PARAM(pressure_urgent_permille, 0, 1000, 0, "permille", 1,
    "the same for urgent (0: XNU's 100, of more than 3 GiB 90, of more than 6 GiB 80)")
PARAM(pressure_critical_permille, 0, 1000, 0, "permille", 1,
    "the same for critical (0: XNU's 50, of more than 3 GiB 40)")
PARAM(limit_free_permille, 0, 500, 40, "permille", 1,
    "while fewer frames than this part of those that are not wired are free, what a client at its "
    "hard limit has too much goes to swap, before others' pages, and the client waits for that (0: "
    "never)")
PARAM(host_available_permille, 1, 900, 100, "permille", 1,
    "with --host-pressure: memory is given back while less than this part of the machine's memory "
    "is "
    "available, and taken again when half as much again is")
PARAM(host_least_percent, 1, 100, 25, "percent", 1,
    "with --host-pressure: never less than this part of --memory is held")
PARAM(host_calm_ms, 1, 3600000, 5000, "ms", 1,
    "with --host-pressure: memory is taken again when there has been enough for this time, a "
    "sixteenth of --memory each fifth of it")
PARAM(freeze, 0, 1, 0, "bool", 1,
    "processes in the bands up to aging2 are frozen while memory is short, the one that has been "
    "quiet longest first, without being asked for")
PARAM(freeze_below_permille, 0, 1000, 500, "permille", 1,
    "with freeze: memory is short while less than this part of the frames that are not wired is "
    "free "
    "or holds files")
PARAM(freeze_quiet_seconds, 0, 86400, 30, "seconds", 1,
    "with freeze: a process is quiet when no fault of its was seen for this time, and as much "
    "longer for each time that a touch has thawed it")
PARAM(freeze_least_bytes, 0, 1099511627776, 8388608, "bytes", 1,
    "with freeze: a process with less in memory is not frozen")
PARAM(freeze_most, 0, 1024, 20, "processes", 1,
    "with freeze: most processes that are frozen at a time")
PARAM(freeze_day_bytes, 0, 1099511627776, 2147483648, "bytes", 1,
    "with freeze: most bytes that may be put apart in a day")
PARAM(jetsam, 0, 2, 1, "choice", 1,
    "which processes may be ended when memory, compressor and swap run out: 0 none, 1 those that "
    "were "
    "given a band (pagerctl priority), 2 all; where none is left first touches get SIGBUS")
PARAM(jetsam_aging_seconds, 0, 3600, 10, "seconds", 1,
    "how long a process that becomes idle stays in the band aging1")
PARAM(thrash_pages, 0, 1000000000, 1000, "pages", 1,
    "memory is thrashing when in 250 ms this many pages were read from disks before as many others "
    "had left memory as it holds, and these are half of all that were read (0: never)")
PARAM(create_pages, 0, 1000000000, 20000, "pages/s", 1,
    "a client that makes more new pages, over 6 seconds, lets others' faults go first while frames "
    "are short (0: none does)")
PARAM(notice_pause_ms, 0, 60000, 250, "ms", 1,
    "time between two clients that are told of pressure, unless it is critical")
PARAM(notice_least_bytes, 0, 1099511627776, 6291456, "bytes", 1,
    "clients with a smaller footprint are not told of rising pressure")
PARAM(max_ports, 1, 1048576, 4096, "ports", 1, "ports of all clients together")
PARAM(max_port_messages, 1, 65536, 1024, "messages", 1,
    "most messages that a port may be made for (pager_port_create)")
PARAM(max_queued_bytes, 0, 70368744177664, 0, "bytes", 1,
    "memory of all messages in the queues of ports (0: as much as --memory)")
PARAM(port_copy_bytes, 0, 1073741824, 32768, "bytes", 1,
    "messages of this size or less are copied, never moved or shared")
PARAM(rest_after_ms, 0, 3600000, 1000, "ms", 1,
    "the daemon's timers stop when nothing has moved for this long (0: they never do)")
#undef PARAM
