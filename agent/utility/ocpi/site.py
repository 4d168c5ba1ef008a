"""The fleet as one OCPI location with its EVSEs (OCPI 2.2.1 clause 8)."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final

import msgspec

from agent.config.utility import Ocpi
from agent.messages import EvseStatus, EvseView
from agent.utility.ocpi.objects import BusinessDetails, Connector, Evse, GeoLocation, Location
from agent.utility.ocpi.times import format_time

CONNECTOR: Final = "1"
ID_MAX: Final = 36
POWER_STEP_W: Final = 100
"""Limits of stations and vehicles that move by less are no news to a partner."""


class Site:
    """The location; remembers when each of its parts last changed.

    Args:
        settings: `[ocpi]`.
        name: Of the gateway.
        now_utc_s: When the location was made.
    """

    def __init__(self, settings: Ocpi, name: str, now_utc_s: float) -> None:
        self._settings = settings
        self.id = short(name)
        self._evses: dict[str, Evse] = {}
        self._updated = format_time(now_utc_s)

    def update(self, views: Iterable[EvseView], *, complete: bool, now_utc_s: float) -> None:
        """Take the fleet as it is now; EVSEs that are not in a complete one are removed."""
        stamp = format_time(now_utc_s)
        seen: set[str] = set()
        for view in views:
            uid = short(view.evse_id)
            seen.add(uid)
            self._take(uid, self._evse(uid, view.status, stamp))
        for uid in self._evses.keys() - seen if complete else ():
            gone = msgspec.structs.replace(self._evses[uid], status="REMOVED", last_updated=stamp)
            self._take(uid, gone)

    @property
    def location(self) -> Location:
        """The location with all its EVSEs."""
        settings = self._settings
        return Location(
            country_code=settings.country_code,
            party_id=settings.party_id,
            id=self.id,
            publish=settings.publish,
            name=settings.name,
            address=settings.address,
            city=settings.city,
            country=settings.country,
            coordinates=GeoLocation(latitude=settings.latitude, longitude=settings.longitude),
            time_zone=settings.time_zone,
            last_updated=self._updated,
            evses=list(self._evses.values()),
            operator=BusinessDetails(name=settings.name),
        )

    def evse(self, uid: str) -> Evse | None:
        """Return one EVSE, or None."""
        return self._evses.get(uid)

    def _take(self, uid: str, evse: Evse) -> None:
        known = self._evses.get(uid)
        if known is not None and _undated(known) == _undated(evse):
            return
        self._evses[uid] = evse
        self._updated = evse.last_updated

    def _evse(self, uid: str, status: EvseStatus, stamp: str) -> Evse:
        settings = self._settings
        rated_w = max(status.charge_max_w, status.discharge_max_w)
        connector = Connector(
            id=CONNECTOR,
            standard=settings.connector_standard,
            format=settings.connector_format,
            power_type=settings.power_type,
            max_voltage=settings.max_voltage,
            max_amperage=settings.max_amperage,
            max_electric_power=round(rated_w / POWER_STEP_W) * POWER_STEP_W or None,
            last_updated=stamp,
        )
        return Evse(
            uid=uid,
            status=status_of(status),
            capabilities=["CHARGING_PROFILE_CAPABLE"],
            connectors=[connector],
            last_updated=stamp,
            physical_reference=status.evse_id[:16],
        )


def status_of(status: EvseStatus) -> str:
    """Return the Status of OCPI (clause 8.4.22): CHARGING is "in use", charging or not."""
    if not status.online:
        return "UNKNOWN"
    if status.fault:
        return "OUTOFORDER"
    return "CHARGING" if status.plugged else "AVAILABLE"


def short(name: str) -> str:
    """Return a name as an id of OCPI: at most 36 characters, none that a path would divide."""
    plain = "".join(c if c.isascii() and (c.isalnum() or c in "-._") else "*" for c in name)
    if len(plain) <= ID_MAX:
        return plain
    return f"{plain[:27]}*{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _undated(evse: Evse) -> Evse:
    connectors = [msgspec.structs.replace(c, last_updated="") for c in evse.connectors]
    return msgspec.structs.replace(evse, connectors=connectors, last_updated="")
