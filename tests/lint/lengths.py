# SPDX-License-Identifier: MIT
"""lengths.py ROOT: no source file is longer than 600 lines, no function longer than 80."""
import pathlib
import re
import sys

import tree

FILE_LINES = 600
FUNCTION_LINES = 80
# Files that are longer today. The list only shrinks.
LONGER: set = set()


def functions(lines):
    """(name, first line, length): a definition's name stands at the beginning of a line, its braces too."""
    name = start = None
    for number, line in enumerate(lines, 1):
        head = re.match(r'(\w+)\(', line)
        if head and start is None:
            name = head.group(1), number
        if line == '{' and name:
            start = number
        elif line == '}' and start is not None:
            yield name[0], name[1], number - start + 1
            name = start = None


def main(root):
    root = pathlib.Path(root)
    errors, longer = [], set()
    for path in tree.sources(root, '.c', '.h'):
        lines = (root / path).read_text().split('\n')[:-1]
        if len(lines) > FILE_LINES:
            longer.add(path)
        errors += [f'{path}:{line}: {name} has {length} lines' for name, line, length in functions(lines)
                   if length > FUNCTION_LINES]
    errors += [f'{path}: more than {FILE_LINES} lines' for path in sorted(longer - LONGER)]
    errors += [f'{path}: no longer than {FILE_LINES} lines, or gone: remove it from the list' for path in sorted(LONGER - longer)]
    tree.end(errors)


main(*sys.argv[1:])
