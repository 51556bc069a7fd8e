/* SPDX-License-Identifier: MIT
 *
 * LEDGER(NAME, name, unit, kind, classes, text): the entries of a client's ledger. kind: PAGES are
 * balances in pages, posted only by the rows of tbl/page_arrow.h, where an object's standing
 * changes, and by mappings of devices as they come and go (shown in bytes); BYTES is a balance in
 * bytes, posted from any thread; COUNT and TIME_NS only grow. classes: of PAGES, which classes of
 * tbl/ledger_class.h are counted, so that the sums are this table's. Names and equations are XNU's:
 * phys_footprint = (internal - alternate_accounting) + (internal_compressed -
 * alternate_accounting_compressed) + iokit_mapped + purgeable_nonvolatile (+ _compressed) +
 * tagged_footprint (+ _compressed). A page being filled or laundered is billed as resident until it
 * has left.
 */
LEDGER(PHYS_MEM, phys_mem, "bytes", PAGES,
    IN(INTERNAL) | IN(INTERNAL_WIRED) | IN(EXTERNAL) | IN(EXTERNAL_WIRED) | IN(REUSABLE) |
	IN(VOLATILE) | IN(NONVOLATILE) | IN(NONVOLATILE_WIRED) | IN(TAGGED) | IN(TAGGED_WIRED) |
	IN(UNCOUNTED) | IN(UNCOUNTED_WIRED),
    "resident pages, mapped or not: internal + external + reusable")
LEDGER(INTERNAL, internal, "bytes", PAGES,
    IN(INTERNAL) | IN(INTERNAL_WIRED) | IN(VOLATILE) | IN(NONVOLATILE) | IN(NONVOLATILE_WIRED) |
	IN(TAGGED) | IN(TAGGED_WIRED) | IN(UNCOUNTED) | IN(UNCOUNTED_WIRED),
    "resident anonymous pages")
LEDGER(EXTERNAL, external, "bytes", PAGES, IN(EXTERNAL) | IN(EXTERNAL_WIRED),
    "resident pages of files (not in the footprint)")
LEDGER(REUSABLE, reusable, "bytes", PAGES, IN(REUSABLE),
    "resident anonymous pages whose content is not needed (neither in internal nor in the "
    "footprint)")
LEDGER(INTERNAL_COMPRESSED, internal_compressed, "bytes", PAGES,
    IN(INTERNAL_COMPRESSED) | IN(VOLATILE_COMPRESSED) | IN(NONVOLATILE_COMPRESSED) |
	IN(TAGGED_COMPRESSED) | IN(UNCOUNTED_COMPRESSED),
    "anonymous pages kept by the compressor or swap, at full size")
LEDGER(WIRED_MEM, wired_mem, "bytes", PAGES,
    IN(INTERNAL_WIRED) | IN(EXTERNAL_WIRED) | IN(NONVOLATILE_WIRED) | IN(TAGGED_WIRED) |
	IN(UNCOUNTED_WIRED),
    "wired pages (also in internal and external)")
LEDGER(IOKIT_MAPPED, iokit_mapped, "bytes", PAGES, IN(IOKIT_MAPPED),
    "mappings of devices, each at its whole size from when it is mapped until it is given back")
LEDGER(ALTERNATE_ACCOUNTING, alternate_accounting, "bytes", PAGES,
    IN(VOLATILE) | IN(NONVOLATILE) | IN(NONVOLATILE_WIRED) | IN(TAGGED) | IN(TAGGED_WIRED) |
	IN(UNCOUNTED) | IN(UNCOUNTED_WIRED),
    "pages of internal that are billed by what their object is: purgeable, or tagged")
LEDGER(ALTERNATE_ACCOUNTING_COMPRESSED, alternate_accounting_compressed, "bytes", PAGES,
    IN(VOLATILE_COMPRESSED) | IN(NONVOLATILE_COMPRESSED) | IN(TAGGED_COMPRESSED) |
	IN(UNCOUNTED_COMPRESSED),
    "likewise, of internal_compressed")
LEDGER(PURGEABLE_VOLATILE, purgeable_volatile, "bytes", PAGES, IN(VOLATILE),
    "resident purgeable pages that may be taken (not in the footprint)")
LEDGER(PURGEABLE_VOLATILE_COMPRESSED, purgeable_volatile_compressed, "bytes", PAGES,
    IN(VOLATILE_COMPRESSED), "likewise, compressed or swapped")
LEDGER(PURGEABLE_NONVOLATILE, purgeable_nonvolatile, "bytes", PAGES,
    IN(NONVOLATILE) | IN(NONVOLATILE_WIRED),
    "resident purgeable pages in use, and wired ones in any state")
LEDGER(PURGEABLE_NONVOLATILE_COMPRESSED, purgeable_nonvolatile_compressed, "bytes", PAGES,
    IN(NONVOLATILE_COMPRESSED), "likewise, compressed or swapped")
LEDGER(TAGGED_FOOTPRINT, tagged_footprint, "bytes", PAGES, IN(TAGGED) | IN(TAGGED_WIRED),
    "resident pages with a ledger tag")
LEDGER(TAGGED_FOOTPRINT_COMPRESSED, tagged_footprint_compressed, "bytes", PAGES,
    IN(TAGGED_COMPRESSED), "likewise, compressed or swapped")
LEDGER(TAGGED_NOFOOTPRINT, tagged_nofootprint, "bytes", PAGES, IN(UNCOUNTED) | IN(UNCOUNTED_WIRED),
    "resident pages with a ledger tag that are not in the footprint")
LEDGER(TAGGED_NOFOOTPRINT_COMPRESSED, tagged_nofootprint_compressed, "bytes", PAGES,
    IN(UNCOUNTED_COMPRESSED), "likewise, compressed or swapped")
LEDGER(PHYS_FOOTPRINT, phys_footprint, "bytes", PAGES,
    IN(INTERNAL) | IN(INTERNAL_WIRED) | IN(INTERNAL_COMPRESSED) | IN(NONVOLATILE) |
	IN(NONVOLATILE_WIRED) | IN(NONVOLATILE_COMPRESSED) | IN(TAGGED) | IN(TAGGED_WIRED) |
	IN(TAGGED_COMPRESSED) | IN(IOKIT_MAPPED),
    "internal + internal_compressed - what of them is accounted otherwise + iokit_mapped + "
    "purgeable_nonvolatile + tagged_footprint, both with what is compressed")
LEDGER(PAGES_GRABBED, pages_grabbed, "count", COUNT, 0, "frames taken for its pages, of every kind")
LEDGER(FAULTS, faults, "count", COUNT, 0, "faults answered, of every kind")
LEDGER(ZERO_FILLS, zero_fills, "count", COUNT, 0, "pages filled with zeroes at first touch")
LEDGER(
    SOFT_FAULTS, soft_faults, "count", COUNT, 0, "touches of resident pages that were not mapped")
LEDGER(REACTIVATIONS, reactivations, "count", COUNT, 0,
    "of those: inactive pages that became active again")
LEDGER(DECOMPRESSIONS, decompressions, "count", COUNT, 0, "pages expanded from memory")
LEDGER(SWAPINS, swapins, "count", COUNT, 0, "pages read back from a swap file")
LEDGER(FILE_READS, file_reads, "count", COUNT, 0, "pages read from files")
LEDGER(LOGICAL_WRITES, logical_writes, "bytes", COUNT, 0,
    "pages that it has stored into and that have been written to their files")
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
