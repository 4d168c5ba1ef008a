"""What one SECC is set up to do; made by the worker from `agent.toml`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

TlsPolicy = Literal["required", "offered", "off"]
CurrentKind = Literal["ac", "dc"]


@dataclass(frozen=True, slots=True)
class Rating:
    """What the EVSE's hardware can do; power in watts, magnitudes positive.

    Attributes:
        charge_max_w, discharge_max_w: Of all phases together.
        phases: 1 or 3 (AC). `nominal_v`: phase to neutral (AC). `voltage_*_v`: of the DC output.
    """

    kind: CurrentKind
    charge_max_w: float
    discharge_max_w: float
    current_max_a: float
    phases: int = 3
    nominal_v: float = 230.0
    nominal_hz: float = 50.0
    voltage_min_v: float = 150.0
    voltage_max_v: float = 920.0


@dataclass(frozen=True, slots=True)
class SeccOptions:
    """Settings of one SECC.

    Attributes:
        interface: The network interface of the power line modem, or a veth.
        pki: Folder with `iso15118_2/certs` and `iso15118_2/private_keys`; None where `tls` is off.
        tls: `required` answers no unsecured SDP request; `offered` answers both kinds.
        protocols: Names of the package's `Protocol`; -20 is only ever spoken over mutual TLS 1.3
            unless `tls` is off.
        control_mode: Offered to ISO 15118-20 vehicles.
        default_w: Power without an order (negative: charging).
        setup_timeout_s: From the TCP connection to the first response; then per message.
        dead_link_s: A peer that is not heard for so long is gone.
        cooldown_s: No transfer after a vehicle opened its contactor under load.
        attenuation_alarm_db: Mean attenuation of the cable above which an alarm is raised.
        discharge_limit_sign: Sign in which discharge limits are sent; some vehicles want negative.
    """

    interface: str
    rating: Rating
    pki: Path | None = None
    tls: TlsPolicy = "required"
    protocols: tuple[str, ...] = ("ISO_15118_20_DC", "ISO_15118_20_AC", "ISO_15118_2")
    auth_modes: tuple[str, ...] = ("EIM", "PNC")
    control_mode: Literal["dynamic", "scheduled"] = "dynamic"
    default_w: float = 0.0
    evse_id: str = "DE*V2G*E1"
    setup_timeout_s: float = 20.0
    tls_timeout_s: float = 10.0
    dead_link_s: float = 1.8
    cooldown_s: float = 60.0
    discharge_limit_sign: Literal["positive", "negative"] = "positive"
    attenuation_alarm_db: float = 20.0
    cache: Path | None = None
