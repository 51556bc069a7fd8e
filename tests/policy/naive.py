#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A second, naive implementation of the textbook policies, from the published rules (doc/policies.md names them), to check
pagersim on traces without reference counts. The lists are plain; index 0 is the oldest or coldest end.

usage: naive.py PAGERSIM [SEED]    compares on generated traces, every policy and several sizes
       naive.py --table FILE NAME SIZE...    prints reference.tsv rows for a text trace
"""
import bisect
import collections
import math
import os
import random
import subprocess
import sys
import tempfile


def fifo(trace, c):
    queue, misses = [], 0
    for x in trace:
        if x not in queue:
            misses += 1
            if len(queue) == c:
                queue.pop(0)
            queue.append(x)
    return misses


def lru(trace, c):
    order, misses = [], 0
    for x in trace:
        if x in order:
            order.remove(x)
        else:
            misses += 1
            if len(order) == c:
                order.pop(0)
        order.append(x)
    return misses


def clock(trace, c, insert=0):
    ring, bit, misses = [], {}, 0
    for x in trace:
        if x in ring:
            bit[x] = 1
            continue
        misses += 1
        if len(ring) == c:
            while bit[ring[0]]:
                bit[ring[0]] = 0
                ring.append(ring.pop(0))
            ring.pop(0)
        ring.append(x)
        bit[x] = insert
    return misses


def twoq(trace, c):
    kin, kout = c // 4, c // 2
    a1in, a1out, am, misses = [], [], [], 0
    for x in trace:
        if x in am:
            am.remove(x)
            am.append(x)
            continue
        if x in a1in:
            continue
        misses += 1
        ghost = x in a1out
        if ghost:
            a1out.remove(x)
        if len(a1in) + len(am) == c:
            if len(a1in) > kin or not am:
                a1out.append(a1in.pop(0))
                if len(a1out) > kout:
                    a1out.pop(0)
            else:
                am.pop(0)
        (am if ghost else a1in).append(x)
    return misses


def arc(trace, c):
    t1, t2, b1, b2, p, misses = [], [], [], [], 0.0, 0

    def replace(in_b2):
        if t1 and (len(t1) > p or (in_b2 and len(t1) == p)):
            b1.append(t1.pop(0))
        else:
            b2.append(t2.pop(0))

    for x in trace:
        if x in t1 or x in t2:
            (t1 if x in t1 else t2).remove(x)
            t2.append(x)
            continue
        misses += 1
        if x in b1:
            p = min(c, p + max(1.0, len(b2) / len(b1)))
            b1.remove(x)
            if len(t1) + len(t2) == c:
                replace(False)
            t2.append(x)
        elif x in b2:
            p = max(0.0, p - max(1.0, len(b1) / len(b2)))
            b2.remove(x)
            if len(t1) + len(t2) == c:
                replace(True)
            t2.append(x)
        else:
            if len(t1) + len(b1) == c:
                if len(t1) < c:
                    b1.pop(0)
                    if len(t1) + len(t2) == c:
                        replace(False)
                else:
                    t1.pop(0)
            elif len(t1) + len(t2) + len(b1) + len(b2) >= c:
                if len(t1) + len(t2) + len(b1) + len(b2) == 2 * c:
                    b2.pop(0)
                if len(t1) + len(t2) == c:
                    replace(False)
            t1.append(x)
    return misses


def car(trace, c):
    t1, t2, b1, b2, bit, p, misses = [], [], [], [], {}, 0.0, 0
    for x in trace:
        if x in t1 or x in t2:
            bit[x] = 1
            continue
        misses += 1
        if len(t1) + len(t2) == c:
            while True:
                if len(t1) >= max(1, p):
                    y = t1.pop(0)
                    if not bit[y]:
                        b1.append(y)
                        break
                else:
                    y = t2.pop(0)
                    if not bit[y]:
                        b2.append(y)
                        break
                bit[y] = 0
                t2.append(y)
            if x not in b1 and x not in b2:
                if len(t1) + len(b1) == c and b1:
                    b1.pop(0)
                elif len(t1) + len(t2) + len(b1) + len(b2) == 2 * c and b2:
                    b2.pop(0)
        if x in b1:
            p = min(p + max(1.0, len(b2) / len(b1)), c)
            b1.remove(x)
            t2.append(x)
        elif x in b2:
            p = max(p - max(1.0, len(b1) / len(b2)), 0.0)
            b2.remove(x)
            t2.append(x)
        else:
            t1.append(x)
        bit[x] = 0
    return misses


def s3fifo(trace, c):
    small_size, ghost_size = math.floor(0.1 * c), math.floor(0.9 * c)
    main_size = c - small_size
    small, main, ghost, freq, misses = [], [], [], {}, 0

    def evict():
        while len(small) + len(main) == c:
            if len(main) > main_size or not small:
                while True:
                    y = main.pop(0)
                    if freq[y] == 0:
                        return
                    freq[y] = min(freq[y], 3) - 1
                    main.append(y)
            while small:
                y = small.pop(0)
                if freq[y] < 2:
                    ghost.append(y)
                    if len(ghost) > ghost_size:
                        ghost.pop(0)
                    return
                freq[y] = 0
                main.append(y)

    for x in trace:
        if x in small or x in main:
            freq[x] += 1
            continue
        misses += 1
        hit = x in ghost
        if hit:
            ghost.remove(x)
        evict()
        (main if hit else small).append(x)
        freq[x] = 0
    return misses


def sieve(trace, c):
    queue, visited, hand, misses = [], {}, 0, 0
    for x in trace:
        if x in queue:
            visited[x] = True
            continue
        misses += 1
        if len(queue) == c:
            while True:
                hand = hand if hand < len(queue) else 0
                if not visited[queue[hand]]:
                    break
                visited[queue[hand]] = False
                hand += 1
            queue.pop(hand)
            # A hand past the newest page restarts at the oldest page at the next eviction, not at this page.
            if hand == len(queue):
                hand = 0
        queue.append(x)
        visited[x] = False
    return misses


def minimum(trace, c):
    uses = collections.defaultdict(list)
    for i, x in enumerate(trace):
        uses[x].append(i)
    resident, misses = set(), 0
    for i, x in enumerate(trace):
        if x in resident:
            continue
        misses += 1
        if len(resident) == c:
            def next_use(y):
                k = bisect.bisect_right(uses[y], i)
                return uses[y][k] if k < len(uses[y]) else math.inf
            resident.remove(max(resident, key=next_use))
        resident.add(x)
    return misses


def mach_soft33(trace, c):
    """=> majors, soft faults"""
    active, inactive, misses, soft = [], [], 0, 0
    target = max(1, c // 3)

    def refill():
        while len(active) + len(inactive) >= c and len(inactive) < target and active:
            inactive.append(active.pop(0))

    for x in trace:
        if x in active:
            continue
        if x in inactive:
            soft += 1
            inactive.remove(x)
        else:
            misses += 1
            if len(active) + len(inactive) == c:
                refill()
                inactive.pop(0)
        active.append(x)
        refill()
    return misses, soft


def sfifo(trace, c, window):
    """Segmented FIFO with `window` pages in the primary queue => majors, soft faults"""
    primary, secondary, misses, soft = [], [], 0, 0
    for x in trace:
        if x in primary:
            continue
        if x in secondary:
            soft += 1
            secondary.remove(x)
        else:
            misses += 1
            if len(primary) + len(secondary) == c:
                (secondary or primary).pop(0)
        primary.append(x)
        while len(primary) > window:
            secondary.append(primary.pop(0))
    return misses, soft


TEXTBOOK = {"fifo": fifo, "lru": lru, "clock": clock, "clock:insert=1": lambda t, c: clock(t, c, 1),
            "clock-hand": lambda t, c: clock(t, c, 1), "2q": twoq, "arc": arc, "car": car, "s3fifo": s3fifo,
            "sieve": sieve, "min": minimum, "mach2q": lambda t, c: mach_soft33(t, c)[0]}
TSV_NAMES = {"fifo": "FIFO", "lru": "LRU", "clock": "CLOCK", "clock:insert=1": "CLOCK_ins1", "2q": "2Q",
             "arc": "ARC", "car": "CAR", "s3fifo": "S3FIFO", "sieve": "SIEVE", "min": "MIN",
             "mach2q": "MACH_soft33"}


def traces(seed):
    rng = random.Random(seed)
    yield "uniform", [rng.randrange(60) for _ in range(3000)]
    yield "loop", [i % 41 for i in range(2000)]
    yield "skewed", [int(rng.paretovariate(0.7)) % 150 for _ in range(4000)]
    mixed, scan = [], 1000
    for _ in range(4000):
        if rng.random() < 0.25:
            scan += 1
            mixed.append(1000 + scan % 90)
        else:
            mixed.append(min(rng.randrange(40), rng.randrange(40)))
    yield "scan+hot", mixed
    phases = []
    for phase in range(8):
        phases += [phase * 17 + rng.randrange(45) for _ in range(400)]
    yield "phase", phases
    walk, at = [], 100
    for _ in range(4000):
        at = max(0, at + rng.choice((-7, -1, 0, 0, 1, 2, 3)))
        walk.append(at % 120)
    yield "walk", walk


def replay(pagersim, path, policies, sizes, *options):
    out = subprocess.run([pagersim, "replay", path, "--tsv", "--no-baseline", "--policy", ",".join(policies),
                          "--frames", ",".join(map(str, sizes)), *options],
                         check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    keys = out[0].split("\t")
    rows = [dict(zip(keys, line.split("\t"))) for line in out[1:]]
    return {(r["policy"], int(r["frames"])): (int(r["major"]), int(r["soft"])) for r in rows}


def compare(pagersim, seed):
    cells = bad = 0
    for name, trace in traces(seed):
        with tempfile.NamedTemporaryFile("w", suffix=".txt", delete=False) as f:
            f.writelines(f"{x}\n" for x in trace)
        sizes = (1, 2, 3, 7, 10, 20, 33, 57)
        expected = {}
        for c in sizes:
            for policy, run in TEXTBOOK.items():
                expected["textbook", policy, c, 0] = run(trace, c), 0
            expected["pager", "mach2q", c, 0] = mach_soft33(trace, c)
            expected["pager", "fifo", c, 0] = fifo(trace, c), 0
            for percent in (10, 25, 50, 75):
                expected["pager", "lru", c, percent] = sfifo(trace, c, c * percent // 100)
        found = {}
        for (policy, c), got in replay(pagersim, f.name, TEXTBOOK, sizes).items():
            found["textbook", policy, c, 0] = got
        # One size at a time: lru and min then run as policies, not as one pass over all sizes.
        for (policy, c), got in replay(pagersim, f.name, TEXTBOOK, sizes, "--no-one-pass", "--check").items():
            if found["textbook", policy, c, 0] != got:
                bad += 1
                print(f"seed {seed} {name} {policy} {c} frames: one pass and simulation differ")
        for (policy, c), got in replay(pagersim, f.name, ("mach2q", "fifo"), sizes, "--model=pager").items():
            found["pager", policy, c, 0] = got
        for percent in (10, 25, 50, 75):
            for (policy, c), got in replay(pagersim, f.name, ("lru",), sizes, "--model=pager",
                                           f"--window={percent}%").items():
                found["pager", policy, c, percent] = got
        os.unlink(f.name)
        for key, want in expected.items():
            cells += 1
            if found[key] != want:
                bad += 1
                print(f"seed {seed} {name} {key}: expected {want}, got {found[key]}")
    print(f"seed {seed}: {cells} cells, {bad} differ")
    return bad


def table(path, name, sizes):
    with open(path, encoding="ascii") as f:
        trace = [int(line) for line in f]
    print("trace\trefs\tunique\tframes\tpolicy\tmisses")
    for c in sizes:
        for policy, column in TSV_NAMES.items():
            print(f"{name}\t{len(trace)}\t{len(set(trace))}\t{c}\t{column}\t{TEXTBOOK[policy](trace, c)}")


if sys.argv[1] == "--table":
    table(sys.argv[2], sys.argv[3], [int(c) for c in sys.argv[4:]])
else:
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 1
    sys.exit(1 if sum(compare(sys.argv[1], s) for s in (seed, seed + 1)) else 0)
