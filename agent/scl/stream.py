"""A published stream: everything a subscriber of GOOSE or sampled values needs to know."""

from __future__ import annotations

import re
from typing import Literal

import msgspec
from msgspec.structs import replace

from agent.iec61850 import BasicType, ObjectReference
from agent.iec61850.basic_types import FLOAT_TYPES, INTEGER_RANGE
from agent.scl.live import (
    DataAttribute,
    DataObject,
    GooseBlock,
    IedModel,
    LogicalNode,
    Member,
    Node,
    SvBlock,
)
from agent.scl.model_comm import CbAddress
from agent.scl.model_control import GseControl, SmvOpts
from agent.scl.model_types import EnumType
from agent.scl.references import data_set_name, mms_name
from agent.scl.values import initial

_HEX = re.compile(r"[0-9A-Fa-f]{1,8}", re.ASCII)


class StreamAddress(msgspec.Struct, frozen=True):
    """Where a stream is sent.

    Attributes:
        mac: Destination, six octets.
        app_id: APPID of the Ethertype header.
        vlan_id: VLAN, 0 for priority tagging only.
        vlan_priority: 0 to 7.
        min_time_ms: First repetition interval of GOOSE, or None.
        max_time_ms: Heartbeat of GOOSE, or None.
    """

    mac: bytes
    app_id: int
    vlan_id: int = 0
    vlan_priority: int = 4
    min_time_ms: int | None = None
    max_time_ms: int | None = None


class StreamValue(msgspec.Struct, frozen=True):
    """One basic value of a stream, in the order of the wire.

    Attributes:
        member: Index of the data set member it belongs to (an entry of GOOSE allData).
        reference: What it is, with its constraint.
        count: Number of array elements, 0 for a single value.
        scale_factor: Value per unit of an integer (sVC), None where the file gives none.
        offset: Added after scaling.
        unit: SI unit ordinal (enumeration SIUnitKind), None where the file gives none.
        multiplier: Power of ten of the unit.
    """

    member: int
    reference: ObjectReference
    b_type: BasicType
    enum: EnumType | None = None
    count: int = 0
    scale_factor: float | None = None
    offset: float = 0.0
    unit: int | None = None
    multiplier: int = 0


class Stream(msgspec.Struct, frozen=True):
    """A GOOSE or sampled value control block as its subscribers see it.

    Attributes:
        kind: ``GOOSE`` or ``SMV``.
        id: goID or svID that messages carry; the reference where the file leaves goID empty.
        cb_reference: gocbRef or reference of the control block, ``MU1LD0/LLN0$MS$MSVCB01``.
        data_set: datSet that messages carry, ``MU1LD0/LLN0$PhsMeas1``; empty without one.
        address: None where Communication has none or an unusable one.
        members: Number of data set members.
        complete: Whether every member was resolved; else the layout is not known.
        smp_rate: Samples, as smp_mod says; 0 for GOOSE.
        nof_asdu: ASDUs in a message; 0 for GOOSE.
    """

    kind: Literal["GOOSE", "SMV"]
    publisher: str
    reference: ObjectReference
    id: str
    conf_rev: int
    cb_reference: str
    data_set: str
    address: StreamAddress | None
    values: tuple[StreamValue, ...]
    members: int
    complete: bool
    line: int
    fixed_offs: bool = False
    smp_rate: int = 0
    smp_mod: str = ""
    nof_asdu: int = 0
    multicast: bool = True
    opts: SmvOpts | None = None


def stream_of(publisher: IedModel, block: GooseBlock | SvBlock) -> Stream:
    """The stream of a control block of an expanded publisher."""
    data_set = block.data_set
    members = () if data_set is None else data_set.members
    cb_reference = mms_name(block.reference)
    stream = Stream(
        kind="GOOSE" if isinstance(block, GooseBlock) else "SMV",
        publisher=publisher.ied_name,
        reference=block.reference,
        id="",
        conf_rev=block.control.conf_rev,
        cb_reference=cb_reference,
        data_set="" if data_set is None else data_set_name(data_set.reference),
        address=stream_address(block.address),
        values=tuple(
            value
            for index, member in enumerate(members)
            for value in _values(publisher, index, member)
        ),
        members=len(members),
        complete=bool(members) and all(member.node is not None for member in members),
        line=block.control.line,
    )
    control = block.control
    if isinstance(control, GseControl):
        return replace(stream, id=control.app_id or cb_reference, fixed_offs=control.fixed_offs)
    return replace(
        stream,
        id=control.smv_id,
        smp_rate=control.smp_rate,
        smp_mod=control.smp_mod,
        nof_asdu=control.nof_asdu,
        multicast=control.multicast,
        opts=control.opts,
    )


