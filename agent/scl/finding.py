"""What is wrong with an SCL file, where, by which rule, and what to do."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from agent.errors import Finding


class Severity(StrEnum):
    """How bad: an error makes `v2g-scl check` exit 1, the others do not."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


class SclFinding(msgspec.Struct, frozen=True):
    """One thing that a reader, the expansion or a rule has to say about a file.

    Attributes:
        severity: Error, warning or information.
        rule: Stable identifier, ``dataset.member-unresolved``.
        file: The file as it was named.
        line: Line in the file; 0 where there is none.
        path: SCL path of the element, ``IED[AA1]/AccessPoint[P1]/LDevice[LD0]/LLN0``.
        what: The problem in one sentence.
        hint: What to do about it; empty where the sentence already says so.
    """

    severity: Severity
    rule: str
    file: str
    line: int
    path: str
    what: str
    hint: str = ""

    @property
    def where(self) -> str:
        """``file:line: path``, the parts that are known."""
        place = f"{self.file}:{self.line}" if self.line else self.file
        return f"{place}: {self.path}" if self.path else place

    def __str__(self) -> str:
        hint = f" ({self.hint})" if self.hint else ""
        return f"{self.where}: {self.severity}: {self.what} [{self.rule}]{hint}"

    def as_error(self) -> Finding:
        """The finding in the form that :class:`agent.errors.ConfigurationError` carries."""
        return Finding(self.where, self.what, self.hint)
