"""The OCPP versions that are spoken, and how each spells what differs between them."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import Final


class Version(Enum):
    """An OCPP version; the value is its WebSocket subprotocol (OCPP-J, "Handshake").

    OCPP 2.0.1 Edition 3 is IEC 63584:2024, OCPP 2.1 is IEC 63584-210.
    """

    V16 = "ocpp1.6"
    V201 = "ocpp2.0.1"
    V21 = "ocpp2.1"

    __hash__ = object.__hash__  # Enum's own is Python code, and every message looks up by version

    @property
    def subprotocol(self) -> str:
        """Token of Sec-WebSocket-Protocol."""
        return self.value

    @property
    def label(self) -> str:
        """Name for people and for `EvseStatus.protocol`: `OCPP 2.1`, `OCPP 1.6J`."""
        return {"ocpp1.6": "OCPP 1.6J", "ocpp2.0.1": "OCPP 2.0.1", "ocpp2.1": "OCPP 2.1"}[
            self.value
        ]

    @property
    def is_2x(self) -> bool:
        """2.0.1 and 2.1 share the device model and the transaction messages."""
        return self is not Version.V16


PREFERRED: Final = (Version.V21, Version.V201, Version.V16)
"""Newest first: the server takes the first of these that the station offers."""


def choose(offered: Iterable[str], supported: Iterable[Version] = PREFERRED) -> Version | None:
    """Return the version to speak with a peer that offers these subprotocols, or None.

    Args:
        offered: Tokens of Sec-WebSocket-Protocol, in any case, with or without spaces.
        supported: What this side speaks, most wanted first.
    """
    tokens = {token.strip().lower() for token in offered}
    return next((version for version in supported if version.subprotocol in tokens), None)
