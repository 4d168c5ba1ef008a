"""Each vehicle's stay as an OCPI session (OCPI 2.2.1 clause 9), kept over a restart."""

from __future__ import annotations

import math
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import msgspec
from loguru import logger

from agent.config.utility import Ocpi
from agent.messages import EvseStatus, EvseView
from agent.utility.ocpi.objects import CdrDimension, CdrToken, ChargingPeriod, Session
from agent.utility.ocpi.site import CONNECTOR, short
from agent.utility.ocpi.times import format_time
from agent.utility.store import read_private, write_private

KEPT: Final = 1000
"""Ended sessions that can still be read."""
REFRESH_S: Final = 60.0
"""A session's energy is told anew after this time."""
GAP_S: Final = 10.0
"""A longer silence of the control is not integrated: nobody knows what happened in it."""
NEVER_S: Final = -1e18
"""Long ago; JSON has no infinity."""
NO_CURRENCY: Final = "XXX"
"""ISO 4217: no currency is involved; the gateway knows no tariff."""


class Stay(msgspec.Struct, kw_only=True):
    """One session as it is kept.

    Attributes:
        import_wh, export_wh: Energy so far, both rising.
        import_base_wh, export_base_wh: The meter's registers when it began, less what was counted
            before; None where the station has no register.
    """

    id: str
    evse_id: str
    start_utc_s: float
    end_utc_s: float | None = None
    updated_utc_s: float = 0.0
    import_wh: float = 0.0
    export_wh: float = 0.0
    import_base_wh: float | None = None
    export_base_wh: float | None = None
    soc_pct: float | None = None
    shown_import_wh: float = 0.0
    shown_export_wh: float = 0.0
    refresh_s: float = NEVER_S

    @property
    def active(self) -> bool:
        """The vehicle is still there."""
        return self.end_utc_s is None


class Sessions:
    """All sessions, oldest first.

    Args:
        settings: `[ocpi]`.
        location: Id of the location.
        path: Where they are kept.
    """

    def __init__(self, settings: Ocpi, location: str, path: Path) -> None:
        self._settings = settings
        self._location = location
        self._path = path
        self._stays = {stay.id: stay for stay in read_private(path, list[Stay]) or []}
        for stay in self._stays.values():
            stay.refresh_s = NEVER_S  # the monotonic clock of another boot means nothing
        self._open = {stay.evse_id: stay for stay in self._stays.values() if stay.active}
        self._heard_s = -math.inf

    def __iter__(self) -> Iterator[Stay]:
        return iter(tuple(self._stays.values()))

    def get(self, session_id: str) -> Stay | None:
        """Return a session, or None."""
        return self._stays.get(session_id)

    def update(self, views: Iterable[EvseView], *, now_s: float, now_utc_s: float) -> None:
        """Take the fleet as it is now.

        A station that is offline keeps its session: nothing says that the vehicle left.
        """
        dt_s = now_s - self._heard_s if now_s - self._heard_s <= GAP_S else 0.0
        self._heard_s = now_s
        changed = False
        for view in views:
            status = view.status
            stay = self._open.get(status.evse_id)
            if not status.online:
                continue
            if stay is None and status.plugged:
                stay = self._begin(status, now_utc_s)
                changed = True
            if stay is not None:
                _count(stay, status, dt_s)
                changed |= self._refresh(stay, status, now_s, now_utc_s)
        if changed:
            self.save()

    def save(self) -> None:
        """Keep them on disk; a full disk costs the memory over a restart, nothing else."""
        ended = [stay for stay in self._stays.values() if not stay.active]
        for stay in ended[: max(0, len(ended) - KEPT)]:
            del self._stays[stay.id]
        try:
            write_private(self._path, list(self._stays.values()))
        except OSError as error:
            logger.error("{}: {}", self._path, error)

    def document(self, stay: Stay) -> Session:
        """Return a session as partners see it."""
        settings = self._settings
        dimensions = [
            CdrDimension(type="ENERGY_IMPORT", volume=_kwh(stay.shown_import_wh)),
            CdrDimension(type="ENERGY_EXPORT", volume=_kwh(stay.shown_export_wh)),
        ]
        if stay.soc_pct is not None:
            dimensions.append(CdrDimension(type="STATE_OF_CHARGE", volume=round(stay.soc_pct, 1)))
        start = format_time(stay.start_utc_s)
        return Session(
            country_code=settings.country_code,
            party_id=settings.party_id,
            id=stay.id,
            start_date_time=start,
            end_date_time=None if stay.end_utc_s is None else format_time(stay.end_utc_s),
            kwh=_kwh(stay.shown_import_wh),
            cdr_token=CdrToken(
                country_code=settings.country_code,
                party_id=settings.party_id,
                uid=stay.id,
                type="AD_HOC_USER",
                contract_id=stay.id,
            ),
            auth_method="WHITELIST",
            location_id=self._location,
            evse_uid=short(stay.evse_id),
            connector_id=CONNECTOR,
            currency=NO_CURRENCY,
            status="ACTIVE" if stay.active else "COMPLETED",
            last_updated=format_time(stay.updated_utc_s),
            charging_periods=[ChargingPeriod(start_date_time=start, dimensions=dimensions)],
        )

    def _begin(self, status: EvseStatus, now_utc_s: float) -> Stay:
        stay = Stay(
            id=str(uuid.uuid4()),
            evse_id=status.evse_id,
            start_utc_s=now_utc_s,
            updated_utc_s=now_utc_s,
            import_base_wh=status.energy_import_wh,
            export_base_wh=status.energy_export_wh,
        )
        self._stays[stay.id] = self._open[stay.evse_id] = stay
        return stay

    def _refresh(self, stay: Stay, status: EvseStatus, now_s: float, now_utc_s: float) -> bool:
        ended = not status.plugged
        news = stay.import_wh - stay.shown_import_wh + stay.export_wh - stay.shown_export_wh
        if not ended and (now_s - stay.refresh_s < REFRESH_S or news < 1.0):
            return False
        stay.shown_import_wh, stay.shown_export_wh = stay.import_wh, stay.export_wh
        stay.soc_pct = status.soc_pct if status.soc_pct is not None else stay.soc_pct
        stay.refresh_s, stay.updated_utc_s = now_s, now_utc_s
        if ended:
            stay.end_utc_s = now_utc_s
            del self._open[stay.evse_id]
        return True


def _count(stay: Stay, status: EvseStatus, dt_s: float) -> None:
    """Add energy: from the meter's registers where it has them, else from its power."""
    power_w = status.p_w or 0.0
    step_wh = abs(power_w) * dt_s / 3600.0
    stay.import_wh, stay.import_base_wh = _counted(
        stay.import_wh, stay.import_base_wh, status.energy_import_wh, step_wh * (power_w < 0.0)
    )
    stay.export_wh, stay.export_base_wh = _counted(
        stay.export_wh, stay.export_base_wh, status.energy_export_wh, step_wh * (power_w > 0.0)
    )


def _counted(
    so_far_wh: float, base_wh: float | None, register_wh: float | None, step_wh: float
) -> tuple[float, float | None]:
    """Return the energy so far, and the base of a register that appears or was set back."""
    if register_wh is None:
        return so_far_wh + step_wh, base_wh
    if base_wh is None or register_wh < base_wh + so_far_wh:
        return so_far_wh, register_wh - so_far_wh
    return register_wh - base_wh, base_wh


def _kwh(energy_wh: float) -> float:
    return round(energy_wh / 1000.0, 3)
