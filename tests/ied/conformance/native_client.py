"""libiec61850's client with the face that the conformance cases use."""

from __future__ import annotations

import ctypes
from ctypes import byref, c_int
from typing import Any

from tests.ied.conformance.native_library import REPORT_HANDLER, TERMINATION_HANDLER, library
from tests.ied.conformance.values import Bits, Refused, Report, Unsigned, Utc


class NativeClient:
    """libiec61850's client, by ctypes."""

    name = "libiec61850"

    def __init__(self, port: int) -> None:
        self._lib = lib = library()
        self.reports: list[Report] = []
        self.terminations: list[int | None] = []
        self._blocks: dict[str, Any] = {}
        self._kept: list[Any] = []
        self._errors: dict[str, int] = {}
        self._connection = lib.IedConnection_create()
        lib.IedConnection_setConnectTimeout(self._connection, 20000)
        lib.IedConnection_setRequestTimeout(self._connection, 20000)
        error = c_int(0)
        lib.IedConnection_connect(self._connection, byref(error), b"127.0.0.1", port)
        if error.value:
            lib.IedConnection_destroy(self._connection)
            self._connection = None
            raise ConnectionError(f"IedClientError {error.value}")
        self._mms = lib.IedConnection_getMmsConnection(self._connection)
        self._controls: dict[str, Any] = {}

    @property
    def alive(self) -> bool:
        return bool(self._lib.IedConnection_getState(self._connection) == 2)

    def close(self) -> None:
        if self._connection is None:
            return
        for handle in self._controls.values():
            self._lib.ControlObjectClient_destroy(handle)
        self._controls.clear()
        self._lib.IedConnection_close(self._connection)
        self._lib.IedConnection_destroy(self._connection)
        self._connection = None

    def abort(self) -> None:
        error = c_int(0)
        self._lib.IedConnection_abort(self._connection, byref(error))
        self.close()

    def devices(self) -> list[str]:
        error = c_int(0)
        return self._list(
            self._lib.IedConnection_getLogicalDeviceList(self._connection, byref(error))
        )

    def names(self, device: str) -> list[str]:
        error = c_int(0)
        return self._list(
            self._lib.MmsConnection_getDomainVariableNames(self._mms, byref(error), device.encode())
        )

    def data_sets(self, device: str) -> list[str]:
        error = c_int(0)
        return self._list(
            self._lib.MmsConnection_getDomainVariableListNames(
                self._mms, byref(error), device.encode()
            )
        )

    def members(self, data_set: str) -> list[str]:
        error = c_int(0)
        reference = data_set.replace("$", ".").encode()
        found = self._lib.IedConnection_getDataSetDirectory(
            self._connection, byref(error), reference, None
        )
        if error.value:
            raise Refused(-1)
        names = []
        for name in self._list(found):  # "LD/LN.DO.DA[FC]"
            path, _, fc = name.rstrip("]").partition("[")
            device, _, rest = path.partition("/")
            node, _, below = rest.partition(".")
            names.append(f"{device}/{node}${fc}${below.replace('.', '$')}")
        return names

    def read(self, name: str) -> Any:
        error = c_int(0)
        domain, _, item = name.partition("/")
        value = self._lib.MmsConnection_readVariable(
            self._mms, byref(error), domain.encode(), item.encode()
        )
        if error.value or not value:
            raise Refused(-1)
        found = self._python(value)
        self._lib.MmsValue_delete(value)
        if isinstance(found, Refused):
            raise found
        return found

    def write(self, name: str, value: Any) -> None:
        control = _control_part(name)
        if control is not None:
            self._control(*control, value)
            return
        error = c_int(0)
        domain, _, item = name.partition("/")
        made = self._make(value)
        code = self._lib.MmsConnection_writeVariable(
            self._mms, byref(error), domain.encode(), item.encode(), made
        )
        self._lib.MmsValue_delete(made)
        if code != -1:
            raise Refused(code if code < 12 else -1)

    def enable(self, block: str, rpt_id: str) -> None:
        if block not in self._blocks:
            self._subscribe(block, rpt_id)
        self.write(f"{block}$RptEna", True)

    def _subscribe(self, block: str, rpt_id: str) -> None:
        lib = self._lib

        def heard(_parameter: Any, report: Any) -> None:
            values = lib.ClientReport_getDataSetValues(report)
            count = lib.MmsValue_getArraySize(values)
            included, reasons = {}, {}
            for index in range(count):
                reason = lib.ClientReport_getReasonForInclusion(report, index)
                if reason:
                    included[index] = self._python(lib.MmsValue_getElement(values, index))
                    reasons[index] = str(reason)
            entry = lib.ClientReport_getEntryId(report)
            self.reports.append(
                Report(
                    (lib.ClientReport_getRptId(report) or b"").decode(),
                    lib.ClientReport_getSeqNum(report),
                    self._python(entry) if entry else None,
                    lib.ClientReport_getBufOvfl(report),
                    included,
                    reasons,
                )
            )

        handler = REPORT_HANDLER(heard)
        self._kept.append(handler)
        self._blocks[block] = handler
        reference = block.replace("$", ".").encode()
        lib.IedConnection_installReportHandler(
            self._connection, reference, rpt_id.encode(), handler, None
        )

    def _control(self, target: str, service: str, value: Any) -> None:
        lib = self._lib
        handle = self._controls.get(target)
        if handle is None:
            handle = lib.ControlObjectClient_create(target.encode(), self._connection)
            assert handle, target

            def ended(_parameter: Any, control: Any) -> None:
                last = lib.ControlObjectClient_getLastApplError(control)
                self.terminations.append(last.add_cause if last.error or last.add_cause else None)

            handler = TERMINATION_HANDLER(ended)
            self._kept.append(handler)
            lib.ControlObjectClient_setCommandTerminationHandler(handle, handler, None)
            self._controls[target] = handle
        control_value, origin, _number, _t, test = (value or [None] * 5)[:5]
        if value is not None:
            lib.ControlObjectClient_setOrigin(handle, bytes(origin[1]), origin[0])
            lib.ControlObjectClient_setTestMode(handle, test)
        if service == "SBO":
            done = lib.ControlObjectClient_select(handle)
        elif service == "Cancel":
            done = lib.ControlObjectClient_cancel(handle)
        else:
            made = self._make(control_value)
            if service == "SBOw":
                done = lib.ControlObjectClient_selectWithValue(handle, made)
            else:
                done = lib.ControlObjectClient_operate(handle, made, 0)
            lib.MmsValue_delete(made)
        if not done:
            last = lib.ControlObjectClient_getLastApplError(handle)
            raise Refused(3, last.add_cause)

    def _make(self, value: Any) -> Any:
        lib = self._lib
        if isinstance(value, bool):
            return lib.MmsValue_newBoolean(value)
        if isinstance(value, int):
            return lib.MmsValue_newIntegerFromInt32(value)
        if isinstance(value, Unsigned):
            return lib.MmsValue_newUnsignedFromUint32(value.number)
        if isinstance(value, float):
            return lib.MmsValue_newFloat(value)
        if isinstance(value, Bits):
            made = lib.MmsValue_newBitString(len(value.text))
            word = sum(1 << n for n, bit in enumerate(value.text) if bit == "1")
            lib.MmsValue_setBitStringFromInteger(made, word)
            return made
        if isinstance(value, bytes):
            made = lib.MmsValue_newOctetString(0, max(8, len(value)))
            lib.MmsValue_setOctetString(made, value, len(value))
            return made
        if isinstance(value, str):
            return lib.MmsValue_newVisibleString(value.encode())
        if isinstance(value, Utc):
            return lib.MmsValue_newUtcTimeByMsTime(int(value.t_utc_s * 1000))
        made = lib.MmsValue_createEmptyStructure(len(value))
        for index, member in enumerate(value):
            lib.MmsValue_setElement(made, index, self._make(member))
        return made

    def _python(self, value: Any) -> Any:
        lib = self._lib
        kind = lib.MmsValue_getType(value)
        if kind in (0, 1):
            count = lib.MmsValue_getArraySize(value)
            return [self._python(lib.MmsValue_getElement(value, n)) for n in range(count)]
        if kind == 2:
            return bool(lib.MmsValue_getBoolean(value))
        if kind == 3:
            count = lib.MmsValue_getBitStringSize(value)
            return "".join(
                "1" if lib.MmsValue_getBitStringBit(value, n) else "0" for n in range(count)
            )
        if kind in (4, 5):
            return int(lib.MmsValue_toInt64(value))
        if kind == 6:
            return float(lib.MmsValue_toFloat(value))
        if kind == 7:
            size = lib.MmsValue_getOctetStringSize(value)
            return ctypes.string_at(lib.MmsValue_getOctetStringBuffer(value), size)
        if kind in (8, 13):
            return (lib.MmsValue_toString(value) or b"").decode()
        if kind == 14:
            return lib.MmsValue_getUtcTimeInMs(value) / 1000
        if kind == 15:
            return Refused(lib.MmsValue_getDataAccessError(value))
        return None

    def _list(self, handle: Any) -> list[str]:
        names: list[str] = []
        lib = self._lib
        if not handle:
            raise Refused(-1)
        element = lib.LinkedList_getNext(handle)
        while element:
            names.append(ctypes.string_at(lib.LinkedList_getData(element)).decode())
            element = lib.LinkedList_getNext(element)
        lib.LinkedList_destroy(handle)
        return names


def _control_part(name: str) -> tuple[str, str] | None:
    """``LD/LN$CO$DO$Oper`` as (``LD/LN.DO``, ``Oper``)."""
    parts = name.split("$")
    if len(parts) != 4 or parts[1] != "CO":
        return None
    return f"{parts[0]}.{parts[2]}", parts[3]
