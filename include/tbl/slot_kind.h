/* SPDX-License-Identifier: MIT
 *
 * SLOT_KIND(NAME, text): what an object's slot says of its page. ABSENT comes first: a slot without
 * memory reads as zeroes. SLOT_ARROW(FROM, TO, when): every allowed change, made by
 * vm_object_slot_set; all others are a panic.
 */
#ifndef SLOT_KIND
#define SLOT_KIND(NAME, text)
#endif
#ifndef SLOT_ARROW
#define SLOT_ARROW(FROM, TO, when)
#endif
SLOT_KIND(ABSENT, "no frame and no copy: reads as zeroes, or is read from its file")
SLOT_KIND(RESIDENT, "a frame, whose row has the page's state")
SLOT_KIND(STORED, "a copy with the compressor, and no frame")
SLOT_KIND(POISONED, "the copy was lost")
SLOT_ARROW(ABSENT, RESIDENT, "a fill begins, or a device gets its memory")
SLOT_ARROW(ABSENT, STORED, "the copy of the page below becomes a copied page's own")
SLOT_ARROW(ABSENT, POISONED, "the page below is lost, and goes")
SLOT_ARROW(STORED, RESIDENT, "a fill begins")
SLOT_ARROW(RESIDENT, STORED, "the page has left, or its fill is aborted")
SLOT_ARROW(RESIDENT, ABSENT, "the page is discarded, back in its file, or its fill is aborted")
SLOT_ARROW(RESIDENT, POISONED, "its copy cannot be read back")
SLOT_ARROW(STORED, STORED, "compaction has moved the copy")
SLOT_ARROW(STORED, ABSENT, "the page is discarded")
SLOT_ARROW(POISONED, ABSENT, "the page is discarded")
#undef SLOT_KIND
#undef SLOT_ARROW
