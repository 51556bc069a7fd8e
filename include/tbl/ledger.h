/* SPDX-License-Identifier: MIT
 *
 * LEDGER(NAME, name, unit, kind, classes, text): the entries of a client's ledger. kind: PAGES are
 * balances in pages, posted only by the rows of tbl/page_arrow.h, and by mappings of devices as
 * they come and go (shown in bytes); BYTES is a balance in bytes, posted from any thread; COUNT and
 * TIME_NS only grow. classes: of PAGES, which classes of tbl/ledger_class.h are counted, so that
 * the sums are this table's. Names and equations are XNU's: phys_footprint = internal +
 * internal_compressed + iokit_mapped (the other terms of XNU's sum belong to features that do not
 * exist here). A page being filled or laundered is billed as internal until it has left.
 */
LEDGER(PHYS_MEM, phys_mem, "bytes", PAGES,
    IN(INTERNAL) | IN(INTERNAL_WIRED) | IN(EXTERNAL) | IN(EXTERNAL_WIRED),
    "resident pages, mapped or not: internal + external")
LEDGER(INTERNAL, internal, "bytes", PAGES, IN(INTERNAL) | IN(INTERNAL_WIRED),
    "resident anonymous pages")
LEDGER(EXTERNAL, external, "bytes", PAGES, IN(EXTERNAL) | IN(EXTERNAL_WIRED),
    "resident pages of files (not in the footprint)")
LEDGER(INTERNAL_COMPRESSED, internal_compressed, "bytes", PAGES, IN(INTERNAL_COMPRESSED),
    "anonymous pages kept by the compressor or swap, at full size")
LEDGER(WIRED_MEM, wired_mem, "bytes", PAGES, IN(INTERNAL_WIRED) | IN(EXTERNAL_WIRED),
    "wired pages (also in internal and external)")
LEDGER(IOKIT_MAPPED, iokit_mapped, "bytes", PAGES, IN(IOKIT_MAPPED),
    "mappings of devices, each at its whole size from when it is mapped until it is given back")
LEDGER(PHYS_FOOTPRINT, phys_footprint, "bytes", PAGES,
    IN(INTERNAL) | IN(INTERNAL_WIRED) | IN(INTERNAL_COMPRESSED) | IN(IOKIT_MAPPED),
    "internal + internal_compressed + iokit_mapped")
LEDGER(FAULTS, faults, "count", COUNT, 0, "faults answered, of every kind")
LEDGER(ZERO_FILLS, zero_fills, "count", COUNT, 0, "pages filled with zeroes at first touch")
LEDGER(
    SOFT_FAULTS, soft_faults, "count", COUNT, 0, "touches of resident pages that were not mapped")
LEDGER(REACTIVATIONS, reactivations, "count", COUNT, 0,
    "of those: inactive pages that became active again")
LEDGER(DECOMPRESSIONS, decompressions, "count", COUNT, 0, "pages expanded from memory")
LEDGER(SWAPINS, swapins, "count", COUNT, 0, "pages read back from a swap file")
LEDGER(FILE_READS, file_reads, "count", COUNT, 0, "pages read from files")
LEDGER(WP_FAULTS, write_protect_faults, "count", COUNT, 0, "first writes to clean pages")
LEDGER(PAGEOUTS, pageouts, "count", COUNT, 0, "pages taken away")
LEDGER(PAGES_LOST, pages_lost, "count", COUNT, 0, "pages poisoned by I/O errors")
LEDGER(STALL_FILL, stall_fill_ns, "ns", TIME_NS, 0, "time faults took to be filled from memory")
LEDGER(STALL_SWAP, stall_swap_ns, "ns", TIME_NS, 0,
    "time faults waited for a swap file or another file")
LEDGER(STALL_FRAME, stall_frame_ns, "ns", TIME_NS, 0, "time faults waited for a free frame")
LEDGER(STALL_LIMIT, stall_limit_ns, "ns", TIME_NS, 0,
    "time faults waited because of the process's own limit")
LEDGER(PAGE_TABLE, page_table, "bytes", BYTES, 0,
    "memory of the daemon's tables that is charged to the client, the most that its pages can take "
    "(not in the footprint)")
#undef LEDGER
