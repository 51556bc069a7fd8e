# SPDX-License-Identifier: MIT
"""tables_unique.py ROOT: rows of include/tbl do not collide, fit where they are copied to, and make sense; magic numbers
are unique."""
import errno
import pathlib
import re
import sys

import tree

errors = []


def require(holds, text):
    if not holds:
        errors.append(text)


def unique(values, what):
    for value in sorted({v for v in values if values.count(v) > 1}):
        errors.append(f'{what} {value} stands twice')


def check_messages(root):
    rows = tree.table(root, 'msg', 'MSG')
    document = (pathlib.Path(root) / 'doc/protocol.md').read_text()
    numbers = [int(row[0]) for row in rows]
    unique(numbers, 'msg.h: number')
    unique([row[1] for row in rows], 'msg.h: name')
    require(numbers == sorted(numbers), 'msg.h: numbers are not in order: they are append-only')
    for number, upper, lower, fds, access, runs, _ in rows:
        require(upper == lower.upper(), f'msg.h: {upper} and {lower} differ')
        require(fds in ('0', '1'), f'msg.h: {upper}: {fds} descriptors')
        require(access in ('NONE', 'ANY', 'CLIENT', 'CONTROL'), f'msg.h: {upper}: access {access}')
        require(runs in ('LOOP', 'JOB'), f'msg.h: {upper}: runs {runs}')
        require(f'\n| {number} | {upper} | {access} | {runs.lower()} |' in document, f'doc/protocol.md has no row for {upper} as in msg.h')


def check_stats(root):
    rows = tree.table(root, 'stat', 'STAT')
    unique([row[0] for row in rows], 'stat.h: name')
    unique([row[1] for row in rows], 'stat.h: name')
    for upper, lower, kind, unit, text in rows:
        require(kind in ('QUEUE', 'GAUGE', 'COUNTER'), f'stat.h: {upper}: kind {kind}')
        require(len(lower) < 32 and len(unit) < 16 and len(text) < 112, f'stat.h: {upper} does not fit shmstat.h')
    queues = [row[0] for row in rows if row[0].startswith('FRAMES_')]
    states = {row[3] for row in tree.table(root, 'page_state', 'PAGE_STATE')} - {'NONE'}
    for state in states:
        require('FRAMES_' + state in queues, f'page_state.h: no STAT FRAMES_{state}')


def check_ledger(root):
    rows = tree.table(root, 'ledger', 'LEDGER')
    unique([row[0] for row in rows], 'ledger.h: name')
    unique([row[1] for row in rows], 'ledger.h: name')
    classes = [row[0] for row in tree.table(root, 'ledger_class', 'LEDGER_CLASS')]
    unique(classes, 'ledger_class.h: name')
    for row in rows:
        require(row[3] in ('PAGES', 'BYTES', 'COUNT', 'TIME_NS'), f'ledger.h: {row[0]}: kind {row[3]}')
        counted = re.findall(r'IN\((\w+)\)', row[4])
        require(bool(counted) == (row[3] == 'PAGES'), f'ledger.h: {row[0]}: {row[3]} counts {row[4]}')
        require(set(counted) <= set(classes) - {'NONE'}, f'ledger.h: {row[0]}: there is no class like {row[4]}')


def check_params(root):
    rows = tree.table(root, 'param', 'PARAM')
    unique([row[0] for row in rows], 'param.h: name')
    for name, low, high, initial, unit, live, text in rows:
        require(int(low) <= int(initial) <= int(high), f'param.h: {name}: {low} <= {initial} <= {high} does not hold')
        require(live in ('0', '1'), f'param.h: {name}: live is {live}')
        require(len(name) < 64 and len(unit) < 16 and len(text) < 256, f'param.h: {name} does not fit pager_rep_param')


def check_rest(root):
    points = tree.table(root, 'fail_point', 'FAIL')
    unique([row[0] for row in points], 'fail_point.h: name')
    for row in points:
        require(hasattr(errno, row[1]), f'fail_point.h: {row[0]}: no errno {row[1]}')
    unique([row[0] for row in tree.table(root, 'lock_rank', 'RANK')], 'lock_rank.h: rank')
    shares = tree.table(root, 'share', 'SHARE')
    unique([row[0] for row in shares], 'share.h: name')
    params = {row[0] for row in tree.table(root, 'param', 'PARAM')}
    for row in shares:
        require(row[2] in params | {'RLIMIT_NOFILE'}, f'share.h: {row[0]}: there is no parameter {row[2]}')
    tags = tree.table(root, 'tag', 'TAG')
    unique([row[0] for row in tags], 'tag.h: number')
    unique([row[1] for row in tags], 'tag.h: name')
    for number, name in tags:
        require(int(number) <= 255 and len(name) <= 16, f'tag.h: {number} is no tag, or {name} is wider than its column')
    states = tree.table(root, 'page_state', 'PAGE_STATE')
    unique([row[0] for row in states], 'page_state.h: name')
    unique([row[1] for row in states], 'page_state.h: letter')
    frames = tree.table(root, 'frame_state', 'FRAME_STATE')
    unique([row[0] for row in frames], 'frame_state.h: name')
    for macro in ('FRAME_ARROW', 'SLOT_ARROW'):
        table = 'frame_state' if macro == 'FRAME_ARROW' else 'slot_kind'
        known = {row[0] for row in tree.table(root, table, macro.replace('ARROW', 'STATE' if table == 'frame_state' else 'KIND'))}
        arrows = [tuple(row[:2]) for row in tree.table(root, table, macro)]
        unique([f'{a} -> {b}' for a, b in arrows], f'{table}.h: arrow')
        for name in {name for arrow in arrows for name in arrow} - known - {'PAGE'}:
            require(False, f'{table}.h: an arrow names {name}, which is no row')


def check_magics(root):
    magics = {}
    for path in tree.sources(root, '.c', '.h'):
        if path.startswith('tests/'):
            continue
        text = (pathlib.Path(root) / path).read_text()
        for name, value in re.findall(r'^#define\s+(\w*MAGIC\w*)\s+(0x[0-9a-fA-F]+)', text, re.M):
            value = int(value, 16)
            require(value not in magics, f'{path}: {name} is the same as {magics.get(value)}')
            magics[value] = name


def main(root):
    for check in (check_messages, check_stats, check_ledger, check_params, check_rest, check_magics):
        check(root)
    tree.end(errors)


main(*sys.argv[1:])
