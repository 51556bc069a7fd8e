/* SPDX-License-Identifier: MIT
 *
 * PAGE_ARROW(FROM, TO, function, internal, compressed, wired): every allowed change of a page's
 * state, the function (some of them end in _locked) that makes it, and what it posts to the owner's
 * ledger (pages). vm_page_commit refuses all others. The frame moves between queue gauges as the
 * states' rows say.
 */
PAGE_ARROW(ABSENT, FILLING, fill_begin, 1, 0, 0)
PAGE_ARROW(STORED, FILLING, fill_begin, 1, -1, 0)
PAGE_ARROW(FILLING, ACTIVE, fill_finish, 0, 0, 0)
PAGE_ARROW(FILLING, SPECULATIVE, fill_finish, 0, 0, 0)
PAGE_ARROW(FILLING, WIRED, fill_finish, 0, 0, 1)
PAGE_ARROW(FILLING, POISONED, fill_lost, -1, 0, 0)
PAGE_ARROW(FILLING, ABSENT, fill_abort, -1, 0, 0)
PAGE_ARROW(FILLING, STORED, fill_abort, -1, 1, 0)
PAGE_ARROW(ACTIVE, INACTIVE, pageq_deactivate_page, 0, 0, 0)
PAGE_ARROW(INACTIVE, ACTIVE, pageq_reactivate, 0, 0, 0)
PAGE_ARROW(SPECULATIVE, ACTIVE, pageq_reactivate, 0, 0, 0)
PAGE_ARROW(LAUNDRY, ACTIVE, pageq_reactivate, 0, 0, 0)
PAGE_ARROW(INACTIVE, LAUNDRY, pageq_choose_page, 0, 0, 0)
PAGE_ARROW(SPECULATIVE, LAUNDRY, pageq_round, 0, 0, 0)
PAGE_ARROW(LAUNDRY, CLEANING, pageq_launder_begin, 0, 0, 0)
PAGE_ARROW(CLEANING, STORED, pageq_launder_finish, -1, 1, 0)
PAGE_ARROW(CLEANING, ACTIVE, pageq_launder_abort, 0, 0, 0)
PAGE_ARROW(ACTIVE, WIRED, pageq_wire, 0, 0, 1)
PAGE_ARROW(INACTIVE, WIRED, pageq_wire, 0, 0, 1)
PAGE_ARROW(SPECULATIVE, WIRED, pageq_wire, 0, 0, 1)
PAGE_ARROW(LAUNDRY, WIRED, pageq_wire, 0, 0, 1)
PAGE_ARROW(WIRED, ACTIVE, pageq_unwire, 0, 0, -1)
PAGE_ARROW(ACTIVE, ABSENT, pageq_discard, -1, 0, 0)
PAGE_ARROW(INACTIVE, ABSENT, pageq_discard, -1, 0, 0)
PAGE_ARROW(SPECULATIVE, ABSENT, pageq_discard, -1, 0, 0)
PAGE_ARROW(LAUNDRY, ABSENT, pageq_discard, -1, 0, 0)
PAGE_ARROW(WIRED, ABSENT, pageq_discard, -1, 0, -1)
PAGE_ARROW(STORED, ABSENT, discard_slots, 0, -1, 0)
PAGE_ARROW(POISONED, ABSENT, discard_slots, 0, 0, 0)
#undef PAGE_ARROW
