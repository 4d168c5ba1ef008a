"""Addresses: well-formed, unique, and belonging to something (IEC 61850-8-1 Ed. 2.1, annex C)."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator
from typing import Final, Literal

from agent.scl.check.context import Context, ln_path
from agent.scl.live import GooseBlock, SvBlock
from agent.scl.model_comm import CbAddress, ConnectedAp, SubNetwork
from agent.scl.model_ied import TEMPLATE_NAME, Ied
from agent.scl.stream import parse_hex, parse_mac

Kind = Literal["GSE", "SMV"]

_APP_ID: Final = re.compile(r"[0-9A-Fa-f]{4}", re.ASCII)
_VLAN_ID: Final = re.compile(r"[0-9A-Fa-f]{3}", re.ASCII)
_APP_ID_RANGE: Final = {"GSE": ((0x0000, 0x3FFF), (0x8000, 0xBFFF)), "SMV": ((0x4000, 0x7FFF),)}
_MAC_PREFIX: Final = {"GSE": bytes.fromhex("010ccd01"), "SMV": bytes.fromhex("010ccd04")}


def _connections(context: Context) -> Iterator[tuple[SubNetwork, ConnectedAp, str]]:
    for subnetwork in context.scl.subnetworks:
        for connected in subnetwork.connected:
            label = f"ConnectedAP[{connected.ied_name}.{connected.ap_name}]"
            yield subnetwork, connected, f"Communication/SubNetwork[{subnetwork.name}]/{label}"


def connections(context: Context) -> None:
    """A ConnectedAP names an access point, its addresses name control blocks."""
    for _, connected, path in _connections(context):
        ied = context.scl.ied(connected.ied_name)
        if ied is None:
            what = f"IED {connected.ied_name!r} does not exist"
            context.error("comm.no-ied", connected.line, path, what, "remove the connection")
            continue
        if all(point.name != connected.ap_name for point in ied.access_points):
            what = f"IED {ied.name!r} has no access point {connected.ap_name!r}"
            context.error("comm.no-access-point", connected.line, path, what)
        _ip(context, connected, path)
        for gse in connected.gse:
            _control_address(context, ied, gse, "GSE", path)
        for smv in connected.smv:
            _control_address(context, ied, smv, "SMV", path)


def _ip(context: Context, connected: ConnectedAp, path: str) -> None:
    if connected.address is None:
        return
    for name in ("IP", "IP-GATEWAY"):
        text = connected.address.get(name)
        if not text:
            continue
        try:
            ipaddress.ip_address(text)
        except ValueError:
            what = f"{name} {text!r} is not an IP address"
            context.error("comm.bad-ip", connected.address.line, path, what)


def _control_address(
    context: Context, ied: Ied, address: CbAddress, kind: Kind, parent: str
) -> None:
    path = f"{parent}/{kind}[{address.ld_inst}.{address.cb_name}]"
    names = {
        (device.inst, control.name)
        for device in ied.devices()
        for ln in device.nodes
        for control in (ln.gse_controls if kind == "GSE" else ln.sv_controls)
    }
    if (address.ld_inst, address.cb_name) not in names:
        what = f"IED {ied.name!r} has no such control block"
        hint = "remove the address or correct its names"
        context.error("comm.no-control-block", address.line, path, what, hint)
    _mac(context, address, kind, path)
    _app_id(context, address, kind, path)
    _vlan(context, address, path)
    least, greatest = address.min_time_ms, address.max_time_ms
    if least is not None and greatest is not None and least > greatest:
        what = f"MinTime {least} ms is greater than MaxTime {greatest} ms"
        context.error("comm.times", address.line, path, what)


def _mac(context: Context, address: CbAddress, kind: Kind, path: str) -> None:
    text = address.address.get("MAC-Address")
    mac = parse_mac(text)
    if mac is None:
        what = f"MAC-Address {text!r} is not six octets" if text else "there is no MAC-Address"
        context.error("comm.bad-mac", address.line, path, what, "write it as 01-0C-CD-01-00-01")
    elif not mac[0] & 1:
        what = f"MAC-Address {text} is not a multicast address"
        context.error("comm.bad-mac", address.line, path, what)
    elif mac[:4] != _MAC_PREFIX[kind]:
        what = f"MAC-Address {text} is outside the range of the standard"
        hint = f"{_MAC_PREFIX[kind].hex('-').upper()}-00-00 to -01-FF"
        context.info("comm.mac-range", address.line, path, what, hint)


def _app_id(context: Context, address: CbAddress, kind: Kind, path: str) -> None:
    text = address.address.get("APPID")
    app_id = parse_hex(text, 0xFFFF)
    if app_id is None:
        what = f"APPID {text!r} is not a number of 16 bits" if text else "there is no APPID"
        context.error("comm.bad-appid", address.line, path, what, "write four hexadecimal digits")
        return
    if not _APP_ID.fullmatch(text):
        what = f"APPID {text!r} has not four digits"
        context.warning("comm.appid-format", address.line, path, what, f"write {app_id:04X}")
    if not any(least <= app_id <= greatest for least, greatest in _APP_ID_RANGE[kind]):
        what = f"APPID {text} is outside the range of {'GOOSE' if kind == 'GSE' else 'SV'}"
        context.warning("comm.appid-range", address.line, path, what)


def _vlan(context: Context, address: CbAddress, path: str) -> None:
    vlan = address.address.get("VLAN-ID")
    if vlan and parse_hex(vlan, 0xFFF) is None:
        what = f"VLAN-ID {vlan!r} is not a number of 12 bits"
        context.error("comm.bad-vlan", address.line, path, what, "write three hexadecimal digits")
    elif vlan and not _VLAN_ID.fullmatch(vlan):
        what = f"VLAN-ID {vlan!r} has not three digits; it is read as hexadecimal"
        hint = f"write {int(vlan, 16):03X}"
        context.warning("comm.vlan-format", address.line, path, what, hint)
    priority = address.address.get("VLAN-PRIORITY")
    if priority and priority not in tuple("01234567"):
        what = f"VLAN-PRIORITY {priority!r} is not 0 to 7"
        context.error("comm.bad-vlan-priority", address.line, path, what)


def control_block_addresses(context: Context) -> None:
    """A GOOSE or sampled value control block with a data set has an address to send to."""
    for ied, device, node in context.nodes():
        if ied.name == TEMPLATE_NAME:
            continue  # An ICD has no Communication: the system configurator gives the address.
        path = ln_path(ied, device, node)
        blocks: tuple[GooseBlock | SvBlock, ...] = (*node.gooses, *node.sampled_values)
        for block in blocks:
            if block.data_set is not None and block.address is None:
                what = f"control block {block.control.name!r} has no address in Communication"
                line = block.control.line
                context.warning("comm.no-address", line, path, what, "add a GSE or SMV")


def unique_addresses(context: Context) -> None:
    """IP addresses are unique in a subnetwork; so are APPID and MAC address of streams."""
    seen_ip: dict[tuple[str, str], str] = {}
    seen_stream: dict[tuple[str, str, int], str] = {}
    for subnetwork, connected, path in _connections(context):
        owner = f"{connected.ied_name}.{connected.ap_name}"
        ip = "" if connected.address is None else connected.address.get("IP")
        if ip and ip != "0.0.0.0":  # noqa: S104 - the placeholder of configuration tools
            first = seen_ip.setdefault((subnetwork.name, ip), owner)
            if first != owner:
                what = f"IP {ip} is also the address of {first}"
                context.error("comm.duplicate-ip", connected.line, path, what)
        streams = [("GSE", gse) for gse in connected.gse]
        streams += [("SMV", smv) for smv in connected.smv]
        for kind, address in streams:
            app_id = parse_hex(address.address.get("APPID"), 0xFFFF)
            mac = parse_mac(address.address.get("MAC-Address"))
            if app_id is None or mac is None:
                continue
            name = f"{owner}.{address.ld_inst}.{address.cb_name}"
            first = seen_stream.setdefault((subnetwork.name, mac.hex("-"), app_id), name)
            if first != name:
                what = f"{kind} has the MAC address and APPID {app_id:04X} of {first}"
                hint = "give each its own APPID"
                context.warning("comm.duplicate-appid", address.line, path, what, hint)
