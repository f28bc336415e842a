"""Mutations of valid inputs: equal for equal seeds, on any machine.

Rules of this file:
- Bytes in, bytes out; all randomness comes from the `random.Random` argument.
- Every kind of damage is one function of the list `MUTATIONS`. It may change nothing, and it never fails.
- The result is at most `MOST` bytes long, so that the parser is tested and not the memory.
"""

import random
import re
from collections.abc import Callable, Sequence

MOST = 256 * 1024
"""Bytes of one input."""
NUMBERS = (
    b"0", b"-1", b"1", b"127", b"255", b"256", b"65535", b"65536", b"2147483647", b"2147483648", b"4294967296",
    b"9223372036854775808", b"18446744073709551616", b"1e309", b"0x7f", b"nan", b"00", b"1.5", b"9" * 400, b"9" * 5000,
)  # fmt: skip
"""Where counting ends: of bytes, of machine words, of floats, and of the digits Python reads as a number."""
TEXTS = (
    "ü", "番犬", "\u2028", "\u202e", "\ufeff", "\u0660", "\U0001f415", "\x7f", "\x1b[2J", "%00", "%ff", "\\u0000",
    "\\UFFFFFFFF", "${HOME}", "${", "../" * 8, "&a [*a]", "!!python/object:os.system", "a" * 300,
)  # fmt: skip
"""Texts that are not letters, that a parser may interpret as a command, or that are too long for a name."""
NOT_UTF8 = (b"\xff\xfe", b"\xc0\x80", b"\xed\xa0\x80", b"\xf8\x88\x80\x80\x80", b"\x80")
NESTS = (b"[]", b"{}", b"()", b'""', b"--", b"&&", b"<>")

Split = Callable[[bytes], list[bytes]]
"""Takes an input apart into sections that, joined, are the input again."""


def lines(data: bytes) -> list[bytes]:
    return data.splitlines(keepends=True)


def mutate(rng: random.Random, corpus: Sequence[bytes], split: Split = lines, most: int = 5) -> bytes:
    """One of `corpus`, damaged 1 to `most` times. `split` says what its sections are: lines, tags, frames."""
    data = rng.choice(corpus)
    for _ in range(rng.randint(1, most)):
        data = rng.choice(MUTATIONS)(rng, data, corpus, split)[:MOST]
    return data


def _flip(rng: random.Random, data: bytes, corpus: Sequence[bytes], split: Split) -> bytes:
    if not data:
        return data
    damaged = bytearray(data)
    damaged[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    return bytes(damaged)


def _truncate(rng: random.Random, data: bytes, corpus: Sequence[bytes], split: Split) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def _delete(rng: random.Random, data: bytes, corpus: Sequence[bytes], split: Split) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + data[at + rng.randint(1, 80) :]


def _duplicate(rng: random.Random, data: bytes, corpus: Sequence[bytes], split: Split) -> bytes:
    sections = split(data)
    if not sections:
        return data
    at = rng.randrange(len(sections))
    return b"".join([*sections[:at], *[sections[at]] * rng.choice((2, 3, 20, 1200)), *sections[at + 1 :]])


def _drop(rng: random.Random, data: bytes, corpus: Sequence[bytes], split: Split) -> bytes:
    sections = split(data)
    if sections:
        del sections[rng.randrange(len(sections))]
    return b"".join(sections)


def _swap(rng: random.Random, data: bytes, corpus: Sequence[bytes], split: Split) -> bytes:
    sections = split(data)
    if sections:
        one, other = rng.randrange(len(sections)), rng.randrange(len(sections))
        sections[one], sections[other] = sections[other], sections[one]
    return b"".join(sections)


def _splice(rng: random.Random, data: bytes, corpus: Sequence[bytes], split: Split) -> bytes:
    """A section of another input in the middle of this one."""
    sections, others = split(data), split(rng.choice(corpus))
    if others:
        sections.insert(rng.randint(0, len(sections)), rng.choice(others))
    return b"".join(sections)


def _number(rng: random.Random, data: bytes, corpus: Sequence[bytes], split: Split) -> bytes:
    return _replace(rng, data, rb"[0-9]+", rng.choice(NUMBERS))


def _text(rng: random.Random, data: bytes, corpus: Sequence[bytes], split: Split) -> bytes:
    return _replace(rng, data, rb"[A-Za-z0-9]+", rng.choice(TEXTS).encode())


def _replace(rng: random.Random, data: bytes, what: bytes, by: bytes) -> bytes:
    found = [match.span() for match in re.finditer(what, data[:20_000])]
    if not found:
        return by
    begin, end = rng.choice(found)
    return data[:begin] + by + data[end:]


def _insert(rng: random.Random, data: bytes, corpus: Sequence[bytes], split: Split) -> bytes:
    piece = rng.choice((b"\x00", b"\x00" * 64, b"\r", b"\n", b"\r\n\r\n", b"\t", b" ", b":", b"=", *NOT_UTF8))
    at = rng.randrange(len(data) + 1)
    return data[:at] + piece + data[at:]


def _noise(rng: random.Random, data: bytes, corpus: Sequence[bytes], split: Split) -> bytes:
    at, noise = rng.randrange(len(data) + 1), rng.randbytes(rng.randint(1, 40))
    return data[:at] + noise + data[at + rng.choice((0, len(noise))) :]


def _nest(rng: random.Random, data: bytes, corpus: Sequence[bytes], split: Split) -> bytes:
    pair, depth = rng.choice(NESTS), rng.choice((1, 10, 200, 600))
    at = rng.randrange(len(data) + 1)
    return data[:at] + pair[:1] * depth + rng.choice((b"", pair[1:] * depth)) + data[at:]


MUTATIONS = (
    _flip, _flip, _flip, _truncate, _delete, _duplicate, _drop, _swap, _splice, _number, _text, _insert, _noise, _nest,
)  # fmt: skip
