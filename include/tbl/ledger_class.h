/* SPDX-License-Identifier: MIT
 *
 * LEDGER_CLASS(NAME, text): what a page is on its client's bill. A page is in one class at a time;
 * a row of tbl/page_arrow.h moves it, and rows of tbl/ledger.h say which classes they count.
 */
LEDGER_CLASS(NONE, "not billed: it has no content, or has lost it")
LEDGER_CLASS(INTERNAL, "an anonymous page in a frame")
LEDGER_CLASS(INTERNAL_WIRED, "an anonymous page in a frame, wired")
LEDGER_CLASS(EXTERNAL, "a page of a file in a frame")
LEDGER_CLASS(EXTERNAL_WIRED, "a page of a file in a frame, wired")
LEDGER_CLASS(INTERNAL_COMPRESSED, "an anonymous page kept by the compressor or swap")
LEDGER_CLASS(DEVICE, "memory of a device in a frame: nobody is billed for it by the page")
LEDGER_CLASS(IOKIT_MAPPED, "a page of a mapping of a device, whatever is done with it")
#undef LEDGER_CLASS
