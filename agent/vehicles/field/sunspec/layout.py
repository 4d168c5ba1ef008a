"""SunSpec model definitions → where each point of one device lies.

The definitions are the published JSON files of the SunSpec Alliance, as the package `pysunspec2`
carries them. A group may repeat; how often, the device says in another of its points, so a layout
exists only together with the registers of a device.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final

from agent.vehicles.field.registers import SIZES, Encoding, Kind

_KINDS: Final = {
    "int16": (Kind.INT16, 0x8000),
    "uint16": (Kind.UINT16, 0xFFFF),
    "int32": (Kind.INT32, 0x8000_0000),
    "uint32": (Kind.UINT32, 0xFFFF_FFFF),
    "int64": (Kind.INT64, 0x8000_0000_0000_0000),
    "uint64": (Kind.UINT64, 0xFFFF_FFFF_FFFF_FFFF),
    "acc16": (Kind.UINT16, 0),
    "acc32": (Kind.UINT32, 0),
    "acc64": (Kind.UINT64, 0),
    "float32": (Kind.FLOAT32, None),
    "float64": (Kind.FLOAT64, None),
    "enum16": (Kind.UINT16, 0xFFFF),
    "enum32": (Kind.UINT32, 0xFFFF_FFFF),
    "bitfield16": (Kind.UINT16, 0xFFFF),
    "bitfield32": (Kind.UINT32, 0xFFFF_FFFF),
    "bitfield64": (Kind.UINT64, 0xFFFF_FFFF_FFFF_FFFF),
    "sunssf": (Kind.INT16, 0x8000),
    "count": (Kind.UINT16, 0xFFFF),
    "raw16": (Kind.UINT16, None),
    "pad": (Kind.UINT16, 0x8000),
    "string": (Kind.STRING, None),
}
"""Types of the SunSpec Information Model, and the value that means "not implemented"."""
MAX_REPEAT: Final = 100
"""Groups of one kind that are looked at; a device that claims more is lying."""


@dataclass(frozen=True, slots=True)
class Point:
    """One point of one device.

    Attributes:
        name: As in the definition, groups in front: ``WSet``, ``PFWInj.PF``, ``Ctl[0].DbOf``.
        offset: Registers from the model's ID register.
        encoding: How it lies in its registers.
        scale: Name of the point that holds its power of ten; empty for none.
        power: Fixed power of ten.
        writable: The definition allows writing.
        symbols: Names of the values of an enumeration, or of the bits of a bit field.
    """

    name: str
    offset: int
    encoding: Encoding
    scale: str
    power: int
    writable: bool
    symbols: Mapping[int, str]


@functools.cache
def definition(model_id: int) -> Mapping[str, Any] | None:
    """Return the published definition of a model; None for one that is not known."""
    file = files("sunspec2") / "models" / "json" / f"model_{model_id}.json"
    if not file.is_file():
        return None
    document: Mapping[str, Any] = json.loads(file.read_text())
    return document


def lay_out(model: Mapping[str, Any], registers: Sequence[int]) -> dict[str, Point]:
    """Return the points that a device with these registers has, by name.

    Args:
        model: A definition.
        registers: The whole model as read, from its ID register on. What the definition has
            beyond their end does not exist in this device (an older edition of the model).
    """
    found: dict[str, Point] = {}
    for point in _walk(model["group"], "", 0, registers, found):
        if point.offset + point.encoding.size <= len(registers):
            found[point.name] = point
    return found


def _walk(
    group: Mapping[str, Any],
    prefix: str,
    offset: int,
    registers: Sequence[int],
    found: Mapping[str, Point],
) -> Iterator[Point]:
    """Yield the points of one instance of a group; `found` grows with what was yielded."""
    for each in group.get("points", ()):
        point = _point(each, prefix, offset)
        yield point
        offset = point.offset + point.encoding.size
    for each in group.get("groups", ()):
        times = _times(each, registers, found)
        for number in range(times):
            name = f"{prefix}{each['name']}" + (f"[{number}]" if "count" in each else "")
            inner = None
            for inner in _walk(each, f"{name}.", offset, registers, found):
                yield inner
            if inner is not None:
                offset = inner.offset + inner.encoding.size
            if offset >= len(registers):
                return


def _times(group: Mapping[str, Any], registers: Sequence[int], found: Mapping[str, Point]) -> int:
    count = group.get("count", 1)
    if isinstance(count, int):
        return count if count else MAX_REPEAT
    point = found.get(count)
    if point is None:
        return 0
    value = point.encoding.decode(registers[point.offset : point.offset + point.encoding.size])
    return min(int(value), MAX_REPEAT) if isinstance(value, int) else 0


def _point(each: Mapping[str, Any], prefix: str, offset: int) -> Point:
    kind, absent = _KINDS.get(each["type"], (Kind.STRING, None))
    size = int(each["size"]) if kind is Kind.STRING or kind not in SIZES else SIZES[kind]
    scale = each.get("sf", "")
    symbols = {int(s["value"]): str(s["name"]) for s in each.get("symbols", ())}
    return Point(
        name=f"{prefix}{each['name']}",
        offset=offset,
        encoding=Encoding(kind, size, "big", absent),
        scale=scale if isinstance(scale, str) else "",
        power=scale if isinstance(scale, int) else 0,
        writable=each.get("access") == "RW",
        symbols=symbols,
    )
