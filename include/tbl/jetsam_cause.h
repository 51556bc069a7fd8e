/* SPDX-License-Identifier: MIT
 *
 * JETSAM_CAUSE(NUMBER, NAME, name, text): why a process was ended, with XNU's names and numbers.
 */
JETSAM_CAUSE(2, HIGHWATER, "highwater", "it was over a soft limit, and memory was short")
JETSAM_CAUSE(4, VM_PAGE_SHORTAGE, "vm-page-shortage", "less than the critical part was available")
JETSAM_CAUSE(7, PER_PROCESS_LIMIT, "per-process-limit", "it wanted more than its fatal limit")
JETSAM_CAUSE(9, IDLE_EXIT, "idle-exit", "it was idle, and pressure was urgent")
JETSAM_CAUSE(12, COMPRESSOR_SPACE_SHORTAGE, "vm-compressor-space-shortage",
    "nothing could leave: memory, compressor and swap were full")
JETSAM_CAUSE(14, SUSTAINED_PRESSURE, "sustained-pressure",
    "it was idle, and memory had been short for ten minutes")
JETSAM_CAUSE(17, LONG_IDLE_EXIT, "long-idle-exit", "it had long been idle, and memory became short")
#undef JETSAM_CAUSE
