"""Errors of the codec that carry the place inside the message."""

from __future__ import annotations

from typing import Self

from agent.errors import DecodeError, ProtocolError


class EncodeError(ProtocolError):
    """A message that its schema does not allow; `path` names the element."""

    def __init__(self, what: str, path: str = "") -> None:
        super().__init__(f"{path}: {what}" if path else what)
        self.what = what
        self.path = path

    def inside(self, name: str) -> Self:
        """The same error, seen from the enclosing element."""
        return type(self)(self.what, f"{name}/{self.path}" if self.path else name)


class ExiDecodeError(DecodeError):
    """Bytes that are not EXI of the schema; `path` names the element that was being read."""

    def __init__(self, what: str, path: str = "") -> None:
        super().__init__(f"{path}: {what}" if path else what)
        self.what = what
        self.path = path

    def inside(self, name: str) -> Self:
        """The same error, seen from the enclosing element."""
        return type(self)(self.what, f"{name}/{self.path}" if self.path else name)
