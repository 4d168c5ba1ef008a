"""libiec61850's client functions, by ctypes from the pyiec61850-ng wheel."""

from __future__ import annotations

import ctypes
import functools
import sysconfig
from ctypes import CFUNCTYPE, POINTER, c_bool, c_char_p, c_int, c_uint32, c_void_p
from pathlib import Path
from typing import Any

import pytest


class _LastApplError(ctypes.Structure):
    _fields_ = [("ctl_num", c_int), ("error", c_int), ("add_cause", c_int)]


REPORT_HANDLER = CFUNCTYPE(None, c_void_p, c_void_p)
TERMINATION_HANDLER = CFUNCTYPE(None, c_void_p, c_void_p)
FILE_HANDLER = CFUNCTYPE(c_bool, c_void_p, c_void_p, c_uint32)
"""(parameter, octets, count) → go on."""


@functools.cache
def library() -> Any:
    """The loaded library; skips the test where the extra is not installed."""
    folder = Path(sysconfig.get_paths()["platlib"]) / "pyiec61850_ng.libs"
    found = sorted(folder.glob("libiec61850-*.so*"))
    if not found:
        pytest.skip("the libiec61850 extra is not installed")
    lib = ctypes.CDLL(str(found[0]))
    p, s, e = c_void_p, c_char_p, POINTER(c_int)
    for name, result, *arguments in (
        ("IedConnection_create", p),
        ("IedConnection_destroy", None, p),
        ("IedConnection_setConnectTimeout", None, p, c_uint32),
        ("IedConnection_setRequestTimeout", None, p, c_uint32),
        ("IedConnection_connect", None, p, e, s, c_int),
        ("IedConnection_abort", None, p, e),
        ("IedConnection_close", None, p),
        ("IedConnection_getState", c_int, p),
        ("IedConnection_getMmsConnection", p, p),
        ("IedConnection_getLogicalDeviceList", p, p, e),
        ("IedConnection_getDataSetDirectory", p, p, e, s, p),
        ("IedConnection_installReportHandler", None, p, s, s, REPORT_HANDLER, p),
        ("IedConnection_getFileDirectory", p, p, e, s),
        ("IedConnection_getFile", c_uint32, p, e, s, FILE_HANDLER, p),
        ("IedConnection_deleteFile", None, p, e, s),
        ("MmsConnection_getDomainVariableNames", p, p, e, s),
        ("MmsConnection_getDomainVariableListNames", p, p, e, s),
        ("MmsConnection_readVariable", p, p, e, s, s),
        ("MmsConnection_writeVariable", c_int, p, e, s, s, p),
        ("ClientReport_getDataSetValues", p, p),
        ("ClientReport_getReasonForInclusion", c_int, p, c_int),
        ("ClientReport_getEntryId", p, p),
        ("ClientReport_getRptId", s, p),
        ("ClientReport_getSeqNum", c_int, p),
        ("ClientReport_getBufOvfl", c_bool, p),
        ("ControlObjectClient_create", p, s, p),
        ("ControlObjectClient_destroy", None, p),
        ("ControlObjectClient_select", c_bool, p),
        ("ControlObjectClient_selectWithValue", c_bool, p, p),
        ("ControlObjectClient_operate", c_bool, p, p, ctypes.c_uint64),
        ("ControlObjectClient_cancel", c_bool, p),
        ("ControlObjectClient_getLastApplError", _LastApplError, p),
        ("ControlObjectClient_setOrigin", None, p, s, c_int),
        ("ControlObjectClient_setTestMode", None, p, c_bool),
        ("ControlObjectClient_setCommandTerminationHandler", None, p, TERMINATION_HANDLER, p),
        ("MmsValue_getType", c_int, p),
        ("MmsValue_getArraySize", c_uint32, p),
        ("MmsValue_getElement", p, p, c_int),
        ("MmsValue_getBoolean", c_bool, p),
        ("MmsValue_getBitStringSize", c_int, p),
        ("MmsValue_getBitStringBit", c_bool, p, c_int),
        ("MmsValue_toInt64", ctypes.c_int64, p),
        ("MmsValue_toFloat", ctypes.c_float, p),
        ("MmsValue_toString", s, p),
        ("MmsValue_getOctetStringSize", ctypes.c_uint16, p),
        ("MmsValue_getOctetStringBuffer", p, p),
        ("MmsValue_getUtcTimeInMs", ctypes.c_uint64, p),
        ("MmsValue_getDataAccessError", c_int, p),
        ("MmsValue_newBoolean", p, c_bool),
        ("MmsValue_newIntegerFromInt32", p, c_int),
        ("MmsValue_newUnsignedFromUint32", p, c_uint32),
        ("MmsValue_newFloat", p, ctypes.c_float),
        ("MmsValue_newBitString", p, c_int),
        ("MmsValue_setBitStringFromInteger", None, p, c_uint32),
        ("MmsValue_newOctetString", p, c_int, c_int),
        ("MmsValue_setOctetString", None, p, s, c_int),
        ("MmsValue_newVisibleString", p, s),
        ("MmsValue_newUtcTimeByMsTime", p, ctypes.c_uint64),
        ("MmsValue_createEmptyStructure", p, c_int),
        ("MmsValue_setElement", None, p, c_int, p),
        ("MmsValue_delete", None, p),
        ("LinkedList_getNext", p, p),
        ("LinkedList_getData", p, p),
        ("LinkedList_destroy", None, p),
    ):
        function = getattr(lib, name)
        function.restype, function.argtypes = result, arguments
    return lib
