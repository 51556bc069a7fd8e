# SPDX-License-Identifier: MIT
"""check_install.py BUILD SOURCE MESON COMPILER...: installs a build into an empty directory and compares the list of files
with what there must be; headers compile there, units name programs that are there, and completion completes."""
import json
import pathlib
import subprocess
import sys
import tempfile

# Besides the manual pages, which are those of doc/man, and headers, which are asked for by the compiler.
EXPECTED = '''
{bindir}/pagerbench
{bindir}/pagerctl
{bindir}/pagersim
{sbindir}/pagerd
{libdir}/libpager.a
{libdir}/libpager.so
{libdir}/libpager.so.1
{libdir}/libpager.so.1.0.0
{libdir}/pagerd/libpagerrun.so
{libdir}/pkgconfig/libpager.pc
{unitdir}/pagerd.service
{unitdir}/pagerd.socket
{rulesdir}/60-pagerd.rules
{datadir}/doc/pagerd/fdstore.conf
lib/sysusers.d/pagerd.conf
lib/tmpfiles.d/pagerd.conf
'''
COMPLETION = """
{datadir}/bash-completion/completions/pagerbench
{datadir}/bash-completion/completions/pagerctl
{datadir}/bash-completion/completions/pagerd
{datadir}/bash-completion/completions/pagersim
"""
# What is typed, and what must be among the words that are offered.
TYPED = [(['pagerctl', 'lim'], 'limit'), (['pagerctl', 'top', '--ba'], '--batch'), (['pagerctl', '-j', 'param', 'l'], 'list'),
         (['pagerctl', 'stat', '--ba'], None), (['pagerd', '--mem'], '--memory'), (['pagerd', '--swap-dir', '/de'], '/dev'),
         (['pagersim', 're'], 'replay'), (['pagerbench', 'com'], 'compare')]


def manual_pages(source):
    pages = [p.name.removesuffix('.in') for p in (source / 'doc/man').iterdir()
             if p.name.removesuffix('.in')[-2:] in ('.1', '.3', '.8')]
    return {f'{{mandir}}/man{page[-1]}/{page}' for page in pages}


def check_headers(root, compiler):
    headers = sorted((root / 'include/pager').glob('*.h'))
    if not any(h.name == 'pager.h' for h in headers):
        yield 'pager/pager.h: not installed'
    for header in headers:
        run = subprocess.run([*compiler, '-std=gnu11', '-Wall', '-Werror', '-fsyntax-only', '-I', root / 'include', '-x', 'c', '-'],
                             input=f'#include <pager/{header.name}>\n', capture_output=True, text=True, check=False)
        if run.returncode:
            yield f'installed pager/{header.name} does not compile:\n{run.stderr}'


def check_completion(folder):
    for words, expected in TYPED:
        script = (f'set -u; . {folder}/{words[0]}; compopt() {{ :; }}; COMP_WORDS=({" ".join(words)}); COMP_CWORD={len(words) - 1}; '
                  f'_{words[0]}; printf "%s\\n" "${{COMPREPLY[@]}}"')
        run = subprocess.run(['bash', '-c', script], capture_output=True, text=True, check=False)
        offered = run.stdout.split()
        if run.returncode or run.stderr or (expected not in offered if expected else offered):
            yield f'{" ".join(words)}<tab>: offers {offered}, not {expected}: {run.stderr}'


def main(build, source, meson, *compiler):
    options = json.loads(subprocess.run([meson, 'introspect', build, '--buildoptions'], capture_output=True, text=True,
                                        check=True).stdout)
    value = {o['name']: o['value'] for o in options}
    prefix = value['prefix']
    places = {name: value[name] for name in ('bindir', 'sbindir', 'libdir', 'datadir', 'mandir')}
    places['unitdir'] = value['systemd_unit_dir'] or 'lib/systemd/system'
    places['rulesdir'] = value['udev_rules_dir'] or 'lib/udev/rules.d'
    with tempfile.TemporaryDirectory() as directory:
        run = subprocess.run([meson, 'install', '-C', build, '--no-rebuild', '--destdir', directory], capture_output=True,
                             text=True, check=False)
        if run.returncode:
            sys.exit(f'meson install: exit status {run.returncode}\n{run.stdout}{run.stderr}')
        root = pathlib.Path(directory + prefix)
        found = {str(p.relative_to(root)) for p in root.rglob('*') if not p.is_dir()}
        found = {f for f in found if not f.startswith('include/pager/')}
        completes = value['b_sanitize'] == 'none'
        expected = {line.format(**places) for line in
                    [*EXPECTED.split(), *(COMPLETION.split() if completes else []), *manual_pages(pathlib.Path(source))]}
        errors = [f'{f}: not installed' for f in sorted(expected - found)]
        errors += [f'{f}: installed, and not expected' for f in sorted(found - expected)]
        errors += check_headers(root, compiler)
        service = (root / places['unitdir'] / 'pagerd.service').read_text()
        if f'ExecStart={prefix}/{places["sbindir"]}/pagerd' not in service:
            errors.append('pagerd.service: names another pagerd')
        if completes:
            errors += check_completion(root / places['datadir'] / 'bash-completion/completions')
    if errors:
        sys.exit('\n'.join(errors))
    print(f'{len(found)} files')


main(*sys.argv[1:])
