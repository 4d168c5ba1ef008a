"""When certificates expire, read from their DER (X.509, RFC 5280 clause 4.1) without a library.

Every worker tells the expiry of its own certificates, which no other process may read. Loading an
X.509 library for that would cost each start 0.1 s.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from agent.errors import DecodeError

_PEM: Final = re.compile(rb"-----BEGIN CERTIFICATE-----(.+?)-----END CERTIFICATE-----", re.DOTALL)
_SEQUENCE: Final = 0x30
_VERSION: Final = 0xA0
_UTC_TIME: Final = 0x17
_GENERALIZED_TIME: Final = 0x18
_CENTURY_PIVOT: Final = 50
"""UTCTime: years from 50 on are 19xx (RFC 5280 clause 4.1.2.5.1)."""


def expiry(path: Path) -> float:
    """Return the earliest end of validity of a PEM file's certificates, in UTC seconds.

    Raises:
        OSError: The file cannot be read.
        DecodeError: It holds no certificate, or one that is none.
    """
    ends = []
    for match in _PEM.finditer(path.read_bytes()):
        try:
            ends.append(not_after(binascii.a2b_base64(match[1])))
        except binascii.Error as error:
            raise DecodeError(f"{path}: not base64") from error
    if not ends:
        raise DecodeError(f"{path}: no certificate in PEM")
    return min(ends)


def not_after(der: bytes) -> float:
    """Return `notAfter` of one certificate in DER, in UTC seconds.

    Raises:
        DecodeError: The bytes are no certificate.
    """
    try:
        fields = _inside(_first(_first(der, _SEQUENCE), _SEQUENCE))
        tag, value = next(fields)
        if tag == _VERSION:
            tag, value = next(fields)
        for _ in range(3):  # from the serial number over signature and issuer to the validity
            tag, value = next(fields)
        if tag != _SEQUENCE:
            raise DecodeError("validity is no SEQUENCE")
        times = list(_inside(value))
        return _time(*times[1])
    except (StopIteration, IndexError, ValueError) as error:
        raise DecodeError("not a certificate") from error


def _first(data: bytes, tag: int) -> bytes:
    found, value = next(_inside(data))
    if found != tag:
        raise DecodeError(f"tag 0x{found:02x} where 0x{tag:02x} was expected")
    return value


def _inside(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield tag and contents of the elements one after the other."""
    at = 0
    while at < len(data):
        tag, length, start = data[at], data[at + 1], at + 2
        if length & 0x80:
            count = length & 0x7F
            length = int.from_bytes(data[start : start + count], "big")
            start += count
        if start + length > len(data):
            raise DecodeError("an element is longer than what holds it")
        yield tag, data[start : start + length]
        at = start + length


def _time(tag: int, value: bytes) -> float:
    text = value.decode("ascii")
    if tag == _UTC_TIME:
        text = ("19" if int(text[:2]) >= _CENTURY_PIVOT else "20") + text
    elif tag != _GENERALIZED_TIME:
        raise DecodeError(f"tag 0x{tag:02x} is no time")
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC).timestamp()
