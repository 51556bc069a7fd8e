#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Properties of the pager model, on the traces of each folder that is there.

- fifo has no soft fault at any window
- a window of 0 gives the textbook counts, for every policy
- guarded sieve stays within 1.3 times its textbook misses with a window of 25 %, from 33 frames on (lackey-sqlite
  is exact for 32 and more) and on the recorded traces; the committed one is synthetic and may reach 1.35
- no policy violates the core's rule or needs its fallback, and min is the lower bound

usage: pager.py PAGERSIM DIR...
"""
import os
import subprocess
import sys


def replay(pagersim, trace, policies, frames, *options):
    out = subprocess.run([pagersim, "replay", trace, "--tsv", "--policy", policies, "--frames", frames, *options],
                         check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    keys = out[0].split("\t")
    rows = [dict(zip(keys, line.split("\t"))) for line in out[1:]]
    return {(r["policy"], r["frames"]): r for r in rows}


def check(pagersim, trace):
    bad = []
    frames = "33,5%,10%,20%,40%"
    recorded = trace.endswith(".gz")
    textbook = replay(pagersim, trace, "all", frames)
    worst = 0
    for window in (0, 10, 25, 50, 75, 100):
        for key, row in replay(pagersim, trace, "all", frames, "--model=pager", f"--window={window}%").items():
            name = f"{os.path.basename(trace)} {key} W={window}%"
            if key[0] == "fifo" and row["soft"] != "0":
                bad.append(f"{name}: fifo has {row['soft']} soft faults")
            if window == 0 and row["major"] != textbook[key]["major"]:
                bad.append(f"{name}: {row['major']} misses, textbook {textbook[key]['major']}")
            if row["violations"] != "0" or row["fallbacks"] != "0":
                bad.append(f"{name}: {row['violations']} violations, {row['fallbacks']} fallbacks")
            if float(row["x_min"]) < 1:
                bad.append(f"{name}: better than MIN")
            if key[0] == "sieve" and window == 25 and int(row["frames"]) > 32:
                ratio = int(row["major"]) / int(textbook[key]["major"])
                worst = max(worst, ratio)
                if ratio > (1.3 if recorded else 1.35):
                    bad.append(f"{name}: sieve has {ratio:.2f} times its textbook misses")
    print(f"{os.path.basename(trace)}: sieve at W=25 % at most {worst:.3f} x textbook; {len(bad)} complaints")
    return bad


def main():
    complaints, seen = [], 0
    for where in sys.argv[2:]:
        for name in sorted(os.listdir(where)) if os.path.isdir(where) else ():
            if name.endswith((".txt", ".txt.gz")):
                seen += 1
                complaints += check(sys.argv[1], os.path.join(where, name))
    print(*complaints, sep="\n")
    return 1 if complaints or not seen else 0


sys.exit(main())
