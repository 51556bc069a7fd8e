#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""gen.py [--check] [ROOT]: writes what is made from tables: doc/stats.md, and the part of README.md that
bench/results.md fills. --check: says what is out of date instead, exit status 1."""
import pathlib
import re
import sys

BEGIN, END = '<!-- begin: {} -->\n', '<!-- end: {} -->\n'


def rows_text(rows):
    width = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = ['| ' + ' | '.join(c.ljust(width[i]) for i, c in enumerate(row[:-1])) + ' | ' + row[-1] + ' |' for row in rows]
    lines.insert(1, '|' + '|'.join('-' * (w + 2) for w in width[:-1]) + '|---|')
    return '\n'.join(lines) + '\n'


def stats_text(tree, root):
    stat = [('name', 'kind', 'unit', 'meaning')] + [(r[1], r[2].lower(), r[3], r[4]) for r in tree.table(root, 'stat', 'STAT')]
    ledger = [('name', 'unit', 'kind', 'counts', 'meaning')] + [
        (r[1], r[2], {'PAGES': 'balance', 'BYTES': 'balance', 'COUNT': 'count', 'TIME_NS': 'time'}[r[3]],
         ', '.join(re.findall(r'IN\((\w+)\)', r[4])).lower(), r[5])
        for r in tree.table(root, 'ledger', 'LEDGER')]
    classes = [('class', 'meaning')] + [(r[0].lower(), r[1]) for r in tree.table(root, 'ledger_class', 'LEDGER_CLASS')]
    param = [('name', 'default', 'from', 'to', 'unit', 'live', 'meaning')] + [
        (r[0], r[3], r[1], r[2], r[4], 'yes' if r[5] == '1' else 'no', r[6]) for r in tree.table(root, 'param', 'PARAM')]
    state = [('letter', 'state', 'frame', 'counts in', 'meaning')] + [
        (r[1].strip("'"), r[0], 'yes' if r[2] == '1' else 'no', r[3].lower() if r[3] != 'NONE' else '', r[4])
        for r in tree.table(root, 'page_state', 'PAGE_STATE')]
    frame = [('state', 'meaning')] + [tuple(r) for r in tree.table(root, 'frame_state', 'FRAME_STATE')]
    fail = [('name', 'error', 'meaning')] + [tuple(r) for r in tree.table(root, 'fail_point', 'FAIL')]
    own = [('name', 'for each', 'meaning')] + [(r[1], r[2].lower(), r[3]) for r in tree.table(root, 'own_memory', 'OWN')]
    tag = [('number', 'name')] + [tuple(r) for r in tree.table(root, 'tag', 'TAG')]
    return ''.join((
        '# Statistics, ledgers, parameters\n\nMade from `include/tbl` by `doc/gen.py`; do not edit.\n',
        '\n## Statistics\n\n', 'Of the whole daemon: `pagerctl stat`; the shared segment of `include/pager/shmstat.h`.\n\n',
        '\n\n'.join(tree.head_comment(root, 'stat')), '\n\n', rows_text(stat),
        '\n## Ledgers\n\n', 'Of each client: `pagerctl footprint PID`, `pager_statistics(3)`.\n\n',
        '\n\n'.join(tree.head_comment(root, 'ledger')), '\n\n', rows_text(ledger),
        '\n### Classes of pages\n\n', rows_text(classes),
        '\n## Own memory\n\n', 'Of the daemon itself, by kind: `pagerctl wired`.\n\n', rows_text(own),
        '\n## Page states\n\n', 'What the gauges count. The whole story is in `daemon/vm/vm_page.h`.\n\n', rows_text(state),
        '\nA frame that holds no page:\n\n', rows_text(frame),
        '\n## Parameters\n\n', 'Lines `name = value` of the configuration file, `pagerd --param NAME=VALUE`, `pagerctl param`.',
        ' live: may be changed while the daemon runs.\n\n', rows_text(param),
        '\n## Tags\n\n', '\n\n'.join(tree.head_comment(root, 'tag')), '\n\n', rows_text(tag),
        '\n## Fail points\n\n',
        'For tests: `pagerd --fail NAME:after[:times]`, `PAGERD_FAIL`, `pagerctl debug`. See HACKING.md.\n\n',
        rows_text(fail)))


def readme_text(root):
    text = (root / 'README.md').read_text()
    begin, end = BEGIN.format('bench/results.md'), END.format('bench/results.md')
    if begin not in text or end not in text:
        return text
    results = root / 'bench/results.md'
    filling = results.read_text() if results.exists() else 'No figures yet: `bench/results.md` is to hold them.\n'
    return text[:text.index(begin) + len(begin)] + filling + text[text.index(end):]


def main(arguments):
    check = '--check' in arguments
    roots = [a for a in arguments if not a.startswith('-')]
    root = pathlib.Path(roots[0]) if roots else pathlib.Path(__file__).resolve().parent.parent
    sys.dont_write_bytecode = True
    sys.path.insert(0, str(root / 'tests/lint'))
    import tree  # pylint: disable=import-outside-toplevel,import-error
    stale = []
    for path, text in ((root / 'doc/stats.md', stats_text(tree, root)), (root / 'README.md', readme_text(root))):
        if path.exists() and path.read_text() == text:
            continue
        stale.append(str(path.relative_to(root)))
        if not check:
            path.write_text(text)
            print(f'{stale[-1]} written')
    if check and stale:
        print(f'{", ".join(stale)}: out of date; run python3 doc/gen.py')
        return 1
    return 0


if __name__ == '__main__':
    raise SystemExit(main(sys.argv[1:]))
