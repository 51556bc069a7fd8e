# SPDX-License-Identifier: MIT
"""circles.py ROOT: no files of a folder stand in a circle, so that each can be read after those it uses.

A unit is a stem: a .c and the .h of that name beside it. There is an edge A -> B between two units of a folder when A
- calls or names a function that B defines, extern or static inline (a field of that name does not count);
- names a struct, enum or union whose body stands in B's header;
- includes B's header.
A prototype is no call. A header may name a struct whose body is hidden in the header of its name with _priv.
daemon/daemon.h has no .c of its own and only composes what others declare: it is left out of the graph. Nothing else is.

EXCEPTIONS names the units that stand in a circle today. The lists only shrink: a unit that has left its circle, or is
gone, must leave the list too."""
import collections
import pathlib
import re
import sys

import tree

FOLDERS = ['base', 'bench', 'compressor', 'daemon', 'libclient', 'policy', 'swap', 'tools']
LEFT_OUT = {'daemon/daemon'}
EXCEPTIONS = {
}

NAME = re.compile(r'(?<![\w.>])[A-Za-z_]\w*')
TYPE = re.compile(r'\b(?:struct|enum|union) (\w+)')
TYPE_BODY = re.compile(r'^(?:struct|enum|union) (\w+)[^;{}()]*\{', re.M)
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.M)
# A function's head (its first line begins at the left) and its body (braces at the left).
FUNCTION = re.compile(r'^([A-Za-z][^;{}#]*?)\n?\{\n(.*?)^\}', re.M | re.S)
MACRO = re.compile(r'^#\s*define\s+\w+(.*(?:\\\n.*)*)', re.M)


def code_of(text):
    text = tree.without_comments(text)
    text = re.sub(r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'', '""', text)
    return re.sub(r'->\s*\w+', '->', text)


def function_name(head):
    """The name before the parameter list; attributes are macros in capitals."""
    for name in re.findall(r'(\w+)\s*\(', head):
        if not name.isupper() and name != '__attribute__':
            return name
    return None


class Source:
    def __init__(self, root, path):
        text = (root / path).read_text()
        self.path = path
        self.unit = str(pathlib.PurePosixPath(path).with_suffix(''))
        self.is_header = path.endswith('.h')
        self.includes = INCLUDE.findall(tree.without_comments(text))
        self.code = code_of(text)
        self.defined, self.own = set(), set()
        bodies = []
        for head, body in FUNCTION.findall(self.code):
            name = function_name(head)
            if name is None:
                continue
            is_private = re.search(r'\bstatic\b', head) and not self.is_header
            (self.own if is_private else self.defined).add(name)
            bodies.append(body)
        self.types = set(TYPE_BODY.findall(self.code)) if self.is_header else set()
        # A header's prototypes are no calls: only what it defines is looked at.
        calling = '\n'.join(bodies + MACRO.findall(self.code)) if self.is_header else self.code
        self.names = set(NAME.findall(calling)) - self.own - self.defined
        self.named_types = set(TYPE.findall(re.sub(r'^(?:struct|enum|union) \w+;', '', self.code, flags=re.M)))


def resolve(root, path, name):
    """The path, relative to root, of a header of the project."""
    places = [str(pathlib.PurePosixPath(path).parent)] + tree.INCLUDE_PATHS[tree.folder_of(path)]
    for place in places:
        if (root / place / name).is_file():
            return str(pathlib.PurePosixPath(place) / name)
    return None


def edges_of(root, folder):
    """{unit: {unit: {why, ...}}} without edges from a unit to itself."""
    paths = sorted(str(p.relative_to(root)) for p in (root / folder).rglob('*') if p.suffix in ('.c', '.h'))
    sources = [s for s in (Source(root, path) for path in paths) if s.unit not in LEFT_OUT]
    units = {s.unit for s in sources}
    functions, types = collections.defaultdict(set), collections.defaultdict(set)
    for s in sources:
        for name in s.defined:
            functions[name].add(s.unit)
        for name in s.types:
            types[name].add(s.unit)
    edges = {unit: collections.defaultdict(set) for unit in sorted(units)}
    for s in sources:
        for name in s.names & functions.keys():
            for unit in functions[name]:
                edges[s.unit][unit].add(name)
        for name in s.named_types & types.keys():
            for unit in types[name]:
                if s.is_header and unit == s.unit + '_priv':
                    continue
                edges[s.unit][unit].add('type ' + name)
        for name in s.includes:
            unit = str(pathlib.PurePosixPath(resolve(root, s.path, name) or '').with_suffix(''))
            if unit in units:
                edges[s.unit][unit].add('include ' + name)
    for unit in edges:
        edges[unit].pop(unit, None)
    return edges


def reachable(edges, start):
    """{unit: the unit it was reached from}, what `start` reaches in one step or more."""
    came, queue = {}, collections.deque([start])
    while queue:
        unit = queue.popleft()
        for following in sorted(edges[unit]):
            if following not in came:
                came[following] = unit
                queue.append(following)
    return came


def circles(edges):
    """Sets of units that reach one another."""
    reach = {unit: reachable(edges, unit) for unit in edges}
    left, found = set(edges), []
    for unit in sorted(edges):
        if unit in left and unit in reach[unit]:
            circle = {other for other in reach[unit] if unit in reach[other]}
            left -= circle
            found.append(circle)
    return found


def way_round(edges, unit):
    """A shortest way from a unit to itself, with a reason for each step."""
    came, way = reachable(edges, unit), [unit]
    while len(way) == 1 or way[-1] != unit:
        way.append(came[way[-1]])
    way.reverse()
    steps = [f'{b} ({", ".join(sorted(edges[a][b])[:3])})' for a, b in zip(way, way[1:])]
    return ' -> '.join([unit] + steps)


def check_folder(root, folder):
    edges = edges_of(root, folder)
    found = circles(edges)
    inside = set().union(*found)
    listed = {f'{folder}/{unit}' for unit in EXCEPTIONS.get(folder, '').split()}
    errors = [f'{unit} stands in a circle: {way_round(edges, unit)}' for unit in sorted(inside - listed)]
    errors += [f'{unit} is listed, but stands in no circle: take it out of the list of {folder}'
               for unit in sorted(listed - inside)]
    return found, errors


def main(root, *arguments):
    root = pathlib.Path(root)
    if arguments:  # what A takes from B, for the reader: circles.py ROOT FOLDER
        for unit, targets in edges_of(root, arguments[0]).items():
            for target in sorted(targets):
                print(unit, '->', target + ':', ', '.join(sorted(targets[target])))
        return
    errors, count, texts = [], 0, []
    for folder in FOLDERS:
        found, wrong = check_folder(root, folder)
        errors += wrong
        count += len(found)
        texts += [f'{folder} {len(circle)}' for circle in found]
    for error in errors:
        print(error)
    print(f'{count} circles of files in {", ".join(FOLDERS)}' + (f' (files: {"; ".join(texts)})' if texts else ''))
    raise SystemExit(1 if errors else 0)


if __name__ == '__main__':
    main(*sys.argv[1:])
