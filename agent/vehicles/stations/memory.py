"""What is known of stations, kept over a restart of this process and of its siblings.

A station that reconnects neither boots nor repeats what its vehicle can do. Without this file a
restarted worker would see V2X vehicles as ones that cannot discharge, until they are plugged in
again. Nothing in it is an order: orders end by their own duration.

Where several processes serve stations, one that dies gives its stations to the others for a
while. They find what it knew in its file; of two files the one that saw the station last counts.
"""

from __future__ import annotations

import contextlib
import math
import time
from pathlib import Path
from typing import Final

import msgspec
from loguru import logger

from agent import strict_json
from agent.ocpp import Version
from agent.vehicles.stations.capability import StationModels
from agent.vehicles.stations.evse import EvLimits
from agent.vehicles.stations.station import Station

FORMAT: Final = 1
LOOK_S: Final = 0.1
"""Siblings write once a second; to look for each station of a thousand is a search for each."""
SUFFIX: Final = ".stations.json"


class EvseRecord(msgspec.Struct, frozen=True):
    """Of one EVSE."""

    number: int
    transaction_id: str
    plugged: bool
    charging: bool
    ev_id: str
    ev: EvLimits


class StationRecord(msgspec.Struct, frozen=True):
    """Of one station."""

    identity: str
    version: str
    security_profile: int
    vendor: str
    model_name: str
    serial_number: str
    firmware_version: str
    evses: list[EvseRecord]
    seen_utc_s: float = 0.0


class File(msgspec.Struct, frozen=True):
    """The whole file."""

    format: int
    stations: list[StationRecord]


class Memory:
    """Writes when something changed, reads once at the start.

    Args:
        path: The file; its folder must exist. Those of siblings lie beside it.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._saved = -1
        self._siblings: dict[Path, tuple[int, dict[str, StationRecord]]] = {}
        self._looked_s = -math.inf

    def load(self, models: StationModels) -> dict[str, Station]:
        """Return the stations of the file; none where it is absent or damaged."""
        return {name: _station(record, models) for name, record in _read(self._path).items()}

    def recall(self, identity: str, later_than_s: float, models: StationModels) -> Station | None:
        """Return what a sibling knows of a station that it saw later than we did."""
        now_s = time.monotonic()
        if now_s - self._looked_s >= LOOK_S:
            self._looked_s = now_s
            self._look()
        known = (records for _, records in self._siblings.values())
        records = [r for each in known if (r := each.get(identity)) is not None]
        newest = max(records, key=lambda record: record.seen_utc_s, default=None)
        if newest is None or newest.seen_utc_s <= later_than_s:
            return None
        return _station(newest, models)

    def _look(self) -> None:
        """Read the siblings' files that have changed; forget those that are gone."""
        before, self._siblings = self._siblings, {}
        for path in self._path.parent.glob(f"*{SUFFIX}"):
            if path == self._path:
                continue
            with contextlib.suppress(OSError):
                stamp = path.stat().st_mtime_ns
                known = before.get(path)
                if known is None or known[0] != stamp:
                    known = (stamp, _read(path))
                self._siblings[path] = known

    def save(self, stations: dict[str, Station]) -> None:
        """Write the file if a station changed since the last time."""
        revision = sum(station.revision for station in stations.values()) + len(stations)
        if revision == self._saved:
            return
        self._saved = revision
        file = File(FORMAT, [_record(station) for station in stations.values() if station.booted])
        temporary = self._path.with_suffix(".new")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            temporary.write_bytes(msgspec.json.encode(file))
            temporary.replace(self._path)
        except OSError as error:
            logger.warning("{}: cannot be written: {}", self._path, error)


def _read(path: Path) -> dict[str, StationRecord]:
    """Return the records of a file by identity; none where it is absent or damaged."""
    file = strict_json.read(path, File, "what was known of the stations is lost")
    if file is None or file.format != FORMAT:
        return {}
    return {record.identity: record for record in file.stations}


def _record(station: Station) -> StationRecord:
    return StationRecord(
        identity=station.identity,
        version=station.version.value,
        security_profile=station.security_profile,
        vendor=station.vendor,
        model_name=station.model_name,
        serial_number=station.serial_number,
        firmware_version=station.firmware_version,
        seen_utc_s=time.time() if station.online else station.seen_utc_s,
        evses=[
            EvseRecord(
                evse.number,
                evse.transaction_id,
                evse.plugged,
                evse.charging,
                evse.ev_id,
                evse.ev,
            )
            for evse in station.evses.values()
        ],
    )


def _station(record: StationRecord, models: StationModels) -> Station:
    version = Version(record.version)
    model = models.find(record.vendor, record.model_name, record.firmware_version, version.value)
    station = Station(
        record.identity,
        version,
        model,
        security_profile=record.security_profile,
        booted=True,
        seen_utc_s=record.seen_utc_s,
        vendor=record.vendor,
        model_name=record.model_name,
        serial_number=record.serial_number,
        firmware_version=record.firmware_version,
    )
    for each in record.evses:
        evse = station.evse(each.number)
        evse.transaction_id, evse.plugged = each.transaction_id, each.plugged
        evse.charging, evse.ev_id = each.charging, each.ev_id
        evse.need(each.ev)
    return station
