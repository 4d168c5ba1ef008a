"""Who may charge: everybody, those on the local list, or those whom the CSMS lets."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from agent.errors import ConfigurationError, Finding

STATUSES: Final = frozenset({"Accepted", "Blocked", "Expired", "Invalid", "ConcurrentTx"})
"""AuthorizationStatus of 1.6, which 2.x knows too."""
CACHE: Final = 10_000
MAX_TOKEN: Final = 255


@dataclass(slots=True)
class Authorizer:
    """Decides on id tokens, which are compared without regard to case (2.0.1 part 2, C01).

    Attributes:
        mode: `open`, `local`, or `upstream` with the list and earlier answers as fallback.
        local_list: Status by token, in lower case.
        version: Number of the local list.
    """

    mode: Literal["open", "local", "upstream"] = "open"
    local_list: Mapping[str, str] = field(default_factory=dict)
    version: int = 1
    _answers: OrderedDict[str, str] = field(default_factory=OrderedDict)

    @property
    def asks_upstream(self) -> bool:
        """The CSMS is asked first."""
        return self.mode == "upstream"

    def decide(self, token: str) -> str:
        """Return the status of a token as far as it is known here."""
        token = token.lower()
        listed = self.local_list.get(token) or self._answers.get(token)
        if listed is not None:
            return listed
        return "Accepted" if self.mode == "open" else "Invalid"

    def learn(self, token: str, status: str) -> None:
        """Remember what the CSMS said; the oldest answers are forgotten."""
        self._answers[token.lower()] = status if status in STATUSES else "Invalid"
        self._answers.move_to_end(token.lower())
        if len(self._answers) > CACHE:
            self._answers.popitem(last=False)


def load_local_list(path: Path) -> dict[str, str]:
    """Return status by token from `TOKEN STATUS` lines; `#` begins a comment.

    Raises:
        ConfigurationError: With one finding a wrong line.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError((Finding(str(path), f"cannot be read: {error}"),)) from error
    tokens: dict[str, str] = {}
    findings: list[Finding] = []
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.split("#", 1)[0].split()
        if not words:
            continue
        token, status = words[0], words[1] if len(words) > 1 else "Accepted"
        if len(words) > 2 or status not in STATUSES or len(token) > MAX_TOKEN:
            known = ", ".join(sorted(STATUSES))
            findings.append(Finding(f"{path}:{number}", "expected TOKEN [STATUS]", known))
        tokens[token.lower()] = status
    if findings:
        raise ConfigurationError(tuple(findings))
    return tokens
