#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""pagersim as a program: formats, compression, generators with known answers, one pass against simulation, writes,
loaded policies, outputs, and errors with their line numbers.

usage: tool.py PAGERSIM EXAMPLE.so DATA
"""
import gzip
import json
import lzma
import os
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import xml.dom.minidom

PAGERSIM, EXAMPLE, DATA = sys.argv[1:4]
TMP = tempfile.mkdtemp(prefix="pagersim-")
complaints = []


def path(name, content=None):
    full = os.path.join(TMP, name)
    if content is not None:
        with open(full, "wb") as f:
            f.write(content if isinstance(content, bytes) else content.encode())
    return full


def run(*args, ok=True, stdin=None):
    result = subprocess.run([PAGERSIM, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=stdin, check=False)
    if ok and result.returncode != 0:
        raise RuntimeError(f"{args}: {result.stderr.decode()}")
    return result


def rows(trace, policies, frames, *options):
    lines = run("replay", trace, "--tsv", "-p", policies, "-f", frames, *options).stdout.decode().splitlines()
    keys = lines[0].split("\t")
    return [dict(zip(keys, line.split("\t"))) for line in lines[1:]]


def expect(what, got, want):
    if got != want:
        complaints.append(f"{what}: expected {want!r}, got {got!r}")


def counts(row):
    return tuple(int(row[k]) for k in ("refs", "pages", "major", "cold", "written"))


def test_formats():
    refs = [(5, "R"), (6, "W"), (5, "R"), (7, "R"), (6, "R"), (8, "W"), (5, "R")]
    want = (7, 4, 6, 4, 1)   # lru with 2 frames: 5 6W 5 7 6 8W 5; 6 is written when it leaves, 8 stays
    files = {
        "text": "".join(f"{p}\n" for p, _ in refs),
        "hex": "".join(f"{p * 4096 + 12:x} {a}\n" for p, a in refs),
        "lackey": "==1== Lackey\n" + "".join(f"I  0400{p:04x},3\n {'L' if a == 'R' else 'S'} {p * 4096 + 8:x},4\n"
                                             for p, a in refs) + "==1== end\n",
        "oracle": b"".join(struct.pack("<IQIq", i, p, 1, -1) for i, (p, _) in enumerate(refs)),
    }
    for kind, content in files.items():
        full = path("t." + kind, content)
        expected = want if kind in ("hex", "lackey") else want[:4] + (0,)
        expect(kind, counts(rows(full, "lru", "2")[0]), expected)
        expect(kind + " named", counts(rows(full, "lru", "2", "--format", kind)[0]), expected)
        recording = path("t.rec." + kind)
        run("convert", full, "--to", "pagerd", "-o", recording)
        expect(kind + " recorded", counts(rows(recording, "lru", "2")[0]), expected)
        if kind == "hex":
            back = run("convert", recording, "--to", "hex").stdout.decode()
            expect("hex and back", back, "".join(f"{p * 4096:x} {a}\n" for p, a in refs))
    expect("lackey access over a page's end", counts(rows(path("x", " L 1ffe,4\n S 3000,1\n"), "lru", "9")[0])[:2],
           (3, 3))
    expect("instructions", rows(path("t.lackey"), "lru", "2", "--instructions")[0]["refs"], "14")
    expect("collapse", rows(path("c", "1\n1\n2\n2\n2\n1\n"), "lru", "2", "--collapse")[0]["refs"], "3")


def test_compression():
    plain = open(os.path.join(DATA, "mixed.txt"), "rb").read()
    want = counts(rows(os.path.join(DATA, "mixed.txt"), "2q", "40")[0])
    packed = {"gz": gzip.compress(plain), "xz": lzma.compress(plain),
              "two.gz": gzip.compress(plain[:6000]) + gzip.compress(plain[6000:])}
    if shutil.which("zstd"):
        packed["zst"] = subprocess.run(["zstd", "-q", "-c"], input=plain, stdout=subprocess.PIPE, check=True).stdout
    for kind, content in packed.items():
        full = path("m." + kind, content)
        expect(kind, counts(rows(full, "2q", "40")[0]), want)
        with open(full, "rb") as f:
            expect(kind + " from a pipe", run("replay", "-", "-p", "2q", "-f", "40", stdin=f).returncode, 0)
        cut = run("replay", path("cut." + kind, content[:len(content) - 40]), "-p", "fifo", "-f", "9", ok=False)
        expect("cut off " + kind, (cut.returncode, b"truncated" in cut.stderr), (1, True))


def test_generators():
    loop = path("loop")
    run("generate", "loop", "-n", "101", "-r", "10100", "-o", loop)
    for row in rows(loop, "fifo,lru,min", "100"):
        # MIN keeps 99 pages for the next round and changes one.
        expect("loop " + row["policy"], int(row["major"]), 10100 if row["policy"] != "min" else 200)
    once = path("once")
    run("generate", "write-once", "-n", "5000", "--to", "hex", "-o", once)
    for row in rows(once, "all", "300"):
        expect("write-once " + row["policy"], (row["major"], row["cold"], row["written"], row["clean"]),
               ("5000", "5000", "4700", "0"))
    uniform = path("uniform")
    run("generate", "uniform", "-n", "500", "-r", "100000", "-s", "3", "-o", uniform)
    for row in rows(uniform, "all", "250"):
        ratio = int(row["major"]) / 50000
        if row["policy"] != "min" and not 0.97 < ratio < 1.03:
            complaints.append(f"uniform {row['policy']}: {ratio:.3f} of what any policy must have")
    for kind in ("zipf", "phase", "scan+hot"):
        twice = [run("generate", kind, "-n", "300", "-r", "5000", "-s", seed).stdout for seed in ("1", "1", "2")]
        expect(kind + " seed", (twice[0] == twice[1], twice[0] == twice[2]), (True, False))
        expect(kind + " length", twice[0].count(b"\n"), 5000)


def generated(name, *options):
    full = path(name)
    run("generate", name, *options, "-o", full)
    return full, [int(line) for line in open(full, encoding="ascii") if not line.startswith("#")]


def test_scan_hot():
    pages, hot, refs, percent = 300, 100, 20000, 80
    _, string = generated("scan+hot", "-n", str(pages), "--hot", str(hot), "--hot-percent", str(percent), "-r", str(refs))
    scan = [(i, p) for i, p in enumerate(string) if p >= hot]
    expect("scan+hot: the scan", [p for _, p in scan],
           [hot + int(i * (1 - percent / 100)) % (pages - hot) for i, _ in scan])
    expect("scan+hot: the hot set", {p for p in string if p < hot}, set(range(hot)))
    if abs(len(scan) / refs - 0.2) > 0.01:
        complaints.append(f"scan+hot: {len(scan)} of {refs} references scan")
    # Nothing but the scan: a loop, which LRU and FIFO always miss with one frame too few and never with enough.
    full, string = generated("scan+hot", "-n", "300", "--hot", "100", "--hot-percent", "0", "-r", "4000")
    expect("scan+hot: scan alone", string, [100 + i % 200 for i in range(4000)])
    for row in rows(full, "lru,fifo", "199,200"):
        expect("scan+hot: scan alone, " + row["policy"] + row["frames"], row["major"],
               "4000" if row["frames"] == "199" else "200")
    full, string = generated("scan+hot", "-n", "300", "--hot", "100", "--hot-percent", "100", "-r", "4000")
    expect("scan+hot: hot alone", set(string), set(range(100)))
    expect("scan+hot: hot alone fits", rows(full, "fifo", "100")[0]["major"], "100")


def test_phase():
    pages, phases, refs = 1000, 10, 50000
    full, string = generated("phase", "-n", str(pages), "--phases", str(phases), "-r", str(refs))
    each = pages // phases
    expect("phase: working sets", [p // each for p in string], [i * phases // refs for i in range(refs)])
    distinct = len(set(string))
    expect("phase: all pages", distinct, pages)
    # A phase fits: what enters is evicted only when as many others have entered.
    for row in rows(full, "lru,fifo,clock,min", str(each)):
        expect("phase: " + row["policy"] + " misses each page once", (row["major"], row["cold"]),
               (str(distinct), str(distinct)))
    for row in rows(full, "random", str(each // 2)):
        ratio = int(row["major"]) / (refs / 2)
        if not 0.97 < ratio < 1.03:
            complaints.append(f"phase: half of a uniform working set misses {ratio:.3f} of half of the references")


def test_zipf():
    pages, refs = 100, 200000
    for theta in (0.9, 1.0):
        full, string = generated("zipf", "-n", str(pages), "--theta", str(theta), "-r", str(refs))
        weights = [1 / (r + 1) ** theta for r in range(pages)]
        seen = [0] * pages
        for p in string:
            seen[p] += 1
        order = sorted(range(pages), key=lambda p: -seen[p])
        for rank in (0, 1, 2, 4, 9):
            ratio = seen[order[rank]] / (refs * weights[rank] / sum(weights))
            if not 0.94 < ratio < 1.06:
                complaints.append(f"zipf {theta}: rank {rank} has {ratio:.3f} of its share")
        expect(f"zipf {theta}: ranks are spread", order[:10] == list(range(10)), False)
        expect(f"zipf {theta}: fits", rows(full, "lru", str(pages))[0]["major"], str(len(set(string))))
    # Independent references: with one frame LRU misses but when a page follows itself, sum of p squared.
    share = sum((w / sum(weights)) ** 2 for w in weights)
    ratio = int(rows(full, "lru", "1")[0]["major"]) / (refs * (1 - share))
    if not 0.995 < ratio < 1.005:
        complaints.append(f"zipf: one frame misses {ratio:.4f} of what it must")
    full, _ = generated("zipf", "-n", "500", "--theta", "0", "-r", "100000")
    for row in rows(full, "fifo,2q", "250"):
        ratio = int(row["major"]) / 50000
        if not 0.97 < ratio < 1.03:
            complaints.append(f"zipf with theta 0, {row['policy']}: {ratio:.3f} of what any policy must have")


def test_one_pass():
    rng = random.Random(5)
    trace = path("rw", "".join(f"{4096 * min(rng.randrange(300), rng.randrange(300)):x} {rng.choice('RRW')}\n"
                               for _ in range(20000)))
    keys = ("policy", "frames", "major", "cold", "bytes_page", "written", "clean")
    found = [[[r[k] for k in keys] for r in rows(trace, "lru,min", "1..310/250", *option)]
             for option in ((), ("--no-one-pass",))]
    # Which of two pages that are never used again MIN evicts is free, and so is what it writes.
    for one, many in zip(*found):
        expect("one pass", one if one[0] == "lru" else one[:5], many if one[0] == "lru" else many[:5])
        if float(one[4]) < 8:
            complaints.append(f"one pass: {one[0]} keeps its order in {one[4]} bytes a page")


def test_outputs():
    trace = os.path.join(DATA, "mixed.txt")
    svg = path("plot.svg")
    out = json.loads(run("replay", trace, "-p", "mach2q:inactive=50,adapt=1,lru", "-f", "10%,64", "-m", "pager", "-w", "8",
                         "--json", "--plot", svg).stdout)
    expect("json", [(r["policy"], r["frames"], r.get("window")) for r in out["results"]],
           [("mach2q:inactive=50,adapt=1", 46, None), ("mach2q:inactive=50,adapt=1", 64, None), ("lru", 46, 8),
            ("lru", 64, 8)])
    expect("svg", xml.dom.minidom.parse(svg).documentElement.tagName, "svg")
    table = run("replay", trace, "-p", "all", "-f", "50", "--check").stdout.decode()
    expect("table", table.count("\n"), 3 + run("policies").stdout.decode().count("\n") -
           sum(line.startswith("      ") for line in run("policies").stdout.decode().splitlines()))
    loaded = rows(trace, EXAMPLE, "64", "-m", "pager", "--check")[0]
    expect("loaded policy", (loaded["violations"], loaded["fallbacks"]), ("0", "0"))


def test_errors():
    def bad(what, args, status, text):
        result = run(*args, ok=False)
        if result.returncode != status or text not in result.stderr.decode():
            complaints.append(f"{what}: status {result.returncode}, {result.stderr.decode()!r}")

    trace = os.path.join(DATA, "mixed.txt")
    replay = ("-p", "fifo", "-f", "9")
    bad("bad line", ("replay", path("b", "1\n2\nx3\n"), *replay), 1, ":3: expected a page number, found \"x3\"")
    bad("bad hex", ("replay", path("b", "10 R\n# note\n1g W\n"), *replay), 1, ":3: expected hexaddr R|W")
    bad("bad lackey", ("replay", path("b", "==1==\n L 10,4\n Q 10,4\n"), *replay), 1, ":3: expected a lackey record")
    bad("number too large", ("replay", path("b", "1\n99999999999999999999\n"), *replay), 1, ":2:")
    bad("cut record", ("replay", path("b", struct.pack("<IQIq", 0, 1, 1, -1) + b"\0\0\0"), *replay), 1,
        "record 2 is cut off (3 of 24 bytes)")
    bad("empty", ("replay", path("b", ""), *replay), 1, "no references")
    bad("missing", ("replay", path("none"), *replay), 1, "No such file")
    bad("policy", ("replay", trace, "-p", "nosuch", "-f", "9"), 1, "no policy is called \"nosuch\"")
    bad("parameter", ("replay", trace, "-p", "mach2q:x=1", "-f", "9"), 1, "bad parameters")
    bad("parameter of one pass", ("replay", trace, "-p", "lru:x=1", "-f", "9,10,11,12"), 1, "bad parameters")
    bad("frames", ("replay", trace, "-p", "fifo", "-f", "9;8"), 1, "--frames 9;8")
    bad("model", ("replay", trace, "-p", "fifo", "-f", "9", "-m", "x"), 2, "textbook or pager")
    bad("usage", ("replay", trace), 2, "usage:")
    bad("object", ("replay", trace, "-p", "./none.so", "-f", "9"), 1, "none.so")
    recording = path("r")
    run("convert", trace, "--to", "pagerd", "-o", recording)
    whole = open(recording, "rb").read()
    damaged = bytearray(whole)
    damaged[200] ^= 1
    bad("checksum", ("replay", path("d", bytes(damaged)), *replay), 1, "bad checksum")
    bad("version", ("replay", path("d", whole[:8] + b"\x09" + whole[9:]), *replay), 1, "not a recording of version 1")
    bad("cut recording", ("replay", path("d", whole + whole[64:300]), *replay), 0, "using what is whole")


for name, test in sorted(globals().items()):
    if name.startswith("test_"):
        test()
shutil.rmtree(TMP)
print(*complaints, f"{len(complaints)} complaints", sep="\n")
sys.exit(1 if complaints else 0)
