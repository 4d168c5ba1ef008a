"""The bucket seen from a tool: everything in it at one time, and the operator's statement."""

from __future__ import annotations

import time
from dataclasses import dataclass

from agent.config import Settings
from agent.errors import UnavailableError
from agent.utility.bus.bucket import Bucket
from agent.utility.bus.fleet_model import (
    AREA,
    GATEWAY,
    LEDGER,
    SHARE,
    Area,
    Ledger,
    Report,
    Share,
)
from agent.utility.bus.nats_link import FAULTS, connection

TOOL = "v2g-ctl"


@dataclass(frozen=True, slots=True)
class RegionalView:
    """What the bucket holds; reports and shares by the gateways' UUIDs.

    Attributes:
        area: What an operator stated, while it holds; None where the configuration is used.
    """

    bucket: str
    area: Area | None
    ledger: Ledger | None
    reports: dict[str, Report]
    shares: dict[str, Share]


async def read_region(settings: Settings) -> RegionalView:
    """Return the region.

    Raises:
        UnavailableError: The bus cannot be reached, or has no bucket.
        ConfigurationError: Credentials that cannot be used.
    """
    name = settings.fleet.bucket
    try:
        async with connection(settings.bus, TOOL) as (client, _lost):
            bucket = await Bucket.open(client, name, create=False)
            area = await bucket.read(Area, AREA)
            if area is not None and time.time() - area.t_utc_s > area.lease_s:
                area = None
            return RegionalView(
                name,
                area,
                await bucket.read(Ledger, LEDGER),
                await bucket.read_all(Report, GATEWAY),
                await bucket.read_all(Share, SHARE),
            )
    except FAULTS as error:
        raise UnavailableError(_reason(settings, error)) from error


async def state_area(
    settings: Settings,
    *,
    inertia_s: float | None,
    power_w: float | None,
    reserve_up_w: float | None,
    reserve_down_w: float | None,
    lease_s: float,
) -> None:
    """Write what holds for the area; what is None comes from this machine's configuration.

    Raises:
        UnavailableError: The bus cannot be reached, or refuses.
    """
    area = Area(
        inertia_s=settings.grid.inertia_s if inertia_s is None else inertia_s,
        power_w=settings.grid.area_power_w if power_w is None else power_w,
        reserve_up_w=reserve_up_w,
        reserve_down_w=reserve_down_w,
        lease_s=lease_s,
        t_utc_s=time.time(),
    )
    try:
        async with connection(settings.bus, TOOL) as (client, _lost):
            bucket = await Bucket.open(client, settings.fleet.bucket, create=False)
            await bucket.write(AREA, area)
    except FAULTS as error:
        raise UnavailableError(_reason(settings, error)) from error


def _reason(settings: Settings, error: Exception) -> str:
    why = str(error) or type(error).__name__
    return f"{settings.bus.nats}, bucket {settings.fleet.bucket}: {why}"
