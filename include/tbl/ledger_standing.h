/* SPDX-License-Identifier: MIT
 *
 * LEDGER_STANDING(NAME, RESIDENT, WIRED, STORED, text): how an object stands on its owner's bill:
 * the classes (tbl/ledger_class.h) in which its pages are billed where tbl/page_arrow.h says
 * INTERNAL, INTERNAL_WIRED and INTERNAL_COMPRESSED. NONE: it has no such pages. A resident page of
 * a plain object that is marked as reusable is billed as REUSABLE while it is not wired.
 */
LEDGER_STANDING(PLAIN, INTERNAL, INTERNAL_WIRED, INTERNAL_COMPRESSED, "anonymous memory")
LEDGER_STANDING(EXTERNAL, EXTERNAL, EXTERNAL_WIRED, NONE, "a part of a file")
LEDGER_STANDING(VOLATILE, VOLATILE, NONVOLATILE_WIRED, VOLATILE_COMPRESSED,
    "purgeable memory that may be taken, or has been")
LEDGER_STANDING(
    NONVOLATILE, NONVOLATILE, NONVOLATILE_WIRED, NONVOLATILE_COMPRESSED, "purgeable memory in use")
LEDGER_STANDING(TAGGED, TAGGED, TAGGED_WIRED, TAGGED_COMPRESSED, "memory with a ledger tag")
LEDGER_STANDING(UNCOUNTED, UNCOUNTED, UNCOUNTED_WIRED, UNCOUNTED_COMPRESSED,
    "memory with a ledger tag that is not in the footprint")
#undef LEDGER_STANDING
