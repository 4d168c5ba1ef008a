"""What the messages' words may be."""

from __future__ import annotations

from enum import IntEnum, StrEnum


class Validity(StrEnum):
    """How far a value may be trusted; `held` is the last good value, kept over an event."""

    GOOD = "good"
    HELD = "held"
    QUESTIONABLE = "questionable"
    INVALID = "invalid"


class Role(StrEnum):
    """Who speaks on a link; one process has one role (stations and SECC may have several)."""

    PROCESS_BUS = "processbus"
    IED = "ied"
    STATIONS = "stations"
    SECC = "secc"
    FIELD = "field"
    UTILITY = "utility"
    BUS = "bus"
    HMI = "hmi"
    OPERATOR = "operator"


class Authority(IntEnum):
    """Rank of whoever orders; the lower number wins (arbitration)."""

    SAFETY = 0
    RIDE_THROUGH = 1
    LOCAL_OPERATOR = 2
    BALANCING_AUTHORITY = 3
    SCADA = 4
    CSMS = 5
    MARKET = 6


class RequestKind(StrEnum):
    """What a `ControlRequest` asks for."""

    WATT_SETPOINT = "watt-setpoint"
    """Deliver `value` W at the target (DWGC.WSpt); positive exports."""
    WATT_LIMIT = "watt-limit"
    """Keep |export| at or below `value` W (DWMX.WMaxSpt)."""
    CHARGE_LIMIT = "charge-limit"
    """Keep charging at or below `value` W (positive magnitude)."""
    VAR_SETPOINT = "var-setpoint"
    """Deliver `value` var at the target; positive injects."""
    SETTING = "setting"
    """Change the droop setting named by `setting` to `value` (narrowing only, when remote)."""
    MODE = "mode"
    """Set the operating mode named by `setting`: `on`, `blocked`, `drain`."""
    SIMULATION = "simulation"
    """Take simulated sampled values and GOOSE from now on (`value` 1), or only real ones (0)."""
    STOP = "stop"
    """Everything at the target to zero until the lease ends or `WITHDRAW`."""
    WITHDRAW = "withdraw"
    """End the request named by `setting` (its `request_id`), or all of this origin when empty."""


class RequestStatus(StrEnum):
    """Where a request stands; `completed`, `failed`, `refused` and `expired` are final."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    COMPLETED = "completed"
    FAILED = "failed"
    EXPIRED = "expired"


class WorkerState(StrEnum):
    """State of a worker process as the daemon sees it."""

    STARTING = "starting"
    RUNNING = "running"
    BACKOFF = "backoff"
    STOPPED = "stopped"
