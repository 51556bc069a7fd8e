# SPDX-License-Identifier: MIT
"""mutants.py [MUTANT]...: does an assertion catch a guard that is missing?

A mutant is the tree without one lock, one BUSY or one write-protection. It is built in a copy of the tree, with debug_level
2, and a few tests are run until one of them ends in a panic of the daemon (base/check.c), or in a page table that pagerctl
check finds wrong. Both are called an assertion here. Nothing is left behind.

Exit status: 0 all mutants were caught by an assertion; 1 not all; 2 a mutant cannot be made, or the tests fail without one.
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Seconds without progress after which a live test is taken for hanging.
PATIENCE = '30'
TESTS = ['live-audit-states', 'live-page-clean-4k', 'live-pageout-states-4k', 'live-hammer-evicted-4k', 'live-oracle-4k-compressor-16',
         'live-copy-trap-2-outcomes-4k']
# name: what is missing, file, function, (text, what stands in its place)...
# The text stands once in the function; white space is not compared.
MUTANTS = {
    'lock': ('an object\'s slots are published without its lock', 'daemon/transit/leave.c', 'victims_leave',
             ('lock_acquire(&o->lock);', ''), ('lock_release(&o->lock);', '')),
    'busy': ('a victim is looked at for BUSY, which is not taken', 'daemon/pageq/pageq.c', 'pageq_launder_begin_locked',
             ('!vm_page_busy_only(p)', 'load_acquire(&p->word) & PAGE_BUSY')),
    'protect': ('victims are copied while they can be written', 'daemon/pageout/launder.c', 'clean_group',
                ('if (still_range_make(v[0].object, victim_page(d, &v[first])->index, victim_page(d, &v[last])->index + 1,'
                 '&still) != 0) return;', '')),
    'clean': ('a page that keeps its copy can be written', 'daemon/transit/put.c', 'copy_pages',
              ('protect ? UFFD_MODE_WP : 0', '0')),
    'copy': ('what has been copied can be written', 'daemon/transit/copy_make.c', 'run_protect',
             ('error = pmap_protect(o, from, from + n);', 'error = 0;')),
    'copy-handle': ('a handle that has gone up stays below, too', 'daemon/transit/copy_push.c', 'push_absent',
                    ('w->row->cref = 0;', '')),
}


class Gone(Exception):
    """The place that a mutant changes is not there any more."""


def spaced(text):
    """The text as a pattern that takes any white space, or none, between its words."""
    return r'\s*'.join(re.escape(word) for word in re.findall(r'\w+|\S', text))


def mutate(source, function, changes):
    """The source with the changes made in that function, which is defined once."""
    bodies = list(re.finditer(rf'^{function}\(.*?^}}$', source, re.M | re.S))
    if len(bodies) != 1:
        raise Gone(f'{len(bodies)} functions {function}')
    body = bodies[0].group()
    for old, new in changes:
        body, count = re.subn(spaced(old), lambda _, new=new: new, body)
        if count != 1:
            raise Gone(f'{function} has "{old}" {count} times')
    return source[:bodies[0].start()] + body + source[bodies[0].end():]


def run(command, cwd, **more):
    return subprocess.run(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors='replace',
                          check=False, **more)


def build(tree):
    done = run(['ninja', '-C', 'build'], tree)
    if done.returncode:
        raise Gone('it does not build:\n' + done.stdout[-3000:])


def test(tree, name):
    """(whether it passed, the daemon's panic, or what pagerctl check found in page tables, or '')"""
    done = run(['meson', 'test', '-C', 'build', '--no-rebuild', '--print-errorlogs', '-t', '10', name], tree,
               env={**os.environ, 'LIVE_TIMEOUT': PATIENCE})
    log = (tree / 'build/meson-logs/testlog.txt').read_text(errors='replace')
    said = re.search(r'^panic: .*|object \d+ page \d+ at .* page tables.*', log, re.M)
    return done.returncode == 0, said.group() if said else ''


def caught(tree):
    """How the tests catch what is built: '' not at all."""
    otherwise = ''
    for name in TESTS:
        passed, said = test(tree, name)
        if said:
            return f'assertion: {name}: {said}'
        if not passed:
            otherwise = otherwise or f'something else: {name} failed without one'
    return otherwise


def copy_tree(tree):
    files = run(['git', 'ls-files', '-z', '--cached', '--others', '--exclude-standard'], ROOT).stdout.split('\0')
    for name in filter(None, files):
        if (ROOT / name).is_file():
            (tree / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, tree / name)


def try_mutant(tree, name):
    what, path, function, *changes = MUTANTS[name]
    original = (tree / path).read_text()
    (tree / path).write_text(mutate(original, function, changes))
    build(tree)
    how = caught(tree)
    print(f'{name} ({what}): {how or "not caught"}', flush=True)
    (tree / path).write_text(original)
    return how.startswith('assertion')


def main(names):
    for name in names:
        if name not in MUTANTS:
            sys.exit(f'no mutant {name}; there are: {" ".join(MUTANTS)}')
    with tempfile.TemporaryDirectory(prefix='pagerd-mutants.') as directory:
        tree = pathlib.Path(directory)
        copy_tree(tree)
        try:
            for name in names:
                mutate((tree / MUTANTS[name][1]).read_text(), MUTANTS[name][2], MUTANTS[name][3:])
            if run(['meson', 'setup', 'build', '--buildtype=debugoptimized', '-Ddebug_level=2'], tree).returncode:
                raise Gone('meson setup fails')
            build(tree)
            how = caught(tree)
            if how:
                raise Gone(f'the tests fail without a mutant: {how}')
            good = [try_mutant(tree, name) for name in names]
        except (Gone, OSError) as error:
            print(f'cannot be tried: {error}', file=sys.stderr)
            return 2
    return 0 if all(good) else 1


sys.exit(main(sys.argv[1:] or list(MUTANTS)))
