# SPDX-License-Identifier: MIT
"""spdx.py ROOT: every source and manual page has the SPDX line at its head, ends with a newline and has no blanks at line ends."""
import pathlib
import re
import sys

import tree

LINE = 'SPDX-License-Identifier: MIT'


def is_page(path):
    """Manual pages, but for those that are another name of one."""
    return re.search(r'\.[138](\.in)?$', path.name) and not path.read_text().startswith('.so ')


def main(root):
    root = pathlib.Path(root)
    paths = list(tree.sources(root, '.c', '.h', '.sh', '.py', '.tbl'))
    paths += [str(p.relative_to(root)) for p in sorted((root / 'doc').rglob('*.py'))]
    paths += [str(p.relative_to(root)) for p in sorted((root / 'doc').rglob('*.sh'))]
    paths += [str(p.relative_to(root)) for p in sorted((root / 'doc/man').iterdir()) if is_page(p)]
    paths += ['.ci/run'] if (root / '.ci/run').exists() else []
    errors = []
    for path in paths:
        text = (root / path).read_text()
        if LINE not in '\n'.join(text.split('\n')[:3]):
            errors.append(f'{path}: no "{LINE}" in the first three lines')
        if text and not text.endswith('\n'):
            errors.append(f'{path}: does not end with a newline')
        for number, line in enumerate(text.split('\n'), 1):
            if line != line.rstrip():
                errors.append(f'{path}:{number}: blanks at the end')
    print(f'{len(paths)} files')
    tree.end(errors)


main(*sys.argv[1:])
