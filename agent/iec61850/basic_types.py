"""Basic types of data attributes: the bTypes of SCL (IEC 61850-6 Ed. 2.1, 9.5.4.2, table 45)."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class BasicType(StrEnum):
    """The type of a DA or BDA as SCL writes it."""

    BOOLEAN = "BOOLEAN"
    INT8 = "INT8"
    INT16 = "INT16"
    INT24 = "INT24"
    INT32 = "INT32"
    INT64 = "INT64"
    INT128 = "INT128"
    INT8U = "INT8U"
    INT16U = "INT16U"
    INT24U = "INT24U"
    INT32U = "INT32U"
    INT64U = "INT64U"
    FLOAT32 = "FLOAT32"
    FLOAT64 = "FLOAT64"
    ENUM = "Enum"
    DBPOS = "Dbpos"
    TCMD = "Tcmd"
    QUALITY = "Quality"
    TIMESTAMP = "Timestamp"
    VIS_STRING_32 = "VisString32"
    VIS_STRING_64 = "VisString64"
    VIS_STRING_65 = "VisString65"
    VIS_STRING_129 = "VisString129"
    VIS_STRING_255 = "VisString255"
    OCTET_6 = "Octet6"
    OCTET_16 = "Octet16"
    OCTET_64 = "Octet64"
    STRUCT = "Struct"
    ENTRY_TIME = "EntryTime"
    UNICODE_255 = "Unicode255"
    CHECK = "Check"
    OBJ_REF = "ObjRef"
    CURRENCY = "Currency"
    PHY_COM_ADDR = "PhyComAddr"
    TRG_OPS = "TrgOps"
    OPT_FLDS = "OptFlds"
    SV_OPT_FLDS = "SvOptFlds"
    LOG_OPT_FLDS = "LogOptFlds"
    ENTRY_ID = "EntryID"


def _signed(bits: int) -> tuple[int, int]:
    return -(1 << bits - 1), (1 << bits - 1) - 1


INTEGER_RANGE: Final[dict[BasicType, tuple[int, int]]] = {
    BasicType.INT8: _signed(8),
    BasicType.INT16: _signed(16),
    BasicType.INT24: _signed(24),
    BasicType.INT32: _signed(32),
    BasicType.INT64: _signed(64),
    BasicType.INT128: _signed(128),
    BasicType.INT8U: (0, (1 << 8) - 1),
    BasicType.INT16U: (0, (1 << 16) - 1),
    BasicType.INT24U: (0, (1 << 24) - 1),
    BasicType.INT32U: (0, (1 << 32) - 1),
    BasicType.INT64U: (0, (1 << 64) - 1),
}
"""Least and greatest value of each integer type."""

STRING_LENGTH: Final[dict[BasicType, int]] = {
    BasicType.VIS_STRING_32: 32,
    BasicType.VIS_STRING_64: 64,
    BasicType.VIS_STRING_65: 65,
    BasicType.VIS_STRING_129: 129,
    BasicType.VIS_STRING_255: 255,
    BasicType.UNICODE_255: 255,
    BasicType.OBJ_REF: 129,
    BasicType.CURRENCY: 3,
}
"""Greatest number of characters of each string type."""

OCTET_LENGTH: Final[dict[BasicType, int]] = {
    BasicType.OCTET_6: 6,
    BasicType.OCTET_16: 16,
    BasicType.OCTET_64: 64,
    BasicType.PHY_COM_ADDR: 6,
    BasicType.ENTRY_ID: 8,
}
"""Greatest number of octets of each octet string type."""

FLOAT_TYPES: Final = frozenset({BasicType.FLOAT32, BasicType.FLOAT64})

DBPOS: Final[dict[str, int]] = {
    "intermediate-state": 0,
    "intermediate": 0,
    "off": 1,
    "on": 2,
    "bad-state": 3,
    "bad": 3,
}
"""Double point positions by the names that SCL files use (IEC 61850-7-3 Ed. 2.1, 6.13)."""

TCMD: Final[dict[str, int]] = {"stop": 0, "lower": 1, "higher": 2, "reserved": 3}
"""Tap commands by name (IEC 61850-7-3 Ed. 2.1, 6.14)."""


def basic_type(text: str) -> BasicType | None:
    """The basic type that SCL text names; ``VisString…`` spellings of old tools are known.

    Returns:
        None for text that is no basic type of any edition.
    """
    try:
        return BasicType(text)
    except ValueError:
        return _OLD_NAMES.get(text)


_OLD_NAMES: Final[dict[str, BasicType]] = {
    "VISIBLE-STRING32": BasicType.VIS_STRING_32,
    "VISIBLE-STRING64": BasicType.VIS_STRING_64,
    "VISIBLE-STRING65": BasicType.VIS_STRING_65,
    "VISIBLE-STRING129": BasicType.VIS_STRING_129,
    "VISIBLE-STRING255": BasicType.VIS_STRING_255,
    "OctetString": BasicType.OCTET_64,
    "ObjectReference": BasicType.OBJ_REF,
}
