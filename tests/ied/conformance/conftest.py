"""Two independent clients with one face, both engines, and the table of results.

open61850's client and libiec61850's client (by ctypes, from the pyiec61850-ng wheel) run every
case against both engines, crosswise. With CONFORMANCE_REPORT=FILE the results become a table.
"""

from __future__ import annotations

import ctypes
import os
import sysconfig
import time
from collections.abc import Callable, Iterator
from ctypes import CFUNCTYPE, POINTER, byref, c_bool, c_char_p, c_int, c_uint32, c_void_p
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from open61850.data import (
    BitStringData,
    BoolData,
    FloatData,
    IECData,
    IntData,
    OctetStringData,
    RawData,
    StructureData,
    TimestampData,
    UIntData,
    VisibleStringData,
)
from open61850.mms import DataAccessError, MmsClient, MmsError
from open61850.mms.report import decode_report, is_report

ENGINES = ("open61850", "libiec61850")
CLIENTS = ("open61850", "libiec61850")
RESULTS: dict[str, dict[str, str]] = {}
TITLES: dict[str, str] = {}


class Refused(Exception):  # noqa: N818 - what the server says, not an error of ours
    """The server's negative answer; `code` is the DataAccessError."""

    def __init__(self, code: int, add_cause: int | None = None) -> None:
        super().__init__(f"code {code}, AddCause {add_cause}")
        self.code = code
        self.add_cause = add_cause


@dataclass(frozen=True)
class Bits:
    """A bit string, first bit first."""

    text: str


@dataclass(frozen=True)
class Unsigned:
    """An unsigned integer."""

    number: int


@dataclass(frozen=True)
class Utc:
    """A UTC time in seconds."""

    t_utc_s: float


@dataclass
class Report:
    """One report as a client understood it."""

    rpt_id: str
    sq_num: int | None
    entry_id: bytes | None
    buf_ovfl: bool | None
    values: dict[int, Any]
    reasons: dict[int, str] = field(default_factory=dict)


class OpenClient:
    """open61850's client."""

    name = "open61850"

    def __init__(self, port: int) -> None:
        self.reports: list[Report] = []
        self.terminations: list[int | None] = []
        self._errors: list[int] = []
        self._client = MmsClient.connect("127.0.0.1", port, timeout=5.0)
        self._client.add_report_listener(self._heard)

    @property
    def alive(self) -> bool:
        return self._client.is_connected

    def close(self) -> None:
        self._client.close()

    def abort(self) -> None:
        self._client.close()

    def devices(self) -> list[str]:
        return self._client.get_name_list(9)

    def names(self, device: str) -> list[str]:
        return self._client.get_name_list(0, device)

    def data_sets(self, device: str) -> list[str]:
        return self._client.get_name_list(2, device)

    def members(self, data_set: str) -> list[str]:
        return [str(member) for member in self._client.get_data_set_members(data_set)]

    def read(self, name: str) -> Any:
        try:
            return _from_data(self._client.read(name))
        except DataAccessError as error:
            raise Refused(error.code) from error
        except MmsError as error:
            raise Refused(-1) from error

    def write(self, name: str, value: Any) -> None:
        self._errors.clear()
        try:
            self._client.write(name, _to_data(value))
        except DataAccessError as error:
            raise Refused(error.code, self._errors[-1] if self._errors else None) from error
        except MmsError as error:
            raise Refused(-1) from error

    def enable(self, block: str, rpt_id: str) -> None:
        self.write(f"{block}$RptEna", True)

    def _heard(self, message: Any) -> None:
        if is_report(message):
            report = decode_report(message)
            entries = report.entries
            self.reports.append(
                Report(
                    report.rpt_id,
                    report.seq_num,
                    report.entry_id,
                    report.buf_ovfl,
                    {entry.index: _from_data(entry.value) for entry in entries},
                    {entry.index: str(entry.reason) for entry in entries},
                )
            )
            return
        names = [str(name) for name in message.variables]
        cause = None
        for name, value in zip(names, message.results, strict=True):
            if name == "LastApplError":
                cause = value.members[4].value
        if any(name.endswith("$Oper") for name in names):
            self.terminations.append(cause)
        elif cause is not None:
            self._errors.append(cause)


def _to_data(value: Any) -> IECData:
    if isinstance(value, bool):
        return BoolData(value)
    if isinstance(value, int):
        return IntData(value)
    if isinstance(value, Unsigned):
        return UIntData(value.number)
    if isinstance(value, float):
        return FloatData(value)
    if isinstance(value, Bits):
        octets = (len(value.text) + 7) // 8
        unused = octets * 8 - len(value.text)
        return BitStringData((int(value.text, 2) << unused).to_bytes(octets, "big"), unused)
    if isinstance(value, bytes):
        return OctetStringData(value)
    if isinstance(value, str):
        return VisibleStringData(value)
    if isinstance(value, Utc):
        import datetime as dt

        return TimestampData(dt.datetime.fromtimestamp(value.t_utc_s, dt.UTC), 0x0A)
    return StructureData([_to_data(member) for member in value])


def _from_data(data: Any) -> Any:
    if isinstance(data, DataAccessError):
        return Refused(data.code)
    if isinstance(data, StructureData):
        return [_from_data(member) for member in data.members]
    if isinstance(data, BitStringData):
        count = len(data.value) * 8 - data.unused_bits
        return f"{int.from_bytes(data.value, 'big') >> data.unused_bits:0{count}b}"
    if isinstance(data, TimestampData):
        return data.value.timestamp()
    if isinstance(data, RawData):
        return data.value
    return data.value


