/* SPDX-License-Identifier: MIT
 *
 * PRESSURE(NUMBER, NAME, name, text): levels of memory pressure, with XNU's names and numbers. A
 * program is told of urgent as warning.
 */
PRESSURE(0, NORMAL, "normal", "there is room")
PRESSURE(1, WARNING, "warning", "programs should give back what they can do without")
PRESSURE(2, URGENT, "urgent", "idle programs may be ended (jetsam)")
PRESSURE(
    3, CRITICAL, "critical", "any program may be ended, the least important one first (jetsam)")
#undef PRESSURE
