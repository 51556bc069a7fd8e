#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""pagersim as a program: formats, compression, files that are not traces, generators with known answers, one pass against
simulation, writes, loaded policies, outputs, files that must stay, and errors with their line numbers.

usage: tool.py PAGERSIM EXAMPLE.so DATA
"""
import atexit
import bz2
import fcntl
import gzip
import json
import lzma
import os
import random
import shutil
import stat
import struct
import subprocess
import sys
import tempfile
import termios
import time
import xml.dom.minidom

PAGERSIM, EXAMPLE, DATA = sys.argv[1:4]
TMP = tempfile.mkdtemp(prefix="pagersim-")
GNUPLOT = shutil.which("gnuplot") is not None
atexit.register(shutil.rmtree, TMP, True)
complaints = []


def path(name, content=None):
    full = os.path.join(TMP, name)
    if content is not None:
        with open(full, "wb") as f:
            f.write(content if isinstance(content, bytes) else content.encode())
    return full


def run(*args, ok=True, stdin=None, env=None):
    result = subprocess.run([PAGERSIM, *args], stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=stdin, env=env, check=False)
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


def bad(what, args, status, text, **options):
    result = run(*args, ok=False, **options)
    if result.returncode != status or text not in result.stderr.decode():
        complaints.append(f"{what}: status {result.returncode}, {result.stderr.decode()!r}")


LRU = ("-p", "lru", "-f", "9")


def test_text_of_others():
    lines = "".join(f"{n}\n" for n in (1, 2, 1, 70000, 2))
    want = (5, 3, 3, 3, 0)
    for what, content in (("BOM", b"\xef\xbb\xbf" + lines.encode()), ("CRLF", lines.replace("\n", "\r\n")),
                          ("CR", lines.replace("\n", "\r")), ("CR and BOM", b"\xef\xbb\xbf" + lines.replace("\n", "\r").encode()),
                          ("no end of line", lines[:-1]), ("comment", "# " + "x" * 9000 + "\n" + lines)):
        expect(what, counts(rows(path("t", content), "lru", "9")[0]), want)
        expect(what + ", named", counts(rows(path("t", content), "lru", "9", "--format", "text")[0]), want)
    hexa = path("h", b"\xef\xbb\xbf" + b"1000 R\r2000 w\r")
    expect("hex with CR", run("convert", hexa, "--to", "hex").stdout, b"1000 R\n2000 W\n")
    for encoding, mark in (("UTF-16LE", b"\xff\xfe"), ("UTF-16BE", b"\xfe\xff"), ("UTF-32LE", b"\xff\xfe\0\0"),
                           ("UTF-32BE", b"\0\0\xfe\xff")):
        for content in (lines.encode(encoding), mark + lines.encode(encoding)):
            for option in ((), ("--format", "text")):
                bad(encoding, ("replay", path("u", content), *LRU, *option), 1, f"its text is {encoding}, which cannot be read")
    # valgrind's own lines, with and without -v
    expect("lackey", run("convert", path("l", "--1-- Command\n==1== x\n S 1ffe,8\n L ffffffffffffffff,1\n"), "--to", "text")
           .stdout.decode().split(), ["1", "2", str(2**52 - 1)])
    # A file's control characters do not reach the terminal.
    result = run("replay", path("e", b"1\n\x1b]0;x\x07\xc2\x9b\0\xff\n"), *LRU, "--format", "text", ok=False)
    expect("escape", (result.returncode, b"found \"?]0;x?????\"" in result.stderr, b"\x1b" in result.stderr), (1, True, False))


def oracle(records):
    return b"".join(struct.pack("<IQIq", *r) for r in records)


def test_no_trace():
    program = open(PAGERSIM, "rb").read()[:24 * 400]
    noise = random.Random(3).randbytes(24 * 300)
    fine = [(5, 1, 10, 2), (5, 2, 10, -1), (6, 1, 10, 2**63 - 1)]
    for what, content, text in (
            ("a program", program, "not a trace"), ("zeros", bytes(24 * 8), "not a trace"), ("noise", noise, "not a trace"),
            ("time", oracle(fine + [(4, 9, 1, -1)]), "record 4 has a time before"),
            ("size", oracle(fine + [(6, 9, 2**31, -1)]), "record 4 has an object of 2 GiB"),
            ("next", oracle(fine + [(6, 9, 1, 3)]), "record 4 has a next access"),
            ("next", oracle(fine + [(6, 9, 1, 2**50)]), "record 4 has a next access"),
            ("next", oracle(fine + [(6, 9, 1, -2)]), "record 4 has a next access")):
        for args in (("replay", path("b", content), *LRU), ("convert", path("b", content), "--to", "text")):
            bad(what, args, 1, text)
        expect(what + ", but the user knows better", int(rows(path("b", content), "lru", "9", "--format", "oracle")[0]["refs"]),
               len(content) // 24)
    expect("oracle", counts(rows(path("b", oracle(fine)), "lru", "9")[0]), (3, 2, 2, 2, 0))
    bad("a directory", ("replay", TMP, *LRU), 1, "Is a directory")


def test_absurd_numbers():
    for size in ("0", "65537", "99999999999999"):
        bad("lackey size " + size, ("replay", path("l", f" L 10,4\n L 0,{size}\n"), *LRU), 1, ":2: expected an access of 1 to")
    bad("lackey address", ("replay", path("l", " L ffffffffffffffff,2\n"), *LRU), 1, ":1: expected an access")
    trace = path("s", "".join(f"{n}\n" for n in range(200)))
    for frames in ("2147483700%", "4294967296", "1..4294967295%/3", "4294967295%", "18446744073709551616%"):
        bad("frames " + frames, ("replay", trace, "-p", "lru", "-f", frames), 1, f"--frames {frames}: expected N, N%")
    expect("frames", [r["frames"] for r in rows(trace, "lru", "2147483600%,4294967295")], ["4294967200", "4294967295"])
    row = rows(trace, "lru", "4294967295", "-m", "pager", "-w", "4294967295%", "--check")[0]
    expect("window", (row["window"], row["major"], row["soft"]), ("4294967295", "200", "0"))
    for size in ("0", "3", "4096x", "", "-4096", "2147483648", "8589938688"):
        for args in (("replay", trace, *LRU), ("convert", trace, "--to", "hex")):
            bad("page size " + size, (*args, "--page-size", size), 2, "a power of two")
    large = path("n", f"{2**64 - 1}\n5\n")
    bad("address beyond 2^64", ("convert", large, "--to", "hex"), 1, "has no address of 64 bits")
    expect("address", run("convert", large, "--to", "hex", "--page-size", "1").stdout, b"ffffffffffffffff R\n5 R\n")


def test_compressed_anyhow():
    plain = "".join(f"{n}\n" for n in range(3000)).encode()
    codecs = {"gz": gzip.compress, "xz": lzma.compress}
    if shutil.which("zstd"):
        codecs["zstd"] = lambda data: subprocess.run(["zstd", "-q", "-c"], input=data, stdout=subprocess.PIPE, check=True).stdout
    names = {"gz": "gzip", "xz": "xz", "zstd": "zstd"}
    half = len(plain) // 2
    for kind, pack in codecs.items():
        one, two = pack(plain), pack(plain[:half]) + pack(plain[half:])
        for what, content in (("two", two), ("padded", one + bytes(512)), ("padded by one", one + b"\0"),
                              ("empty behind", one + pack(b"")), ("padded between", pack(plain[:half]) + bytes(8) + pack(plain[half:])),
                              ("codecs mixed", pack(plain[:half]) + gzip.compress(plain[half:]))):
            full = path("z", content)
            expect(f"{kind}: {what}", counts(rows(full, "lru", "3000")[0]), (3000, 3000, 3000, 3000, 0))
        bad(kind + ": garbage", ("replay", path("z", one + b"garbage\n"), *LRU), 1,
            f"byte {len(one)}: the {names[kind]} data ends here")
        bad(kind + ": garbage behind padding", ("replay", path("z", one + bytes(5) + b"x"), *LRU), 1, f"byte {len(one) + 5}: ")
        for cut in (7, len(one) // 2, len(one) - 1):
            bad(f"{kind}: cut at {cut}", ("replay", path("z", one[:cut]), *LRU), 1, "truncated")
        damaged = bytearray(one)
        damaged[len(one) // 2] ^= 0x55
        bad(kind + ": damaged", ("replay", path("z", bytes(damaged)), *LRU), 1, f"damaged {names[kind]} data")
        bad(kind + ": empty", ("replay", path("z", pack(b"")), *LRU), 1, "no references")
        # The first bytes arrive one by one, and those of the second member too.
        expect(kind + ": byte by byte", dribble(pack(plain[:half]), pack(plain[half:])), (3000, 3000, 3000, 3000, 0))
    if "zstd" in codecs:
        frame = struct.pack("<II", 0x184d2a5a, 3) + b"xyz"
        expect("zstd: skipped frame first", counts(rows(path("z", frame + codecs["zstd"](plain)), "lru", "3000")[0])[0], 3000)
    bad("bzip2", ("replay", path("z", bz2.compress(plain)), *LRU), 1, "byte 0: bzip2 data, which is not unpacked here")
    bad("a magic number alone", ("replay", path("z", b"\x1f\x8b"), *LRU), 1, "truncated")


def test_damaged():
    """Any file is either replayed or refused with a message."""
    rng = random.Random(11)
    text = "".join(f"{rng.randrange(500)}\n" for _ in range(300)).encode()
    hexa = "".join(f"{rng.randrange(1 << 40):x} {rng.choice('RW')}\n" for _ in range(200)).encode()
    lackey = "==1== x\n" + "".join(f" {rng.choice('LSM')} {rng.randrange(1 << 40):x},{rng.randrange(1, 64)}\n" for _ in range(200))
    recorded = run("convert", path("h", hexa), "--to", "pagerd").stdout
    files = [text, hexa, lackey.encode(), recorded, oracle([(i, rng.randrange(50), 1, -1) for i in range(200)]),
             text.decode().encode("UTF-16"), gzip.compress(text), lzma.compress(hexa), gzip.compress(recorded) + lzma.compress(text)]
    for number in range(150):
        content = bytearray(rng.choice(files))
        for _ in range(rng.randrange(1, 6)):
            at = rng.randrange(len(content))
            how = rng.randrange(4)
            if how == 0:
                content[at] ^= 1 << rng.randrange(8)
            elif how == 1:
                content[at:at] = rng.randbytes(rng.randrange(12))
            elif how == 2:
                content[at:at] = content[at:at + rng.randrange(60)]
            elif len(content) > 100:
                del content[at:at + rng.randrange(40)]
        args = ("replay", path("d", bytes(content)), "-p", "lru", "-f", "5,50%", "--json") if number % 2 else (
            "convert", path("d", bytes(content)), "--to", "pagerd")
        options = rng.choice([(), (), ("--format", rng.choice(["text", "hex", "lackey", "oracle", "pagerd"]))])
        result = run(*args, *options, ok=False)
        if result.returncode not in (0, 1) or (result.returncode == 1 and not result.stderr.startswith(b"pagersim: ")):
            complaints.append(f"damaged {number}: status {result.returncode}, {result.stderr.decode()!r}")


def dribble(*members):
    """Feeds a pipe so that the first bytes of each member arrive one by one, each after the previous one has been read."""
    with subprocess.Popen([PAGERSIM, "replay", "-", "--tsv", "-p", "lru", "-f", "3000"], stdin=subprocess.PIPE, bufsize=0,
                          stdout=subprocess.PIPE) as sim:
        for member in members:
            for piece in [member[i:i + 1] for i in range(20)] + [member[20:]]:
                end = time.monotonic() + 60
                while struct.unpack("i", fcntl.ioctl(sim.stdin, termios.FIONREAD, b"1234"))[0] and time.monotonic() < end:
                    time.sleep(0.001)
                sim.stdin.write(piece)
        sim.stdin.close()
        lines = sim.stdout.read().decode().splitlines()
    return counts(dict(zip(lines[0].split("\t"), lines[1].split("\t"))))


def recording(records, page_size=4096, dropped=0):
    """records: (kind, page) of object 0, in order."""
    payload, last = b"", 0
    for kind, page in records:
        d = ((page - last) << 1) if page >= last else ((last - page) << 1) - 1
        last = page
        payload += bytes([kind | 8 | 16 | 32, d])
    checksum = 2166136261
    for byte in payload:
        checksum = (checksum ^ byte) * 16777619 & 0xffffffff
    return (struct.pack("<8sIIIIQQ24x", b"PGRTRACE", 1, 64, page_size, 0, 0, 0) +
            struct.pack("<IIIIQQ", 0x4b4c4254, len(payload), len(records), checksum, 1, dropped) + payload)


MAJOR, SOFT, FORGET = 0, 1, 3


def test_recordings():
    expect("recording", counts(rows(path("r", recording([(MAJOR, 1), (SOFT, 1), (FORGET, 1), (MAJOR, 2)])), "lru", "9")[0])[:3],
           (3, 2, 2))
    for size in (0, 3, 2**32 - 1):
        bad(f"pages of {size} bytes", ("replay", path("r", recording([(MAJOR, 1)], page_size=size)), *LRU), 1,
            f"pages of {size} bytes, which is no power of two")
    lost = run("replay", path("r", recording([(MAJOR, 1)], dropped=2**64 - 1) + recording([(MAJOR, 1)], dropped=9)[64:]), *LRU,
               "--json")
    expect("lost records", json.loads(lost.stdout)["dropped"], 2**64 - 1)


def test_files_stay():
    """Writing a file does not empty the file that is being read, and leaves no other file."""
    home = path("home")
    os.mkdir(home)
    mine = os.path.join(home, "mine")

    def put(content):
        with open(mine, "wb") as f:
            f.write(content)

    def holds(what, content):
        expect(what, (open(mine, "rb").read(), sorted(os.listdir(home))), (content, ["link", "mine"]))

    text = b"".join(b"%d\n" % n for n in range(5000))
    put(text)
    os.chmod(mine, 0o640)
    os.symlink("mine", os.path.join(home, "link"))
    run("convert", mine, "--to", "text", "-o", mine)
    holds("onto itself", text)
    run("convert", mine, "--to", "pagerd", "-o", os.path.join(home, "link"))
    run("convert", os.path.join(home, "link"), "--to", "text", "-o", mine)
    holds("through a link", text)
    expect("a link stays", (os.path.islink(os.path.join(home, "link")), stat.S_IMODE(os.stat(mine).st_mode)), (True, 0o640))
    discards = recording([(MAJOR, 1), (FORGET, 1), (MAJOR, 2)])
    put(discards)
    bad("discards", ("convert", mine, "--to", "text", "-o", mine), 1, "discards")
    holds("what text cannot hold", discards)
    put(b"%d\n" % (2**64 - 1))
    bad("address", ("convert", mine, "--to", "hex", "-o", mine), 1, "no address")
    holds("what hex cannot hold", b"%d\n" % (2**64 - 1))
    put(b"1\nx\n")
    bad("no trace", ("convert", mine, "--to", "text", "-o", mine), 1, ":2:")
    holds("no trace", b"1\nx\n")
    put(text)
    bad("plot", ("replay", mine, *LRU, "--plot", os.path.join(home, "link")), 1, "that is the trace")
    with open(mine, "rb") as f:
        bad("plot of standard input", ("replay", "-", *LRU, "--plot", mine), 1, "that is the trace", stdin=f)
    holds("plot", text)
    bad("no folder", ("generate", "zipf", "-o", os.path.join(home, "none", "x")), 1, "No such file")
    bad("a folder", ("generate", "zipf", "-o", home), 1, "Is a directory")
    holds("no folder", text)


def test_no_room():
    trace = os.path.join(DATA, "mixed.txt")
    with open("/dev/full", "wb") as full:
        for args in (("replay", trace, *LRU), ("replay", trace, *LRU, "--tsv"), ("replay", trace, *LRU, "--json"),
                     ("convert", trace, "--to", "text"), ("convert", trace, "--to", "pagerd"), ("generate", "loop", "-r", "9"),
                     ("generate", "zipf", "--to", "pagerd")):
            result = subprocess.run([PAGERSIM, *args], stdout=full, stderr=subprocess.PIPE, check=False)
            expect(args, (result.returncode, result.stderr), (1, b"pagersim: standard output: No space left on device\n"))
    for args in (("convert", trace, "--to", "hex"), ("convert", trace, "--to", "pagerd"), ("generate", "loop")):
        expect(args, run(*args, "-o", "/dev/full", ok=False).stderr, b"pagersim: /dev/full: No space left on device\n")
    if GNUPLOT:
        bad("plot", ("replay", trace, *LRU, "--plot", "/dev/full"), 1, "/dev/full: No space left")
    kept = path("kept.svg", "as before")
    bad("no gnuplot", ("replay", trace, *LRU, "--plot", kept), 1, "gnuplot is not installed", env={"PATH": TMP})
    expect("no gnuplot", open(kept).read(), "as before")


def svg_texts(file):
    document = xml.dom.minidom.parse(file)
    return ["".join(n.data for n in t.childNodes if n.nodeType == n.TEXT_NODE).strip()
            for name in ("text", "tspan") for t in document.getElementsByTagName(name)]


def test_names():
    """A file name that is not UTF-8, or has control characters, spoils no output."""
    full = os.path.join(TMP.encode(), b"x\xff\xc2\x9b\x1b[1m\t<&'y")
    with open(full, "wb") as f:
        f.write(b"1\n2\n")
    shown = TMP + "/x????[1m?<&'y"
    out = subprocess.run([PAGERSIM, "replay", full, *LRU, "--json"], stdout=subprocess.PIPE, check=True).stdout
    expect("JSON", json.loads(out.decode())["trace"], shown)
    if GNUPLOT:
        svg = path("it's a name.svg")
        expect("plot is silent", run("replay", full, *LRU, "--plot", svg).stderr, b"")
        expect("SVG", [t for t in svg_texts(svg) if t.startswith(shown + ": 2 references")] != [], True)
    out = subprocess.run([PAGERSIM, "replay", full, *LRU, "--tsv"], stdout=subprocess.PIPE, check=True).stdout.decode()
    expect("TSV", out.splitlines()[1].split("\t")[:2], [shown, "2"])
    out = subprocess.run([PAGERSIM, "replay", full, *LRU], stdout=subprocess.PIPE, check=True).stdout.decode()
    expect("table", out.splitlines()[0].startswith(shown + ": 2 references"), True)
    result = subprocess.run([PAGERSIM, "replay", full + b"none", *LRU], stderr=subprocess.PIPE, check=False)
    expect("message", result.stderr.decode(), f"pagersim: {shown}none: No such file or directory\n")

    def constant(name):
        raise ValueError(name)

    # No division of zero by zero.
    for model in "textbook", "pager":
        out = run("replay", path("one", "7\n7\n"), "-p", "all", "-f", "1,2", "-m", model, "--json").stdout
        json.loads(out, parse_constant=constant)
        json.loads(run("replay", path("one", "7\n7\n"), "-p", "lru", "-f", "1", "-m", model, "--json", "--no-baseline").stdout,
                   parse_constant=constant)


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
    # The scan alone is a loop, which LRU and FIFO always miss with one frame too few, and never with enough.
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
    # A phase fits: a page is evicted only after as many others have come in as there are frames.
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
    # Independent references: with one frame LRU hits only when a page follows itself, which is the sum of p squared.
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
    # MIN may evict either of two pages that are never used again, so its writes may differ.
    for one, many in zip(*found):
        expect("one pass", one if one[0] == "lru" else one[:5], many if one[0] == "lru" else many[:5])
        if float(one[4]) < 8:
            complaints.append(f"one pass: {one[0]} keeps its order in {one[4]} bytes a page")


def test_outputs():
    trace = os.path.join(DATA, "mixed.txt")
    svg = path("plot.svg")
    plot = ("--plot", svg) if GNUPLOT else ()
    out = json.loads(run("replay", trace, "-p", "mach2q:inactive=50,adapt=1,lru", "-f", "10%,64", "-m", "pager", "-w", "8",
                         "--json", *plot).stdout)
    expect("json", [(r["policy"], r["frames"], r.get("window")) for r in out["results"]],
           [("mach2q:inactive=50,adapt=1", 46, None), ("mach2q:inactive=50,adapt=1", 64, None), ("lru", 46, 8),
            ("lru", 64, 8)])
    if GNUPLOT:
        texts = svg_texts(svg)
        expect("plot", [t for t in ("mach2q:inactive=50,adapt=1", "lru", "min", "frames", "soft faults", "major faults")
                        if t not in texts], [])
    policies = run("policies").stdout.decode().splitlines()
    default = policies[0].split()
    expect("the default is listed", default[0], "default")
    expect("default", [[r[k] for k in ("major", "soft", "written")] for r in
                       rows(trace, "default", "5%,64", "-m", "pager")],
           [[r[k] for k in ("major", "soft", "written")] for r in rows(trace, default[1], "5%,64", "-m", "pager")])
    expect("its name", rows(trace, "default", "64")[0]["policy"], "default")
    table = run("replay", trace, "-p", "all", "-f", "50", "--check").stdout.decode()
    expect("table", table.count("\n"), 3 + sum(not line.startswith(("      ", "default")) for line in policies))
    loaded = rows(trace, EXAMPLE, "64", "-m", "pager", "--check")[0]
    expect("loaded policy", (loaded["violations"], loaded["fallbacks"]), ("0", "0"))


def test_errors():
    trace = os.path.join(DATA, "mixed.txt")
    replay = ("-p", "fifo", "-f", "9")
    bad("bad line", ("replay", path("b", "1\n2\nx3\n"), *replay), 1, ":3: expected a page number below 2^64, found \"x3\"")
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
    bad("cut recording", ("replay", path("d", whole + whole[64:300]), *replay), 0, "using the complete blocks")


for name, test in sorted(globals().items()):
    if name.startswith("test_"):
        test()
print(*complaints, f"{len(complaints)} complaints", sep="\n")
sys.exit(1 if complaints else 0)
