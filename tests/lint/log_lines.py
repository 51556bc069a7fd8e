# SPDX-License-Identifier: MIT
"""log_lines.py ROOT: a log line of the daemon and of what is linked into it is limited in rate (log_*_limited), or it is one
of those that are said once (tree.SAID_ONCE)."""
import pathlib
import re
import sys

import tree

CALL = re.compile(r'\blog_(?:error|warning|notice|info|debug|message)\(\s*(?:LOG_\w+,\s*)?"([^"]*)')


def main(root):
    root = pathlib.Path(root)
    errors, found = [], set()
    for path in tree.sources(root, '.c'):
        if tree.folder_of(path) not in ('daemon', 'swap', 'compressor', 'policy'):
            continue
        text = tree.without_comments((root / path).read_text())
        for call in CALL.finditer(text):
            said = {(p, begins) for p, begins in tree.SAID_ONCE if p == path and call.group(1).startswith(begins)}
            found |= said
            if not said:
                line = text.count('\n', 0, call.start()) + 1
                errors.append(f'{path}:{line}: "{call.group(1)[:40]}" can be said without end: log_*_limited')
    errors += [f'{path}: "{begins}" of tree.SAID_ONCE is not said there' for path, begins in sorted(tree.SAID_ONCE - found)]
    tree.end(errors)


main(*sys.argv[1:])
