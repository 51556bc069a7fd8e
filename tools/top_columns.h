/* SPDX-License-Identifier: MIT
 *
 * TOP_COLUMN(NAME, key, title, width, from, kind, text): the columns of pagerctl top, from the
 * left. key: what --sort and the screen's `s` call it. from: how many characters a terminal's line
 * must have for the column to be shown; where there is no terminal all of them are. kind: of the
 * value, TEXT (sorted from A on), or a number (sorted from the largest on): NUMBER, BYTES, RATE,
 * PERCENT. The last column takes the rest of the line.
 */
TOP_COLUMN(PID, pid, "PID", 7, 0, NUMBER, "process id")
TOP_COLUMN(USER, user, "USER", 8, 104, TEXT, "the user")
TOP_COLUMN(FOOTPRINT, footprint, "FOOTPR", 6, 0, BYTES, "footprint: what it is billed for")
TOP_COLUMN(RESIDENT, resident, "RESID", 6, 0, BYTES, "resident pages, files included")
TOP_COLUMN(COMPRESSED, compressed, "COMPR", 6, 0, BYTES,
    "pages that the compressor or swap keeps, at full size")
TOP_COLUMN(SWAPPED, swapped, "SWAP", 6, 0, BYTES, "of those: on disk")
TOP_COLUMN(WIRED, wired, "WIRED", 6, 112, BYTES, "wired pages")
TOP_COLUMN(FAULTS, faults, "FLT/s", 6, 0, RATE, "faults of every kind, a second")
TOP_COLUMN(REFILLS, refills, "REF/s", 6, 92, RATE,
    "pages brought back from the compressor, swap and files, a second")
TOP_COLUMN(SWAPINS, swapins, "SWIN/s", 6, 120, RATE, "of those: from swap")
TOP_COLUMN(STALL, stall, "STALL%", 6, 0, PERCENT,
    "time that its threads waited for pages, of the time that has passed; several threads can "
    "make more than 100")
TOP_COLUMN(LIMIT, limit, "LIMIT", 6, 0, BYTES,
    "the least of its limits that hold now, on resident memory or on the "
    "footprint; pagerctl limit shows all")
TOP_COLUMN(BAND, band, "BAND", 4, 0, NUMBER, "jetsam band")
TOP_COLUMN(STATE, state, "STATE", 6, 0, TEXT,
    "how far it is with being frozen; else limit: it waits at its limit; else what the process "
    "does")
TOP_COLUMN(NAME, name, "NAME", 0, 0, TEXT, "name")
#undef TOP_COLUMN
