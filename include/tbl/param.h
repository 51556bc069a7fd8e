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
PARAM(swap_force_sync, 0, 1, 0, "bool", 0, "use pread and pwrite instead of io_uring")
PARAM(fault_servers, 0, 1024, 0, "threads", 0,
    "fault servers (0: one per CPU that the daemon may use)")
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
PARAM(zap, 0, 2, 0, "choice", 1,
    "how mappings are taken away for ageing: 1 by the daemon (MADV_PAGEOUT), 2 by the client's "
    "agent, 0 by the daemon unless the system has swap or refuses it")
PARAM(parked_faults, 64, 1048576, 8192, "faults", 0,
    "faults that may wait for a frame at a time; one client may have a quarter of them")
#undef PARAM
