"""The IED section of an SCL file as written (IEC 61850-6 Ed. 2.1, 9.3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from agent.scl.model_base import Private, Value
from agent.scl.model_control import (
    DataSet,
    ExtRef,
    GseControl,
    LogControl,
    ReportControl,
    SampledValueControl,
    SettingControl,
)

TEMPLATE_NAME: Final = "TEMPLATE"
"""The IED name of an ICD (IEC 61850-6 Ed. 2.1, 8.1)."""


class Instance(msgspec.Struct, frozen=True, gc=False):
    """A DOI, SDI or DAI: what an IED sets below a logical node.

    Attributes:
        tag: ``DOI``, ``SDI`` or ``DAI``.
        ix: Index of the array element it sets, or None.
        val_kind: Spec, Conf, RO or Set; empty where the template's kind holds.
    """

    tag: str
    name: str
    line: int
    ix: int | None = None
    s_addr: str = ""
    val_kind: str = ""
    val_import: bool | None = None
    values: tuple[Value, ...] = ()
    children: tuple[Instance, ...] = ()


class Ln(msgspec.Struct, frozen=True, gc=False):
    """A logical node of an IED: LN0 or LN."""

    ln_class: str
    line: int
    prefix: str = ""
    inst: str = ""
    ln_type: str = ""
    desc: str = ""
    instances: tuple[Instance, ...] = ()
    data_sets: tuple[DataSet, ...] = ()
    report_controls: tuple[ReportControl, ...] = ()
    gse_controls: tuple[GseControl, ...] = ()
    sv_controls: tuple[SampledValueControl, ...] = ()
    log_controls: tuple[LogControl, ...] = ()
    logs: tuple[str, ...] = ()
    setting_control: SettingControl | None = None
    ext_refs: tuple[ExtRef, ...] = ()
    privates: tuple[Private, ...] = ()

    @property
    def name(self) -> str:
        """Name as clients see it: prefix, class and instance number."""
        return self.prefix + self.ln_class + self.inst


class LDevice(msgspec.Struct, frozen=True, gc=False):
    """A logical device; ``ld_name`` replaces IED name and inst where it is given."""

    inst: str
    line: int
    ld_name: str = ""
    desc: str = ""
    nodes: tuple[Ln, ...] = ()
    privates: tuple[Private, ...] = ()

    @property
    def ln0(self) -> Ln | None:
        """LLN0, or None in the files that omit it."""
        return next((ln for ln in self.nodes if ln.ln_class == "LLN0"), None)


class Service(msgspec.Struct, frozen=True, gc=False):
    """One element of Services with its attributes, nested ones under a dotted name."""

    name: str
    attributes: Mapping[str, str]
    line: int
    text: str = ""


class AccessPoint(msgspec.Struct, frozen=True, gc=False):
    """An access point: a server, a link to another access point's server, or a client.

    Attributes:
        devices: Logical devices of its own Server.
        server_at: Name of the access point whose server it shares, or empty.
        nodes: Logical nodes of a client access point.
    """

    name: str
    line: int
    has_server: bool = False
    devices: tuple[LDevice, ...] = ()
    server_at: str = ""
    nodes: tuple[Ln, ...] = ()
    services: tuple[Service, ...] | None = None
    router: bool = False
    clock: bool = False


class Ied(msgspec.Struct, frozen=True, gc=False):
    """An IED.

    Attributes:
        services: Its Services, or None where the element is absent.
        complete: False for an outline: `read_scl(…, ieds=…)` reads from the other IEDs only
            what subscribers need (logical devices, nodes with their types, data sets, GOOSE and
            sampled value control blocks).
    """

    name: str
    line: int
    type: str = ""
    manufacturer: str = ""
    config_version: str = ""
    desc: str = ""
    original_scl_version: str = ""
    original_scl_revision: str = ""
    original_scl_release: str = ""
    services: tuple[Service, ...] | None = None
    access_points: tuple[AccessPoint, ...] = ()
    privates: tuple[Private, ...] = ()
    complete: bool = True

    def devices(self, access_point: str | None = None) -> tuple[LDevice, ...]:
        """Logical devices of one access point (ServerAt followed), or of all of them."""
        if access_point is None:
            return tuple(ld for ap in self.access_points for ld in ap.devices)
        points = {ap.name: ap for ap in self.access_points}
        point = points.get(access_point)
        if point is None:
            return ()
        if point.devices or not point.server_at:
            return point.devices
        shared = points.get(point.server_at)
        return shared.devices if shared else ()

    def domain(self, device: LDevice) -> str:
        """Name of a logical device as clients see it (IEC 61850-7-2 Ed. 2.1, 22.2)."""
        return device.ld_name or self.name + device.inst