class NativeClient:
    """libiec61850's client, by ctypes."""

    name = "libiec61850"
    _lib: Any = None

    def __init__(self, port: int) -> None:
        self._lib = lib = _library()
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


class _LastApplError(ctypes.Structure):
    _fields_ = [("ctl_num", c_int), ("error", c_int), ("add_cause", c_int)]


REPORT_HANDLER = CFUNCTYPE(None, c_void_p, c_void_p)
TERMINATION_HANDLER = CFUNCTYPE(None, c_void_p, c_void_p)


def _library() -> Any:
    if NativeClient._lib is not None:
        return NativeClient._lib
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
    NativeClient._lib = lib
    return lib


def _control_part(name: str) -> tuple[str, str] | None:
    """``LD/LN$CO$DO$Oper`` as (``LD/LN.DO``, ``Oper``)."""
    parts = name.split("$")
    if len(parts) != 4 or parts[1] != "CO":
        return None
    return f"{parts[0]}.{parts[2]}", parts[3]


@dataclass(frozen=True)
class Kit:
    """What the cases write and catch."""

    Bits: type = Bits
    Unsigned: type = Unsigned
    Utc: type = Utc
    Refused: type = Refused


@pytest.fixture(scope="session")
def kit() -> Kit:
    """Value types and the refusal, for the cases."""
    return Kit()


@dataclass
class Bench:
    """A served IED and clients of one kind.

    Attributes:
        live: The IED. `connect`: a new association, closed at the end of the test.
    """

    live: Any
    engine: str
    client: str
    connect: Callable[[], Any]
    until: Callable[..., Any]

    def order(
        self, value: Any, *, test: bool = False, number: int = 1, ident: bytes = b"SCADA"
    ) -> list[Any]:
        """The Oper or SBOw structure of a value."""
        origin = [2, ident]
        return [value, origin, Unsigned(number), Utc(time.time()), test, Bits("00")]


@pytest.fixture(scope="package")
def servers(
    station_file: Path, tmp_path_factory: pytest.TempPathFactory, package_server: Any
) -> Iterator[Callable[[str], Any]]:
    """One IED an engine for all cases; started when first needed."""
    started: dict[str, tuple[Any, Any]] = {}

    def get(engine: str) -> Any:
        if engine not in started:
            folder = tmp_path_factory.mktemp(engine)
            options: dict[str, Any] = {"stale_s": 60.0}
            if engine == "libiec61850":
                (folder / "files").mkdir()
                (folder / "files" / "note.txt").write_text("disturbance\n")
                options["files"] = folder / "files"
            limits = package_server.limits(associations=4)
            context = package_server.serve(engine, station_file, folder, limits=limits, **options)
            started[engine] = (context, context.__enter__())
        return started[engine][1]

    yield get
    for context, _ in started.values():
        context.__exit__(None, None, None)


@pytest.fixture(
    params=[(e, c) for e in ENGINES for c in CLIENTS], ids=lambda p: f"{p[1]}-on-{p[0]}"
)
def bench(
    request: pytest.FixtureRequest, servers: Callable[[str], Any], until: Any
) -> Iterator[Bench]:
    """Every pair of engine and client in turn."""
    engine, kind = request.param
    live = servers(engine)
    live.control.requests.clear()
    live.control.answer = live.control.completes
    live.show(f_hz=50.0, p_w=-3000.0, online=True, clock_synchronised=True)
    clients: list[Any] = []

    def connect() -> Any:
        client = (OpenClient if kind == "open61850" else NativeClient)(live.port)
        clients.append(client)
        return client

    yield Bench(live, engine, kind, connect, until)
    for client in clients:
        client.close()
    until(lambda: live.front.admission.associated == 0)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: Any) -> Any:
    report = yield
    if report.when == "call" or (report.when == "setup" and report.skipped):
        function = getattr(item, "function", None)
        name = getattr(item, "originalname", item.name)
        callspec = getattr(item, "callspec", None)
        if function is not None and callspec is not None and "bench" in callspec.params:
            TITLES[name] = (function.__doc__ or name).strip().splitlines()[0]
            engine, client = callspec.params["bench"]
            word = {"passed": "pass", "failed": "FAIL", "skipped": "n/a"}[report.outcome]
            RESULTS.setdefault(name, {})[f"{engine} / {client}"] = word
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    target = os.environ.get("CONFORMANCE_REPORT")
    if target and RESULTS:
        Path(target).write_text(_table(), encoding="utf-8")


def _table() -> str:
    columns = [f"{engine} / {client}" for engine in ENGINES for client in CLIENTS]
    rows = [
        "# Conformance cases",
        "",
        "Generated by `CONFORMANCE_REPORT=docs/conformance.md pytest tests/ied/conformance`.",
        "Do not edit.",
        "",
        "Each case is named after the block of IEC 61850-10 Ed. 2 for servers that it follows;",
        "its text is ours, and this is no certificate. A column is *engine / client*: the server",
        "under test and the independent client that tests it. `n/a`: the engine does not claim the",
        "service (see docs/pixit.md).",
        "",
        f"| case | what must happen | {' | '.join(columns)} |",
        f"|---|---|{'---|' * len(columns)}",
    ]
    for name, results in RESULTS.items():
        cells = " | ".join(results.get(column, "") for column in columns)
        rows.append(f"| {name.removeprefix('test_')} | {TITLES[name]} | {cells} |")
    total = [word for results in RESULTS.values() for word in results.values()]
    rows += ["", f"{total.count('pass')} of {len(total)} passed, {total.count('n/a')} not claimed."]
    return "\n".join(rows) + "\n"
