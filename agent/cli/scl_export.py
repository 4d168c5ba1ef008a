"""`v2g-scl export`: our ICD or IID from the running configuration."""

from __future__ import annotations

import argparse
import ipaddress
import math
import re
import sys
from pathlib import Path
from typing import Final, Literal

from agent.cli.scl_current import with_stored_values
from agent.config import Settings, load_settings
from agent.errors import ConfigurationError, Finding, SclError
from agent.ied.store import FILE, Store
from agent.scl import IedModel, expand, read_scl
from agent.scl.export import (
    DEFAULT_ADDRESS,
    DEFAULT_GOOSE,
    EvseDescription,
    GatewayDescription,
    export_icd,
    export_iid,
)
from agent.scl.export.nodes import GOOSE_BLOCK
from agent.scl.export.sample import STATION_EVSES, sample_station
from agent.scl.live import LogicalDevice
from agent.scl.write import write_scl

EvseKind = Literal["ac", "dc"]
_AC: Final[tuple[EvseKind, ...]] = ("ac",)
_DC: Final[tuple[EvseKind, ...]] = ("dc",)
_MOST_GROUPS: Final = 20
_EVSE_INST: Final = re.compile(r"EVSE([1-9]\d{0,3})")


def add_export_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of the command."""
    parser.add_argument("--config", help="agent.toml; without it a gateway with four EVSEs")
    kind = parser.add_mutually_exclusive_group(required=True)
    kind.add_argument("--icd", action="store_true", help="capability: IED name TEMPLATE")
    kind.add_argument("--iid", action="store_true", help="instance: name, address, values")
    kind.add_argument("--sample-station", action="store_true", help="the station SCD we ship")
    parser.add_argument("--ac", type=int, metavar="N", help="number of AC EVSEs")
    parser.add_argument("--dc", type=int, metavar="N", help="number of DC EVSEs")
    parser.add_argument(
        "--setting-groups", type=int, metavar="N", help="droop settings in N setting groups"
    )
    parser.add_argument("--output", metavar="FILE", help="instead of standard output")


def export(arguments: argparse.Namespace) -> int:
    """Write what was asked for; 0."""
    if arguments.sample_station:
        content = write_scl(sample_station())
    else:
        gateway = _gateway(arguments)
        content = export_icd(gateway) if arguments.icd else export_iid(gateway)
    if arguments.output:
        Path(arguments.output).write_bytes(content)
    else:
        sys.stdout.buffer.write(content)
    return 0


def _gateway(arguments: argparse.Namespace) -> GatewayDescription:
    ac, dc = arguments.ac, arguments.dc
    kinds: tuple[EvseKind, ...] | None = None
    if ac is not None or dc is not None:
        kinds = _AC * (ac or 0) + _DC * (dc or 0)
    groups: int | None = arguments.setting_groups
    if groups is not None and not 0 <= groups <= _MOST_GROUPS:
        what = f"must be 0 to {_MOST_GROUPS}, is {groups}"
        raise ConfigurationError((Finding("--setting-groups", what),))
    if arguments.config:
        return describe_gateway(load_settings(Path(arguments.config)), kinds, groups)
    if kinds is None:
        return GatewayDescription(evses=STATION_EVSES, setting_groups=groups or 0)
    evses = tuple(EvseDescription(kind=kind) for kind in kinds)
    return GatewayDescription(evses=evses, setting_groups=groups or 0)


def describe_gateway(
    settings: Settings,
    kinds: tuple[EvseKind, ...] | None = None,
    setting_groups: int | None = None,
) -> GatewayDescription:
    """The gateway that a configuration makes.

    Args:
        settings: The configuration.
        kinds: Kind of every EVSE; None takes number and kinds from the IED in the configured
            SCL file where it has EVSEs, else one EVSE for each of `[ied] evses`.
        setting_groups: Setting groups of each EVSE; None takes those of the SCL file.
    """
    model = _configured(settings)
    if kinds is None:
        kinds = _kinds(model) or _AC * max(1, _most_evses(settings))
    names = settings.ied.evses
    power = settings.power
    evses = tuple(
        EvseDescription(
            name=names.get(f"EVSE{number}", ""),
            kind=kind,
            evse_id=names.get(f"EVSE{number}", ""),
            charge_w=power.max_charge_w,
            discharge_w=power.max_discharge_w,
        )
        for number, kind in enumerate(kinds, 1)
    )
    gateway = GatewayDescription(
        evses=evses,
        ied_name=settings.scl.ied,
        access_point=settings.scl.access_point or "S1",
        address=_address(settings),
        goose_address=_goose_address(model),
        values=_values(settings, len(evses)),
        setting_groups=_groups(model) if setting_groups is None else setting_groups,
    )
    return with_stored_values(gateway, Store(settings.gateway.state_dir / FILE))


def _most_evses(settings: Settings) -> int:
    numbers = (_EVSE_INST.fullmatch(inst) for inst in settings.ied.evses)
    return max((int(match[1]) for match in numbers if match), default=0)


def _configured(settings: Settings) -> IedModel | None:
    try:
        return expand(read_scl(settings.scl.file, ieds={settings.scl.ied}), settings.scl.ied)
    except SclError:
        return None  # Nothing to keep: this export may be the first of the station.


def _evse_devices(model: IedModel | None) -> list[LogicalDevice]:
    devices = () if model is None else model.devices
    return [device for device in devices if _EVSE_INST.fullmatch(device.inst)]


def _kinds(model: IedModel | None) -> tuple[EvseKind, ...]:
    return tuple("dc" if device.node("DEDO1") else "ac" for device in _evse_devices(model))


def _groups(model: IedModel | None) -> int:
    nodes = [device.node("LLN0") for device in _evse_devices(model)]
    controls = [node.setting_control for node in nodes if node is not None]
    return max((control.num_of_sgs for control in controls if control is not None), default=0)


def _goose_address(model: IedModel | None) -> dict[str, str]:
    """Where the SCL file sends our GOOSE."""
    device = None if model is None else model.device_by_inst("LD0")
    node = None if device is None else device.node("LLN0")
    for block in () if node is None else node.gooses:
        if block.control.name == GOOSE_BLOCK and block.address is not None:
            return dict(block.address.address.parameters)
    return dict(DEFAULT_GOOSE)


def _address(settings: Settings) -> dict[str, str]:
    """The address this server listens on, where it is one."""
    try:
        host = ipaddress.ip_address(settings.ied.host)
    except ValueError:
        return dict(DEFAULT_ADDRESS)
    return dict(DEFAULT_ADDRESS) | ({} if host.is_unspecified else {"IP": str(host)})


def _values(settings: Settings, evses: int) -> dict[str, str]:
    """Current values of the settings that the configuration holds."""
    nominal_hz = str(settings.grid.nominal_hz)
    line_v = f"{settings.grid.nominal_v * math.sqrt(3):.0f}"
    values = {
        "LD0/DPCC1.HzNom.setMag.f": nominal_hz,
        "LD0/DPCC1.VRef.setMag.f": line_v,
    }
    control = settings.control
    for number in range(1, evses + 1):
        device = f"EVSE{number}"
        values[f"{device}/DECP1.HzNom.setMag.f"] = nominal_hz
        values[f"{device}/DECP1.VRef.setMag.f"] = line_v
        for node, dead_band_hz, sign in (
            ("DHFW1", control.db_of_hz, 1),
            ("DLFW1", control.db_uf_hz, -1),
        ):
            values[f"{device}/{node}.HzRef.setMag.f"] = nominal_hz
            if dead_band_hz is not None:
                start_hz = settings.grid.nominal_hz + sign * dead_band_hz
                values[f"{device}/{node}.HzStr.setMag.f"] = f"{start_hz:g}"
    return values
