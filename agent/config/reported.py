"""`[[ied.source]]`: what another IED measures and reports."""

from __future__ import annotations

import re
from typing import Annotated, Final

import msgspec

from agent.config.sections import Section

_MMS_NAME: Final = re.compile(r"[A-Za-z0-9_]{1,64}/[A-Za-z0-9_]+(\$[A-Za-z0-9_]+){2,}", re.ASCII)


class ReportedFrequency(Section, frozen=True, kw_only=True):
    """`[[ied.source]]`: a frequency that another IED reports, as a source of the vote."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    """What measurements, alarms and the audit call it."""
    host: Annotated[str, msgspec.Meta(min_length=1)]
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 0
    """0: 102, or 3782 with TLS."""
    block: str
    """Report control block: ``PMU1LD0/LLN0$RP$urcbF01``."""
    member: str
    """Member of its data set that is the frequency, an MV: ``PMU1LD0/MMXU1$MX$Hz``."""
    integrity_ms: Annotated[int, msgspec.Meta(ge=10, le=200)] = 100
    """Period of its reports; a value older than 200 ms does not count."""
    tls: bool = False
    """With the certificate, key and authorities of `[ied]`."""

    def check(self) -> list[tuple[str, str, str]]:
        """References are MMS names."""
        names = {"block": self.block, "member": self.member}
        hint = "write LD/LN$FC$NAME"
        return [
            (key, f"{name!r} is no MMS name", hint)
            for key, name in names.items()
            if not _MMS_NAME.fullmatch(name)
        ]
