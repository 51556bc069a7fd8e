# SPDX-License-Identifier: MIT
"""check_metrics.py prometheus|openmetrics: whether standard input is such a text, by the rules of both formats that concern
what `pagerctl export` writes. Prints the number of samples. Exit status 1 and a line for each fault otherwise."""
import re
import sys

NAME = r'[a-zA-Z_:][a-zA-Z0-9_:]*'
LABELS = r'\{(?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\[\\"n])*"(?:,(?!\})|(?=\})))*\}'
SAMPLE = re.compile(rf'({NAME})({LABELS})? (-?[0-9]+(?:\.[0-9]+)?)$')
META = re.compile(rf'# (TYPE|HELP|UNIT) ({NAME}) (.+)$')


class Family:
    def __init__(self, name):
        self.name, self.meta, self.labels = name, {}, set()

    def sample_name(self, form):
        return self.name + ('_total' if form == 'openmetrics' and self.meta.get('TYPE') == 'counter' else '')

    def faults(self, form):
        kind, unit = self.meta.get('TYPE'), self.meta.get('UNIT')
        if kind not in ('counter', 'gauge'):
            yield f'{self.name}: its type is {kind}'
        if 'HELP' not in self.meta:
            yield f'{self.name}: no help'
        if unit and not self.name.endswith('_' + unit):
            yield f'{self.name}: does not end with its unit {unit}'
        if re.search(r'_(ns|ms|us|permille|percent|pages?_bytes|kb|kib)(_|$)', self.name):
            yield f'{self.name}: not in base units'
        if self.name.endswith('_total') != (form == 'prometheus' and kind == 'counter'):
            yield f'{self.name}: _total belongs to counters, in OpenMetrics to their samples only'


def faults(text, form):
    families, family = {}, None
    if not text.endswith('# EOF\n') or text.count('# EOF') != 1:
        yield 'it does not end with one # EOF'
    for number, line in enumerate(text.split('\n')[:-2], 1):
        meta, sample = META.match(line), SAMPLE.match(line)
        if meta:
            word, name, value = meta.groups()
            if not family or family.name != name:
                if name in families:
                    yield f'{number}: {name} comes again'
                family = families[name] = Family(name)
            if word in family.meta or family.labels:
                yield f'{number}: {word} twice, or behind a sample'
            family.meta[word] = value
        elif sample:
            name, labels, _ = sample.groups()
            if not family or family.sample_name(form) != name:
                yield f'{number}: {name} is not of the family before it'
            elif labels in family.labels:
                yield f'{number}: the same sample again'
            else:
                family.labels.add(labels)
        else:
            yield f'{number}: neither a sample nor a description: {line}'
    for f in families.values():
        yield from f.faults(form)
    print(sum(len(f.labels) for f in families.values()))


def main(form):
    try:
        found = list(faults(sys.stdin.buffer.read().decode('utf-8'), form))
    except UnicodeDecodeError as error:
        found = [str(error)]
    print('\n'.join(found), end='\n' if found else '')
    return 1 if found else 0


sys.exit(main(sys.argv[1]))
