"""Writes an IED."""

from __future__ import annotations

from lxml import etree

from agent.scl.model_base import Private
from agent.scl.model_ied import AccessPoint, Ied, Instance, LDevice, Ln, Service
from agent.scl.write_control import (
    write_data_set,
    write_gse_control,
    write_inputs,
    write_log_control,
    write_report_control,
    write_sv_control,
)
from agent.scl.write_types import write_values
from agent.scl.xml import add, flag, number


def write_ied(root: etree._Element, ied: Ied) -> None:
    """An IED with its access points."""
    element = add(
        root,
        "IED",
        name=ied.name,
        desc=ied.desc,
        type=ied.type,
        manufacturer=ied.manufacturer,
        configVersion=ied.config_version,
        originalSclVersion=ied.original_scl_version,
        originalSclRevision=ied.original_scl_revision,
        originalSclRelease=ied.original_scl_release,
    )
    _privates(element, ied.privates)
    _services(element, ied.services)
    for point in ied.access_points:
        _access_point(element, point)


def _privates(parent: etree._Element, privates: tuple[Private, ...]) -> None:
    for private in privates:
        parent.append(etree.fromstring(private.xml))


def _services(parent: etree._Element, services: tuple[Service, ...] | None) -> None:
    if services is None:
        return
    made: dict[str, etree._Element] = {"": parent}
    for service in services:
        owner, _, tag = service.name.rpartition(".")
        if service.name != "Services" and not owner:
            owner = "Services"
        element = add(made[owner if service.name != "Services" else ""], tag)
        for key, value in service.attributes.items():
            element.set(key, value)
        element.text = service.text or None
        made[service.name] = element


def _access_point(parent: etree._Element, point: AccessPoint) -> None:
    element = add(
        parent,
        "AccessPoint",
        name=point.name,
        router=flag(point.router, False),
        clock=flag(point.clock, False),
    )
    if point.has_server:
        server = add(element, "Server")
        add(server, "Authentication")
        for device in point.devices:
            _device(server, device)
    elif point.server_at:
        add(element, "ServerAt", apName=point.server_at)
    for node in point.nodes:
        _node(element, node)
    _services(element, point.services)


def _device(server: etree._Element, device: LDevice) -> None:
    element = add(server, "LDevice", inst=device.inst, ldName=device.ld_name, desc=device.desc)
    _privates(element, device.privates)
    for node in device.nodes:
        _node(element, node)


def _node(parent: etree._Element, ln: Ln) -> None:
    is_ln0 = ln.ln_class == "LLN0"
    element = add(
        parent,
        "LN0" if is_ln0 else "LN",
        ("inst",),
        desc=ln.desc,
        prefix=ln.prefix,
        lnClass=ln.ln_class,
        inst=ln.inst,
        lnType=ln.ln_type,
    )
    _privates(element, ln.privates)
    for data_set in ln.data_sets:
        write_data_set(element, data_set)
    for report in ln.report_controls:
        write_report_control(element, report)
    for log_control in ln.log_controls:
        write_log_control(element, log_control)
    for instance in ln.instances:
        _instance(element, instance)
    if ln.ext_refs:
        write_inputs(element, ln.ext_refs)
    for log in ln.logs:
        add(element, "Log", name=log)
    for gse in ln.gse_controls:
        write_gse_control(element, gse)
    for sv in ln.sv_controls:
        write_sv_control(element, sv)
    if ln.setting_control is not None:
        setting = ln.setting_control
        add(
            element,
            "SettingControl",
            numOfSGs=str(setting.num_of_sgs),
            actSG=number(setting.act_sg, 1),
            resvTms=number(setting.resv_tms),
        )


def _instance(parent: etree._Element, instance: Instance) -> None:
    val_import = instance.val_import
    element = add(
        parent,
        instance.tag,
        name=instance.name,
        ix=number(instance.ix),
        sAddr=instance.s_addr,
        valKind=instance.val_kind,
        valImport=None if val_import is None else flag(val_import, not val_import),
    )
    write_values(element, instance.values)
    for child in instance.children:
        _instance(element, child)
