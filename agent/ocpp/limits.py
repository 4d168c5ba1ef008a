"""Bounds on a message, checked before its JSON is parsed.

A parser that meets ten thousand nested arrays or a number of five thousand digits has already
done the attacker's work; a look at the bytes costs about a microsecond a kilobyte.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final

import orjson

from agent.errors import DecodeError

_TOKENS: Final = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]|[-+.0-9eE]+', re.DOTALL)
_OF_NUMBERS: Final = bytes(0x30 if chr(byte) in "-+.0123456789eE" else 0x20 for byte in range(256))
"""Turns what a number may consist of into zeros, and all else into spaces."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a peer may send at most.

    Attributes:
        size: Bytes of one message.
        depth: Nested arrays and objects; the deepest OCPP 2.1 message needs 12.
        digits: Characters of one number; a double needs 24.
    """

    size: int = 256 * 1024
    depth: int = 32
    digits: int = 32


DEFAULT_LIMITS: Final = Limits()


def parse(data: bytes, limits: Limits = DEFAULT_LIMITS) -> Any:
    """Return the JSON value of `data`.

    NaN, Infinity and numbers outside the range of a double (`1e999`) are refused by the parser.

    Raises:
        DecodeError: Too large, too deep, a number too long, or not JSON (RFC 8259).
    """
    if len(data) > limits.size:
        raise DecodeError(f"message of {len(data)} bytes; at most {limits.size} are allowed")
    suspicious = data.count(b"[") + data.count(b"{") > limits.depth
    if suspicious or b"0" * (limits.digits + 1) in data.translate(_OF_NUMBERS):
        _scan(data, limits)
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise DecodeError(f"not JSON: {error}") from error


def _scan(data: bytes, limits: Limits) -> None:
    """Count depth and digits outside strings, exactly."""
    depth = 0
    for token in _TOKENS.finditer(data):
        first = data[token.start()]
        if first in b"[{":
            depth += 1
            if depth > limits.depth:
                raise DecodeError(f"nested deeper than {limits.depth}")
        elif first in b"]}":
            depth -= 1
        elif first != 0x22 and token.end() - token.start() > limits.digits:
            raise DecodeError(f"a number longer than {limits.digits} characters")
