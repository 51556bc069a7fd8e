/* SPDX-License-Identifier: MIT
 *
 * LEDGER_CLASS(NAME, text): what a page is on its client's bill. A page is in one class at a time;
 * a row of tbl/page_arrow.h moves it, and rows of tbl/ledger.h say which classes they count.
 */
LEDGER_CLASS(NONE, "not billed: it has no content, or has lost it")
LEDGER_CLASS(INTERNAL, "an anonymous page in a frame")
LEDGER_CLASS(INTERNAL_WIRED, "an anonymous page in a frame, wired")
LEDGER_CLASS(INTERNAL_COMPRESSED, "an anonymous page kept by the compressor or swap")
LEDGER_CLASS(EXTERNAL, "a page of a file in a frame")
LEDGER_CLASS(EXTERNAL_WIRED, "a page of a file in a frame, wired")
LEDGER_CLASS(REUSABLE, "an anonymous page in a frame, whose content its owner does not need")
LEDGER_CLASS(VOLATILE, "a page in a frame, of a purgeable object that is volatile or empty")
LEDGER_CLASS(VOLATILE_COMPRESSED, "such a page, kept by the compressor or swap")
LEDGER_CLASS(NONVOLATILE, "a page in a frame, of a purgeable object that is nonvolatile")
LEDGER_CLASS(NONVOLATILE_WIRED, "a wired page of a purgeable object, in whatever state that is")
LEDGER_CLASS(NONVOLATILE_COMPRESSED, "a nonvolatile purgeable page, kept by the compressor or swap")
LEDGER_CLASS(TAGGED, "a page in a frame, of an object with a ledger tag")
LEDGER_CLASS(TAGGED_WIRED, "such a page, wired")
LEDGER_CLASS(TAGGED_COMPRESSED, "such a page, kept by the compressor or swap")
LEDGER_CLASS(UNCOUNTED, "a page in a frame, of an object with a ledger tag, not in the footprint")
LEDGER_CLASS(UNCOUNTED_WIRED, "such a page, wired")
LEDGER_CLASS(UNCOUNTED_COMPRESSED, "such a page, kept by the compressor or swap")
LEDGER_CLASS(DEVICE, "memory of a device in a frame: nobody is billed for it by the page")
LEDGER_CLASS(IOKIT_MAPPED, "a page of a mapping of a device, whatever is done with it")
#undef LEDGER_CLASS
