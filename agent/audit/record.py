"""One record of the audit log: its fields, its line, and the chain that binds it to the last one.

A line is a JSON object that ends in ``,"prev":"<64 hex>","mac":"<64 hex>"}``. `mac` is
HMAC-SHA256 (RFC 2104) over every byte of the line before ``,"mac"``; `prev` is the `mac` of the
line before it. Nothing is ever re-encoded to be checked, so each byte of a line counts.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final

import orjson

GENESIS: Final = "0" * 64
"""`prev` of the first line of a log."""
TEXT_LIMIT: Final = 1024
"""Characters of one text kept; a peer chooses some of them, and must not fill the disk."""
_DATA_LIMIT: Final = 8192
_MAC_FRAME: Final = b',"mac":"'
_MAC_TAIL: Final = len(_MAC_FRAME) + 64 + len(b'"}')
_HEAD: Final = re.compile(r"v2g-audit-head seq=(\d{1,18}) mac=([0-9a-f]{64}|[0-9a-f]{16})\b")


class Kind(StrEnum):
    """What a record is about."""

    FILE = "file"
    """First line of each file; written by the log itself."""
    SERVICE = "service"
    COMMAND = "command"
    OUTCOME = "outcome"
    REFUSAL = "refusal"
    SETTING = "setting"
    MODE = "mode"
    ALARM = "alarm"
    ASSOCIATION = "association"
    AUDIT = "audit"
    """The log about itself: files removed by retention, writable again."""


@dataclass(frozen=True, slots=True)
class Head:
    """The newest record; kept elsewhere (syslog, an IEC 61850 object) it anchors the log.

    As an anchor `mac` may be its first 16 digits, which is what an IEC 61850 client has.
    """

    seq: int = 0
    mac: str = GENESIS

    def __str__(self) -> str:
        return f"v2g-audit-head seq={self.seq} mac={self.mac}"


@dataclass(frozen=True, slots=True)
class Record:
    """One line as it was read.

    Attributes:
        seq: Rises by one for every record; the `file` line repeats the seq before it.
        utc: ISO 8601 UTC with microseconds. `mono_s`: CLOCK_MONOTONIC of the same instant.
        kind, who, what, why: See `Kind`; plain texts.
        data: Further fields of the caller.
    """

    seq: int
    utc: str
    mono_s: float
    kind: str
    who: str
    what: str
    why: str
    prev: str
    mac: str
    data: Mapping[str, Any] = field(default_factory=dict)

    @property
    def head(self) -> Head:
        """This record as an anchor."""
        return Head(self.seq, self.mac)


def head_of_integers(seq: int, high: int, low: int) -> Head:
    """Return the anchor that GGIO1.IntIn1, IntIn2 and IntIn3 of the IED show (INT32 each).

    Raises:
        OverflowError: A number is no INT32.
    """
    return Head(seq, (high.to_bytes(4, signed=True) + low.to_bytes(4, signed=True)).hex())


def parse_heads(text: str) -> Iterator[Head]:
    """Yield every anchor in a text, for example a syslog or journal export."""
    for match in _HEAD.finditer(text):
        yield Head(int(match[1]), match[2])


def encode_body(
    seq: int, utc_s: float, mono_s: float, kind: str, who: str, what: str, why: str,
    data: Mapping[str, object],
) -> bytes:  # fmt: skip
    """Return the line's part that the caller fixes; the writer adds `prev` and `mac`.

    Texts are cut at `TEXT_LIMIT`; `data` that cannot be JSON is written as its `str`.
    """
    body: dict[str, object] = {
        "seq": seq,
        "utc": datetime.fromtimestamp(utc_s, UTC).isoformat(timespec="microseconds"),
        "mono": round(mono_s, 6),
        "kind": clean(kind),
        "who": clean(who),
        "what": clean(what),
        "why": clean(why),
    }
    if data:
        body["data"] = data
        try:
            line = orjson.dumps(body, default=_plain)
        except TypeError:
            line = b""
        if 0 < len(line) <= _DATA_LIMIT:
            return line
        body["data"] = {"text": clean(repr(dict(data)))}
    return orjson.dumps(body)


def clean(text: str) -> str:
    """Cut a text to its limit and replace what UTF-8 cannot carry."""
    return str(text)[:TEXT_LIMIT].encode("utf-8", "replace").decode("utf-8")


def _plain(value: object) -> str:
    return clean(str(value))


def seal(body: bytes, prev: str, key: bytes) -> tuple[bytes, str]:
    """Return the finished line with its newline, and its mac."""
    bound = body[:-1] + b',"prev":"' + prev.encode() + b'"'
    mac = hmac.digest(key, bound, "sha256").hex()
    return bound + _MAC_FRAME + mac.encode() + b'"}\n', mac


def is_authentic(line: bytes, key: bytes) -> bool:
    """Tell whether a line (without its newline) carries the mac that the key gives it."""
    bound, tail = line[:-_MAC_TAIL], line[-_MAC_TAIL:]
    mac = hmac.digest(key, bound, "sha256").hex().encode()
    return hmac.compare_digest(tail, _MAC_FRAME + mac + b'"}')


def decode(line: bytes) -> Record | None:
    """Return the record in a line (without its newline), or None where there is none."""
    try:
        row = orjson.loads(line)
        return Record(
            seq=_typed(row["seq"], int),
            utc=_typed(row["utc"], str),
            mono_s=float(_typed(row["mono"], int | float)),
            kind=_typed(row["kind"], str),
            who=_typed(row["who"], str),
            what=_typed(row["what"], str),
            why=_typed(row["why"], str),
            prev=_typed(row["prev"], str),
            mac=_typed(row["mac"], str),
            data=_typed(row.get("data", {}), dict),
        )
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        return None


def _typed(value: Any, kind: Any) -> Any:
    if not isinstance(value, kind) or isinstance(value, bool):
        raise TypeError
    return value
