"""From a file or bytes to a stream that the XML parser may read: encodings, size, prolog.

Any DOCTYPE is refused before the parser sees it, so no entity is ever expanded. UTF-16 is
turned into UTF-8 here, so that one scanner sees every prolog.
"""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import IO, Final

import msgspec

from agent.errors import Finding, SclError
from agent.scl.limits import Limits

_UTF8_BOM: Final = b"\xef\xbb\xbf"
_PROLOG_LIMIT: Final = 1 << 20
_DECLARATION = re.compile(r"^\ufeff?\s*<\?xml[^>]*\?>")
_ROOT_NAME = re.compile(rb"<([^\s/>!?]+)")


class Source(msgspec.Struct, frozen=True):
    """A readable SCL source.

    Attributes:
        name: How findings name it.
        path: The file to stream from, or None where ``data`` holds the whole text.
        data: The whole text in an encoding that extends ASCII.
    """

    name: str
    path: Path | None
    data: bytes = b""

    def open(self) -> IO[bytes]:
        """A fresh stream from the start."""
        return io.BytesIO(self.data) if self.path is None else self.path.open("rb")

    def with_prefixes(self, prefixes: frozenset[str]) -> Source:
        """The same text with namespace prefixes bound on the root that nobody bound."""
        data = self.data if self.path is None else self.path.read_bytes()
        root = _ROOT_NAME.search(data, _root_offset(data))
        if root is None:
            return self
        bound = b"".join(
            f' xmlns:{prefix}="urn:v2g-agent:unbound:{prefix}"'.encode()
            for prefix in sorted(prefixes)
        )
        return Source(self.name, None, data[: root.end()] + bound + data[root.end() :])


def refuse(name: str, what: str, hint: str = "", line: int = 0) -> SclError:
    """The error for a file that cannot be read at all."""
    return SclError((Finding(f"{name}:{line}" if line else name, what, hint),))


def open_source(source: str | Path | bytes, limits: Limits) -> Source:
    """Check size, encoding and prolog.

    Raises:
        SclError: Absent, unreadable, too large, not XML, or with a DOCTYPE.
    """
    if isinstance(source, bytes):
        opened = Source("<bytes>", None, source)
        size, head = len(source), source[:_PROLOG_LIMIT]
    else:
        path = Path(source)
        try:
            size = path.stat().st_size
            with path.open("rb") as stream:
                head = stream.read(_PROLOG_LIMIT)
        except OSError as error:
            raise refuse(str(source), f"cannot be read: {error.strerror or error}") from error
        opened = Source(str(source), path)
    if size > limits.max_bytes:
        raise refuse(opened.name, f"has {size} bytes, more than the limit of {limits.max_bytes}")
    if _is_utf16(head):
        opened = _as_utf8(opened)
        head = opened.data[:_PROLOG_LIMIT]
    _check_prolog(opened.name, head)
    return opened


def _is_utf16(head: bytes) -> bool:
    return head[:2] in (b"\xff\xfe", b"\xfe\xff", b"<\x00", b"\x00<")


def _as_utf8(source: Source) -> Source:
    data = source.data if source.path is None else source.path.read_bytes()
    codec = {b"<\x00": "utf-16-le", b"\x00<": "utf-16-be"}.get(data[:2], "utf-16")
    try:
        text = data.decode(codec)
    except UnicodeDecodeError as error:
        raise refuse(source.name, f"is not valid UTF-16 at byte {error.start}") from error
    declaration = _DECLARATION.match(text)
    if declaration is not None:
        # Line breaks of the declaration stay, so that line numbers hold.
        text = "\n" * declaration[0].count("\n") + text[declaration.end() :]
        text = text.lstrip(" \t\r") if declaration[0].count("\n") == 0 else text
    return Source(source.name, None, text.encode())


def _check_prolog(name: str, head: bytes) -> None:
    if not head.strip():
        raise refuse(name, "is empty")
    offset = _root_offset(head)
    if head.startswith(b"<!DOCTYPE", offset):
        line = head.count(b"\n", 0, offset) + 1
        raise refuse(name, "has a DOCTYPE, which SCL never needs", "remove it", line)
    if offset >= _PROLOG_LIMIT:
        raise refuse(name, f"has no root element in its first {_PROLOG_LIMIT} bytes")


def _root_offset(head: bytes) -> int:
    """Where the first thing starts that is no space, comment or processing instruction."""
    offset = len(_UTF8_BOM) if head.startswith(_UTF8_BOM) else 0
    while offset < len(head):
        if head[offset : offset + 1].isspace():
            offset += 1
        elif head.startswith(b"<?", offset):
            offset = _after(head, b"?>", offset)
        elif head.startswith(b"<!--", offset):
            offset = _after(head, b"-->", offset)
        else:
            return offset
    return len(head)


def _after(head: bytes, end: bytes, offset: int) -> int:
    found = head.find(end, offset)
    return len(head) if found < 0 else found + len(end)
