#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Generate an instruction decoder and a disassembler from decode specs.

One spec file describes all instructions of one length (16 or 32 bits).  Several
spec files given together share their argument sets and their trans_<name>
functions.  From them come three C files:

  --header FILE   arg_<set> structs, prototypes of trans_<name>, a list macro
  --decode FILE   PREFIX_decode<width>(ctx, ext, insn): switch tree to trans_<name>
  --disas FILE    PREFIX_disas_rows[] and PREFIX_find<width>(insn, ext): the same
                  tree to a row that holds the assembly text

The language, line by line ('#' starts a comment, '\\' continues a line):

  %name SEG... [<<N] [+N]        a field; SEG is POS:LEN or POS:sLEN (sign extended),
                                 the first segment is the most significant; the value
                                 is shifted left by N, then N is added
  &name FIELD...                 an argument set: the members of struct arg_name
  @name BITS ITEM...             a format: what several patterns have in common
  name BITS ITEM...              a pattern; calls trans_name(ctx, &args)
  {                              patterns that may overlap, tried in order, down to
  }                              the matching brace; a pattern whose extension is
                                 off, whose condition fails or whose trans function
                                 returns false lets the next one try
  [                              inside { }: patterns that exclude each other
  ]

BITS is a run of 0, 1, . (operand) and - (ignored), spaces allowed, which must cover
the whole instruction.  ITEM is one of

  %field             member of the same name takes this field
  member=%field      member takes a field of another name
  member=NUMBER      member takes a constant
  &set               the argument set (default: the one of the format)
  @format            (patterns only) start from this format
  ext=EXPR           extensions needed, e.g. zfh, zbb|zbkb, d&(zfh|zfhmin)
  asm="TEXT"         in a pattern: the whole assembly text.  In a format: the operands,
                     put after the pattern's name with '_' turned into '.'
  when="EXPR"        C condition over the members: false means not this instruction

In assembly text, {member} prints a register (members rd, rs1, rs2, rs3) or a decimal
number; {member:k} prints it the way PREFIX_disas_operand() does for the letter k.

