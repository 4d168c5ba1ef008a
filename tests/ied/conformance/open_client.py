"""open61850's client with the face that the conformance cases use."""

from __future__ import annotations

import datetime as dt
from typing import Any

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

from tests.ied.conformance.values import Bits, Refused, Report, Unsigned, Utc


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
