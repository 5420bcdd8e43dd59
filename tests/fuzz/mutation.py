"""A small mutator for the suite, the same for a seed on every machine; `make fuzz` has libFuzzer's, with coverage."""

from __future__ import annotations

import random
import re
import struct
from collections.abc import Callable, Sequence

__all__ = ["LONGEST", "mutated"]

LONGEST = 65536
"""Bytes of an input."""
_NUMBERS = (
    0,
    1,
    2,
    0x7F,
    0x80,
    0xFF,
    0x7FFF,
    0x8000,
    0xFFFF,
    0x7FFFFFFF,
    0x80000000,
    0xFFFFFFFF,
    1 << 40,
    (1 << 64) - 1,
)
_WRITTEN = (b"0", b"-1", b"1e999", b"NaN", b"2147483648", b"99999999999999999999", b"0.1", b"null", b"[]", b"{}", b'""')
_DIGITS = re.compile(rb"-?\d+(?:\.\d+)?")

Step = Callable[[random.Random, bytearray, Sequence[bytes]], None]


def mutated(data: bytes, others: Sequence[bytes], chance: random.Random) -> bytes:
    """A change of an input, of one to eight steps; ``others`` are pieces that it may take in."""
    made = bytearray(data)
    for _ in range(chance.choice((1, 1, 1, 2, 2, 4, 8))):
        chance.choice(_STEPS)(chance, made, others)
        del made[LONGEST:]
    return bytes(made)


def _place(chance: random.Random, made: bytearray) -> int:
    return chance.randrange(len(made) + 1)


def _flip(chance: random.Random, made: bytearray, _others: Sequence[bytes]) -> None:
    if made:
        made[chance.randrange(len(made))] ^= 1 << chance.randrange(8)


def _byte(chance: random.Random, made: bytearray, _others: Sequence[bytes]) -> None:
    if made:
        made[chance.randrange(len(made))] = chance.randrange(256)


def _number(chance: random.Random, made: bytearray, _others: Sequence[bytes]) -> None:
    form = chance.choice(("<B", "<H", ">H", "<I", ">I", "<Q"))
    written = struct.pack(form, chance.choice(_NUMBERS) & ((1 << 8 * struct.calcsize(form)) - 1))
    at = _place(chance, made)
    made[at : at + len(written)] = written


def _written(chance: random.Random, made: bytearray, _others: Sequence[bytes]) -> None:
    if found := list(_DIGITS.finditer(made)):
        match = chance.choice(found)
        made[match.start() : match.end()] = chance.choice(_WRITTEN)


def _removed(chance: random.Random, made: bytearray, _others: Sequence[bytes]) -> None:
    at = _place(chance, made)
    del made[at : at + chance.choice((1, 2, 4, 16, 64, 1024))]


def _cut(chance: random.Random, made: bytearray, _others: Sequence[bytes]) -> None:
    del made[_place(chance, made) :]


def _repeated(chance: random.Random, made: bytearray, _others: Sequence[bytes]) -> None:
    at = _place(chance, made)
    piece = made[at : at + chance.choice((1, 4, 16, 64, 512))]
    made[at:at] = piece * chance.choice((1, 2, 10, 1000))


def _inserted(chance: random.Random, made: bytearray, others: Sequence[bytes]) -> None:
    if others:
        made[(at := _place(chance, made)) : at] = chance.choice(others)[: LONGEST // 4]


def _crossed(chance: random.Random, made: bytearray, others: Sequence[bytes]) -> None:
    if others:
        other = chance.choice(others)
        start = chance.randrange(len(other) + 1)
        at = _place(chance, made)
        piece = other[start : start + chance.choice((8, 64, 512, 4096))]
        made[at : at + len(piece)] = piece


_STEPS: tuple[Step, ...] = (
    _flip, _flip, _byte, _number, _number, _written, _removed, _cut, _repeated, _inserted, _inserted, _crossed,
)  # fmt: skip