Two patterns that match a common instruction must stand in the same { } group; a
pattern that can never be reached is an error too.
"""

import argparse
import os
import re
import sys


class SpecError(Exception):
    pass


def fail(where, message):
    raise SpecError('%s:%d: error: %s' % (where[0], where[1], message))


class Field:
    """A value cut out of the instruction word."""

    def __init__(self, segments, shift=0, add=0):
        self.segments, self.shift, self.add = segments, shift, add

    def mask(self):
        m = 0
        for pos, length, _ in self.segments:
            m |= ((1 << length) - 1) << pos
        return m

    def c_expr(self):
        total = sum(length for _, length, _ in self.segments)
        parts, below = [], total
        for i, (pos, length, signed) in enumerate(self.segments):
            below -= length
            if signed:
                e = '(uint32_t)((int32_t)(insn << %d) >> %d)' % (
                    32 - pos - length, 32 - length)
            else:
                e = '((insn >> %d) & 0x%x)' % (pos, (1 << length) - 1)
            up = below + self.shift
            parts.append('(%s << %d)' % (e, up) if up else e)
        e = ' | '.join(parts)
        if self.add:
            e = '(%s) + %d' % (e, self.add)
        return '(int32_t)(%s)' % e


class Const:
    def __init__(self, value):
        self.value = value

    def mask(self):
        return 0

    def c_expr(self):
        return str(self.value)


class Row:
    """A format or a pattern."""

    def __init__(self, where, name):
        self.where, self.name = where, name
        self.mask = self.bits = self.operand = 0
        self.fields, self.argset = {}, None
        self.ext, self.asm, self.when = [], None, []

    def leaves(self):
        return [self]


class Group:
    """An ordered { } or an exclusive [ ] group of rows and groups."""

    def __init__(self, where, ordered):
        self.where, self.ordered, self.members = where, ordered, []

    def close(self):
        if not self.members:
            fail(self.where, 'empty group')
        rows = self.leaves()
        mask = rows[0].mask
        for r in rows:
            mask &= r.mask
        for r in rows:
            mask &= ~(r.bits ^ rows[0].bits)
        self.mask, self.bits = mask, rows[0].bits & mask

    def leaves(self):
        return [r for m in self.members for r in m.leaves()]


# ---- extension expressions -------------------------------------------------------

def parse_ext(text, known, where):
    """Parse EXPR into a conjunction of disjunctions: a list of sorted name tuples."""
    tokens = re.findall(r'[a-z][a-z0-9_]*|[&|()]|\S', text)
    pos = 0

    def atom():
        nonlocal pos
        if pos >= len(tokens):
            fail(where, 'ext=%s ends too early' % text)
        t = tokens[pos]
        pos += 1
        if t == '(':
            e = disjunction()
            if pos >= len(tokens) or tokens[pos] != ')':
                fail(where, 'missing ) in ext=%s' % text)
            pos += 1
            return e
        if not re.match(r'[a-z]', t):
            fail(where, 'unexpected %r in ext=%s' % (t, text))
        if known is not None and t not in known:
            fail(where, 'unknown extension %r' % t)
        return [frozenset([t])]

    def conjunction():
        nonlocal pos
        e = atom()
        while pos < len(tokens) and tokens[pos] == '&':
            pos += 1
            e = e + atom()
        return e

    def disjunction():
        nonlocal pos
        e = conjunction()
        while pos < len(tokens) and tokens[pos] == '|':
            pos += 1
            e = [a | b for a in e for b in conjunction()]
        return e

    clauses = disjunction()
    if pos != len(tokens):
        fail(where, 'unexpected %r in ext=%s' % (tokens[pos], text))
    out = []
    for c in clauses:
        c = tuple(sorted(c))
        if c not in out:
            out.append(c)
    return out


# ---- the parser --------------------------------------------------------------------

IDENT = r'[A-Za-z][A-Za-z0-9_]*'
ITEM = re.compile(r'\s*((?:ext|asm|when)=(?:"[^"]*"|\S+)|\S+)')


class Spec:
    """All spec files given on the command line."""

    def __init__(self, known_exts):
        self.known_exts = known_exts
        self.argsets = {}          # name -> (members, where)
        self.trans = {}            # name -> argset
        self.files = []            # (width, top-level members)

    def load(self, path):
        FileParser(self, path).run()


class FileParser:
    def __init__(self, spec, path):
        self.spec, self.path = spec, path
        self.width = None
        self.fields, self.formats = {}, {}
        self.top = []
        self.stack = []

    def logical_lines(self):
        held, start = '', 0
        with open(self.path) as f:
            for number, line in enumerate(f, 1):
                line = re.sub(r'#(?=(?:[^"]*"[^"]*")*[^"]*$).*', '', line).rstrip()
                if not held:
                    start = number
                if line.endswith('\\'):
                    held += line[:-1] + ' '
                    continue
                yield (self.path, start), (held + line).strip()
                held = ''
        if held:
            fail((self.path, start), 'file ends in a continued line')

    def run(self):
        for where, line in self.logical_lines():
            if not line:
                continue
            if line in '{[':
                if line == '[' and not (self.stack and self.stack[-1].ordered):
                    fail(where, '[ ] is only meaningful directly inside { }')
                self.stack.append(Group(where, line == '{'))
            elif line in '}]':
                if not self.stack or self.stack[-1].ordered != (line == '}'):
                    fail(where, 'unmatched %s' % line)
                group = self.stack.pop()
                group.close()
                self.add(group)
            elif line[0] == '%':
                self.parse_field(where, line)
            elif line[0] == '&':
                self.parse_argset(where, line)
            else:
                self.parse_row(where, line)
        if self.stack:
            fail(self.stack[-1].where, 'group is never closed')
        if self.width is None:
            fail((self.path, 1), 'no patterns')
        check_overlap(self.top)
        self.spec.files.append((self.width, self.top))

    def add(self, member):
        (self.stack[-1].members if self.stack else self.top).append(member)

    def parse_field(self, where, line):
        words = line.split()
        name = words[0][1:]
        if not re.fullmatch(IDENT, name):
            fail(where, 'bad field name %r' % name)
        if name in self.fields:
            fail(where, 'field %%%s is defined twice' % name)
        field = Field([])
        used = 0
        for w in words[1:]:
            m = re.fullmatch(r'(\d+):(s?)(\d+)', w)
            if m:
                pos, length = int(m[1]), int(m[3])
                if length == 0 or pos + length > 32:
                    fail(where, 'segment %s is outside the instruction' % w)
                if m[2] and field.segments:
                    fail(where, 'only the first segment may be signed')
                bits = ((1 << length) - 1) << pos
                if used & bits:
                    fail(where, 'segment %s overlaps an earlier one' % w)
                used |= bits
                field.segments.append((pos, length, bool(m[2])))
            elif re.fullmatch(r'<<\d+', w):
                field.shift = int(w[2:])
            elif re.fullmatch(r'\+\d+', w):
                field.add = int(w[1:])
            else:
                fail(where, 'bad field segment %r' % w)
        if not field.segments:
            fail(where, 'field %%%s has no segments' % name)
        if sum(s[1] for s in field.segments) + field.shift > 32:
            fail(where, 'field %%%s does not fit 32 bits' % name)
        self.fields[name] = field

    def parse_argset(self, where, line):
        words = line.split()
        name, members = words[0][1:], words[1:]
        for w in [name] + members:
            if not re.fullmatch(IDENT, w):
                fail(where, 'bad name %r' % w)
        if len(set(members)) != len(members):
            fail(where, 'a member is named twice')
        old = self.spec.argsets.get(name)
        if old and old[0] != members:
            fail(where, '&%s differs from its definition at %s:%d' % ((name,) + old[1]))
        self.spec.argsets.setdefault(name, (members, where))

    def parse_row(self, where, line):
        head, _, rest = line.partition(' ')
        is_format = head[0] == '@'
        name = head[1:] if is_format else head
        if not re.fullmatch(IDENT, name):
            fail(where, 'bad name %r' % name)
        row = Row(where, name)
        m = re.match(r'[01.\-\s]*(?=\s|$)', rest)
        self.parse_bits(row, re.sub(r'\s', '', m[0]))
        own_asm = self.parse_items(row, rest[m.end():], is_format)
        if is_format:
            if name in self.formats:
                fail(where, 'format @%s is defined twice' % name)
            self.formats[name] = row
        else:
            self.finish_pattern(row, own_asm)

    def parse_bits(self, row, bits):
        if len(bits) not in (16, 32):
            fail(row.where, '%s: %d bits given, expected 16 or 32'
                 % (row.name, len(bits)))
        if self.width is None:
            self.width = len(bits)
        if len(bits) != self.width:
            fail(row.where, '%s: %d bits given, earlier lines have %d'
                 % (row.name, len(bits), self.width))
        for c in bits:
            row.mask = row.mask << 1 | (c in '01')
            row.bits = row.bits << 1 | (c == '1')
            row.operand = row.operand << 1 | (c == '.')

    def parse_items(self, row, text, is_format):
        own_asm, fmt, sets = None, None, []
        own = Row(row.where, row.name)
        pos = 0
        while text[pos:].strip():
            m = ITEM.match(text, pos)
            word, pos = m[1], m.end()
            key, eq, value = word.partition('=')
            value = value.strip('"')
            if word[0] == '@':
                if is_format:
                    fail(row.where, 'a format cannot refer to a format')
                if fmt:
                    fail(row.where, 'second format %s' % word)
                fmt = self.formats.get(word[1:])
                if fmt is None:
                    fail(row.where, 'unknown format %s' % word)
            elif word[0] == '&':
                sets.append(word[1:])
            elif word[0] == '%':
                self.set_member(own, word[1:], self.field(row, word[1:]))
            elif not eq:
                fail(row.where, 'cannot understand %r' % word)
            elif key == 'ext':
                own.ext = parse_ext(value, self.spec.known_exts, row.where)
            elif key == 'asm':
                own_asm = value
            elif key == 'when':
                own.when.append(value)
            elif value[:1] == '%':
                self.set_member(own, key, self.field(row, value[1:]))
            elif re.fullmatch(r'-?(0x[0-9a-fA-F]+|\d+)', value):
                self.set_member(own, key, Const(int(value, 0)))
            else:
                fail(row.where, 'cannot understand %r' % word)
        self.merge(row, own, fmt, sets, own_asm, is_format)
        return own_asm

    def merge(self, row, own, fmt, sets, own_asm, is_format):
        if len(sets) > 1:
            fail(row.where, 'more than one argument set')
        row.argset = sets[0] if sets else (fmt.argset if fmt else None)
        if row.argset is not None and row.argset not in self.spec.argsets:
            fail(row.where, 'unknown argument set &%s' % row.argset)
        if fmt:
            if (fmt.bits ^ row.bits) & fmt.mask & row.mask:
                fail(row.where, '%s contradicts the bits of @%s' % (row.name, fmt.name))
            row.mask, row.bits = row.mask | fmt.mask, row.bits | fmt.bits
            row.operand &= ~fmt.mask
            row.fields.update(fmt.fields)
            row.when = list(fmt.when)
            row.ext = fmt.ext
        row.fields.update(own.fields)
        row.when += own.when
        row.ext = own.ext or row.ext
        row.asm = own_asm
        if not is_format and own_asm is None:
            tail = fmt.asm if fmt and fmt.asm else ''
            row.asm = row.name.replace('_', '.') + (' ' + tail if tail else '')

    def field(self, row, name):
        if name not in self.fields:
            fail(row.where, 'unknown field %%%s' % name)
        return self.fields[name]

    @staticmethod
    def set_member(row, member, value):
        if member in row.fields:
            fail(row.where, 'member %s is given twice' % member)
        row.fields[member] = value

    def finish_pattern(self, row, own_asm):
        where, spec = row.where, self.spec
        if row.argset is None:
            if row.fields:
                fail(where, '%s: has members but no argument set' % row.name)
            row.argset = 'empty'
            spec.argsets.setdefault('empty', ([], where))
        members = spec.argsets[row.argset][0]
        for m in members:
            if m not in row.fields:
                fail(where, '%s: member %s of &%s has no value'
                     % (row.name, m, row.argset))
        for m in row.fields:
            if m not in members:
                fail(where, '%s: &%s has no member %s' % (row.name, row.argset, m))
        covered = row.mask
        for f in row.fields.values():
            covered |= f.mask()
        lost = row.operand & ~covered
        if lost:
            fail(where, '%s: operand bits 0x%x belong to no field' % (row.name, lost))
        if not row.ext:
            fail(where, '%s: no ext=' % row.name)
        for m in re.findall(r'\{(\w+)', row.asm):
            if m not in members:
                fail(where, '%s: {%s} in asm is no member' % (row.name, m))
        for w in row.when:
            for m in re.findall(r'\b[A-Za-z]\w*\b', re.sub(r'0x[0-9a-f]+', '', w)):
                if m not in members:
                    fail(where, '%s: %s in when is no member' % (row.name, m))
        old = spec.trans.setdefault(row.name, (row.argset, where))
        if old[0] != row.argset:
            fail(where, '%s: takes &%s here but &%s at %s:%d'
                 % ((row.name, row.argset, old[0]) + old[1]))
        self.add(row)


# ---- overlap -----------------------------------------------------------------------

def overlaps(a, b):
    return not (a.bits ^ b.bits) & a.mask & b.mask


def check_overlap(members):
    """Rows of different members must exclude each other; recurse into groups."""
    for i, a in enumerate(members):
        for b in members[:i]:
            if not overlaps(a, b):
                continue
            for ra in a.leaves():
                for rb in b.leaves():
                    if overlaps(ra, rb):
                        fail(ra.where, '%s overlaps %s at %s:%d; put them in a { } '
                             'group' % (ra.name, rb.name, rb.where[0], rb.where[1]))
        if isinstance(a, Group):
            if a.ordered:
                for m in a.members:
                    if isinstance(m, Group):
                        check_overlap([m] if m.ordered else m.members)
                check_reachable(a)
            else:
                check_overlap(a.members)


def check_reachable(group):
    rows = group.leaves()
    for i, later in enumerate(rows):
        for earlier in rows[:i]:
            if (earlier.mask & later.mask == earlier.mask and overlaps(earlier, later)
                    and not earlier.when and set(earlier.ext) <= set(later.ext)):
                fail(later.where, '%s can never match: %s at %s:%d takes all of it'
                     % (later.name, earlier.name, earlier.where[0], earlier.where[1]))


# ---- the switch tree -----------------------------------------------------------------

def runs(mask):
    """The contiguous runs of ones in mask as (shift, length), at most 8 bits each."""
    out, pos = [], 0
    while mask >> pos:
        if not mask >> pos & 1:
            pos += 1
            continue
        start = pos
        while mask >> pos & 1 and pos - start < 8:
            pos += 1
        out.append((start, pos - start))
    return out


class Tree:
    """Emits nested switches; leaf(row, indent, last) gives the lines for one row."""

    def __init__(self, out, leaf):
        self.out, self.leaf = out, leaf

    def line(self, indent, text):
        self.out.append('    ' * indent + text)

    def emit(self, members, known, indent):
        if len(members) == 1:
            self.emit_one(members[0], known, indent, True)
            return
        common = ~known
        for m in members:
            common &= m.mask
        choice = self.choose(members, common & 0xffffffff)
        if choice is None:
            for m in members:
                self.emit_one(m, known, indent, False)
            return
        shift, length = choice
        field = ((1 << length) - 1) << shift
        cases = {}
        for m in members:
            cases.setdefault((m.bits & field) >> shift, []).append(m)
        self.line(indent, 'switch ((insn >> %d) & 0x%x) {' % (shift, (1 << length) - 1))
        for value in sorted(cases):
            self.line(indent, 'case 0x%x:' % value)
            self.emit(cases[value], known | field, indent + 1)
            self.line(indent + 1, 'break;')
        self.line(indent, '}')

    @staticmethod
    def choose(members, common):
        best, best_key = None, None
        for shift, length in runs(common):
            m = (1 << length) - 1
            key = (len({(x.bits >> shift) & m for x in members}), -length)
            if key[0] > 1 and (best is None or key > best_key):
                best, best_key = (shift, length), key
        return best

    def emit_one(self, member, known, indent, alone):
        rest = member.mask & ~known
        if rest:
            self.line(indent, 'if ((insn & 0x%08x) == 0x%08x) {'
                      % (rest, member.bits & rest))
            indent += 1
        if isinstance(member, Row):
            self.out.extend('    ' * indent + s for s in self.leaf(member))
        elif member.ordered:
            for m in member.members:
                self.emit_one(m, known | member.mask, indent, False)
        else:
            self.emit(member.members, known | member.mask, indent)
        if rest:
            self.line(indent - 1, '}')


# ---- output --------------------------------------------------------------------------

class Generator:
    def __init__(self, spec, prefix):
        self.spec, self.prefix = spec, prefix
        self.extractors = {}       # (argset, values) -> name
        self.rows = []             # all rows in table order
        for _, top in spec.files:
            for m in top:
                for r in m.leaves():
                    r.index = len(self.rows)
                    self.rows.append(r)
                    self.assign_extractor(r)

    def assign_extractor(self, row):
        members = self.spec.argsets[row.argset][0]
        key = (row.argset, tuple(row.fields[m].c_expr() for m in members))
        if key not in self.extractors:
            self.extractors[key] = 'extract_%s_%d' % (row.argset, len(self.extractors))
        row.extract = self.extractors[key]

    def banner(self):
        names = ', '.join(sorted({os.path.basename(r.where[0]) for r in self.rows}))
        text = '/* Generated by tools/decodetree.py from %s; do not edit. */'
        return [text % names, '']

    def ext_test(self, row):
        tests = []
        for clause in row.ext:
            names = ' | '.join('%s_EXT_%s' % (self.prefix.upper(), n.upper())
                               for n in clause)
            tests.append('(ext & (%s))' % names)
        return ' && '.join(tests)

    def when_test(self, row):
        tests = []
        for w in row.when:
            tests.append('(%s)' % re.sub(r'(?<![\w.])([A-Za-z]\w*)', r'a.\1', w))
        return ' && '.join(tests)

    def header(self):
        p = self.prefix
        out = self.banner()
        out += ['#ifndef %s_INSN_GEN_H' % p.upper(), '#define %s_INSN_GEN_H' % p.upper(),
                '', '#include <stdbool.h>', '#include <stdint.h>', '',
                'typedef struct DisasContext DisasContext;', '']
        for name in sorted(self.spec.argsets):
            members = self.spec.argsets[name][0]
            out.append('typedef struct {')
            out += ['    int32_t %s;' % m for m in members] or ['    char none;']
            out += ['} arg_%s;' % name, '']
        out += ['/* X(instruction, argument set) for each trans function. */',
                '#define %s_FOR_EACH_TRANS(X) \\' % p.upper()]
        out += ['    X(%s, %s) \\' % (n, a[0])
                for n, a in sorted(self.spec.trans.items())]
        out += ['    /* end */', '']
        for n, a in sorted(self.spec.trans.items()):
            out.append('bool trans_%s(DisasContext *ctx, arg_%s *a);' % (n, a[0]))
        out += ['', '/* Translate one instruction.  False: it is not a legal instruction',
                ' * under the extension bitmap ext.  No locks; pure but for ctx. */']
        for width, _ in self.spec.files:
            out.append('bool %s_decode%d(DisasContext *ctx, uint64_t ext, uint32_t insn);'
                       % (p, width))
        out += ['', '#endif']
        return out

    def emit_extractors(self, out):
        for (argset, exprs), name in self.extractors.items():
            members = self.spec.argsets[argset][0]
            out += ['static inline void %s(arg_%s *a, uint32_t insn)' % (name, argset),
                    '{']
            out += ['    a->%s = %s;' % me for me in zip(members, exprs)]
            if not any('insn' in e for e in exprs):
                out += ['    (void)insn;'] + ([] if members else ['    (void)a;'])
            out += ['}', '']

    def decode(self, header):
        out = self.banner()
        out += ['#include "%s"' % header, '#include "guest/%s/extensions.h"'
                % self.prefix, '']
        self.emit_extractors(out)
        for width, top in self.spec.files:
            out += ['bool %s_decode%d(DisasContext *ctx, uint64_t ext, uint32_t insn)'
                    % (self.prefix, width), '{']
            Tree(out, self.decode_leaf).emit(top, 0, 1)
            out += ['    return false;', '}', '']
        return out

    def decode_leaf(self, row):
        lines = ['if (%s) {' % self.ext_test(row), '    arg_%s a;' % row.argset,
                 '    %s(&a, insn);' % row.extract]
        call = 'trans_%s(ctx, &a)' % row.name
        when = self.when_test(row)
        if when:
            call = '%s && %s' % (when, call)
        return lines + ['    if (%s) {' % call, '        return true;', '    }', '}']

    def disas(self, header):
        p = self.prefix
        out = self.banner()
        out += ['#include <stddef.h>', '#include "%s"' % header,
                '#include "guest/%s/extensions.h"' % p, '#include "guest/%s/disas.h"' % p,
                '']
        self.emit_extractors(out)
        for (argset, _), name in self.extractors.items():
            members = self.spec.argsets[argset][0]
            out += ['static void values_%s(int32_t *v, uint32_t insn)' % name[8:], '{',
                    '    arg_%s a;' % argset, '    %s(&a, insn);' % name]
            out += ['    v[%d] = a.%s;' % (i, m) for i, m in enumerate(members)]
            if not members:
                out += ['    (void)a;', '    (void)v;']
            out += ['}', '']
        out += ['const DisasRow %s_disas_rows[] = {' % p]
        for r in self.rows:
            out.append('    {"%s", "%s", values_%s, 0x%08xu, 0x%08xu},'
                       % (r.name, self.asm_text(r), r.extract[8:], r.mask, r.bits))
        out += ['};', '', 'const unsigned %s_disas_row_count =' % p,
                '    sizeof(%s_disas_rows) / sizeof(%s_disas_rows[0]);' % (p, p), '']
        for width, top in self.spec.files:
            out += ['const DisasRow *%s_find%d(uint32_t insn, uint64_t ext)' % (p, width),
                    '{']
            Tree(out, self.find_leaf).emit(top, 0, 1)
            out += ['    return NULL;', '}', '']
        return out

    def find_leaf(self, row):
        hit = 'return &%s_disas_rows[%d]; /* %s */' % (self.prefix, row.index, row.name)
        lines = ['if (%s) {' % self.ext_test(row)]
        when = self.when_test(row)
        if not when:
            return lines + ['    ' + hit, '}']
        return lines + ['    arg_%s a;' % row.argset, '    %s(&a, insn);' % row.extract,
                        '    if (%s) {' % when, '        ' + hit, '    }', '}']

    def asm_text(self, row):
        """Turn {member:k} into {kN}: letter, then the member's number in the set."""
        members = self.spec.argsets[row.argset][0]

        def operand(m):
            name, kind = m[1], m[3]
            if not kind:
                kind = 'x' if name in ('rd', 'rs1', 'rs2', 'rs3') else 'd'
            return '{%s%d}' % (kind, members.index(name))
        return re.sub(r'\{(\w+)(:(\w))?\}', operand, row.asm).replace(' ', '\\t', 1)


def read_extensions(path):
    """Names in X-macro lines such as EXT(zba, "Zba", ...)."""
    with open(path) as f:
        return set(re.findall(r'^\s*\w*EXT\w*\(\s*([a-z]\w*)', f.read(), re.M))


def main():
    ap = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    ap.add_argument('--prefix', required=True)
    ap.add_argument('--extensions', help='file with EXT(name, ...) lines')
    for kind in ('header', 'decode', 'disas'):
        ap.add_argument('--' + kind)
    ap.add_argument('spec', nargs='+')
    args = ap.parse_args()
    try:
        spec = Spec(read_extensions(args.extensions) if args.extensions else None)
        for path in args.spec:
            spec.load(path)
        gen = Generator(spec, args.prefix)
        include = os.path.basename(args.header) if args.header else 'insn.gen.h'
        for path, make in ((args.header, gen.header),
                           (args.decode, lambda: gen.decode(include)),
                           (args.disas, lambda: gen.disas(include))):
            if path:
                with open(path, 'w') as f:
                    f.write('\n'.join(make()) + '\n')
    except (SpecError, OSError) as e:
        print(e, file=sys.stderr)
        return 1
    return 0


if __name__ == '__main__':
    sys.exit(main())
