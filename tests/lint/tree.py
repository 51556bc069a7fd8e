# SPDX-License-Identifier: MIT
"""What the lints know of the source tree: its folders, who may see whom, and the rows of include/tbl."""
import pathlib
import re

# Folder -> folders whose headers it may include besides its own. Longest name wins; a folder does not stand for those below
# it that have a row of their own. `tests` may see everything.
ARROWS = {
    'include': set(),
    'base': {'include/tbl'},
    'compressor': {'base'},
    'swap': {'base'},
    # The format of recordings is words that two processes agree on; its codec serves daemon and simulator.
    'policy': {'base', 'include/pager/trace_format.h'},
    'libclient': {'include'},
    'daemon': {'base', 'include', 'compressor/compressor.h', 'swap/swap.h', 'policy'},
    'tools': {'base', 'include', 'libclient/chan.h', 'libclient/exec_look.h'},
    'tools/pagersim': {'base', 'policy', 'include', 'tools/gnuplot.h'},
    'bench': {'base', 'include', 'libclient/chan.h', 'tools/gnuplot.h', 'tools/statread.h'},
    'bench/compare': {'base', 'include', 'bench', 'tools/gnuplot.h'},
    'bench/programs': {'base', 'include', 'bench', 'bench/compare', 'tools/gnuplot.h'},
    'bench/policies': {'base', 'include', 'bench', 'libclient/chan.h', 'tools/gnuplot.h', 'tools/statread.h'},
    'tests': {'base', 'include', 'compressor', 'swap', 'policy', 'libclient', 'daemon', 'tools', 'tools/pagersim', 'bench',
              'bench/compare', 'bench/policies', 'bench/programs'},
}
# Folders a header may be named from, in the order the build's include_directories say.
INCLUDE_PATHS = {
    'include': ['include'],
    'base': ['base', 'include'],
    'compressor': ['compressor', 'base', 'include'],
    'swap': ['swap', 'base', 'include'],
    'policy': ['policy', 'base', 'include'],
    'libclient': ['libclient', 'include'],
    'daemon': ['daemon', 'base', 'include', 'compressor', 'swap', 'policy'],
    'tools': ['tools', 'base', 'libclient', 'include'],
    'tools/pagersim': ['tools/pagersim', 'tools', 'policy', 'base', 'include'],
    'bench': ['bench', 'base', 'include', 'libclient', 'tools'],
    'bench/compare': ['bench/compare', 'bench', 'base', 'include', 'libclient', 'tools'],
    'bench/programs': ['bench/programs', 'bench/compare', 'bench', 'base', 'include', 'libclient', 'tools'],
    'bench/policies': ['bench/policies', 'bench', 'base', 'include', 'libclient', 'tools'],
    'tests': ['bench', 'bench/compare', 'bench/programs', 'daemon', 'base', 'include', 'compressor', 'swap', 'policy', 'libclient', 'tools/pagersim',
              'tools', 'tests/live'],
}
# Foreign headers and the only places that may include them; a name that ends with / is a folder.
DOORS = {
    'zstd.h': ['compressor/codec_zstd.c', 'tools/pagersim/', 'tests/'],
    'lz4.h': ['compressor/codec_lz4.c', 'bench/', 'tests/'],
    'libnbd.h': ['swap/swapnbd.c'],
    'openssl/crypto.h': ['swap/swapseal.c'],
    'openssl/evp.h': ['swap/swapseal.c'],
    'openssl/kdf.h': ['swap/swapseal.c'],
    'liburing.h': ['swap/swapio_uring.c', 'bench/', 'tests/'],
    'uv.h': ['daemon/control/loop.c', 'daemon/control/accept.c', 'daemon/control/accept.h', 'daemon/control/connection.h', 'daemon/control/names.c', 'daemon/control/names.h'],
    'linux/userfaultfd.h': ['daemon/pmap/uffd.c', 'include/pager/uffd_compat.h', 'libclient/', 'bench/', 'tests/'],
    'pager/uffd_compat.h': ['daemon/pmap/uffd.c', 'libclient/', 'bench/', 'tests/'],
    'xxhash.h': ['compressor/', 'swap/', 'bench/', 'tests/'],
    'json-c/json.h': ['tools/', 'bench/', 'tests/'],
    'microhttpd.h': ['tools/export_http.c'],
    'curses.h': ['tools/top_screen.c'],
    'cmocka.h': ['tests/'],
    'execinfo.h': ['base/check.c'],
}
# Log lines that nobody can cause again and again: file, and how the text begins. The others go through log_*_limited.
SAID_ONCE = {
    ('daemon/main.c', "the daemon's memory is not locked"),
    ('daemon/main.c', 'there is no group '),
    ('daemon/pmap/zap.c', 'the system has swap'),
    ('daemon/fault/latency.c', '%s cannot be used'),
    ('daemon/pmap/pins.c', 'pages that the kernel has pinned cannot'),
    ('daemon/pagers/vnode_watch.c', 'there is no fanotify(7)'),
    ('daemon/control/loop.c', 'stopping on'),
    ('swap/swapchannel.c', 'swap: io_uring refused'),
}
SOURCE_DIRECTORIES = sorted({name.split('/')[0] for name in ARROWS})


def folder_of(path):
    """'daemon/vm/frame.c' -> 'daemon'; 'tools/pagersim/sim.c' -> 'tools/pagersim'."""
    return max((name for name in ARROWS if path == name or path.startswith(name + '/')), key=len, default=None)


def sources(root, *suffixes):
    """Paths relative to root, as strings, of the source folders' files with one of the suffixes."""
    root = pathlib.Path(root)
    for directory in SOURCE_DIRECTORIES:
        for path in sorted((root / directory).rglob('*')):
            if path.suffix in suffixes and path.is_file():
                yield str(path.relative_to(root))


def without_comments(text):
    return re.sub(r'/\*.*?\*/|//[^\n]*', lambda m: '\n' * m.group(0).count('\n'), text, flags=re.S)


def split_arguments(text):
    """The arguments of one macro call, strings unquoted (adjacent strings joined)."""
    arguments, current, string = [], '', False
    for c in text:
        if c == '"':
            string = not string
        if c == ',' and not string:
            arguments.append(current)
            current = ''
        else:
            current += c
    arguments.append(current)
    return [''.join(re.findall(r'"([^"]*)"', a)) if '"' in a else a.strip() for a in arguments]


def table(root, name, macro):
    """Rows of include/tbl/<name>.h as lists of strings."""
    text = without_comments((pathlib.Path(root) / 'include/tbl' / (name + '.h')).read_text())
    text = re.sub(r'^#undef.*$', '', text, flags=re.M)
    return [split_arguments(m.group(1)) for m in re.finditer(r'^%s\((.*?)\)$' % macro, text, re.M | re.S)]


def head_comment(root, name):
    """The prose at the head of include/tbl/<name>.h, one paragraph a string, licence line left out."""
    text = (pathlib.Path(root) / 'include/tbl' / (name + '.h')).read_text()
    lines = [line.strip().lstrip('*').strip() for line in text[2:text.index('*/')].split('\n')]
    paragraphs = '\n'.join(line for line in lines if 'SPDX' not in line).split('\n\n')
    return [' '.join(p.split()) for p in paragraphs if p.strip()]


def end(errors):
    """Prints what is wrong. Exit status 1 if there is anything."""
    for error in errors:
        print(error)
    raise SystemExit(1 if errors else 0)
