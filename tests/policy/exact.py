#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""pagersim's textbook model against a table of reference counts, every cell.

usage: exact.py PAGERSIM DIR...    DIR holds reference.tsv and NAME.txt[.gz] for each trace named in it
The first DIR that exists is used; if none does, the exit status is 77 and the reason is printed.
"""
import collections
import os
import subprocess
import sys

NAMES = {"MIN": "min", "LRU": "lru", "FIFO": "fifo", "CLOCK": "clock", "CLOCK_ins1": "clock:insert=1",
         "2Q": "2q", "ARC": "arc", "CAR": "car", "S3FIFO": "s3fifo", "SIEVE": "sieve",
         "MACH_soft33": "mach2q", "CLOCK_hand": "clock-hand"}


def replay(pagersim, trace, policies, frames, *options):
    out = subprocess.run([pagersim, "replay", trace, "--tsv", "--no-baseline", "--policy", ",".join(policies),
                          "--frames", ",".join(map(str, frames)), *options],
                         check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    keys = out[0].split("\t")
    return [dict(zip(keys, line.split("\t"))) for line in out[1:]]


def main():
    pagersim, places = sys.argv[1], sys.argv[2:]
    where = next((d for d in places if os.path.exists(os.path.join(d, "reference.tsv"))), None)
    if where is None:
        print("skipped: no reference.tsv in", *places)
        return 77
    table = os.path.join(where, "reference.tsv")
    expected = collections.defaultdict(dict)
    with open(table, encoding="ascii") as f:
        keys = f.readline().rstrip("\n").split("\t")
        for line in f:
            row = dict(zip(keys, line.rstrip("\n").split("\t")))
            expected[row["trace"]][(NAMES[row["policy"]], row["frames"])] = row
    bad = cells = 0
    for trace, rows in expected.items():
        path = os.path.join(where, trace + ".txt")
        path += "" if os.path.exists(path) else ".gz"
        policies = sorted({policy for policy, _ in rows})
        frames = sorted({int(size) for _, size in rows})
        found = {(r["policy"], r["frames"]): r for r in replay(pagersim, path, policies, frames)}
        for key, row in sorted(rows.items()):
            cells += 1
            got = found[key]
            if (got["major"], got["refs"], got["pages"]) != (row["misses"], row["refs"], row["unique"]):
                bad += 1
                print(f"{trace} {key[0]} {key[1]} frames: expected {row['misses']}, got {got['major']}")
    print(f"{cells} cells, {bad} differ")
    return 1 if bad or not cells else 0


sys.exit(main())
