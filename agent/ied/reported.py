"""Frequencies that other IEDs report: one more opinion for the vote.

A thread of its own for each source: connect, find the member, enable the report, and turn every
report into a `Measurement`. Whatever goes wrong costs this source, never the server: it is tried
again, and meanwhile nothing comes from it.
"""

from __future__ import annotations

import math
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from loguru import logger
from open61850.data import (
    BitStringData,
    BoolData,
    FloatData,
    StructureData,
    TimestampData,
    VisibleStringData,
)
from open61850.data import UIntData as Unsigned
from open61850.mms import MmsClient, MmsError, ObjectName
from open61850.mms.reference import to_object_name
from open61850.mms.report import (
    OptFlds,
    ReportDecodeError,
    TrgOps,
    bits_of,
    decode_report,
    is_report,
)
from open61850.mms.types import MmsType, StructureType

from agent.config.reported import ReportedFrequency
from agent.errors import UnavailableError
from agent.iec61850 import Quality
from agent.iec61850 import Validity as QualityValidity
from agent.ied.mms_client import connect
from agent.messages import Measurement, Message, Validity

UNCERTAINTY_HZ: Final = 0.005
"""Unknown to us; a PMU or meter of class M is better."""
TRIGGERS: Final = TrgOps(data_change=True, quality_change=True, integrity=True)
RETRY_S: Final = (0.2, 1.0, 2.0, 5.0)
_CLOCK_UNSURE: Final = 0x60
"""clockFailure and clockNotSynchronized in a UtcTime's quality (IEC 61850-8-1, 8.1.3.7)."""
_VALIDITY: Final = {
    QualityValidity.GOOD: Validity.GOOD,
    QualityValidity.QUESTIONABLE: Validity.QUESTIONABLE,
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where the frequency is in the member's structure: positions of the number, q and t."""

    value: tuple[int, ...]
    quality: int
    time: int


class ReportReader:
    """Turns reports into measurements. Pure but for the clocks that it is given.

    Args:
        name: `Measurement.source`.
        index: Position of the member in the data set.
        place: Where the value is in the member.
        nominal_v: A report of a frequency says nothing of the voltage; this stands for it.
    """

    def __init__(self, name: str, index: int, place: Place, nominal_v: float) -> None:
        self._name = name
        self._index = index
        self._place = place
        self._nominal_v = nominal_v
        self._before: tuple[float, float] | None = None

    def read(self, message: Any, now_s: float) -> Measurement | None:
        """The measurement in an information report; None where it has none.

        Args:
            message: As the client got it.
            now_s: Monotonic arrival.
        """
        if not is_report(message):
            return None
        try:
            report = decode_report(message)
        except ReportDecodeError as error:
            logger.warning("{}: a report that cannot be read: {}", self._name, error)
            return None
        for entry in report.entries:
            if entry.index == self._index:
                return self._measurement(entry.value, now_s)
        return None

    def _measurement(self, data: Any, now_s: float) -> Measurement | None:
        value, quality, stamp = (
            _member(data, self._place.value),
            _member(data, (self._place.quality,)),
            _member(data, (self._place.time,)),
        )
        if not isinstance(value, FloatData) or not math.isfinite(value.value):
            return None
        if not isinstance(quality, BitStringData) or not isinstance(stamp, TimestampData):
            return None
        f_hz, t_utc_s = float(value.value), stamp.value.timestamp()
        return Measurement(
            source=self._name,
            t_utc_s=t_utc_s,
            f_hz=f_hz,
            rocof_hz_s=self._rocof(f_hz, t_utc_s),
            v1_v=self._nominal_v,
            quality=_validity(quality, stamp),
            wire_s=now_s,
            published_s=now_s,
            uncertainty_hz=UNCERTAINTY_HZ,
        )

    def _rocof(self, f_hz: float, t_utc_s: float) -> float:
        """Slope from the value before; 0 where there is none."""
        before = self._before
        if before is None or t_utc_s > before[1]:
            self._before = (f_hz, t_utc_s)
        if before is None or t_utc_s <= before[1]:
            return 0.0
        return (f_hz - before[0]) / (t_utc_s - before[1])


def _member(data: Any, path: tuple[int, ...]) -> Any:
    for position in path:
        if not isinstance(data, StructureData) or not 0 <= position < len(data.members):
            return None
        data = data.members[position]
    return data


def _validity(quality: BitStringData, stamp: TimestampData) -> Validity:
    read = Quality.from_bit_string(quality.value)
    if read.test or len(bits_of(quality)) != 13:
        return Validity.INVALID
    validity = _VALIDITY.get(read.validity, Validity.INVALID)
    unsure = (stamp.quality or 0) & _CLOCK_UNSURE
    return Validity.QUESTIONABLE if unsure and validity is Validity.GOOD else validity


def place_of(kind: MmsType) -> Place | None:
    """Where an MV's magnitude, quality and time are; None where the type is no MV."""
    if not isinstance(kind, StructureType):
        return None
    names = [name for name, _ in kind.components]
    if "q" not in names or "t" not in names:
        return None
    for magnitude in ("mag", "instMag"):
        if magnitude in names:
            at = names.index(magnitude)
            below = kind.components[at][1]
            parts = [name for name, _ in getattr(below, "components", ())]
            if "f" in parts:
                return Place((at, parts.index("f")), names.index("q"), names.index("t"))
    return None


class ReportedSource:
    """One source and its thread.

    Args:
        settings: Where it is. `nominal_v`: see `ReportReader`.
        tls: For `settings.tls`.
        send: Hand a measurement to the control, from any thread.
    """

    def __init__(
        self,
        settings: ReportedFrequency,
        nominal_v: float,
        tls: ssl.SSLContext | None,
        send: Callable[[Message], bool],
    ) -> None:
        self._settings = settings
        self._nominal_v = nominal_v
        self._tls = tls
        self._send = send
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"source-{settings.name}")
        self._thread.daemon = True
        self.reports = 0

    def start(self) -> None:
        """Connect, and again whenever the connection is lost."""
        self._thread.start()

    def stop(self) -> None:
        """Release the block and disconnect."""
        self._stopped.set()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        failures = 0
        while not self._stopped.is_set():
            try:
                self._follow()
                failures = 0
            except (MmsError, OSError, UnavailableError, ValueError) as error:
                if failures == 0:
                    logger.warning("source {}: {}", self._settings.name, error)
                failures += 1
            self._stopped.wait(RETRY_S[min(failures, len(RETRY_S) - 1)])

    def _follow(self) -> None:
        """One association, from its beginning to its end."""
        settings = self._settings
        tls = self._tls if settings.tls else None
        with connect(settings.host, settings.port, tls=tls) as client:
            reader = self._reader(client)

            def heard(message: Any) -> None:
                measurement = reader.read(message, time.monotonic())
                if measurement is not None:
                    self.reports += 1
                    self._send(measurement)

            client.add_report_listener(heard)
            self._enable(client)
            logger.info("source {}: {} reports", settings.name, settings.block)
            while client.is_connected and not self._stopped.wait(0.2):
                pass
            if client.is_connected:
                client.write(self._attribute("RptEna"), BoolData(False))

    def _reader(self, client: MmsClient) -> ReportReader:
        settings = self._settings
        named = client.read(self._attribute("DatSet"))
        data_set = named.value if isinstance(named, VisibleStringData) else ""
        members = [str(member) for member in client.get_data_set_members(data_set)]
        if settings.member not in members:
            raise UnavailableError(f"{settings.member} is not in {data_set}")
        place = place_of(client.get_type(settings.member))
        if place is None:
            raise UnavailableError(f"{settings.member} is no MV with mag.f, q and t")
        index = members.index(settings.member)
        return ReportReader(settings.name, index, place, self._nominal_v)

    def _enable(self, client: MmsClient) -> None:
        """Every change at once, and the value in every period."""
        buffered = "$BR$" in self._settings.block
        wanted: list[tuple[str, Any]] = [
            ("OptFlds", OptFlds(sequence_number=True, entry_id=buffered).to_bitstring()),
            (
                "TrgOps",
                TrgOps(data_change=True, quality_change=True, integrity=True).to_bitstring(),
            ),
            ("BufTm", Unsigned(0)),
            ("IntgPd", Unsigned(self._settings.integrity_ms)),
        ]
        wanted += [("PurgeBuf", BoolData(True))] if buffered else []
        for name, value in wanted:
            client.write(self._attribute(name), value)
        client.write(self._attribute("RptEna"), BoolData(True))

    def _attribute(self, name: str) -> ObjectName:
        block = to_object_name(self._settings.block)
        return ObjectName(f"{block.item}${name}", block.domain)
