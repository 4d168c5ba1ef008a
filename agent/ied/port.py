"""The engine port: what the IED asks of an MMS engine, and what an engine asks of the IED.

An engine serves the model that `agent.scl` expanded. It owns the protocol (associations, reports,
setting groups, select-before-operate); the IED owns every decision (`Decider`). An engine calls
its decider from threads of its own; a decider answers at once and never waits for the network.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum, IntFlag, StrEnum, auto
from typing import Final, Protocol

from agent.iec61850 import ObjectReference, Quality, Timestamp

Native = bool | int | float | str | bytes | Quality | Timestamp
"""A leaf value. Enum, Dbpos and Tcmd are integers; bit strings are integers, first bit lowest."""


def number(value: Native | None) -> float:
    """A numeric leaf value as a float.

    Raises:
        TypeError: The value is none.
    """
    if isinstance(value, bool | int | float):
        return float(value)
    raise TypeError(f"{value!r} is no number")


def whole(value: Native | None) -> int:
    """A whole leaf value as an int. Raises as `number`."""
    if isinstance(value, int):
        return int(value)
    raise TypeError(f"{value!r} is no whole number")


def shown(value: Native | None) -> str:
    """A leaf value for people."""
    return value.hex(" ") if isinstance(value, bytes) else str(value)


class AddCause(IntEnum):
    """Why a control is refused or fails (IEC 61850-7-2 Ed. 2.1, table 53)."""

    UNKNOWN = 0
    NOT_SUPPORTED = 1
    BLOCKED_BY_SWITCHING_HIERARCHY = 2
    SELECT_FAILED = 3
    INVALID_POSITION = 4
    POSITION_REACHED = 5
    PARAMETER_CHANGE_IN_EXECUTION = 6
    STEP_LIMIT = 7
    BLOCKED_BY_MODE = 8
    BLOCKED_BY_PROCESS = 9
    BLOCKED_BY_INTERLOCKING = 10
    BLOCKED_BY_SYNCHROCHECK = 11
    COMMAND_ALREADY_IN_EXECUTION = 12
    BLOCKED_BY_HEALTH = 13
    ONE_OF_N_CONTROL = 14
    ABORTION_BY_CANCEL = 15
    TIME_LIMIT_OVER = 16
    ABORTION_BY_TRIP = 17
    OBJECT_NOT_SELECTED = 18
    OBJECT_ALREADY_SELECTED = 19
    NO_ACCESS_AUTHORITY = 20
    ENDED_WITH_OVERSHOOT = 21
    ABORTION_DUE_TO_DEVIATION = 22
    ABORTION_BY_COMMUNICATION_LOSS = 23
    BLOCKED_BY_COMMAND = 24
    NONE = 25
    INCONSISTENT_PARAMETERS = 26
    LOCKED_BY_OTHER_CLIENT = 27


class AccessError(IntEnum):
    """DataAccessError of MMS (ISO 9506-2; IEC 61850-8-1 Ed. 2.1, 8.1.3.4.4)."""

    HARDWARE_FAULT = 1
    TEMPORARILY_UNAVAILABLE = 2
    ACCESS_DENIED = 3
    TYPE_INCONSISTENT = 7
    ACCESS_UNSUPPORTED = 9
    NON_EXISTENT = 10
    VALUE_INVALID = 11


class Right(IntFlag):
    """What a role may do at all (IEC 62351-8:2020, table 3)."""

    NONE = 0
    VIEW = auto()
    """See that an object exists. `READ`: its value."""
    READ = auto()
    REPORT = auto()
    """Configure and enable reports."""
    CONTROL = auto()
    SETTING = auto()
    """Write set points, configuration values and setting groups."""
    FILES = auto()


ALL_RIGHTS: Final = Right(0x3F)


@dataclass(frozen=True, slots=True)
class Session:
    """One client as the front admitted it.

    Attributes:
        number: Unique while the process lives.
        address: Its IP address. `port`: its TCP port.
        identity: Subject of its certificate, empty without TLS.
        role: Name of its role, for the audit. `rights`: what the role may do.
    """

    number: int
    address: str
    port: int
    identity: str = ""
    role: str = ""
    rights: Right = ALL_RIGHTS

    def __str__(self) -> str:
        who = f" {self.identity}" if self.identity else ""
        return f"{self.address}:{self.port}{who}"


class Stage(StrEnum):
    """Step of a control at which the engine asks."""

    SELECT = "select"
    OPERATE = "operate"


@dataclass(frozen=True, slots=True)
class ControlOrder:
    """One SBOw, SBO or Oper of a client.

    Attributes:
        target: The controllable data object, ``V2G1EVSE1/DWGC1.WSpt``.
        value: ctlVal; None at the select of a control with normal security.
        origin_category: orCat (IEC 61850-7-3 Ed. 2.1, table 8). `origin_ident`: orIdent.
        interlock_check, synchro_check: The bits of Check.
        serial: Unique number that `Engine.finish` takes.
    """

    target: ObjectReference
    value: Native | None
    session: Session
    stage: Stage
    serial: int
    origin_category: int = 0
    origin_ident: bytes = b""
    ctl_num: int = 0
    test: bool = False
    interlock_check: bool = False
    synchro_check: bool = False


class Decider(Protocol):
    """What an engine asks of the IED; every method may be called from any thread."""

    def check_control(self, order: ControlOrder) -> AddCause | None:
        """Whether a select or an operate is permitted now; None permits."""

    def execute(self, order: ControlOrder) -> AddCause | None:
        """Start an accepted operate; None: it runs, and `Engine.finish` follows."""

    def may_be_written(self, reference: ObjectReference) -> bool:
        """Whether any client could ever write a leaf; an engine need not ask for the others."""

    def check_write(
        self, session: Session, reference: ObjectReference, value: Native
    ) -> AccessError | None:
        """Whether a leaf may take a value, rights and type aside; None permits and carries out."""

    def group_selected(self, session: Session, device: str, group: int) -> AccessError | None:
        """A client selects the active setting group; None permits."""

    def group_confirmed(
        self, session: Session, device: str, group: int, values: Mapping[ObjectReference, Native]
    ) -> AccessError | None:
        """A client confirms the edited values of a group (FC SE); None permits."""

    def audit(self, session: Session, event: str, detail: str) -> None:
        """Something that the audit must know: refusals, writes, controls."""


class Engine(Protocol):
    """An MMS server for one model. Created by `agent.ied.engines.create`.

    Its methods may wait for a client that does not read: never call them on the event loop that
    carries the clients' octets.

    Attributes:
        max_associations: What the engine can serve at once.
    """

    max_associations: int

    def start(self, decider: Decider) -> None:
        """Begin to serve.

        Raises:
            UnavailableError: The system refuses a resource.
        """

    def stop(self) -> None:
        """End every association and every thread."""

    def connect(self, session: Session) -> socket.socket:
        """A connected stream on which the engine serves this client from its first octet on."""

    def update(self, values: Iterable[tuple[ObjectReference, Native]]) -> None:
        """Change values; everything of one call makes one report entry."""

    def read(self, reference: ObjectReference) -> Native:
        """Present value of a leaf.

        Raises:
            KeyError: There is no such leaf.
        """

    def finish(self, serial: int, cause: AddCause | None) -> None:
        """End the order in execution: done (None) or failed; sends the CommandTermination."""

    def select_group(self, device: str, group: int) -> None:
        """Make a setting group the active one, from the IED's side."""

    def set_group_values(
        self, device: str, group: int, values: Mapping[ObjectReference, Native]
    ) -> None:
        """Set values (FC SG references) of one group, from the IED's side."""


@dataclass(frozen=True, slots=True)
class Identity:
    """What Identify answers."""

    vendor: str = "v2g-agent"
    model: str = "V2G gateway"
    revision: str = ""


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """What the configuration says about the engine.

    Attributes:
        report_buffer_bytes: Octets that one buffered report control block keeps.
        max_associations: Clients at once.
        file_store: Folder of the file services, None for none.
        dynamic_data_sets: Clients may create data sets.
        publishes_goose: The gateway sends the model's GOOSE; GoEna shows it.
    """

    identity: Identity = field(default_factory=Identity)
    report_buffer_bytes: int = 1 << 18
    max_associations: int = 64
    file_store: str | None = None
    dynamic_data_sets: bool = False
    publishes_goose: bool = False
