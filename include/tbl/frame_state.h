/* SPDX-License-Identifier: MIT
 *
 * FRAME_STATE(NAME, text): the states of a frame that holds no page; one that holds a page has the
 * page's state (tbl/page_state.h). FRAME_ARROW(FROM, TO, function): every allowed change, the
 * function that makes it (some end in _locked); PAGE is any state of a page. All others are a
 * panic.
 */
#ifndef FRAME_STATE
#define FRAME_STATE(NAME, text)
#endif
#ifndef FRAME_ARROW
#define FRAME_ARROW(FROM, TO, function)
#endif
FRAME_STATE(FREE, "on the list of free frames")
FRAME_STATE(TAKEN, "off that list, for a page that is about to be committed to it")
FRAME_STATE(COMPRESSOR, "memory of the compressor's arena, or its credit")
FRAME_STATE(RETIRED, "no frame now: the daemon is to hold less memory than it has rows for")
FRAME_ARROW(FREE, TAKEN, frame_take)
FRAME_ARROW(TAKEN, FREE, frame_put)
FRAME_ARROW(TAKEN, PAGE, vm_page_commit)
FRAME_ARROW(PAGE, FREE, frame_put)
FRAME_ARROW(FREE, COMPRESSOR, frames_credit_compressor)
FRAME_ARROW(COMPRESSOR, FREE, frames_reclaim_credit)
FRAME_ARROW(FREE, RETIRED, frames_retire)
FRAME_ARROW(RETIRED, FREE, frames_resize)
#undef FRAME_STATE
#undef FRAME_ARROW
