"""MmsValue objects of the library ↔ values of the port."""

from __future__ import annotations

import ctypes
from typing import Final

from agent.iec61850 import BasicType, Quality, Timestamp
from agent.iec61850.basic_types import FLOAT_TYPES, INTEGER_RANGE, OCTET_LENGTH, STRING_LENGTH
from agent.ied.engines.libiec61850.library import Library
from agent.ied.port import Native, number, whole
from agent.ied.values import BITS

Handle = int
TYPE_CODE: Final[dict[BasicType, int]] = {
    BasicType.BOOLEAN: 0,
    BasicType.INT8: 1,
    BasicType.INT16: 2,
    BasicType.INT24: 3,
    BasicType.INT32: 3,
    BasicType.INT64: 4,
    BasicType.INT128: 4,
    BasicType.INT8U: 6,
    BasicType.INT16U: 7,
    BasicType.INT24U: 8,
    BasicType.INT32U: 9,
    BasicType.INT64U: 9,
    BasicType.FLOAT32: 10,
    BasicType.FLOAT64: 11,
    BasicType.ENUM: 12,
    BasicType.OCTET_64: 13,
    BasicType.OCTET_16: 13,
    BasicType.OCTET_6: 14,
    BasicType.ENTRY_ID: 15,
    BasicType.VIS_STRING_32: 16,
    BasicType.VIS_STRING_64: 17,
    BasicType.VIS_STRING_65: 18,
    BasicType.VIS_STRING_129: 19,
    BasicType.OBJ_REF: 19,
    BasicType.VIS_STRING_255: 20,
    BasicType.UNICODE_255: 21,
    BasicType.TIMESTAMP: 22,
    BasicType.QUALITY: 23,
    BasicType.CHECK: 24,
    BasicType.DBPOS: 25,
    BasicType.TCMD: 25,
    BasicType.SV_OPT_FLDS: 26,
    BasicType.LOG_OPT_FLDS: 26,
    BasicType.STRUCT: 27,
    BasicType.ENTRY_TIME: 28,
    BasicType.PHY_COM_ADDR: 29,
    BasicType.CURRENCY: 30,
    BasicType.OPT_FLDS: 31,
    BasicType.TRG_OPS: 32,
}
"""DataAttributeType of the library."""
_CODED: Final = frozenset({BasicType.DBPOS, BasicType.TCMD})
_STRUCTURE: Final = 1


class Values:
    """Creates and reads MmsValue objects."""

    def __init__(self, library: Library) -> None:
        self._lib = library

    def make(self, kind: BasicType, value: Native) -> Handle:
        """A new MmsValue; the caller deletes it."""
        lib = self._lib
        if isinstance(value, Quality):
            handle = lib.MmsValue_newBitString(BITS[BasicType.QUALITY])
            lib.MmsValue_setBitStringFromInteger(handle, _swap(value.to_word()))
        elif isinstance(value, Timestamp):
            handle = lib.MmsValue_newUtcTime(0)
            lib.MmsValue_setUtcTimeByBuffer(handle, value.to_octets())
        elif kind is BasicType.BOOLEAN:
            handle = lib.MmsValue_newBoolean(bool(value))
        elif kind in FLOAT_TYPES:
            is_double = kind is BasicType.FLOAT64
            create = lib.MmsValue_newDouble if is_double else lib.MmsValue_newFloat
            handle = create(number(value))
        elif kind in BITS:
            handle = lib.MmsValue_newBitString(BITS[kind])
            coded = kind in _CODED
            name = "MmsValue_setBitStringFromInteger" + ("BigEndian" if coded else "")
            getattr(lib, name)(handle, whole(value))
        else:
            handle = self._make_plain(kind, value)
        return int(handle)

    def _make_plain(self, kind: BasicType, value: Native) -> Handle:
        lib = self._lib
        if isinstance(value, bytes):
            if kind is BasicType.ENTRY_TIME:
                return int(lib.MmsValue_newBinaryTime(False))
            handle = lib.MmsValue_newOctetString(0, OCTET_LENGTH[kind])
            lib.MmsValue_setOctetString(handle, value, len(value))
            return int(handle)
        if isinstance(value, str):
            octets = value.encode("utf-8" if kind is BasicType.UNICODE_255 else "ascii", "replace")
            is_unicode = kind is BasicType.UNICODE_255
            create = lib.MmsValue_newMmsString if is_unicode else lib.MmsValue_newVisibleString
            return int(create(octets))
        if kind.endswith("U"):
            return int(lib.MmsValue_newUnsignedFromUint32(whole(value)))
        if kind in (BasicType.INT64, BasicType.INT128):
            return int(lib.MmsValue_newIntegerFromInt64(whole(value)))
        return int(lib.MmsValue_newIntegerFromInt32(whole(value)))

    def read(self, kind: BasicType, handle: Handle) -> Native:
        """The value of an MmsValue of that type."""
        lib = self._lib
        if kind is BasicType.BOOLEAN:
            return bool(lib.MmsValue_getBoolean(handle))
        if kind is BasicType.FLOAT32:
            return float(lib.MmsValue_toFloat(handle))
        if kind is BasicType.FLOAT64:
            return float(lib.MmsValue_toDouble(handle))
        if kind is BasicType.QUALITY:
            return Quality.from_word(_swap(lib.MmsValue_getBitStringAsInteger(handle)))
        if kind in BITS:
            name = "MmsValue_getBitStringAsInteger" + ("BigEndian" if kind in _CODED else "")
            return int(getattr(lib, name)(handle))
        if kind is BasicType.TIMESTAMP:
            address = lib.MmsValue_getUtcTimeBuffer(handle)
            return Timestamp.from_octets(ctypes.string_at(address, 8))
        if kind in STRING_LENGTH:
            return (lib.MmsValue_toString(handle) or b"").decode("utf-8", "replace")
        if kind in INTEGER_RANGE or kind is BasicType.ENUM:
            return int(lib.MmsValue_toInt64(handle))
        if kind is BasicType.ENTRY_TIME:
            return bytes(6)
        size = lib.MmsValue_getOctetStringSize(handle)
        return ctypes.string_at(lib.MmsValue_getOctetStringBuffer(handle), size)

    def control_value(self, kind: BasicType, handle: Handle | None) -> Native | None:
        """CtlVal of a control: a leaf, or the one number of an AnalogueValue."""
        if not handle:
            return None
        if self._lib.MmsValue_getType(handle) == _STRUCTURE:
            handle = self._lib.MmsValue_getElement(handle, 0)
        return self.read(kind, handle) if handle else None


def _swap(word: int) -> int:
    """Quality's validity is a two-bit code written first bit first: swap its bits."""
    return (word & 1) << 1 | (word >> 1 & 1) | (word & ~3)
