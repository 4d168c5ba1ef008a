"""What happened at an EVSE, in words of no version: the journal keeps these, not messages.

A gateway that was cut off with 2.1 may come back to a CSMS that speaks 1.6. Records are worded
(`wording2`, `wording16`) when they are sent.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from agent.messages import EvseStatus


class Happening(StrEnum):
    """TransactionEventEnumType; in 1.6 StartTransaction, MeterValues, StopTransaction."""

    STARTED = "Started"
    UPDATED = "Updated"
    ENDED = "Ended"


class Meter(msgspec.Struct, frozen=True):
    """Values at one instant; None where they are unknown. W, Wh, positive exports."""

    t_utc_s: float
    p_w: float | None = None
    ordered_w: float | None = None
    export_wh: float | None = None
    import_wh: float | None = None
    soc_pct: float | None = None
    f_hz: float | None = None
    q_var: float | None = None


class Record(msgspec.Struct, frozen=True):
    """One transaction message.

    Attributes:
        trigger: TriggerReasonEnumType of 2.x.
        seq_no: Rises by one within a transaction.
        token: Identity of the vehicle or its driver; empty where nobody was asked.
        offline: It happened while the CSMS was not connected.
        stopped_reason: ReasonEnumType, when it ended.
    """

    happening: Happening
    evse: int
    transaction_id: str
    seq_no: int
    trigger: str
    charging_state: str
    meter: Meter
    token: str = ""
    offline: bool = False
    stopped_reason: str = ""

    @property
    def periodic(self) -> bool:
        """Only a meter value: the first to go when the disk is full."""
        return self.happening is Happening.UPDATED and self.trigger == "MeterValuePeriodic"


class Transaction(msgspec.Struct, frozen=True):
    """A transaction that runs, as the journal keeps it over restarts.

    Attributes:
        next_seq_no: Of the next record.
        remote_id: The number that a 1.6 CSMS gave it; None before.
    """

    evse: int
    transaction_id: str
    start_utc_s: float
    next_seq_no: int = 0
    token: str = ""
    remote_id: int | None = None


def meter_of(status: EvseStatus, ordered_w: float, t_utc_s: float) -> Meter:
    """Return what an EVSE's status says of its meter."""
    return Meter(
        t_utc_s=t_utc_s,
        p_w=status.p_w,
        ordered_w=ordered_w,
        export_wh=status.energy_export_wh,
        import_wh=status.energy_import_wh,
        soc_pct=status.soc_pct,
        q_var=status.q_var,
    )
