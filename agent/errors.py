"""Every error of the project, one tree.

::

    AgentError
    ├── ConfigurationError        settings, SCL or mappings that cannot be used   exit 78
    │   └── SclError              an SCL file, with its path and line
    ├── UnavailableError          an interface, port or file the system refuses   exit 69
    ├── ProtocolError             a peer broke its protocol; never ends a worker
    │   ├── DecodeError           bytes that are not the message they claim to be
    │   ├── HandshakeTimeoutError 0x22
    │   └── SignatureError        "Payload Signature Invalid"
    └── RefusedError              an order that must not be carried out

At run time bad data becomes quality and a counter; these errors stop a start, refuse a
message, or end one connection. None of them may reach ``control.step``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

EX_USAGE: Final = 64
EX_UNAVAILABLE: Final = 69
EX_AGAIN: Final = 75
"""A worker ended so that it is started again with new settings (EX_TEMPFAIL)."""
EX_CONFIG: Final = 78


class AlarmCode(IntEnum):
    """The codes that operators know, as they are printed (``0x14``)."""

    FREQUENCY_OUT_OF_BOUNDS = 0x14
    FREQUENCY_LOST = 0x15
    FREQUENCY_SOURCES_DISAGREE = 0x16
    SIMULATION = 0x17
    HANDSHAKE_TIMEOUT = 0x22
    PAYLOAD_SIGNATURE_INVALID = 0x23
    STATION_LOST = 0x24
    UPSTREAM_LOST = 0x25
    WORKER_DOWN = 0x30
    MISSED_TICK = 0x31
    CLOCK_UNSYNCHRONISED = 0x32
    AUDIT_FAILED = 0x33
    HISTORY_FAILED = 0x34
    GUARD_VETO = 0x40
    RIDE_THROUGH = 0x41
    GAIN_LIMITED = 0x42
    SHORTFALL = 0x43
    OSCILLATION = 0x44
    EVSE_FAULT = 0x50
    BMS_DISCONNECT = 0x51
    VERIFICATION_VARIANCE = 0x52

    def __str__(self) -> str:
        return f"0x{self.value:02x}"


class AgentError(Exception):
    """Root of every error that this project raises on purpose."""

    exit_code: int = 1


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong with an input, and where.

    Attributes:
        where: File, and line or key: ``agent.toml: stations.port``, ``plant.scd:212``.
        what: The problem in one sentence.
        hint: What to do about it; empty where the sentence already says so.
    """

    where: str
    what: str
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.where}: {self.what}" + (f" ({self.hint})" if self.hint else "")


@dataclass
class ConfigurationError(AgentError):
    """Settings that cannot be used; carries every finding, not only the first."""

    findings: tuple[Finding, ...] = field(default=())
    exit_code = EX_CONFIG

    def __str__(self) -> str:
        return "\n".join(str(finding) for finding in self.findings)


class SclError(ConfigurationError):
    """An SCL file that cannot be read or served; ``findings`` name file and line."""


class UnavailableError(AgentError):
    """The operating system refuses something the start needs: interface, port, permission."""

    exit_code = EX_UNAVAILABLE


class ProtocolError(AgentError):
    """A peer's message or behaviour that its protocol does not allow."""


class DecodeError(ProtocolError):
    """Bytes that are not the message they claim to be."""


class HandshakeTimeoutError(ProtocolError):
    """Alarm 0x22: a TLS, OCPP or ISO 15118 handshake did not finish in time.

    Attributes:
        peer: Address or identity of the other side.
        stage: Where it stopped: ``tls``, ``websocket``, ``boot``, ``supportedAppProtocol``...
    """

    code = AlarmCode.HANDSHAKE_TIMEOUT

    def __init__(self, peer: str, stage: str, hint: str = "") -> None:
        super().__init__(
            f"{self.code}: handshake timeout with {peer} at {stage}"
            + (f" ({hint})" if hint else "")
        )
        self.peer = peer
        self.stage = stage


class SignatureError(ProtocolError):
    """A signed payload that must not be acted on; the log line is fixed by the manual."""

    code = AlarmCode.PAYLOAD_SIGNATURE_INVALID

    def __init__(self, cause: str) -> None:
        super().__init__(f"Payload Signature Invalid: {cause}")
        self.cause = cause


class RefusedError(AgentError):
    """An order that must not be carried out, with the reason the sender is told."""
