/* SPDX-License-Identifier: MIT
 *
 * FREEZE_STATE(NUMBER, NAME, name, text): how far a process is with being frozen.
 */
FREEZE_STATE(0, NONE, "no", "it is not frozen")
FREEZE_STATE(1, WANTED, "wanted", "it is to be frozen")
FREEZE_STATE(2, RUNS, "freezing", "its pages are on their way out")
FREEZE_STATE(3, FROZEN, "frozen", "its own pages are away; its next touch thaws it")
FREEZE_STATE(4, THAW_WANTED, "thaw-wanted", "its pages are to come back")
FREEZE_STATE(5, THAW_RUNS, "thawing", "its pages are on their way back")
#undef FREEZE_STATE
