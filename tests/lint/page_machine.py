# SPDX-License-Identifier: MIT
"""page_machine.py ROOT: daemon/vm/vm_page.h, page_state.h and page_arrow.h tell one story: the text has a paragraph for
each state and names no other, arrows join known states and are made by functions that exist."""
import collections
import pathlib
import re
import sys

import tree


def class_of(state, resident):
    if state == 'DEVICE':
        return 'DEVICE'
    if state in resident:
        return 'INTERNAL_WIRED' if state == 'WIRED' else 'INTERNAL'
    return 'INTERNAL_COMPRESSED' if state == 'STORED' else 'NONE'


def main(root):
    root = pathlib.Path(root)
    states = [row[0] for row in tree.table(root, 'page_state', 'PAGE_STATE')]
    resident = {row[0] for row in tree.table(root, 'page_state', 'PAGE_STATE') if row[2] == '1'}
    arrows = tree.table(root, 'page_arrow', 'PAGE_ARROW')
    text = (root / 'daemon/vm/vm_page.h').read_text()
    text = text[:text.index('*/')]
    trusted = re.findall(r'^ \*   ([A-Z]{4,})  *\S', text[text.index('What may be trusted'):], re.M)
    code = '\n'.join((root / p).read_text() for p in tree.sources(root, '.c') if p.startswith('daemon/'))
    defined = set(re.findall(r'^(\w+)\(', code, re.M))
    errors = []

    for state in states:
        if state not in trusted:
            errors.append(f'vm_page.h: no paragraph on {state}')
    for state in trusted:
        if state not in states:
            errors.append(f'vm_page.h: {state} is no state')
    pairs = [(row[0], row[1]) for row in arrows]
    for pair, count in collections.Counter(pairs).items():
        if count > 1:
            errors.append(f'page_arrow.h: {pair[0]} -> {pair[1]} stands {count} times')
    classes = {row[0] for row in tree.table(root, 'ledger_class', 'LEDGER_CLASS')}
    for start, to, function, *moved in arrows:
        arrow = f'page_arrow.h: {start} -> {to}'
        for state in (start, to):
            if state not in states:
                errors.append(f'{arrow}: {state} is no state')
        if function not in defined and function + '_locked' not in defined:
            errors.append(f'{arrow}: there is no function {function} or {function}_locked in daemon/')
        # The class that a page is billed in is decided by its state.
        want = [class_of(state, resident) for state in (start, to)]
        if moved != want or not classes.issuperset(moved):
            errors.append(f'{arrow}: moves from class {" to ".join(moved)}, the states say {" to ".join(want)}')
    for state in states:
        if state != 'ABSENT' and state not in [p[1] for p in pairs]:
            errors.append(f'page_arrow.h: nothing leads to {state}')
        if state not in [p[0] for p in pairs]:
            errors.append(f'page_arrow.h: nothing leads away from {state}')
    tree.end(errors)


main(*sys.argv[1:])
