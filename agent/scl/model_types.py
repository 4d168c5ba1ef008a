"""DataTypeTemplates of an SCL file as written (IEC 61850-6 Ed. 2.1, 9.5)."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from agent.scl.model_base import Value


class DoDef(msgspec.Struct, frozen=True, gc=False):
    """A DO of an LNodeType."""

    name: str
    type: str
    line: int
    transient: bool = False
    access_control: str = ""


class SdoDef(msgspec.Struct, frozen=True, gc=False):
    """An SDO of a DOType; count is text because it may name an attribute."""

    name: str
    type: str
    line: int
    count: str = ""


class DaDef(msgspec.Struct, frozen=True, gc=False):
    """A DA of a DOType, or a BDA of a DAType (then ``fc`` is empty)."""

    name: str
    b_type: str
    line: int
    type: str = ""
    fc: str = ""
    count: str = ""
    dchg: bool = False
    qchg: bool = False
    dupd: bool = False
    s_addr: str = ""
    val_kind: str = "Set"
    val_import: bool = False
    values: tuple[Value, ...] = ()


class LNodeType(msgspec.Struct, frozen=True, gc=False):
    """A logical node type."""

    id: str
    ln_class: str
    line: int
    objects: tuple[DoDef, ...] = ()


class DoType(msgspec.Struct, frozen=True, gc=False):
    """A data object type: its SDO and DA in the order of the file."""

    id: str
    cdc: str
    line: int
    children: tuple[SdoDef | DaDef, ...] = ()


class DaType(msgspec.Struct, frozen=True, gc=False):
    """A structured attribute type."""

    id: str
    line: int
    children: tuple[DaDef, ...] = ()


class EnumType(msgspec.Struct, frozen=True, gc=False):
    """An enumeration; ``values`` maps text to ordinal, the first of a repeated text wins."""

    id: str
    line: int
    values: Mapping[str, int]

    @property
    def ordinals(self) -> frozenset[int]:
        """Every ordinal of the enumeration."""
        return frozenset(self.values.values())


class DataTypeTemplates(msgspec.Struct, frozen=True, gc=False):
    """The types of the file by id."""

    ln_types: Mapping[str, LNodeType]
    do_types: Mapping[str, DoType]
    da_types: Mapping[str, DaType]
    enum_types: Mapping[str, EnumType]


NO_TYPES = DataTypeTemplates({}, {}, {}, {})
