"""The shared library inside the pyiec61850-ng wheel, with the functions that the engine calls.

ctypes rather than the wheel's SWIG module: `ctypes.CDLL` releases the GIL on every call and its
callbacks take it, so that no thread of ours can stand in a dead lock with one of the library's,
and callbacks that the SWIG module lacks (write access, setting groups) can be given.
"""

from __future__ import annotations

import ctypes
import sysconfig
from ctypes import (
    CFUNCTYPE,
    c_bool,
    c_char_p,
    c_double,
    c_float,
    c_int,
    c_int32,
    c_int64,
    c_uint8,
    c_uint16,
    c_uint32,
    c_void_p,
)
from pathlib import Path
from typing import Any, Final

from agent.errors import ConfigurationError, Finding

P, S, N, B = c_void_p, c_char_p, c_int, c_bool

CheckHandler = CFUNCTYPE(N, P, P, P, B, B)
"""(action, parameter, ctlVal, test, interlockCheck) → CheckHandlerResult."""
ControlHandler = CFUNCTYPE(N, P, P, P, B)
"""(action, parameter, ctlVal, test) → ControlHandlerResult."""
WriteHandler = CFUNCTYPE(N, P, P, P, P)
"""(attribute, value, connection, parameter) → MmsDataAccessError."""
ReadHandler = CFUNCTYPE(N, P, P, P, N, P, P)
"""(device, node, object, constraint, connection, parameter) → MmsDataAccessError."""
ConnectionHandler = CFUNCTYPE(None, P, P, B, P)
"""(server, connection, connected, parameter)."""
GroupHandler = CFUNCTYPE(B, P, P, c_uint8, P)
"""(parameter, block, group, connection) → permitted."""
ConfirmHandler = CFUNCTYPE(None, P, P, c_uint8)
FileHandler = CFUNCTYPE(N, P, P, N, S, S)
"""(parameter, connection, MmsFileServiceType, file, other file) → MmsError."""
FILE_READS = (0, 1)
"""MmsFileServiceType: read directory, open. The others obtain, delete and rename."""
FILE_ACCESS_DENIED = 96
"""MmsError."""
"""(parameter, block, group)."""

ACCESS_SUCCESS: Final = -1
CONTROL_ACCEPTED: Final = -1
CONTROL_DENIED: Final = 3
RESULT_FAILED, RESULT_OK, RESULT_WAITING = 0, 1, 2
POLICY_ALLOW, POLICY_DENY = 0, 1
EDITION_2: Final = 1

