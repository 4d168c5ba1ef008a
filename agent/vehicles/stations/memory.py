"""What is known of stations, kept over a restart of this process.

A station that reconnects neither boots nor repeats what its vehicle can do. Without this file a
restarted worker would see V2X vehicles as ones that cannot discharge, until they are plugged in
again. Nothing in it is an order: orders end by their own duration.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import msgspec
from loguru import logger

from agent.ocpp import Version
from agent.vehicles.stations.capability import StationModels
from agent.vehicles.stations.evse import EvLimits
from agent.vehicles.stations.station import Station

FORMAT: Final = 1


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


class File(msgspec.Struct, frozen=True):
    """The whole file."""

    format: int
    stations: list[StationRecord]


class Memory:
    """Writes when something changed, reads once at the start.

    Args:
        path: The file; its folder must exist.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._saved = -1

    def load(self, models: StationModels) -> dict[str, Station]:
        """Return the stations of the file; none where it is absent or damaged."""
        try:
            file = msgspec.json.decode(self._path.read_bytes(), type=File)
        except FileNotFoundError:
            return {}
        except (OSError, msgspec.DecodeError) as error:
            logger.warning("{}: what was known of the stations is lost: {}", self._path, error)
            return {}
        if file.format != FORMAT:
            return {}
        return {record.identity: _station(record, models) for record in file.stations}

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


def _record(station: Station) -> StationRecord:
    return StationRecord(
        identity=station.identity,
        version=station.version.value,
        security_profile=station.security_profile,
        vendor=station.vendor,
        model_name=station.model_name,
        serial_number=station.serial_number,
        firmware_version=station.firmware_version,
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
