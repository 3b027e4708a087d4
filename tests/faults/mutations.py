"""Changes of the bytes of a file, as broken disks, broken copies and attackers make them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from random import Random

NUMBER = re.compile(rb"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
VALUES = (  # what may stand in a text in place of a number
    *(b"0", b"-1", b"1e308", b"-1e308", b"1e-320", b"1e999", b"nan", b".nan", b"-.inf", b"inf", b"9" * 40, b"9" * 5000),
    *(b"0x", b"0b", b"1_0", b"0o9", b"12:34:56", b"2026-99-99", b"2026-02-30T25:61:61Z", b"''", b'"', b"'", b"null"),
    *(b"true", b"[]", b"{}", b"[1, 2]", b"{a: 1}", b"!!int x", b"!!timestamp x", b"!!binary x", b"!!python/name:os.x"),
    *(b"&a [*a]", b"*a", b"<<: *a", b"{<<: 1}", b"? [a]", b"../../../etc/passwd", b"/etc/passwd", b"\x1b[31m", b"\x00"),
    *(b"${HOME}", b"\xff\xfe", b"\xef\xbb\xbf", b"\xc2\x85", b"\xe2\x80\xae", b"=1+1", b"a" * 300, b"\xed\xa0\x80"),
)
INTEGERS = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
OPENINGS = (b"[", b"{a: ", b'{"a": ', b"- ", b"<a>", b"(", b"!a ", b"? ")
DEPTHS = (8, 200, 5000)
COUNTS = (1, 1, 1, 2, 3)  # of the changes of a file


def mutated(random: Random, data: bytes, others: Sequence[bytes]) -> bytes:
    """Return a file's content with one to three changes.

    Args:
        random: the source of chance.
        data: the content.
        others: contents of files of the same kind, to splice with.
    """
    for _ in range(random.choice(COUNTS)):
        change = random.choice(CHANGES)
        data = change(random, data) if change is not _spliced else _spliced(random, data, others)
    return data


def _flipped(random: Random, data: bytes) -> bytes:
    """Return data with some bits flipped."""
    changed = bytearray(data)
    for _ in range(random.choice((1, 1, 2, 8))):
        if changed:
            changed[random.randrange(len(changed))] ^= 1 << random.randrange(8)
    return bytes(changed)


def _byte(random: Random, data: bytes) -> bytes:
    """Return data with one byte replaced by another."""
    at = random.randrange(len(data) + 1)
    return data[:at] + bytes([random.choice((0, 0xFF, 0x7F, random.randrange(256)))]) + data[at + 1 :]


def _cut(random: Random, data: bytes) -> bytes:
    """Return the beginning of data."""
    return data[: random.randrange(len(data) + 1)]


def _without(random: Random, data: bytes) -> bytes:
    """Return data without a part in the middle."""
    first, last = sorted(random.randrange(len(data) + 1) for _ in range(2))
    return data[:first] + data[min(last, first + random.choice((1, 4, 64, 10**6))) :]


def _inserted(random: Random, data: bytes) -> bytes:
    """Return data with bytes inserted."""
    at = random.randrange(len(data) + 1)
    return data[:at] + random.choice((random.randbytes(random.choice((1, 4, 64))), random.choice(VALUES))) + data[at:]


def _repeated(random: Random, data: bytes) -> bytes:
    """Return data with a part repeated."""
    first, last = sorted(random.randrange(len(data) + 1) for _ in range(2))
    return data[:first] + data[first:last] * random.choice((2, 3, 20 if last - first < 1000 else 2)) + data[last:]


def _integer(random: Random, data: bytes) -> bytes:
    """Return data with an extreme binary number in it."""
    size, order = random.choice((2, 4, 8)), random.choice(("little", "big"))
    at = random.randrange(len(data) + 1)
    value = random.choice(INTEGERS) % 256**size
    return data[:at] + value.to_bytes(size, "little" if order == "little" else "big") + data[at + size :]


def _number(random: Random, data: bytes) -> bytes:
    """Return data in which the text of a number is replaced."""
    places = [match.span() for match in NUMBER.finditer(data[:100_000])]
    if not places:
        return _inserted(random, data)
    first, last = random.choice(places)
    return data[:first] + random.choice(VALUES) + data[last:]


def _nested(random: Random, data: bytes) -> bytes:
    """Return data with a deeply nested structure inserted, at the place of a number if there is one."""
    places = [match.span() for match in NUMBER.finditer(data[:100_000])] or [(len(data), len(data))]
    first, last = random.choice(places)
    return data[:first] + random.choice(OPENINGS) * random.choice(DEPTHS) + data[last:]


def _line(random: Random, data: bytes) -> bytes:
    """Return data with a line removed, doubled or moved."""
    lines = data.split(b"\n")
    line = lines.pop(random.randrange(len(lines)))
    for _ in range(random.choice((0, 1, 2))):
        lines.insert(random.randrange(len(lines) + 1), line)
    return b"\n".join(lines)


def _spliced(random: Random, data: bytes, others: Sequence[bytes] = ()) -> bytes:
    """Return the beginning of data and the end of another file."""
    other = random.choice(others) if others else data
    return data[: random.randrange(len(data) + 1)] + other[random.randrange(len(other) + 1) :]


CHANGES = (
    *(_flipped, _byte, _cut, _without, _inserted, _repeated, _integer, _number, _number, _nested, _line),
    _spliced,
)
