"""What both clients of the conformance cases write, receive and are refused with."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


class Refused(Exception):  # noqa: N818 - what the server says, not an error of ours
    """The server's negative answer; `code` is the DataAccessError."""

    def __init__(self, code: int, add_cause: int | None = None) -> None:
        super().__init__(f"code {code}, AddCause {add_cause}")
        self.code = code
        self.add_cause = add_cause


@dataclass(frozen=True)
class Bits:
    """A bit string, first bit first."""

    text: str


@dataclass(frozen=True)
class Unsigned:
    """An unsigned integer."""

    number: int


@dataclass(frozen=True)
class Utc:
    """A UTC time in seconds."""

    t_utc_s: float


@dataclass
class Report:
    """One report as a client understood it."""

    rpt_id: str
    sq_num: int | None
    entry_id: bytes | None
    buf_ovfl: bool | None
    values: dict[int, Any]
    reasons: dict[int, str] = field(default_factory=dict)
