/* SPDX-License-Identifier: MIT
 *
 * PAGE_STATE(NAME, letter, resident, queue, text): the states of a page. resident: a frame holds
 * it. queue: the gauge (STAT_FRAMES_<queue>) its frame counts in; NONE without one.
 */
PAGE_STATE(
    ABSENT, '-', 0, NONE, "no frame: reads as zeroes, or the object's pager has it in its place")
PAGE_STATE(STORED, 'S', 0, NONE, "kept by the compressor, in memory or away")
PAGE_STATE(POISONED, 'P', 0, NONE, "its content was lost: touching it is SIGBUS")
PAGE_STATE(FILLING, 'F', 1, ACTIVE, "busy: a frame is taken, its content is on the way")
PAGE_STATE(ACTIVE, 'A', 1, ACTIVE, "mapped, counts as referenced")
PAGE_STATE(INACTIVE, 'I', 1, INACTIVE, "resident, unmapped: a touch is a soft fault")
PAGE_STATE(SPECULATIVE, 'X', 1, SPECULATIVE, "brought in ahead of use, never mapped")
PAGE_STATE(LAUNDRY, 'L', 1, LAUNDRY, "chosen to leave; a touch still rescues it")
PAGE_STATE(CLEANING, 'C', 1, LAUNDRY, "busy: being copied out")
PAGE_STATE(WIRED, 'W', 1, WIRED, "resident and mapped until unwired")
PAGE_STATE(DEVICE, 'D', 1, WIRED, "memory of a device: resident as long as that is there")
#undef PAGE_STATE
