#!/usr/bin/env python3
"""Check the tags of memory orders, such as [QHT-PUBLISH].

A tag names a pair of accesses (or fences) that are ordered against each other. The rules:

  1. each tag in a comment under src/ has a heading or table row in docs/concurrency.md, and
     each tag there still occurs under src/;
  2. each tag occurs at least twice under src/, for both ends carry it, unless the document
     says "one end" beside it: the other one is the processor, or the same operation;
  3. each order stronger than relaxed has a tag: in its statement, or in the comment above
     it. Not so the fences between a thread and its own signal handlers, and the orders that
     the guest asked for.

usage: check-tags.py SOURCE-ROOT
"""
import pathlib
import re
import sys

TAG = re.compile(r'\[([A-Z][A-Z0-9]+(?:-[A-Z0-9]+)*)\]')
STRONG = re.compile(r'__ATOMIC_(?:ACQUIRE|RELEASE|ACQ_REL|SEQ_CST)\b|'
                    r'\bmemory_order_(?:acquire|release|acq_rel|seq_cst)\b')
COMMENT = re.compile(r'/\*.*?\*/|//[^\n]*', re.S)
ONE_END = re.compile(r'\[([A-Z][A-Z0-9-]+)\][^\n]*\bone end\b')
# Files whose orders are the guest's own.
GUEST_ORDERS = {'src/ir/interp.c', 'src/exec/soft-mmu.c'}
# How far above its statement a tag's comment may begin.
REACH = 8


def source_files(root):
    for path in sorted((root / 'src').rglob('*')):
        if path.suffix in ('.c', '.h', '.S', '.def'):
            yield path


def tags_in(text):
    """(tag, line number) for each tag that stands in a comment."""
    for comment in COMMENT.finditer(text):
        for tag in TAG.finditer(comment.group()):
            yield tag.group(1), text.count('\n', 0, comment.start() + tag.start()) + 1


def code_lines(text):
    """The lines of the text with comments blanked."""
    blank = COMMENT.sub(lambda m: re.sub(r'[^\n]', ' ', m.group()), text)
    return blank.split('\n')


def untagged_orders(text):
    """Line numbers of strong orders that no tag is near."""
    tagged = {line for _, line in tags_in(text)}
    for number, line in enumerate(code_lines(text), 1):
        if STRONG.search(line) and 'signal_fence' not in line:
            # The statement may go on for a line or two behind the order.
            if not any(n in tagged for n in range(number - REACH, number + 3)):
                yield number


def main():
    root = pathlib.Path(sys.argv[1])
    doc = (root / 'docs' / 'concurrency.md').read_text()
    documented = set(TAG.findall(doc))
    one_end = set(ONE_END.findall(doc))
    found, errors = {}, []
    for path in source_files(root):
        text = path.read_text()
        name = path.relative_to(root)
        for tag, line in tags_in(text):
            found.setdefault(tag, []).append(f'{name}:{line}')
        for line in [] if str(name) in GUEST_ORDERS else untagged_orders(text):
            errors.append(f'{name}:{line}: a memory order without a tag')
    for tag, places in sorted(found.items()):
        if tag not in documented:
            errors.append(f'{places[0]}: [{tag}] is not in docs/concurrency.md')
        if len(places) < 2 and tag not in one_end:
            errors.append(f'{places[0]}: [{tag}] occurs once: where is the other end?')
    for tag in sorted(documented - set(found)):
        errors.append(f'docs/concurrency.md: [{tag}] is not in the source')
    for error in errors:
        print(error)
    return 1 if errors else 0


if __name__ == '__main__':
    sys.exit(main())
