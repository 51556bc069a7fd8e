/* SPDX-License-Identifier: MIT
 *
 * FREEZE_EVENT(NUMBER, NAME, name, text): what has happened to a process that was to be frozen.
 */
FREEZE_EVENT(1, FROZEN, "frozen", "because it was asked for")
FREEZE_EVENT(2, CHOSEN, "chosen", "frozen, because it was idle and memory was wanted")
FREEZE_EVENT(3, TOUCHED, "touched", "thawed, because it touched its memory")
FREEZE_EVENT(4, THAWED, "thawed", "because it was asked for")
#undef FREEZE_EVENT