_FUNCTIONS: Final[dict[str, tuple[Any, ...]]] = {
    # model
    "IedModel_create": (P, S),
    "LogicalDevice_createEx": (P, S, P, S),
    "LogicalNode_create": (P, S, P),
    "DataObject_create": (P, S, P, N),
    "DataAttribute_create": (P, S, P, N, N, c_uint8, N, c_uint32),
    "DataAttribute_setValue": (None, P, P),
    "DataSet_create": (P, S, P),
    "DataSetEntry_create": (P, P, S, N, S),
    "ReportControlBlock_create": (P, S, P, S, B, S, c_uint32, c_uint8, c_uint8, c_uint32, c_uint32),
    "GSEControlBlock_create": (P, S, P, S, S, c_uint32, B, N, N),
    "GSEControlBlock_addPhyComAddress": (None, P, P),
    "PhyComAddress_create": (P, c_uint8, c_uint16, c_uint16, S),
    "SettingGroupControlBlock_create": (P, P, c_uint8, c_uint8),
    "IedModel_destroy": (None, P),
    # server
    "IedServerConfig_create": (P,),
    "IedServerConfig_destroy": (None, P),
    "IedServerConfig_setEdition": (None, P, c_uint8),
    "IedServerConfig_setReportBufferSize": (None, P, N),
    "IedServerConfig_setMaxMmsConnections": (None, P, N),
    "IedServerConfig_enableFileService": (None, P, B),
    "IedServerConfig_setFileServiceBasePath": (None, P, S),
    "IedServerConfig_enableDynamicDataSetService": (None, P, B),
    "IedServerConfig_enableLogService": (None, P, B),
    "IedServerConfig_enableOwnerForRCB": (None, P, B),
    "IedServerConfig_useIntegratedGoosePublisher": (None, P, B),
    "IedServer_createWithConfig": (P, P, P, P),
    "IedServer_setServerIdentity": (None, P, S, S, S),
    "IedServer_setLocalIpAddress": (None, P, S),
    "IedServer_getMmsServer": (P, P),
    "MmsServer_installFileAccessHandler": (None, P, FileHandler, P),
    "IedServer_start": (None, P, N),
    "IedServer_isRunning": (B, P),
    "IedServer_stop": (None, P),
    "IedServer_destroy": (None, P),
    "IedServer_lockDataModel": (None, P),
    "IedServer_unlockDataModel": (None, P),
    "IedServer_updateAttributeValue": (None, P, P, P),
    "IedServer_getAttributeValue": (P, P, P),
    "IedServer_changeActiveSettingGroup": (None, P, P, c_uint8),
    "IedServer_getActiveSettingGroup": (c_uint8, P, P),
    "IedServer_setWriteAccessPolicy": (None, P, N, N),
    "IedServer_handleWriteAccess": (None, P, P, WriteHandler, P),
    "IedServer_setReadAccessHandler": (None, P, ReadHandler, P),
    "IedServer_setConnectionIndicationHandler": (None, P, ConnectionHandler, P),
    "IedServer_setPerformCheckHandler": (None, P, P, CheckHandler, P),
    "IedServer_setControlHandler": (None, P, P, ControlHandler, P),
    "IedServer_setActiveSettingGroupChangedHandler": (None, P, P, GroupHandler, P),
    "IedServer_setEditSettingGroupChangedHandler": (None, P, P, GroupHandler, P),
    "IedServer_setEditSettingGroupConfirmationHandler": (None, P, P, ConfirmHandler, P),
    "ClientConnection_getPeerAddress": (S, P),
    "ControlAction_setAddCause": (None, P, N),
    "ControlAction_isSelect": (B, P),
    "ControlAction_getOrCat": (N, P),
    "ControlAction_getOrIdent": (P, P, P),
    "ControlAction_getCtlNum": (N, P),
    "ControlAction_getInterlockCheck": (B, P),
    "ControlAction_getSynchroCheck": (B, P),
    "ControlAction_getClientConnection": (P, P),
    # values
    "MmsValue_newBoolean": (P, B),
    "MmsValue_newIntegerFromInt64": (P, c_int64),
    "MmsValue_newIntegerFromInt32": (P, c_int32),
    "MmsValue_newUnsignedFromUint32": (P, c_uint32),
    "MmsValue_newFloat": (P, c_float),
    "MmsValue_newDouble": (P, c_double),
    "MmsValue_newVisibleString": (P, S),
    "MmsValue_newMmsString": (P, S),
    "MmsValue_newOctetString": (P, N, N),
    "MmsValue_setOctetString": (None, P, S, N),
    "MmsValue_newBitString": (P, N),
    "MmsValue_setBitStringFromInteger": (None, P, c_uint32),
    "MmsValue_setBitStringFromIntegerBigEndian": (None, P, c_uint32),
    "MmsValue_newUtcTime": (P, c_uint32),
    "MmsValue_setUtcTimeByBuffer": (None, P, S),
    "MmsValue_newBinaryTime": (P, B),
    "MmsValue_delete": (None, P),
    "MmsValue_getType": (N, P),
    "MmsValue_getElement": (P, P, N),
    "MmsValue_getBoolean": (B, P),
    "MmsValue_toInt64": (c_int64, P),
    "MmsValue_toFloat": (c_float, P),
    "MmsValue_toDouble": (c_double, P),
    "MmsValue_toString": (S, P),
    "MmsValue_getOctetStringBuffer": (P, P),
    "MmsValue_getOctetStringSize": (c_uint16, P),
    "MmsValue_getBitStringAsInteger": (c_uint32, P),
    "MmsValue_getBitStringAsIntegerBigEndian": (c_uint32, P),
    "MmsValue_getUtcTimeBuffer": (P, P),
}


class Library:
    """The loaded library; every function of the table above is an attribute."""

    def __init__(self) -> None:
        path = _find()
        if path is None:
            what = "libiec61850 is not installed"
            hint = "pip install 'v2g-agent[libiec61850]', or choose ied.engine = 'open61850'"
            raise ConfigurationError((Finding("ied.engine", what, hint),))
        self._dll = ctypes.CDLL(str(path))
        for name, (result, *arguments) in _FUNCTIONS.items():
            function = getattr(self._dll, name)
            function.restype, function.argtypes = result, arguments

    def __getattr__(self, name: str) -> Any:
        if name not in _FUNCTIONS:
            raise AttributeError(name)
        return getattr(self._dll, name)


def _find() -> Path | None:
    """The wheel keeps the library beside the package, under a name with a hash."""
    for scheme in ("platlib", "purelib"):
        folder = Path(sysconfig.get_paths()[scheme]) / "pyiec61850_ng.libs"
        found = sorted(folder.glob("libiec61850-*.so*"))
        if found:
            return found[0]
    return None
