# SPDX-License-Identifier: MIT
"""rooms.py ROOT: in daemon/ calls, types and includes go down only. Rooms of one row do not know each other.

An edge between two files is what circles.py says it is. daemon/daemon.h, which composes `struct daemon`, is left out: each
room sees it, and reaches no deeper through it than the functions it may call.

EXCEPTIONS lists the edges of today that go up, as FROM -> TO. The list only shrinks: an edge that is gone must leave it."""
import pathlib
import sys

import circles

# The highest row first.
ROWS = [
    ['main'],
    ['options'],
    ['control'],
    ['audit', 'watch'],
    ['fault', 'pageout', 'region', 'takeover'],
    ['upl'],
    ['transit'],
    ['record'],
    ['pmap'],
    ['pageq'],
    ['memorystatus'],
    ['pagers'],
    ['vm'],
    ['core', 'keeper'],
]
HEIGHT = {room: len(ROWS) - i for i, row in enumerate(ROWS) for room in row}
EXCEPTIONS = '''
'''


def room_of(unit):
    """'daemon/vm/frame' -> 'vm'; 'daemon/main' -> 'main'."""
    return unit.split('/')[1]


def goes_up(unit, target):
    room, other = room_of(unit), room_of(target)
    return room != other and HEIGHT[other] >= HEIGHT[room]


def main(root):
    edges = circles.edges_of(pathlib.Path(root), 'daemon')
    errors = [f'{unit}: there is no room {room_of(unit)}' for unit in edges if room_of(unit) not in HEIGHT]
    if errors:
        print('\n'.join(errors))
        raise SystemExit(1)
    upward = {f'{unit[7:]} -> {target[7:]}': sorted(reasons) for unit, targets in edges.items()
              for target, reasons in targets.items() if goes_up(unit, target)}
    listed = {line.strip() for line in EXCEPTIONS.strip().split('\n') if line.strip()}
    for edge in sorted(upward.keys() - listed):
        errors.append(f'{edge} goes up: {", ".join(upward[edge][:4])}')
    for edge in sorted(listed - upward.keys()):
        errors.append(f'{edge} is listed, but is not there: take it out of the list')
    for error in errors:
        print(error)
    print(f"{len(upward)} upward arrows between daemon's rooms, {len(listed)} exceptions")
    raise SystemExit(1 if errors else 0)


if __name__ == '__main__':
    main(*sys.argv[1:])
