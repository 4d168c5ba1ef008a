"""Strict walk over BER elements with one-byte tags (ITU-T X.690), as SV and GOOSE use them.

Definite lengths only, at most four length octets, and no element may reach beyond the one that
holds it. Whatever breaks a rule is a `DecodeError`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from agent.errors import DecodeError

_LONG_FORM: Final = 0x80
_MOST_LENGTH_OCTETS: Final = 4
_MULTI_BYTE_TAG: Final = 0x1F


class Element(NamedTuple):
    """One element: its tag, and where its content begins and ends."""

    tag: int
    begin: int
    end: int


def element(data: bytes, at: int, limit: int) -> Element:
    """Return the element at an offset; it must end at or before `limit`."""
    if at + 2 > limit:
        raise DecodeError(f"an element at {at} is cut off at {limit}")
    tag, length, begin = data[at], data[at + 1], at + 2
    if tag & _MULTI_BYTE_TAG == _MULTI_BYTE_TAG:
        raise DecodeError(f"a tag of several octets at {at}")
    if length & _LONG_FORM:
        octets = length & ~_LONG_FORM
        if not 1 <= octets <= _MOST_LENGTH_OCTETS or begin + octets > limit:
            raise DecodeError(f"a length of {octets} octets at {at + 1}")
        length = int.from_bytes(data[begin : begin + octets], "big")
        begin += octets
    if begin + length > limit:
        raise DecodeError(f"element 0x{tag:02x} at {at} reaches beyond {limit}")
    return Element(tag, begin, begin + length)


def elements(data: bytes, begin: int, end: int) -> Iterator[Element]:
    """Yield the elements that fill a range."""
    at = begin
    while at < end:
        found = element(data, at, end)
        yield found
        at = found.end


def encode(tag: int, content: bytes) -> bytes:
    """Return one element with the shortest length."""
    size = len(content)
    if size < _LONG_FORM:
        return bytes((tag, size)) + content
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, _LONG_FORM | len(octets))) + octets + content
