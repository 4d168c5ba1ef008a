"""`[field]`: inverters, meters and power-quality analysers that speak Modbus."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec

from agent.config.sections import Section

Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]
Positive = Annotated[float, msgspec.Meta(gt=0)]
NotNegative = Annotated[float, msgspec.Meta(ge=0)]
Droop = Annotated[float, msgspec.Meta(gt=0, le=1)]

MODBUS_PORT: Final = 502
SECURE_PORT: Final = 802
"""Port of Modbus/TCP Security (MB-TCP-Security v3.6)."""
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,31}")
_DROOP: Final = ("db_of_hz", "db_uf_hz", "k_of", "k_uf")


class FieldDevice(Section, frozen=True, kw_only=True):
    """`[[field.device]]`: one device on the network or on a serial line."""

    name: str
    """Of the device; for an inverter also its EVSE's name."""
    role: Literal["inverter", "meter", "analyser"]
    """`inverter` is an EVSE for the control, the others only measure."""
    type: str = "sunspec"
    """`sunspec` describes itself; else the name or path of a file in `mappings/devices`."""
    host: str = ""
    """Address of a Modbus/TCP device."""
    port: Port | None = None
    """Not set: 502, or 802 with `tls`."""
    tls: bool = False
    """Modbus/TCP Security, with the certificate of `[field]`."""
    serial: str = ""
    """Port of a Modbus RTU line, instead of `host`: `/dev/ttyUSB0`."""
    baud: Annotated[int, msgspec.Meta(ge=300, le=4_000_000)] = 19_200
    parity: Literal["N", "E", "O"] = "E"
    stop_bits: Literal[1, 2] = 1
    unit: Annotated[int, msgspec.Meta(ge=0, le=255)] = 1
    """Modbus unit identifier."""
    poll_s: Annotated[float, msgspec.Meta(ge=0.02, le=60)] = 0.25
    """How often a SunSpec device is read; a described one has its own read groups."""
    timeout_s: Annotated[float, msgspec.Meta(ge=0.05, le=10)] = 1.0
    pace_s: Annotated[float, msgspec.Meta(ge=0, le=10)] = 0.0
    """Least time between two requests to this device."""
    export_sign: Literal[1, -1] = 1
    """-1 where the device is wired so that export counts negative."""
    frequency: bool = False
    """It stands at the point of connection: its frequency votes, its power is the site's."""
    evse: str = ""
    """EVSE whose power this device measures, for the verification; an inverter measures itself."""
    charge_max_w: NotNegative = 11_000.0
    """Of an inverter. `discharge_max_w`: likewise; within what it states itself."""
    discharge_max_w: NotNegative = 11_000.0
    most_w: Positive = 1_000_000.0
    """A reading beyond it is not believed."""
    dc_injection_limit_a: Positive | None = None
    """Direct current into the grid that is a fault; IEEE 1547-2018, 7.1: 0.5 % of rated current."""
    db_of_hz: NotNegative | None = None
    """With `db_uf_hz`, `k_of`, `k_uf`: droop that the inverter carries out by itself (711)."""
    db_uf_hz: NotNegative | None = None
    k_of: Droop | None = None
    k_uf: Droop | None = None
    olrt_s: NotNegative = 5.0
    """Its open-loop response time."""
    volt_var: tuple[tuple[float, float], ...] = ()
    """Points (voltage in % of nominal, var in % of the inverter's most), rising (705)."""
    power_factor: Annotated[float, msgspec.Meta(ge=-1, le=1)] | None = None
    """Magnitude 0.90 to 1; positive injects vars, negative absorbs them (704)."""
    limit_pct: Annotated[float, msgspec.Meta(ge=0, le=100)] | None = None
    """Largest export in % of the inverter's rating (704)."""
    enter_service: bool | None = None
    """Permit (true) or forbid connection to the grid (703); not set: leave it."""

    @property
    def tcp_port(self) -> int:
        """Port to connect to."""
        return self.port or (SECURE_PORT if self.tls else MODBUS_PORT)

    def check(self) -> list[tuple[str, str, str]]:
        """Address, role and functions fit together."""
        found: list[tuple[str, str, str]] = []
        if not _NAME.fullmatch(self.name):
            found.append(("name", "is 1 to 32 letters, digits and . _ -", ""))
        if bool(self.host) == bool(self.serial):
            found.append(("host", "either host or serial says where the device is", ""))
        if self.tls and self.serial:
            found.append(("tls", "a serial line has no TLS", ""))
        if self.role == "inverter" and self.evse:
            found.append(("evse", "an inverter is its own EVSE", "use an analyser"))
        return [*found, *self._functions()]

    def _functions(self) -> list[tuple[str, str, str]]:
        found: list[tuple[str, str, str]] = []
        given = [name for name in _DROOP if getattr(self, name) is not None]
        if given and len(given) < len(_DROOP):
            missing = next(name for name in _DROOP if name not in given)
            found.append((missing, "is missing", "a droop needs " + ", ".join(_DROOP)))
        if self.power_factor is not None and abs(self.power_factor) < 0.9:
            found.append(("power_factor", "must be 0.90 to 1 or -1 to -0.90", ""))
        if self.power_factor is not None and self.volt_var:
            found.append(("volt_var", "excludes power_factor", "one of them governs the vars"))
        if not all(b[0] > a[0] for a, b in pairwise(self.volt_var)):
            found.append(("volt_var", "needs points of rising voltage", "[[92, 44], [98, 0]]"))
        if not all(abs(var) <= 100 for _, var in self.volt_var):
            found.append(("volt_var", "is in % of the largest reactive power", ""))
        return found


class Field(Section, frozen=True, kw_only=True):
    """`[field]`: what all devices share."""

    device: tuple[FieldDevice, ...] = ()
    certificate: Path | None = None
    """Our client certificate with its chain, PEM, for devices with `tls`."""
    key: Path | None = None
    ca: Path | None = None
    """Authorities of the devices' certificates."""
    verify_window_s: Annotated[float, msgspec.Meta(ge=60, le=86400)] = 600.0
    """Length of the record that the continuous verification looks at."""
    verify_limit: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.05
    """Variance, as a share of the power, at which the alarm 0x52 is raised."""

    def check(self) -> list[tuple[str, str, str]]:
        """Names are given once, serial lines have one speed, TLS has its files."""
        found: list[tuple[str, str, str]] = []
        names = [device.name for device in self.device]
        found += [
            ("device", f"the name {name} is given twice", "")
            for name in sorted({name for name in names if names.count(name) > 1})
        ]
        lines: dict[str, tuple[int, str, int]] = {}
        for at, device in enumerate(self.device):
            speed = (device.baud, device.parity, device.stop_bits)
            if device.serial and lines.setdefault(device.serial, speed) != speed:
                what = f"{device.serial} is given with two speeds or parities"
                found.append((f"device[{at}].baud", what, "a line has one"))
        files = {"certificate": self.certificate, "key": self.key, "ca": self.ca}
        if any(device.tls for device in self.device):
            found += [(name, "is missing", "tls needs it") for name, p in files.items() if not p]
        return found
