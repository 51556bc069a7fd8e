# SPDX-License-Identifier: MIT
"""pager_kinds.py ROOT: outside daemon/pagers/ nothing asks which pager an object has, and nothing calls a pager but through
pager.h. vm/books.h declares what the object stores; tests may look at everything."""
import pathlib
import re
import sys

import tree

DECLARES = {'daemon/vm/books.h'}
KIND = re.compile(r'\b(?:PAGER_NONE|PAGER_KIND_COUNT|enum pager_kind|pager_is_store)\b|(?:->|\.)pager\b|\bpagers\[')


def main(root):
    root = pathlib.Path(root)
    table = tree.without_comments((root / 'daemon/pagers/pager.c').read_text())
    table = table[table.index('pagers[PAGER_KIND_COUNT]'):]
    rows = re.findall(r'\.\w+ = (?!true,)(\w+),', table[:table.index('\n};')])
    kinds = re.findall(r'\[(PAGER_\w+)\] =', table[:table.index('\n};')])
    errors = [] if rows and kinds else ['daemon/pagers/pager.c: no table is found']
    forbidden = re.compile(r'\b(?:%s)\b' % '|'.join(rows + kinds)) if not errors else None
    for path in tree.sources(root, '.c', '.h'):
        if not path.startswith('daemon/') or path.startswith('daemon/pagers/') or path in DECLARES or not forbidden:
            continue
        for number, line in enumerate(tree.without_comments((root / path).read_text()).split('\n'), 1):
            for pattern in (KIND, forbidden):
                found = pattern.search(line)
                if found:
                    errors.append(f'{path}:{number}: {found.group(0)} is the business of daemon/pagers/')
    tree.end(errors)


main(sys.argv[1])
