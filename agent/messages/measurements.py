"""What was measured, at the point of connection and in the field, and how far it is right."""

from __future__ import annotations

from typing import ClassVar

from agent.messages.base import Message
from agent.messages.words import Validity


class Measurement(Message, frozen=True):
    """One frequency report of one source at the point of connection.

    Attributes:
        source: svID, GOOSE control block reference or meter name.
        t_utc_s: The instant that the estimate describes.
        f_hz: Frequency. `rocof_hz_s`: its rate. `v1_v`: positive-sequence RMS, phase to ground.
        uncertainty_hz: Standard uncertainty of `f_hz`.
        v_phase_v: RMS of phases a, b, c; None where the source has no voltages.
        p_w, q_var: Three-phase power at the transformer, positive exports to the grid.
        smp_synch: SmpSynch of the stream (0 none, 1 local, 2 global; IEC 61850-9-2).
        wire_s: Monotonic arrival of the last frame the estimate needed.
        published_s: Monotonic instant at which the estimate was known.
    """

    _key_fields: ClassVar[tuple[str, ...]] = ("source",)

    source: str
    t_utc_s: float
    f_hz: float
    rocof_hz_s: float
    v1_v: float
    quality: Validity
    wire_s: float
    published_s: float
    uncertainty_hz: float = 0.0
    v_phase_v: tuple[float, float, float] | None = None
    p_w: float | None = None
    q_var: float | None = None
    smp_synch: int = 0
    rocof_trip_hz_s: float = 0.0
    """ROCOF averaged for tripping (a step's spike removed)."""
    v1_phase_rad: float | None = None
    """Phase of the positive-sequence voltage at `t_utc_s`; None where there is none."""


class DigitalInput(Message, frozen=True):
    """A two-state input of the process bus: breaker position, islanding, external interlock.

    Attributes:
        name: `breaker_closed`, `islanded` or `interlock`, as the mapping file names it.
        value: The state; on `quality` other than good the control takes the safe side.
    """

    _key_fields: ClassVar[tuple[str, ...]] = ("source", "name")

    source: str
    name: str
    value: bool
    quality: Validity
    t_utc_s: float
    published_s: float


class SubscriptionHealth(Message, frozen=True):
    """State of one SV or GOOSE subscription, as LSVS and LGOS show it (IEC 61850-7-4)."""

    _key_fields: ClassVar[tuple[str, ...]] = ("control_block",)

    control_block: str
    kind: str
    """`sv` or `goose`."""
    alive: bool
    nds_com: bool
    simulated: bool
    conf_rev: int
    rx_conf_rev: int
    last_st_num: int = 0
    frames: int = 0
    lost: int = 0
    rejected: int = 0
    reason: str = ""


class FieldReading(Message, frozen=True):
    """What a meter or analyser measured; `control.step` does not see it, tools and pages do.

    Attributes:
        device: Name of the device. `evse_id`: whose power it measures; empty for none.
        p_phase_w, v_phase_v, i_phase_a: L1, L2, L3; None where the device does not say.
        published_s: Monotonic instant of the answer.
    """

    _key_fields: ClassVar[tuple[str, ...]] = ("device",)

    device: str
    t_utc_s: float
    published_s: float
    quality: Validity
    evse_id: str = ""
    p_w: float | None = None
    q_var: float | None = None
    f_hz: float | None = None
    p_phase_w: tuple[float | None, float | None, float | None] = (None, None, None)
    v_phase_v: tuple[float | None, float | None, float | None] = (None, None, None)
    i_phase_a: tuple[float | None, float | None, float | None] = (None, None, None)
    dc_injection_a: float | None = None


class Verification(Message, frozen=True):
    """How far an EVSE's own report is from what an independent device measures.

    The report is taken as gain × (power `lag_s` earlier) + offset. `_u` fields are half the width
    of a 95 % confidence interval; NaN where the record does not determine the quantity.

    Attributes:
        variance: RMS of report minus measurement, lag removed, over RMS of the measurement.
        verdict: `pass`, `fail` or `inconclusive`.
    """

    _key_fields: ClassVar[tuple[str, ...]] = ("device", "evse_id")

    device: str
    evse_id: str
    t_utc_s: float
    window_s: float
    samples: int
    gain: float
    gain_u: float
    offset_w: float
    offset_u_w: float
    lag_s: float
    lag_u_s: float
    variance: float
    verdict: str
