"""`[secc]`: EVSEs whose charge controller this gateway is (ISO 15118)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec

from agent.config.sections import Section

_INTERFACE: Final = re.compile(r"[A-Za-z0-9._-]{1,15}")
_EVSE_ID: Final = re.compile(r"[A-Z]{2}\*?[A-Z0-9]{3}\*?E[A-Z0-9*]{1,30}")

Positive = Annotated[float, msgspec.Meta(gt=0)]
NotNegative = Annotated[float, msgspec.Meta(ge=0)]


class SeccEvse(Section, frozen=True, kw_only=True):
    """`[[secc.evse]]`: one EVSE behind one network interface."""

    interface: str
    """Interface of its power line modem, or a veth."""
    evse_id: str = "DE*V2G*E1"
    """EVSEID as ISO 15118-2 annex H writes it."""
    kind: Literal["ac", "dc"] = "dc"
    charge_max_w: Positive = 11_000.0
    discharge_max_w: NotNegative = 11_000.0
    """0: the outlet cannot discharge; bidirectional services are not offered."""
    current_max_a: Positive = 200.0
    """Of the DC output, or of each phase."""
    phases: Literal[1, 3] = 3
    voltage_min_v: Positive = 150.0
    """Of the DC output. `voltage_max_v`: its highest."""
    voltage_max_v: Positive = 920.0
    default_w: float = 0.0
    """Power without an order; negative charges."""


class Secc(Section, frozen=True, kw_only=True):
    """`[secc]`: what all EVSEs of this charge controller share."""

    evse: tuple[SeccEvse, ...] = ()
    tls: Literal["required", "offered", "off"] = "required"
    """`offered` also answers vehicles that ask for plain TCP; `off` speaks nothing else."""
    pki: Path = Path("/etc/v2g/pki")
    """Folder with `iso15118_2/certs` and `iso15118_2/private_keys`."""
    protocols: tuple[
        Literal["ISO_15118_20_DC", "ISO_15118_20_AC", "ISO_15118_2", "DIN_SPEC_70121"], ...
    ] = ("ISO_15118_20_DC", "ISO_15118_20_AC", "ISO_15118_2")
    auth_modes: tuple[Literal["EIM", "PNC"], ...] = ("EIM", "PNC")
    control_mode: Literal["dynamic", "scheduled"] = "dynamic"
    setup_timeout_s: Annotated[float, msgspec.Meta(ge=1, le=60)] = 20.0
    """Longest silence of a vehicle before the charge loop, then alarm 0x22."""
    tls_timeout_s: Annotated[float, msgspec.Meta(ge=1, le=60)] = 10.0
    dead_link_s: Annotated[float, msgspec.Meta(ge=1.5, le=60)] = 1.8
    """A vehicle that is not heard for so long is gone, and the contactor opens."""
    cooldown_s: NotNegative = 60.0
    """No transfer after a vehicle opened its contactor under load."""
    attenuation_alarm_db: Positive = 20.0
    """Alarm when the modem's mean attenuation of the cable is above (ISO 15118-3 matching)."""
    discharge_limit_sign: Literal["positive", "negative"] = "positive"
    """Sign of discharge limits on the wire; some vehicles expect it negative."""

    def check(self) -> list[tuple[str, str, str]]:
        """Interfaces and EVSEIDs are well-formed and not given twice; voltages are in order."""
        found: list[tuple[str, str, str]] = []
        for position, evse in enumerate(self.evse):
            key = f"evse[{position}]"
            if not _INTERFACE.fullmatch(evse.interface):
                found.append((f"{key}.interface", f"{evse.interface!r} is no interface's name", ""))
            if not _EVSE_ID.fullmatch(evse.evse_id):
                hint = "as in DE*ABC*E12345"
                found.append((f"{key}.evse_id", f"{evse.evse_id!r} is no EVSEID", hint))
            if evse.voltage_min_v >= evse.voltage_max_v:
                found.append((f"{key}.voltage_min_v", "must be below voltage_max_v", ""))
        names = [evse.interface for evse in self.evse]
        found += [
            ("evse", f"interface {name} is given twice", "one SECC serves one interface")
            for name in sorted(set(names))
            if names.count(name) > 1
        ]
        return found
