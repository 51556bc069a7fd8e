/* SPDX-License-Identifier: MIT
 *
 * BAND(NUMBER, NAME, name, text): jetsam's priority bands, with XNU's names and numbers. The lowest
 * band goes first.
 */
BAND(0, IDLE, "idle", "not in use: ended as soon as memory is short")
BAND(10, AGING1, "aging1", "has just become idle")
BAND(20, AGING2, "aging2", "background work that may be put off")
BAND(30, BACKGROUND, "background", "work that nobody waits for")
BAND(40, MAIL, "mail", "kept in the background on purpose (elevated-inactive)")
BAND(50, PHONE, "phone", "kept in the background for calls")
BAND(75, FREEZER, "freezer", "put away whole")
BAND(80, UI_SUPPORT, "ui-support", "what the interface needs now and then")
BAND(90, FOREGROUND_SUPPORT, "foreground-support", "what the foreground needs")
BAND(100, FOREGROUND, "foreground", "somebody looks at it; the largest goes first")
BAND(120, AUDIO, "audio", "somebody listens to it (audio and accessory)")
BAND(130, CONDUCTOR, "conductor", "directs others")
BAND(150, DRIVER, "driver", "drives a device")
BAND(160, HOME, "home", "the home screen, a shell")
BAND(170, EXECUTIVE, "executive", "runs the session")
BAND(180, IMPORTANT, "important", "what a process has that was given no band")
BAND(190, CRITICAL, "critical", "the machine is of little use without it (telephony)")
BAND(210, MAX, "max", "the last one to go")
BAND(999, INTERNAL, "internal", "never ended")
#undef BAND