def stream_address(address: CbAddress | None) -> StreamAddress | None:
    """The address of GSE or SMV parameters; None without a MAC address and APPID that are one."""
    if address is None:
        return None
    mac = parse_mac(address.address.get("MAC-Address"))
    app_id = parse_hex(address.address.get("APPID"), 0xFFFF)
    if mac is None or app_id is None:
        return None
    priority = address.address.get("VLAN-PRIORITY")
    return StreamAddress(
        mac,
        app_id,
        parse_hex(address.address.get("VLAN-ID"), 0xFFF) or 0,
        int(priority) if priority in tuple("01234567") else 4,
        address.min_time_ms,
        address.max_time_ms,
    )


def parse_mac(text: str) -> bytes | None:
    """Six octets of ``01-0C-CD-04-00-01`` (or with colons), None for anything else."""
    digits = text.replace(":", "-").split("-")
    if len(digits) != 6 or not all(len(d) == 2 and _HEX.fullmatch(d) for d in digits):
        return None
    return bytes.fromhex("".join(digits))


def parse_hex(text: str, greatest: int) -> int | None:
    """A hexadecimal parameter (APPID, VLAN-ID), None where it is none or too large."""
    if not _HEX.fullmatch(text) or int(text, 16) > greatest:
        return None
    return int(text, 16)


def _values(publisher: IedModel, index: int, member: Member) -> tuple[StreamValue, ...]:
    device = publisher.device(member.reference.ld)
    node = None if device is None else device.node(member.reference.ln)
    values: list[StreamValue] = []
    for reference, leaf in member.leaves:
        owner = None if node is None else _owner(node, reference.path)
        scale_factor, offset = _scale(owner, reference.path)
        is_number = leaf.b_type in INTEGER_RANGE or leaf.b_type in FLOAT_TYPES
        unit, multiplier = _unit(owner) if is_number else (None, 0)
        values.append(
            StreamValue(
                index,
                reference,
                leaf.b_type,
                leaf.enum,
                leaf.count,
                scale_factor,
                offset,
                unit,
                multiplier,
            )
        )
    return tuple(values)


def _owner(node: LogicalNode, path: tuple[str, ...]) -> DataObject | None:
    """The innermost data object on a path, whose configuration attributes apply."""
    found: Node | None = node.object(path[0])
    owner = found
    for name in path[1:]:
        if not isinstance(found, DataObject):
            break
        owner, found = found, found.child(name)
    return owner if isinstance(owner, DataObject) else None


def _scale(owner: DataObject | None, path: tuple[str, ...]) -> tuple[float | None, float]:
    """Scale factor and offset of an integer analogue value (IEC 61850-7-3 Ed. 2.1, 6.5)."""
    if owner is None or path[-1] != "i":
        return None, 0.0
    complex_part = {"mag": "magSVC", "ang": "angSVC"}.get(path[-2])
    config = owner.child("sVC") or owner.child(complex_part or "")
    if not isinstance(config, DataAttribute):
        return None, 0.0
    return _number(config, "scaleFactor"), _number(config, "offset") or 0.0


def _unit(owner: DataObject | None) -> tuple[int | None, int]:
    units = None if owner is None else owner.child("units")
    if not isinstance(units, DataAttribute):
        return None, 0
    si_unit, multiplier = _number(units, "SIUnit"), _number(units, "multiplier")
    return (None if si_unit is None else int(si_unit)), int(multiplier or 0)


def _number(structure: DataAttribute, name: str) -> float | None:
    member = structure.child(name)
    value = None if member is None else initial(member)
    return float(value) if isinstance(value, int | float) else None
